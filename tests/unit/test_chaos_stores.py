"""What a relay has on its disk is read as the relay itself would, beside it and after it."""

from __future__ import annotations

from pathlib import Path

import pytest

from chaos.stores import Books, Counts, LinkRows, link_rows, read_books, read_counts
from mixpay.book.events import Store
from mixpay.book.rows import (
    BatchPrice,
    Cut,
    IssuedTicket,
    LateResponse,
    LinkState,
    PlacedTicket,
    Response,
    Row,
    Settlements,
    ShortTickets,
    SignedBatch,
    Stretch,
)
from mixpay.errors import UserError
from mixpay.passes import TickTaken
from mixpay.types import Amount, Epoch, RelayId, Value
from relay.path.books import Side
from relay.store import Changes, IssuedTickets, RelayStore, tick_op

STATE = LinkState(Amount(7), 1, b"signature", Value(7))
COMMON: tuple[Row, ...] = (
    STATE,
    BatchPrice(2, Amount(1)),
    PlacedTicket(2, 0, 5, bytes(20), Value(1), bytes(32)),
    PlacedTicket(2, 1, 7, bytes(20), Value(1), bytes(32)),
    SignedBatch(2, 1, bytes(32), bytes(65)),
    Cut(2, 2),
)
PAYEE = (*COMMON, Response(2, 1, bytes(32)))
PAYER = (
    *COMMON,
    IssuedTicket(8, bytes(20), bytes(65), Value(1), Amount(1), b""),
    Settlements(Amount(3), Amount(9)),
)


async def written(path: Path) -> RelayStore:
    """A database as a daemon writes it, still open."""
    store, changes = RelayStore(path), Changes(IssuedTickets())
    for side, peer, kept in ((Side.PAYER, RelayId(3), PAYEE), (Side.PAYEE, RelayId(4), PAYER)):
        for row in kept:
            changes.book(side, peer, Store(row))
    for number in range(3):
        changes.tag(Epoch(2), bytes([number]) * 16)
    for role in ("entry", "mix", "mix", "mailbox"):
        changes.count(role)
    await store.written([*changes.ops(), tick_op(TickTaken(b"pass", 300, bytes(32), 1))])
    return store


async def test_books_areReadBesideTheDaemon(tmp_path: Path) -> None:
    store = await written(tmp_path / "relay.sqlite")
    try:
        found = read_books(store.path)
    finally:
        await store.close()
    assert found == Books({RelayId(3): link_rows(PAYEE)}, {RelayId(4): link_rows(PAYER)})
    assert found.payers[RelayId(3)] == LinkRows(
        STATE,
        placed={(2, 0): 5, (2, 1): 7},
        responses=frozenset({(2, 1)}),
        cuts=frozenset({2}),
        signed={2: 1},
    )
    assert found.payees[RelayId(4)].issued == {8}
    assert found.payees[RelayId(4)].most == 9
    assert (found.under_way, found.settling) == (2, 2)


async def test_counts_areReadToTheTag(tmp_path: Path) -> None:
    store = await written(tmp_path / "relay.sqlite")
    again = Changes(IssuedTickets())
    again.tag(Epoch(2), bytes([1]) * 16)  # as no daemon does
    await store.written(again.ops())
    counts = read_counts(store.path)
    await store.close()
    assert counts == Counts(entry=1, mix=2, mailbox=1, tags=4, distinct=3, ticks={b"pass": 300})


async def test_reading_leavesTheJournalToTheDaemon(tmp_path: Path) -> None:
    """A killed relay must find its files as it left them."""
    store = await written(tmp_path / "relay.sqlite")
    journal = tmp_path / "relay.sqlite-wal"
    before = journal.read_bytes(), store.path.read_bytes()
    read_books(store.path), read_counts(store.path)
    assert (journal.read_bytes(), store.path.read_bytes()) == before
    await store.close()


def test_ticketsInShort_areReadLikeOthers() -> None:
    """Signed tickets are written in short: at the payee without locks where there is a response."""
    stretches = (Stretch(5, 2), Stretch(9, 1))
    places = {(2, 4): 5, (2, 5): 6, (2, 6): 9}
    at_payer = link_rows([ShortTickets(2, 4, bytes(3), bytes(60), numbers=stretches)])
    assert (at_payer.placed, at_payer.responses) == (places, frozenset())
    row = ShortTickets(2, 4, bytes(3), bytes(20), bytes(64), (1,), stretches)
    at_payee = link_rows([row, LateResponse(2, 5, bytes(32))])
    assert (at_payee.placed, at_payee.responses) == (places, frozenset(places))
    assert link_rows([row]).unanswered == 1
    nothing = ShortTickets(2, 4, bytes(3), bytes(60), b"", (0, 1, 2), stretches)
    assert link_rows([nothing]).unanswered == 3


def test_absentDatabase_isNamed(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"relay\.sqlite"):
        read_books(tmp_path / "relay.sqlite")


def test_bookWithNothingOpen_isAtRest() -> None:
    link = link_rows([STATE])
    books = Books({RelayId(1): link}, {RelayId(2): link})
    assert (books.under_way, books.settling) == (0, 0)
