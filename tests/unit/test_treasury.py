"""The treasury's plan: what is claimed, funded and swept, under any facts; and played through to the end."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from mixpay.types import Account, Amount, Epoch, RelayId
from relay.config import TreasuryRules
from relay.store import StoredPoolVoucher
from relay.treasury import (
    Claim,
    ClaimPool,
    Deposit,
    Facts,
    Fund,
    Holdings,
    PayeeFacts,
    PayerFacts,
    PoolFacts,
    Subject,
    Sweep,
    make_plan,
)

PRICE = Amount(10**12)
RULES = TreasuryRules()
NOW = 1_000_000
SIGNATURE = b"\1" * 65


def tokens(value: int) -> Amount:
    return Amount(value * PRICE)


def holdings(ledger: int = 100_000, own: int = 0, ether: int = 1, in_flight: int = 0) -> Holdings:
    return Holdings(tokens(ledger), tokens(own), ether, in_flight)


def payee(
    relay: int = 1, cumulative: int = 0, unsettled: int = 0, deposit: int = 0, **more: int
) -> PayeeFacts:
    account = Account(bytes([relay]) * 20)
    return PayeeFacts(
        RelayId(relay),
        account,
        tokens(cumulative),
        tokens(unsettled),
        tokens(deposit),
        **more,  # type: ignore[arg-type]
    )


def payer(
    relay: int = 1, cumulative: int = 0, deposit: int = 0, claimed: int = 0, closes_at: int = 0
) -> PayerFacts:
    return PayerFacts(
        RelayId(relay),
        Account(bytes([relay]) * 20),
        tokens(cumulative),
        1,
        SIGNATURE,
        tokens(deposit),
        tokens(claimed),
        closes_at,
    )


def pool(
    cumulative: int,
    *,
    campaign: int = 1,
    claimed: int = 0,
    allowed: int = 10**9,
    period: int = 5,
    latest: int = 0,
    left: int = 7200,
) -> PoolFacts:
    voucher = StoredPoolVoucher(campaign, period, tokens(cumulative), SIGNATURE)
    return PoolFacts(voucher, tokens(claimed), Epoch(latest), tokens(allowed), NOW + left, 7200)


def facts(**parts: object) -> Facts:
    return replace(Facts(PRICE, NOW, holdings()), **parts)  # type: ignore[arg-type]


def actions(found: Facts, *, urgent: bool = False) -> tuple[object, ...]:
    return make_plan(found, RULES, urgent=urgent).actions


def whys(found: Facts, subject: Subject, *, urgent: bool = False) -> list[str]:
    return [p.why for p in make_plan(found, RULES, urgent=urgent).postponed if p.subject is subject]


# ------------------------------------------------------------------ claims


def test_claims_what_is_worth_a_transaction() -> None:
    small, large = payer(1, 19_999, deposit=50_000), payer(2, 30_000, deposit=50_000, claimed=10_000)
    (claim,) = actions(facts(payers=(large,)))
    assert isinstance(claim, Claim)
    assert (claim.relay, claim.cumulative, claim.upto_batch, claim.signature) == (
        2,
        tokens(30_000),
        1,
        SIGNATURE,
    )
    assert actions(facts(payers=(small,))) == ()
    (why,) = whys(facts(payers=(small,)), Subject.PAYER)
    assert "0.019999 tokens can be claimed; that is done from 0.02 on, or sooner together with others" in why


def test_claims_everything_when_told() -> None:
    claims = actions(facts(payers=(payer(1, 5, deposit=9), payer(2, 7, deposit=9))), urgent=True)
    assert [claim.relay for claim in claims if isinstance(claim, Claim)] == [2, 1]  # what pays most first


def test_claims_a_closing_channel_first_whatever_it_pays() -> None:
    large, closing = payer(1, 30_000, deposit=50_000), payer(2, 1, deposit=1, closes_at=NOW + 60)
    claims = actions(facts(payers=(large, closing)))
    assert [claim.relay for claim in claims if isinstance(claim, Claim)] == [2, 1]


def test_does_not_claim_what_the_channel_does_not_hold() -> None:
    found = facts(payers=(payer(1, 50_000, deposit=10_000, claimed=10_000),))
    assert actions(found, urgent=True) == ()
    assert "lacks 0.04 tokens" in whys(found, Subject.PAYER)[0]


def test_claims_pool_vouchers_worth_it_lapsing_or_when_told() -> None:
    assert isinstance(actions(facts(pool=(pool(20_000),)))[0], ClaimPool)
    assert actions(facts(pool=(pool(19_999),))) == ()
    assert isinstance(actions(facts(pool=(pool(1, left=3600),)))[0], ClaimPool)
    assert isinstance(actions(facts(pool=(pool(1),)), urgent=True)[0], ClaimPool)


def test_waits_with_pool_vouchers_that_would_pay_nothing() -> None:
    for stuck in (pool(9, left=-1), pool(9, period=4, latest=5), pool(9, allowed=0)):
        assert actions(facts(pool=(stuck,)), urgent=True) == ()
        assert whys(facts(pool=(stuck,)), Subject.CAMPAIGN, urgent=True)
    reserved = facts(pool=(replace(pool(50_000), reserved=True),))
    assert actions(reserved, urgent=True) == ()
    assert "redeemed at the pool first" in whys(reserved, Subject.CAMPAIGN, urgent=True)[0]
    paid = facts(pool=(pool(9, claimed=9),))
    assert make_plan(paid, RULES, urgent=True) == make_plan(facts(), RULES, urgent=True)


# ------------------------------------------------------------------ channels


def test_opens_a_channel_where_enough_is_owed() -> None:
    assert actions(facts(payees=(payee(unsettled=999),))) == ()
    (fund,) = actions(facts(payees=(payee(unsettled=1_000),)))
    assert isinstance(fund, Fund)
    assert fund.amount == tokens(21_000)  # what is owed, and room for more


def test_covers_a_voucher_at_once() -> None:
    (fund,) = actions(facts(payees=(payee(cumulative=10),)))
    assert isinstance(fund, Fund)
    assert fund.amount == tokens(20_010)
    (fund,) = actions(facts(payees=(payee(cumulative=10),)), urgent=True)
    assert isinstance(fund, Fund)
    assert fund.amount == tokens(10)


def test_tops_up_below_the_threshold_only() -> None:
    enough = payee(cumulative=30_000, unsettled=5_000, deposit=40_000)
    assert actions(facts(payees=(enough,))) == ()
    (fund,) = actions(facts(payees=(replace(enough, unsettled=tokens(5_001)),)))
    assert isinstance(fund, Fund)
    assert fund.amount == tokens(20_000 - 4_999)


def test_leaves_a_closing_channel_alone_unless_packets_wait() -> None:
    closing = payee(cumulative=10, deposit=10, closes_at=NOW + 60)
    assert actions(facts(payees=(closing,))) == ()
    (fund,) = actions(facts(payees=(replace(closing, waiting=1),)))
    assert isinstance(fund, Fund)
    assert fund.amount == tokens(20_000)
    full = payee(cumulative=10, deposit=90_000, closes_at=NOW + 60, waiting=1)
    assert [f.amount for f in actions(facts(payees=(full,))) if isinstance(f, Fund)] == [0]


def test_covers_vouchers_of_closing_channels_and_of_payees_that_cheated() -> None:
    for payee_ in (
        payee(cumulative=10, deposit=4, closes_at=NOW + 60),
        payee(cumulative=10, deposit=4, refused=1),
    ):
        (fund,) = actions(facts(payees=(payee_,)))
        assert isinstance(fund, Fund)
        assert fund.amount == tokens(6)


def test_shares_what_there_is_smallest_gap_first() -> None:
    found = facts(holdings=holdings(100), payees=(payee(1, 90), payee(2, 60), payee(3, 10)))
    amounts = {fund.relay: fund.amount for fund in actions(found) if isinstance(fund, Fund)}
    assert amounts == {3: tokens(10), 2: tokens(60), 1: tokens(30)}
    assert "0.00006 of them promised by a voucher" in whys(found, Subject.PAYEE)[0]
    (why,) = whys(found, Subject.ACCOUNT)
    assert why.startswith("the operator must deposit 0.06006 tokens")


def test_deposits_the_operators_tokens_as_far_as_needed() -> None:
    found = facts(holdings=holdings(5_000, own=900_000), payees=(payee(cumulative=10),))
    deposit, fund = actions(found)
    assert isinstance(deposit, Deposit)
    assert isinstance(fund, Fund)
    assert (deposit.amount, fund.amount) == (tokens(15_010), tokens(20_010))


def test_does_not_open_a_channel_with_next_to_nothing() -> None:
    found = facts(holdings=holdings(999), payees=(payee(unsettled=1_500),))
    assert actions(found) == ()
    assert "must deposit" in whys(found, Subject.ACCOUNT)[0]


# ------------------------------------------------------------------ sweeping, and hindrances


def test_sweeps_to_the_float() -> None:
    assert actions(facts(holdings=holdings(200_000))) == ()
    (sweep,) = actions(facts(holdings=holdings(200_001)))
    assert isinstance(sweep, Sweep)
    assert sweep.amount == tokens(100_001)


def test_plans_nothing_without_ether_or_before_the_last_transaction() -> None:
    for hindered in (holdings(300_000, ether=0), holdings(300_000, in_flight=1)):
        found = facts(holdings=hindered, payers=(payer(1, 9, deposit=9),), payees=(payee(cumulative=1),))
        made = make_plan(found, RULES, urgent=True)
        assert made.actions == ()
        assert {item.subject for item in made.postponed} == {Subject.PAYER, Subject.PAYEE, Subject.ACCOUNT}
    assert make_plan(facts(holdings=holdings(0, ether=0)), RULES).postponed == ()


# ------------------------------------------------------------------ any facts

amounts_ = st.integers(0, 400_000).map(tokens)


@st.composite
def any_payee(draw: st.DrawFn, relay: int) -> PayeeFacts:
    deposit = draw(amounts_)
    return PayeeFacts(
        RelayId(relay),
        Account(bytes([relay]) * 20),
        cumulative=draw(amounts_),
        unsettled=draw(amounts_),
        deposit=deposit,
        claimed=Amount(draw(st.integers(0, deposit))),
        closes_at=draw(st.sampled_from((0, 0, NOW + 60))),
        waiting=draw(st.integers(0, 2)),
        refused=draw(st.booleans()),
    )


@st.composite
def any_payer(draw: st.DrawFn, relay: int) -> PayerFacts:
    cumulative, deposit = draw(amounts_), draw(amounts_)
    claimed = Amount(draw(st.integers(0, min(cumulative, deposit))))
    closes_at = draw(st.sampled_from((0, NOW + 60)))
    account = Account(bytes([relay]) * 20)
    return PayerFacts(RelayId(relay), account, cumulative, 1, SIGNATURE, deposit, claimed, closes_at)


@st.composite
def any_pool(draw: st.DrawFn, campaign: int) -> PoolFacts:
    voucher = StoredPoolVoucher(campaign, draw(st.integers(3, 5)), draw(amounts_), SIGNATURE)
    left = draw(st.integers(-100, 7200))
    return PoolFacts(voucher, draw(amounts_), Epoch(4), draw(amounts_), NOW + left, 7200)


@st.composite
def any_facts(draw: st.DrawFn) -> Facts:
    numbers = range(1, 1 + draw(st.integers(0, 5)))
    return Facts(
        PRICE,
        NOW,
        Holdings(draw(amounts_), draw(amounts_), 1, 0),
        tuple(draw(any_payee(n)) for n in numbers),
        tuple(draw(any_payer(n)) for n in numbers),
        tuple(draw(any_pool(n)) for n in range(1, 1 + draw(st.integers(0, 2)))),
    )


def carried_out(found: Facts, done: tuple[object, ...]) -> Facts:
    """What the contracts make of a plan; fails if they would refuse a part of it."""
    for action in done:
        held = found.holdings
        match action:
            case Deposit():
                assert 0 < action.amount <= held.tokens
                held = replace(held, tokens=held.tokens - action.amount, ledger=held.ledger + action.amount)
                found = replace(found, holdings=held)
            case Fund():
                assert 0 <= action.amount <= held.ledger
                payees = tuple(_funded(p, action) for p in found.payees)
                found = replace(
                    found, payees=payees, holdings=replace(held, ledger=held.ledger - action.amount)
                )
            case Claim():
                (paid,) = (p.payable for p in found.payers if p.relay == action.relay)
                assert paid > 0
                payers = tuple(
                    replace(p, claimed=p.claimed + paid) if p.relay == action.relay else p
                    for p in found.payers
                )
                found = replace(found, payers=payers, holdings=replace(held, ledger=held.ledger + paid))
            case ClaimPool():
                (paid,) = (p.payable for p in found.pool if p.voucher.campaign == action.campaign)
                assert paid > 0
                pools = tuple(
                    replace(p, claimed=p.claimed + paid, allowed=p.allowed - paid)
                    if p.voucher.campaign == action.campaign
                    else p
                    for p in found.pool
                )
                found = replace(found, pool=pools, holdings=replace(held, ledger=held.ledger + paid))
            case Sweep():
                assert 0 < action.amount <= held.ledger
                found = replace(found, holdings=replace(held, ledger=held.ledger - action.amount))
            case _:
                raise AssertionError(action)
    return found


def _funded(known: PayeeFacts, action: Fund) -> PayeeFacts:
    if known.relay != action.relay:
        return known
    return replace(known, deposit=Amount(known.deposit + action.amount), closes_at=0)


@settings(max_examples=300, deadline=None)
@given(any_facts(), st.booleans())
def test_never_spends_more_than_it_has(found: Facts, urgent: bool) -> None:
    # Not counting on its own claims, either: they may be refused.
    spending = tuple(a for a in actions(found, urgent=urgent) if not isinstance(a, Claim | ClaimPool))
    carried_out(found, spending)


@settings(max_examples=300, deadline=None)
@given(any_facts(), st.booleans())
def test_comes_to_rest_and_repeats_nothing(found: Facts, urgent: bool) -> None:
    for _ in range(4):
        todo = actions(found, urgent=urgent)
        if not todo:
            break
        found = carried_out(found, todo)
    assert actions(found, urgent=urgent) == ()


@settings(max_examples=300, deadline=None)
@given(any_facts(), st.booleans())
def test_covers_every_voucher_when_funds_suffice(found: Facts, urgent: bool) -> None:
    needed = sum(p.uncovered for p in found.payees)
    enough = replace(found.holdings, ledger=Amount(max(needed, found.holdings.ledger)))
    found = replace(found, holdings=enough)
    after = carried_out(found, actions(found, urgent=urgent))
    assert all(p.uncovered == 0 for p in after.payees)


@settings(max_examples=300, deadline=None)
@given(any_facts(), st.booleans())
def test_says_what_is_left_uncovered(found: Facts, urgent: bool) -> None:
    made = make_plan(found, RULES, urgent=urgent)
    after = carried_out(found, made.actions)
    named = {item.number for item in made.postponed if item.subject is Subject.PAYEE}
    assert {p.relay for p in after.payees if p.uncovered} <= named


@settings(max_examples=200, deadline=None)
@given(any_facts())
def test_urgent_funds_no_more_than_vouchers_need(found: Facts) -> None:
    after = carried_out(found, tuple(a for a in actions(found, urgent=True) if isinstance(a, Deposit | Fund)))
    for before, now in zip(found.payees, after.payees, strict=True):
        assert now.deposit == before.deposit or now.deposit <= now.cumulative
