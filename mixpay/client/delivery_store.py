"""What delivery from end to end needs of a client's state: what is sent until it is acknowledged, and what is
to be acknowledged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, dataclass

from mixpay.client.database import Database

DELIVERY_SCHEMA = """
-- What is sent until it is acknowledged, and what is to be acknowledged. Sealed (`mixpay.client.records`): it
-- says to whom one writes, and who writes to one.
CREATE TABLE outgoing (message BLOB PRIMARY KEY, letter BLOB NOT NULL, state BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE debts (
    message BLOB PRIMARY KEY, at INTEGER NOT NULL, owed INTEGER NOT NULL, record BLOB NOT NULL
) WITHOUT ROWID;
-- All up to this sequence was taken out of a mailbox, whether or not it was deleted there.
CREATE TABLE taken (
    relay INTEGER NOT NULL, term INTEGER NOT NULL, sequence INTEGER NOT NULL, PRIMARY KEY (relay, term)
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class SealedDebt:
    """An acknowledgement that is owed, or was: of which message, since when (seconds), the rest sealed."""

    message_id: bytes
    at: int
    owed: bool
    record: bytes


class DeliveryTables(Database):
    """Every method is one transaction, on disk when it returns."""

    def debts(self) -> list[SealedDebt]:
        """What is owed now."""
        rows = self._connection.execute("SELECT message, at, owed, record FROM debts WHERE owed")
        return [SealedDebt(*row) for row in rows.fetchall()]

    def debt(self, message_id: bytes) -> SealedDebt | None:
        """What is known of one message's acknowledgements."""
        query = "SELECT message, at, owed, record FROM debts WHERE message = ?"
        row = self._connection.execute(query, (message_id,)).fetchone()
        return SealedDebt(*row) if row else None

    def put_debt(self, debt: SealedDebt) -> None:
        """Keep what has changed."""
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO debts VALUES (?, ?, ?, ?)", astuple(debt))

    def put_outgoing(self, message_id: bytes, letter: bytes, state: bytes) -> None:
        """Keep a message until it is acknowledged or given up."""
        with self._transaction() as db:
            db.execute("INSERT INTO outgoing VALUES (?, ?, ?)", (message_id, letter, state))

    def outgoing(self) -> list[tuple[bytes, bytes]]:
        """All messages kept so, with their states."""
        return self._connection.execute("SELECT message, state FROM outgoing").fetchall()

    def letter(self, message_id: bytes) -> bytes | None:
        """What is sent with a message kept so."""
        query = "SELECT letter FROM outgoing WHERE message = ?"
        row = self._connection.execute(query, (message_id,)).fetchone()
        return row[0] if row else None

    def change_outgoing(self, message_id: bytes, change: Callable[[bytes], bytes]) -> bool:
        """Change a state, whoever else is at it. False if the message is not kept any more."""
        with self._transaction() as db:
            row = db.execute("SELECT state FROM outgoing WHERE message = ?", (message_id,)).fetchone()
            if row is not None:
                place = (change(row[0]), message_id)
                db.execute("UPDATE outgoing SET state = ? WHERE message = ?", place)
            return row is not None

    def drop_outgoing(self, message_id: bytes) -> None:
        """Forget a message that was sent."""
        with self._transaction() as db:
            db.execute("DELETE FROM outgoing WHERE message = ?", (message_id,))
