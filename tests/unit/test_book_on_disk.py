"""Books in a storm, on the disk that a relay has: what it holds is what a table of rows by key would hold."""

from __future__ import annotations

import sqlite3
from random import Random
from typing import Any

import pytest

import book_helpers
from book_helpers import PRICE, Disk, Link
from book_storm import SHORT, Storm
from mixpay.book import events, rows
from mixpay.types import RelayId
from relay.store import Changes, IssuedTickets, StoreOp
from relay.store.ops import Group
from relay.store.sql import carry_out
from relay.store.tables import MIGRATIONS

SIDE, PEER = 1, RelayId(7)


class RealDisk(Disk):  # type: ignore[misc]  # the reference has no types
    """SQLite, with steps joined as a relay joins them, in commits of any number; and the reference beside."""

    dice = Random(0)  # noqa: S311 -- tests repeat

    def __init__(self) -> None:
        super().__init__()
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        for migration in MIGRATIONS:
            self.database.executescript(migration)
        self.issued = IssuedTickets()
        self.waiting: list[list[StoreOp]] = []

    def apply(self, effects: Any) -> None:
        super().apply(effects)
        changes = Changes(self.issued)
        for effect in effects:
            if type(effect) in events.ON_DISK:
                changes.book(SIDE, PEER, effect)
        self.waiting.append(changes.ops())
        if self.dice.random() < 0.3:
            self.commit()

    def commit(self) -> None:
        group = Group()
        for ops in self.waiting:
            group.extend(ops)
        self.waiting.clear()
        self.database.execute("BEGIN")
        carry_out(self.database, group)
        self.database.execute("COMMIT")

    def restart(self) -> None:
        self.commit()
        self.issued = IssuedTickets()
        found = self.database.execute("SELECT number, data FROM books WHERE kind = ?", (rows.ISSUED,))
        for number, data in found:
            tickets = [row for row in rows.decode_all(data) if isinstance(row, rows.IssuedTicket)]
            self.issued.load(SIDE, PEER, number, tickets)

    def rows(self) -> list[rows.Row]:
        self.commit()
        found = [
            row
            for (data,) in self.database.execute("SELECT data FROM books")
            for row in rows.decode_all(data)
        ]
        assert sorted(map(repr, found)) == sorted(map(repr, super().rows()))
        return found


@pytest.mark.parametrize("seed", range(8))
def test_diskOfARelay_holdsWhatItsBooksWrote_whateverHappens(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I7 on it, with crashes before and after each write."""
    crash = Link.crash

    def restart(link: Any, side: str) -> None:
        crash(link, side)
        link.disks[side].restart()

    monkeypatch.setattr(book_helpers, "Disk", RealDisk)
    monkeypatch.setattr(Link, "crash", restart)
    monkeypatch.setattr(RealDisk, "dice", Random(seed))  # noqa: S311
    storm = Storm(seed, SHORT)
    for _ in range(400):
        storm.step()
    storm.calm()
    payer, payee = storm.link.payer.totals(PRICE), storm.link.payee.totals(PRICE)
    assert (payer.unsettled, payee.unsettled) == (0, 0)
    assert payer.cumulative == payee.cumulative == storm.opened * PRICE
