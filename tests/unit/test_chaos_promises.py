"""Whatever neighbours hold of a dead relay must be on its disk: every promise that is not there is seen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chaos.promises import broken_promises
from chaos.stores import Books, LinkRows
from mixpay.book.rows import LinkState
from mixpay.types import Amount, RelayId, Value

DEAD, OTHER = RelayId(1), RelayId(2)
SETTLED = 3


def state(cumulative: int = 900, upto: int = SETTLED) -> LinkState:
    return LinkState(Amount(cumulative), upto, b"v", Value(9), 0)


PAYEE = LinkRows(
    state(),
    placed={(4, 0): 11, (4, 1): 13, (5, 0): 12},
    responses=frozenset({(4, 0)}),
    cuts=frozenset({4}),
    signed={4: 2},
)
"""The dead relay's side where it is paid: batch 4 is being settled, batch 5 is open."""
PAYER = LinkRows(state(), issued=frozenset({21, 22}), placed={(4, 0): 20}, cuts=frozenset({4}), signed={4: 1})
"""The same where it pays."""


def broken(payee: LinkRows = PAYEE, payer: LinkRows = PAYER, **held: LinkRows) -> list[str]:
    """What is found if the dead relay's disk has these books. `held`: the neighbour's, else as ours."""
    disk = Books({OTHER: payee}, {OTHER: payer})
    neighbour = Books({DEAD: held.get("as_payee", PAYER)}, {DEAD: held.get("as_payer", PAYEE)})
    return list(broken_promises(DEAD, disk, {OTHER: neighbour}))


def without(rows: LinkRows, **changes: Any) -> LinkRows:
    return replace(rows, **changes)


def test_sidesThatAreAlike_holdNoMoreThanTheDisk() -> None:
    assert broken() == []


def test_whatTheNeighbourHasNotHeardYet_isNoBrokenPromise() -> None:
    assert broken(as_payer=LinkRows(), as_payee=LinkRows()) == []


def test_whatIsSettledOnDisk_mayBeForgotten() -> None:
    gone = LinkRows(state(2_000, 5))
    assert broken(payee=gone, payer=gone) == []


@pytest.mark.parametrize("place", PAYEE.placed)
def test_ackThatIsNotOnDisk_isSeen(place: tuple[int, int]) -> None:
    placed = {key: seq for key, seq in PAYEE.placed.items() if key != place}
    (text,) = broken(payee=without(PAYEE, placed=placed))
    assert "ack" in text and str(PAYEE.placed[place]) in text and "relay 1" in text


def test_ackOfAnotherTicketAtThePlace_isSeen() -> None:
    assert len(broken(payee=without(PAYEE, placed={**PAYEE.placed, (5, 0): 99}))) == 1


def test_cutThatIsNotOnDisk_isSeen() -> None:
    (text,) = broken(payee=without(PAYEE, cuts=frozenset()))
    assert "cut of batch 4" in text


def test_ticketThatIsNotOnDisk_isSeen() -> None:
    taken = without(PAYER, placed={**PAYER.placed, (4, 1): 22, (5, 0): 23})
    (text,) = broken(as_payee=taken)
    assert "ticket 23" in text  # 22 is on disk as one that waits for its ack


def test_signatureThatIsNotOnDisk_isSeen() -> None:
    (text,) = broken(payer=without(PAYER, signed={}))
    assert "signature over 1 tickets of batch 4" in text


@pytest.mark.parametrize("newer", [state(1_000, SETTLED), state(900, SETTLED + 1)])
def test_voucherThatIsNotOnDisk_isSeen(newer: LinkState) -> None:
    found = broken(as_payee=without(PAYER, state=newer))
    assert any("voucher" in text for text in found)


def test_neighbourWithoutABookOfTheDead_holdsNothing() -> None:
    disk = Books({OTHER: PAYEE}, {OTHER: PAYER})
    assert list(broken_promises(DEAD, disk, {OTHER: Books({}, {})})) == []


def test_diskWithoutTheBook_breaksAllThatIsHeld() -> None:
    assert len(list(broken_promises(DEAD, Books({}, {}), {OTHER: Books({DEAD: PAYER}, {DEAD: PAYEE})}))) == 7
