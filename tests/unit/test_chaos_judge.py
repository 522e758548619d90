"""The judge of `make chaos` passes an honest network that lost packets, and sees every way to be wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import chaos_evidence as evidence
from chaos.judge import Facts, Judgement, TrafficFacts, judge, judge_chain
from chaos_evidence import LAYERS, PRICE
from mixpay.types import RelayId

MADE = evidence.scene()
FACTS, TRAFFIC = MADE.facts(), evidence.traffic(MADE)
NUMBERS = ("lost", "double_processed", "book_mismatches", "income_error", "user_errors")


def found(facts: Facts = FACTS, traffic: TrafficFacts = TRAFFIC) -> set[str]:
    judged = judge(facts, traffic, PRICE)
    assert judged.holds == (not judged.notes)
    return {name for name in NUMBERS if getattr(judged, name)}


def test_settledNetworkThatLostPackets_holds() -> None:
    judged = judge(FACTS, TRAFFIC, PRICE)
    assert judged.notes == []
    assert judged.holds
    assert judged.receipts == sum(link.receipts for link in MADE.links.values())
    assert TRAFFIC.not_delivered > 0
    assert TRAFFIC.delivered == sum(MADE.roles["mailbox", relay] for relay in LAYERS)


PATHS = evidence.paths()


@given(st.lists(st.tuples(st.sampled_from(PATHS), st.integers(1, 4)), max_size=30))
def test_whateverIsCarriedAndLost_holds(carried: list[tuple[tuple[RelayId, ...], int]]) -> None:
    """I7, I8, I9: no loss of a packet looks like a loss of money."""
    made = evidence.Scene()
    for path, reached in carried:
        made.carry(path, reached)
    assert judge(made.facts(), evidence.traffic(made), PRICE).notes == []


# ---------------------------------------------------------------------- receipts


@pytest.mark.parametrize(("payer", "payee"), [(3, 1), (1, 3), (3, 5), (5, 2), (5, 6), (5, 3)])
def test_receiptThatIsPaidToNobody_isLost(payer: int, payee: int) -> None:
    """Both sides agree on less than was relayed: no book differs, yet a receipt is gone."""
    facts: Facts = FACTS
    value = 1 if LAYERS[RelayId(payer)] == 3 else 5 - LAYERS[RelayId(payee)]
    for side in ("payer", "payee"):
        state = evidence.link_state(FACTS, payer, payee, side)
        less = {"settled": state.settled - value, "cumulative": state.cumulative - value * PRICE}
        receipts = state.receipts - 1 if side == "payee" else 0
        facts = evidence.with_link(facts, payer, payee, side, receipts=receipts, **less)
    assert "lost" in found(facts)
    assert judge(facts, TRAFFIC, PRICE).lost == 1


def test_receiptsThatNobodyEarned_areNoIncome() -> None:
    facts: Facts = FACTS
    for side in ("payer", "payee"):
        state = evidence.link_state(FACTS, 1, 3, side)
        more = {"settled": state.settled + 3, "cumulative": state.cumulative + 3 * PRICE}
        facts = evidence.with_link(facts, 1, 3, side, receipts=state.receipts + (side == "payee"), **more)
    assert found(facts) == {"income_error"}


# ---------------------------------------------------------------------- I7


@pytest.mark.parametrize("side", ["payer", "payee"])
@pytest.mark.parametrize(
    "changes",
    [{"upto_batch": 2}, {"refusal": ("bad_ack",)}, {"placed": {(2, 0): 7}}, {"cuts": frozenset({2})}],
    ids=str,
)
def test_I7_sidesThatDiffer_areSeen(side: str, changes: dict[str, object]) -> None:
    assert found(evidence.with_link(FACTS, 1, 3, side, **changes)) == {"book_mismatches"}


@pytest.mark.parametrize("side", ["payer", "payee"])
def test_I7_voucherThatOneSideDoesNotHave_isSeen(side: str) -> None:
    state = evidence.link_state(FACTS, 1, 3, side)
    facts = evidence.with_link(FACTS, 1, 3, side, cumulative=state.cumulative - PRICE)
    assert "book_mismatches" in found(facts)


def test_I7_bookThatOneSideForgot_isSeen() -> None:
    its = FACTS[RelayId(3)]
    rest = {payer: link for payer, link in its.books.payers.items() if payer != 1}
    facts = {**FACTS, RelayId(3): replace(its, books=replace(its.books, payers=rest))}
    assert "book_mismatches" in found(facts)


@pytest.mark.parametrize("change", [1, -1])
def test_I7_ticketsThatOnlyOneSideCounts_areSeen(change: int) -> None:
    link = FACTS[RelayId(1)].books.payees[RelayId(3)]
    assert "book_mismatches" in found(
        evidence.with_link(FACTS, 1, 3, "payer", most=link.most + change * 3 * PRICE)
    )


# ---------------------------------------------------------------------- I8


@pytest.mark.parametrize("change", [1, -1])
def test_I8_unitTooMuchOrTooLittle_isSeen(change: int) -> None:
    facts: Facts = FACTS
    for side in ("payer", "payee"):
        state = evidence.link_state(FACTS, 1, 3, side)
        facts = evidence.with_link(facts, 1, 3, side, cumulative=state.cumulative + change)
    assert found(facts) == {"income_error"}


def chain(**changes: int) -> Judgement:
    """What the chain shows, with one relay's figures changed."""
    results = [
        replace(p, **{k: getattr(p, k) + v for k, v in changes.items()}) for p in evidence.paid(FACTS)[:1]
    ]
    return judge_chain(FACTS, PRICE, evidence.pool(FACTS), [*results, *evidence.paid(FACTS)[1:]])


