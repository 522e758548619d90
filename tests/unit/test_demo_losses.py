"""I8 where packets were lost: each link's signed value is that of its opened tickets, or it is found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import demo_evidence as world
from demo_evidence import PACKETS, PRICE, operator
from mixpay.demo.evidence import Carried, Losses
from mixpay.demo.losses import Given, Signed, i8_with_losses, split
from mixpay.demo.verifier import verify
from mixpay.types import HOPS, RelayId

PATH = tuple(map(RelayId, (1, 2, 3, 4, 5)))
OTHER = tuple(map(RelayId, (1, 2, 6, 4, 5)))
OPERATORS = {RelayId(relay): operator(relay) for relay in range(1, 10)}
KILLED = frozenset((RelayId(3),))


def period(
    opened: Mapping[tuple[int, int], tuple[int, int]],
    paths: tuple[Carried, ...],
    ticks: int,
    killed: frozenset[RelayId] = KILLED,
) -> tuple[Losses, Signed]:
    """`opened`: tickets and hop prices by link."""
    pairs = {(operator(a), operator(b)): what for (a, b), what in opened.items()}
    losses = Losses(killed, paths, {pair: tickets for pair, (tickets, _) in pairs.items()})
    links = {pair: value * PRICE for pair, (_, value) in pairs.items()}
    return losses, Signed(PRICE, OPERATORS, links, {(1, operator(1)): 5 * ticks * PRICE})


def objections(losses: Losses, signed: Signed, delivered: int, tolls: int = 0) -> list[str]:
    """`tolls`: ticks that relay 1 was paid for a mailbox."""
    found = list(i8_with_losses(losses, signed, delivered, {RelayId(1): tolls}))
    assert {objection.invariant for objection in found} <= {"I8"}
    return [objection.text for objection in found]


TEN = (Carried(PATH, 10, 6), Carried(OTHER, 4, 4))
"""Of the ten through relay 3 six arrived; two more it took, and two it did not."""
HONEST = {
    (1, 2): (12, 48),
    (2, 3): (6, 18),
    (2, 6): (4, 12),
    (3, 4): (6, 12),
    (6, 4): (4, 8),
    (4, 5): (10, 10),
}


def test_honestPeriodWithLosses_holds() -> None:
    assert objections(*period(HONEST, TEN, 14), 10) == []
    assert objections(*period(HONEST, TEN, 14 + 257), 10, tolls=257) == []


def test_i8_failsIfAMailboxIsPaidAnotherAmount() -> None:
    (text,) = objections(*period(HONEST, TEN, 14 + 256), 10, tolls=257)
    assert "for 271 ticks" in text


@pytest.mark.parametrize(
    ("link", "what"),
    [
        ((1, 2), (15, 60)),  # more than the clients gave it
        ((1, 2), (9, 36)),  # fewer than surely arrived
        ((1, 2), (12, 44)),  # not worth that
        ((2, 6), (3, 9)),  # a relay that was not killed, and lost a receipt
        ((3, 4), (5, 10)),  # or kept back what it owes
        ((4, 5), (11, 11)),  # a packet that no mailbox had
        ((5, 4), (1, 1)),  # a link that no packet went over
    ],
)
def test_i8_failsIfALinkIsSignedForOtherTickets(link: tuple[int, int], what: tuple[int, int]) -> None:
    assert objections(*period({**HONEST, link: what}, TEN, 14), 10) != []


def test_i8_failsIfALinkIsNotInWholeTickets() -> None:
    losses, signed = period(HONEST, TEN, 14)
    pair = operator(2), operator(6)
    assert objections(losses, replace(signed, links={**signed.links, pair: 12 * PRICE - 1}), 10) != []


def test_i8_failsIfThePoolPaysForOtherPackets() -> None:
    assert objections(*period(HONEST, TEN, 13), 10) == [
        f"relay 1 was signed {65 * PRICE} for 14 ticks",
    ]


def test_i8_failsIfReceiversFoundOtherPackets_thanMailboxesWerePaidFor() -> None:
    assert objections(*period(HONEST, TEN, 14), 9) == [
        "mailboxes were paid for 10 packets, but 9 were found in them"
    ]


def test_killedRelay_mayLoseATicket_ofAPacketThatArrived() -> None:
    lost = {**HONEST, (2, 3): (5, 15)}
    assert objections(*period(lost, TEN, 14), 10) == []
    assert objections(*period(lost, TEN, 14, killed=frozenset()), 10) != []


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 5), st.integers(0, 5))
def test_split_findsTheOneAnswer(fours: int, ones: int, more: int, less: int) -> None:
    """A link between a mix of the last layer and one of the first: to the mailbox there, and as its entry."""
    both = (Given(4, max(0, fours - less), fours + more), Given(1, max(0, ones - less), ones + more))
    units = (4 * fours + ones) * PRICE
    assert split(both, fours + ones, units, PRICE) == {4: fours, 1: ones}
    assert split(both, fours + ones, units + 1, PRICE) is None


def test_verify_judgesByLinks_whereARelayWasKilled() -> None:
    """A packet more than arrived was given to the entry; relay 2 was paid for it, relay 3 died with it."""
    evidence = world.honest()
    opened = {(operator(payee - 1), operator(payee)): PACKETS for payee in range(2, HOPS + 1)}
    losses = Losses(KILLED, (Carried(PATH, PACKETS, PACKETS),), opened)
    assert verify(replace(evidence, losses=losses)).holds("I8")
    fewer = {**opened, (operator(1), operator(2)): PACKETS - 1}
    assert not verify(replace(evidence, losses=replace(losses, opened=fewer))).holds("I8")
