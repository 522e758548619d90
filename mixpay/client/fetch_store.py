"""What fetching passes ahead needs of a client's state: what was fetched, and when a spare is wanted."""

from __future__ import annotations

from dataclasses import dataclass

from mixpay.client.database import Database
from mixpay.client.prefetch import Held
from mixpay.passes import TICKS, OwnedPass
from mixpay.types import Epoch

FETCH_SCHEMA = """
-- When (chain time) the spare entry pass of an epoch is to be fetched.
CREATE TABLE spares (epoch INTEGER PRIMARY KEY, at INTEGER NOT NULL);
-- The pass that pays for a mailbox.
ALTER TABLE mailboxes ADD COLUMN pass INTEGER
"""


@dataclass(frozen=True, slots=True)
class ListedPass:
    """A pass as its owner may look at it: ticks left, and why it is not used any more, if so."""

    owned: OwnedPass
    left: int
    condemned: str | None


class FetchTables(Database):
    """Every method is one transaction, on disk when it returns."""

    def held(self, kind: int, period: int) -> Held:
        """What there is of a kind and period."""
        query = (
            "SELECT COUNT(*), COALESCE(SUM(CASE WHEN condemned IS NULL THEN ? - counter ELSE 0 END), 0)"
            " FROM passes WHERE kind = ? AND period = ?"
        )
        return Held(*self._connection.execute(query, (TICKS, kind, period)).fetchone())

    def spare(self, epoch: Epoch) -> int | None:
        """When the spare of an epoch is to be fetched; None if none is wanted."""
        row = self._connection.execute("SELECT at FROM spares WHERE epoch = ?", (epoch,)).fetchone()
        return int(row[0]) if row else None

    def put_spare(self, epoch: Epoch, at: int) -> None:
        """Want a spare, unless one is wanted already."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO spares VALUES (?, ?)", (epoch, at))

    def drop_spare(self, epoch: Epoch) -> None:
        """Want none any more, of this epoch and of those before it."""
        with self._transaction() as db:
            db.execute("DELETE FROM spares WHERE epoch <= ?", (epoch,))

    def listed(self) -> list[ListedPass]:
        """All passes, by kind and period, oldest first."""
        rows = self._connection.execute(
            "SELECT record, counter, condemned FROM passes ORDER BY kind, period, id"
        )
        return [ListedPass(OwnedPass.from_record(r), TICKS - counter, why) for r, counter, why in rows]

    def asked(self) -> list[tuple[int, int]]:
        """(kind, period) of all open requests."""
        return self._connection.execute("SELECT kind, period FROM requests ORDER BY kind, period").fetchall()
