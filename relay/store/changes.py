"""What one step of the relay changes, joined as far as it goes before it is a change of the disk.

A step takes in many packets, and each brings rows of the same kinds. Those that are only ever removed
together are joined here, so that the disk has one row of them for each step, and nobody handles one object
for each.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from mixpay import mailbox
from mixpay.book import rows as book_rows
from mixpay.book.events import DiskEffect, ForgetAtLength, ForgetTickets
from mixpay.book.events import Store as StoreRow
from mixpay.types import Epoch, RelayId
from relay.store.ops import Append, Delete, DeleteRange, Key, Put, StoreOp
from relay.store.relay import mailbox_ops, role_op
from relay.store.tables import BOOKS, TAGS

_Link: TypeAlias = tuple[int, RelayId]
"""Side and peer."""

_OF_A_PLACE = (book_rows.PlacedTicket, book_rows.Response, book_rows.LateResponse)


class _Row:
    """Tickets that were issued in one step to one peer, and not acknowledged yet, as bytes by number."""

    __slots__ = ("key", "tickets")

    def __init__(self, key: Key) -> None:
        self.key = key
        self.tickets: dict[int, bytes] = {}


class IssuedTickets:
    """In which row each issued ticket stands. Tickets leave one by one, and the last takes the row along."""

    def __init__(self) -> None:
        self._row_of: dict[tuple[int, RelayId, int], _Row] = {}

    def load(self, side: int, peer: RelayId, number: int, tickets: Iterable[book_rows.IssuedTicket]) -> None:
        """Take the tickets that are on disk in the row under a number."""
        row = _Row((side, peer, book_rows.ISSUED, number, 0))
        for ticket in tickets:
            self._keep(side, peer, row, ticket)

    def _keep(self, side: int, peer: RelayId, row: _Row, ticket: book_rows.IssuedTicket) -> None:
        self._row_of[side, peer, ticket.seq] = row
        row.tickets[ticket.seq] = book_rows.encode(ticket)

    def add(self, side: int, peer: RelayId, ticket: book_rows.IssuedTicket, row: _Row | None) -> _Row:
        """Put a ticket into the row of its step; without one, begin that row. Returns it."""
        if row is None:
            row = _Row((side, peer, book_rows.ISSUED, ticket.seq, 0))
        self._keep(side, peer, row, ticket)
        return row

    def forget(self, side: int, peer: RelayId, seqs: Iterable[int]) -> Iterable[_Row]:
        """Take tickets out of their rows. Returns these rows."""
        for seq in seqs:
            row = self._row_of.pop((side, peer, seq), None)
            if row is not None:
                del row.tickets[seq]
                yield row


class Changes:
    """The changes of one step, in the order in which they were told."""

    def __init__(self, issued: IssuedTickets) -> None:
        self._issued = issued
        self._ops: list[StoreOp] = []
        self._rows: dict[tuple[int, RelayId, type, int], tuple[Key, list[book_rows.Row]]] = {}
        self._tags: dict[Epoch, list[bytes]] = {}
        self._counts: dict[str, int] = {}
        self._new: dict[_Link, _Row] = {}
        self._touched: dict[Key, _Row] = {}

    def __bool__(self) -> bool:
        return bool(self._ops or self._rows or self._tags or self._counts or self._touched)

    def book(self, side: int, peer: RelayId, effect: DiskEffect) -> None:
        """What a channel book wants of the disk. `side` tells a peer's two books apart."""
        if isinstance(effect, StoreRow):
            self._book_row(side, peer, effect.row)
        elif isinstance(effect, ForgetTickets):
            for row in self._issued.forget(side, peer, effect.seqs):
                self._touched[row.key] = row
        elif isinstance(effect, ForgetAtLength):
            self._take_rows()  # what came before is removed, too
            for kind in book_rows.AT_LENGTH:
                self._ops.append(DeleteRange(BOOKS, (side, peer, kind, effect.number)))
        else:
            self._take_rows()
            for kind in book_rows.OF_A_BATCH:
                self._ops.append(DeleteRange(BOOKS, (side, peer, kind), 0, effect.number))

    def _book_row(self, side: int, peer: RelayId, row: book_rows.Row) -> None:
        if isinstance(row, book_rows.IssuedTicket):
            issued = self._issued.add(side, peer, row, self._new.get((side, peer)))
            self._new[side, peer] = self._touched[issued.key] = issued
            return
        if isinstance(row, _OF_A_PLACE):
            group = side, peer, type(row), row.batch
            joined = self._rows.get(group)
            if joined is None:
                joined = self._rows[group] = (side, peer, *book_rows.key_of(row)), []
            joined[1].append(row)
        else:
            self._ops.append(Put(BOOKS, (side, peer, *book_rows.key_of(row)), book_rows.encode(row)))

    def tag(self, epoch: Epoch, tag: bytes) -> None:
        """Keep a replay tag, 16 bytes."""
        self._tags.setdefault(epoch, []).append(tag)

    def count(self, role: str) -> None:
        """Count one packet that this relay carried as entry, mix or mailbox."""
        self._counts[role] = self._counts.get(role, 0) + 1

    def mailbox(self, effects: Iterable[mailbox.Store]) -> None:
        """What the mailboxes want of the disk."""
        self._ops += mailbox_ops(effects)

    def _take_rows(self) -> None:
        self._ops += [Append(BOOKS, key, book_rows.encode_all(rows)) for key, rows in self._rows.values()]
        self._rows.clear()

    def ops(self) -> list[StoreOp]:
        """All of them. Called once, at the end of the step."""
        self._take_rows()
        self._ops += [Append(TAGS, (epoch, tags[0]), b"".join(tags)) for epoch, tags in self._tags.items()]
        for row in self._touched.values():
            data = b"".join(row.tickets.values())
            self._ops.append(Put(BOOKS, row.key, data) if data else Delete(BOOKS, row.key))
        return self._ops + [role_op(role, packets) for role, packets in self._counts.items()]