def test_I8_chainThatPaidWhatIsDue_holds() -> None:
    assert chain().holds


@pytest.mark.parametrize("name", ["earned", "claimed", "gained"])
@pytest.mark.parametrize("change", [1, -1])
def test_I8_chainThatPaidAnythingElse_isSeen(name: str, change: int) -> None:
    assert chain(**{name: change}).income_error == 1


@pytest.mark.parametrize("change", [1, -1])
def test_I8_poolThatOwesAnythingElseThanItsTicks_isSeen(change: int) -> None:
    pool = evidence.pool(FACTS)
    pool[RelayId(2)] += change
    assert judge_chain(FACTS, PRICE, pool, evidence.paid(FACTS)).income_error == 1


def test_I8_relayThatTheVerifierDoesNotShow_isSeen() -> None:
    judged = judge_chain(FACTS, PRICE, evidence.pool(FACTS), evidence.paid(FACTS)[1:])
    assert not judged.holds


# ---------------------------------------------------------------------- I9


def test_I9_packetTakenWithoutATag_isSeen() -> None:
    counts = FACTS[RelayId(4)].counts
    assert "double_processed" in found(evidence.with_counts(FACTS, 4, mix=counts.mix + 1))


def test_I9_sameTagTwice_isSeen() -> None:
    counts = FACTS[RelayId(4)].counts
    assert found(evidence.with_counts(FACTS, 4, distinct=counts.distinct - 1)) == {"double_processed"}
    assert found(evidence.with_counts(FACTS, 4, tags=counts.tags + 1)) == {"double_processed"}


@pytest.mark.parametrize("name", ["repeated", "accepted_again"])
def test_I9_whatUsersSeeTwice_isSeen(name: str) -> None:
    assert "double_processed" in found(traffic=replace(TRAFFIC, **{name: 1}))


# ---------------------------------------------------------------------- users


@pytest.mark.parametrize(
    "changes",
    [
        {"strange": 1},
        {"accepted": {**TRAFFIC.accepted, RelayId(1): TRAFFIC.accepted[RelayId(1)] + 1}},
        {"fetched": {**TRAFFIC.fetched, RelayId(5): TRAFFIC.fetched[RelayId(5)] - 1}},
        {"fetched": {**TRAFFIC.fetched, RelayId(5): TRAFFIC.fetched[RelayId(5)] + 1}},
        {"by_pass": {bytes([1]): TRAFFIC.by_pass[bytes([1])] + 1}},
        {"by_pass": {b"another": 1}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_promiseToUsersThatRelaysDoNotKnow_isSeen(changes: dict[str, object]) -> None:
    assert found(traffic=replace(TRAFFIC, **changes)) == {"user_errors"}  # type: ignore[arg-type]
