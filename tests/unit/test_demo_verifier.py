"""The verifier passes an honest period, and every invariant is seen to fail when it is broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import demo_evidence as world
from demo_evidence import DEPLOYMENT, PACKETS, PRICE, USER, operator, owner
from mixpay.chain import events
from mixpay.demo.evidence import Counts, Evidence
from mixpay.demo.money import Caps, Money
from mixpay.demo.verifier import INVARIANTS, verify
from mixpay.types import Account, RelayId

STRANGER = world.account("stranger")


def broken(evidence: Evidence) -> set[str]:
    verdict = verify(evidence)
    return {name for name in INVARIANTS if not verdict.holds(name)}


def test_honestPeriod_holds() -> None:
    verdict = verify(world.honest())
    assert verdict.objections == ()
    assert all(verdict.holds(name) for name in INVARIANTS)
    assert (verdict.unclaimed, verdict.user_paid, verdict.users_native) == (0, 0, 0)
    assert verdict.sponsor_paid == 5 * PACKETS * PRICE
    assert (verdict.packets_carried, verdict.packets_delivered) == (PACKETS, PACKETS)
    for relay in verdict.relays:
        assert relay.earned == relay.claimed == relay.gained == PACKETS * PRICE


def test_paid_isOfAllRelaysByCampaign_alsoOfOneThatPaidNothing() -> None:
    money, caps = Money(), Caps(1, 1)
    money.caps = {3: caps, 1: caps, 2: caps}
    money.pool_claims |= {(1, operator(1)): 5, (2, operator(1)): 7, (1, operator(2)): 11}
    assert money.paid_by_campaign() == {1: 16, 2: 7, 3: 0}


# ---------------------------------------------------------------------- I1


def _with_answer(field: str, key: object, change: int | tuple[int, int]) -> Callable[[Evidence], Evidence]:
    def tamper(evidence: Evidence) -> Evidence:
        table = dict(getattr(evidence.answers, field))
        old = table.get(key, 0)
        if isinstance(change, tuple):
            table[key] = (old[0] + change[0], old[1] + change[1])
        else:
            table[key] = old + change
        return replace(evidence, answers=replace(evidence.answers, **{field: table}))

    return tamper


@pytest.mark.parametrize("change", [1, -1])
@pytest.mark.parametrize(
    ("field", "key"),
    [
        ("tokens", DEPLOYMENT.channels),
        ("tokens", DEPLOYMENT.registry),
        ("tokens", owner(3)),
        ("ledger", DEPLOYMENT.pool),
        ("ledger", operator(2)),
        ("budgets", 1),
    ],
)
def test_i1_failsIfAnAnswerDiffersByOneUnit(field: str, key: object, change: int) -> None:
    assert "I1" in broken(_with_answer(field, key, change)(world.honest()))


@pytest.mark.parametrize("change", [(1, 0), (0, -1), (1, 1)])
def test_i1_failsIfAChannelDiffers(change: tuple[int, int]) -> None:
    pair = operator(1), operator(2)
    assert "I1" in broken(_with_answer("channels", pair, change)(world.honest()))


@given(st.integers(min_value=0, max_value=len(world.history().events) - 1))
def test_i1_failsIfAnEventWithMoneyIsMissing(place: int) -> None:
    evidence = world.honest()
    missing = evidence.events[place]
    found = evidence.events[:place] + evidence.events[place + 1 :]
    failed = broken(replace(evidence, events=found))
    assert failed
    if isinstance(missing, events.Funded | events.Claimed | events.Deposited | events.PoolClaimed):
        assert "I1" in failed


@pytest.mark.parametrize("kind", [events.Funded, events.Claimed, events.PoolClaimed, events.Deposited])
def test_i1_failsIfAnEventCountsTwice(kind: type[events.Event]) -> None:
    evidence = world.honest()
    place = next(i for i, event in enumerate(evidence.events) if isinstance(event, kind))
    found = (*evidence.events[: place + 1], *evidence.events[place:])
    assert "I1" in broken(replace(evidence, events=found))


def redeemed(by_voucher: events.PoolClaimed, **changes: int) -> events.PassesRedeemed:
    """The same payment, for passes."""
    e = by_voucher
    place = e.block, e.index, e.transaction, e.campaign, e.relay
    paid = {"kind": 1, "period": e.period, "amount": e.amount, "claimed": e.claimed} | changes
    return events.PassesRedeemed(*place, *paid.values(), (bytes(32),), (1,))


def with_passes(**changes: int) -> set[str]:
    evidence = world.honest()
    found = (redeemed(e, **changes) if isinstance(e, events.PoolClaimed) else e for e in evidence.events)
    return broken(replace(evidence, events=tuple(found)))


def test_paymentForPasses_isAsGoodAsByVoucher() -> None:
    assert with_passes() == set()
    assert with_passes(kind=2) == set()  # a term is an epoch
    assert "I1" in with_passes(claimed=1)
    assert "I5" in with_passes(amount=10**30)


def test_i1_failsIfTokensLeaveChannelsWithoutAnEvent() -> None:
    chain = world.history()
    chain.transfer(DEPLOYMENT.channels, operator(4), 1)
    assert "I1" in broken(world.evidence_of(chain))


def test_i1_failsIfTheRegistryPaysAStakeOfALivingRelay() -> None:
    chain = world.history()
    chain.transfer(DEPLOYMENT.registry, owner(4), 1)
    assert "I1" in broken(world.evidence_of(chain))


def test_i1_failsIfMoreIsMovedThanAnAccountHas() -> None:
    chain = world.history()
    chain.emit(events.Moved, operator(2), operator(3), 10**24)
    assert "I1" in broken(world.evidence_of(chain))


def test_i1_failsIfAClosingReturnsAnotherAmount() -> None:
    chain = world.history()
    chain.emit(events.Closed, operator(1), operator(2), 1)
    assert "I1" in broken(world.evidence_of(chain))


def test_i1_failsIfAStakeOfAnotherSizeIsPaidOut() -> None:
    chain = world.history()
    chain.emit(events.StakeWithdrawn, RelayId(2), owner(2), DEPLOYMENT.parameters.stake - 1)
    chain.transfer(DEPLOYMENT.registry, owner(2), DEPLOYMENT.parameters.stake - 1)
    assert "I1" in broken(world.evidence_of(chain))


def test_i1_holdsWhenAStakeIsPaidOut() -> None:
    chain = world.history()
    chain.emit(events.StakeWithdrawn, RelayId(2), owner(2), DEPLOYMENT.parameters.stake)
    chain.transfer(DEPLOYMENT.registry, owner(2), DEPLOYMENT.parameters.stake)
    assert broken(world.evidence_of(chain)) == set()


# ---------------------------------------------------------------------- I2, I3


def test_i2_failsIfMoreIsClaimedThanPaidIn() -> None:
    chain = world.history()
    chain.emit(events.Claimed, operator(1), operator(2), 10**18, 10**18 + 4 * PACKETS * PRICE)
    assert {"I2", "I3"} <= broken(world.evidence_of(chain))


def test_i3_failsIfAVoucherIsSmallerThanWhatWasClaimed() -> None:
    evidence = world.honest()
    smaller = world.voucher(1, 2, 4 * PACKETS * PRICE - 1)
    assert {"I3", "I8"} <= broken(replace(evidence, vouchers=(smaller, *evidence.vouchers[1:])))


def test_i3_failsIfAPoolVoucherIsSmallerThanWhatWasClaimed() -> None:
    smaller = world.pool_voucher(1, 5 * PACKETS * PRICE - 1)
    assert {"I3", "I8"} <= broken(replace(world.honest(), pool_vouchers=(smaller,)))


@pytest.mark.parametrize("place", range(4))
def test_i3_failsIfAVoucherIsMissing(place: int) -> None:
    evidence = world.honest()
    kept = evidence.vouchers[:place] + evidence.vouchers[place + 1 :]
    assert {"I3", "I8"} <= broken(replace(evidence, vouchers=kept))


# ---------------------------------------------------------------------- I5


def test_i5_failsIfABudgetIsOverdrawn() -> None:
    chain = world.history()
    chain.emit(events.WithdrawalFinished, 1, world.SPONSOR, 2_000 * 10**18)
    assert "I5" in broken(world.evidence_of(chain))


@pytest.mark.parametrize("cap", ["period_cap", "relay_cap"])
def test_i5_failsIfMoreIsPaidThanACapAllows(cap: str) -> None:
    chain, paid = world.history(), 5 * PACKETS * PRICE

    def capped(most: int) -> Evidence:
        found = (
            replace(event, **{cap: most}) if isinstance(event, events.CampaignCreated) else event
            for event in chain.events
        )
        return replace(world.honest(), events=tuple(found))

    assert broken(capped(paid)) == set()
    assert broken(capped(paid - 1)) == {"I5"}


# ---------------------------------------------------------------------- I8


@pytest.mark.parametrize("relay", range(1, 6))
@pytest.mark.parametrize("role", ["entry", "mix", "mailbox"])
def test_i8_failsIfOnePacketMoreIsCounted(relay: int, role: str) -> None:
    evidence = world.honest()
    more = evidence.counts[RelayId(relay)] + Counts(**{role: 1})
    assert "I8" in broken(replace(evidence, counts={**evidence.counts, RelayId(relay): more}))


def test_i8_failsIfPacketsAreCountedOnNoWholePath() -> None:
    evidence = world.honest()
    swapped = {**evidence.counts, RelayId(2): Counts(mailbox=PACKETS)}
    assert broken(replace(evidence, counts=swapped)) == {"I8"}


def test_i8_failsIfAnUnknownRelayIsCounted() -> None:
    evidence = world.honest()
    assert "I8" in broken(replace(evidence, counts={**evidence.counts, RelayId(77): Counts()}))


def test_i8_failsIfAVoucherIsForged() -> None:
    evidence = world.honest()
    forged = world.voucher(1, 2, 4 * PACKETS * PRICE, signer="operator2")
    assert {"I3", "I8"} <= broken(replace(evidence, vouchers=(forged, *evidence.vouchers[1:])))


def test_i8_failsIfAForgedVoucherIsAdded() -> None:
    evidence = world.honest()
    forged = world.voucher(1, 2, 10**18, signer="operator2")
    assert broken(replace(evidence, vouchers=(*evidence.vouchers, forged))) == {"I8"}


def test_i8_failsIfAPoolVoucherIsForged() -> None:
    evidence = world.honest()
    forged = world.pool_voucher(2, PRICE, signer="operator2")
    assert broken(replace(evidence, pool_vouchers=(*evidence.pool_vouchers, forged))) == {"I8"}


def test_i8_failsIfAVoucherIsOfAnotherChain() -> None:
    evidence = world.honest()
    elsewhere = replace(DEPLOYMENT, chain_id=1)
    assert {"I3", "I8"} <= broken(replace(evidence, deployment=elsewhere))


def test_i8_failsIfAVoucherIsNotBetweenRelays() -> None:
    evidence = world.honest()
    strange = world.voucher(77, 2, PRICE)
    assert broken(replace(evidence, vouchers=(*evidence.vouchers, strange))) == {"I8"}


def test_i8_failsIfALargerVoucherIsSigned() -> None:
    evidence = world.honest()
    larger = world.voucher(3, 4, 2 * PACKETS * PRICE + 1)
    found = replace(evidence, vouchers=(*evidence.vouchers, larger))
    verdict = verify(found)
    assert broken(found) == {"I8"}
    assert verdict.unclaimed == 1
    assert {relay.id: relay.earned - PACKETS * PRICE for relay in verdict.relays if relay.id in (3, 4)} == {
        3: -1,
        4: 1,
    }


def test_i8_countsWhatOwnersPaidForMailboxes() -> None:
    evidence = world.honest()
    counts = dict(evidence.counts)
    counts[RelayId(2)] += Counts(tolls=3)
    unpaid = replace(evidence, counts=counts)
    assert broken(unpaid) == {"I8"}
    paid = replace(unpaid, pool_vouchers=(*evidence.pool_vouchers, world.pool_voucher(2, 15 * PRICE)))
    assert broken(paid) == set()
    assert verify(paid).unclaimed == 15 * PRICE


def test_i8_failsIfARelayGainsWhatItDidNotClaim() -> None:
    chain = world.history()
    chain.transfer(world.FAUCET, owner(3), 1)
    assert broken(world.evidence_of(chain)) == {"I8"}


def test_unclaimed_isWhatWasSignedAndNotPaid() -> None:
    chain = world.history()
    unpaid = [e for e in chain.events if not isinstance(e, events.Claimed) or e.payee != operator(5)]
    chain.events = unpaid
    verdict = verify(world.evidence_of(chain))
    assert verdict.unclaimed == PACKETS * PRICE
    assert verdict.objections == ()  # what is signed is earned, claimed or not


# ---------------------------------------------------------------------- users


def test_users_failsIfAUserHasEther() -> None:
    evidence = _with_answer("native", USER, 1)(world.honest())
    assert broken(evidence) == {"users"}
    assert verify(evidence).users_native == 1


def test_users_failsIfAStrangerSendsATransaction() -> None:
    evidence = world.honest()
    assert broken(replace(evidence, senders={**evidence.senders, STRANGER: 1})) == {"users"}


@pytest.mark.parametrize("user", [USER, STRANGER])
def test_users_failsIfAUserPays(user: Account) -> None:
    chain = world.history()
    chain.transfer(world.FAUCET, user, 5)
    chain.transfer(user, world.SPONSOR, 5)
    evidence = world.evidence_of(chain)
    assert broken(evidence) == {"users"}
    assert verify(evidence).user_paid == 5


def test_users_failsIfAUserIsAnOperator() -> None:
    assert broken(replace(world.honest(), users=(operator(1),))) == {"users"}
