"""A client's state in one SQLite file: passes, mailboxes, and messages until they are safe elsewhere.

Every method is one transaction, on disk when it returns. Bodies are kept as they came, sealed to the user's
identity, so the file alone does not tell what was written. It does hold passes, which are worth money.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass

from mixpay.client.delivery_store import DELIVERY_SCHEMA, DeliveryTables, SealedDebt
from mixpay.client.fetch_store import FETCH_SCHEMA, FetchTables
from mixpay.crypto.rsa_permutation import ProvenKey
from mixpay.passes import KIND_ENTRY, TICKS, OwnedPass, PassRequest
from mixpay.types import RelayId, Term

SCHEMA = """
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE requests (
    kind INTEGER NOT NULL, period INTEGER NOT NULL, record BLOB NOT NULL, PRIMARY KEY (kind, period)
) WITHOUT ROWID;
-- counter: all ticks up to it count as spent. condemned: why the pass is not used any more.
CREATE TABLE passes (
    id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, period INTEGER NOT NULL, modulus BLOB NOT NULL,
    record BLOB NOT NULL, counter INTEGER NOT NULL DEFAULT 0, condemned TEXT
);
CREATE TABLE mailboxes (
    relay INTEGER NOT NULL, term INTEGER NOT NULL, PRIMARY KEY (relay, term)
) WITHOUT ROWID;
CREATE TABLE bodies (
    relay INTEGER NOT NULL, term INTEGER NOT NULL, sequence INTEGER NOT NULL, message BLOB NOT NULL,
    at INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (relay, term, sequence)
) WITHOUT ROWID;
CREATE INDEX bodies_of_message ON bodies (message);
CREATE TABLE finished (message BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
"""


KEYS_SCHEMA = """
-- The campaign's key of each period, with its proof: relays want to see both.
CREATE TABLE campaign_keys (
    kind INTEGER NOT NULL, period INTEGER NOT NULL, modulus BLOB NOT NULL, proof BLOB NOT NULL,
    PRIMARY KEY (kind, period)
) WITHOUT ROWID;
-- Passes and requests of an earlier release have no proof: relays take none of them.
DELETE FROM passes;
DELETE FROM requests;
ALTER TABLE passes DROP COLUMN modulus;
"""


@dataclass(frozen=True, slots=True)
class StoredPass:
    """A pass in the wallet: its row, the issuer's key, the pass, the last tick reserved."""

    row: int
    key: ProvenKey
    owned: OwnedPass
    counter: int


@dataclass(frozen=True, slots=True)
class StoredBody:
    """A fetched body, 2,048 bytes, sealed: from where, part of which message, fetched when (seconds)."""

    relay: RelayId
    term: Term
    sequence: int
    message_id: bytes
    at: int
    body: bytes


class ClientStore(DeliveryTables, FetchTables):
    """Opens the file, making it on first use. Close it, or use it in a `with` statement."""

    STEPS = (SCHEMA, DELIVERY_SCHEMA, KEYS_SCHEMA, FETCH_SCHEMA)

    def settle_fact(self, name: str, value: str) -> str:
        """Keep `value` under a name that has none yet; the value kept."""
        with self._transaction() as db:
            db.execute("INSERT OR IGNORE INTO facts VALUES (?, ?)", (name, value))
            found: str = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()[0]
            return found

    def raise_fact(self, name: str, value: int) -> int:
        """Keep the largest number ever given under a name; that number."""
        with self._transaction() as db:
            row = db.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
            largest = max(value, int(row[0])) if row else value
            db.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, str(largest)))
            return largest

    def put_request(self, request: PassRequest) -> None:
        """Keep a request until its answer is here: the answer is lost without it, and the quota with that."""
        row = (request.scope.kind, request.scope.period, request.to_record())
        with self._transaction() as db:
            db.execute("INSERT OR REPLACE INTO requests VALUES (?, ?, ?)", row)

    def request(self, kind: int, period: int) -> PassRequest | None:
        """The open request of a kind and period."""
        query = "SELECT record FROM requests WHERE kind = ? AND period = ?"
        row = self._connection.execute(query, (kind, period)).fetchone()
        return PassRequest.from_record(row[0]) if row else None

    def drop_request(self, kind: int, period: int) -> None:
        """Forget a request that the issuer will not answer."""
        with self._transaction() as db:
            db.execute("DELETE FROM requests WHERE kind = ? AND period = ?", (kind, period))

    def put_key(self, kind: int, period: int, key: ProvenKey) -> None:
        """Keep the campaign's key of a period, the only one that the chain allows, before asking with it."""
        with self._transaction() as db:
            row = (kind, period, key.modulus, key.proof)
            db.execute("INSERT OR REPLACE INTO campaign_keys VALUES (?, ?, ?, ?)", row)

    def put_pass(self, owned: OwnedPass) -> None:
        """Keep a new pass, and forget the request it answers."""
        scope = owned.scope
        with self._transaction() as db:
            db.execute("DELETE FROM requests WHERE kind = ? AND period = ?", (scope.kind, scope.period))
            db.execute(
                "INSERT INTO passes (id, kind, period, record) VALUES (?, ?, ?, ?)",
                (_next_row(db), scope.kind, scope.period, owned.to_record()),
            )

    def passes(self, kind: int, period: int) -> list[StoredPass]:
        """The passes of a kind and period that have ticks left and are not condemned, newest first."""
        rows = self._connection.execute(
            "SELECT id, modulus, proof, record, counter FROM passes JOIN campaign_keys USING (kind, period)"
            " WHERE kind = ? AND period = ? AND counter < ? AND condemned IS NULL ORDER BY id DESC",
            (kind, period, TICKS),
        )
        return [
            StoredPass(row, ProvenKey(modulus, proof), OwnedPass.from_record(record), counter)
            for row, modulus, proof, record, counter in rows
        ]

    def pass_of_mailbox(self, relay: RelayId, term: Term) -> StoredPass | None:
        """The pass that pays for a mailbox; None if it is forgotten, or there was none."""
        found = self._connection.execute(
            "SELECT id, modulus, proof, record, counter FROM mailboxes"
            " JOIN passes ON passes.id = mailboxes.pass JOIN campaign_keys USING (kind, period)"
            " WHERE relay = ? AND term = ?",
            (relay, term),
        ).fetchone()
        if found is None:
            return None
        row, modulus, proof, record, counter = found
        return StoredPass(row, ProvenKey(modulus, proof), OwnedPass.from_record(record), counter)

    def set_counter(self, row: int, counter: int) -> None:
        """Count all ticks of a pass up to `counter` as spent."""
        with self._transaction() as db:
            db.execute("UPDATE passes SET counter = ? WHERE id = ?", (counter, row))

    def condemn(self, row: int, reason: str) -> None:
        """Never use a pass again."""
        with self._transaction() as db:
            db.execute("UPDATE passes SET condemned = ? WHERE id = ?", (reason, row))

    def forget_before(self, kind: int, period: int) -> None:
        """Remove passes and requests of periods that are over: worth nothing, they only tell of the past."""
        with self._transaction() as db:
            if kind == KIND_ENTRY:
                db.execute("DELETE FROM spares WHERE epoch < ?", (period,))
            for table in ("passes", "requests", "campaign_keys"):
                db.execute(f"DELETE FROM {table} WHERE kind = ? AND period < ?", (kind, period))  # noqa: S608

    def put_mailbox(self, relay: RelayId, term: Term, paid_by: int | None) -> None:
        """Note a mailbox that was made, and the row of its pass: one that is new at its relay counts from the
        beginning.
        """
        with self._transaction() as db:
            db.execute("DELETE FROM taken WHERE relay = ? AND term = ?", (relay, term))
            db.execute("INSERT OR REPLACE INTO mailboxes VALUES (?, ?, ?)", (relay, term, paid_by))

    def mailboxes(self) -> list[tuple[RelayId, Term]]:
        """All mailboxes noted, newest term first."""
        rows = self._connection.execute("SELECT relay, term FROM mailboxes ORDER BY term DESC, relay")
        return [(RelayId(relay), Term(term)) for relay, term in rows]

    def drop_mailbox(self, relay: RelayId, term: Term) -> None:
        """Forget a mailbox whose time is over."""
        with self._transaction() as db:
            for table in ("mailboxes", "taken"):
                db.execute(f"DELETE FROM {table} WHERE relay = ? AND term = ?", (relay, term))  # noqa: S608

    def take(
        self,
        relay: RelayId,
        term: Term,
        upto: int,
        bodies: Iterable[StoredBody],
        debts: Iterable[SealedDebt] = (),
    ) -> None:
        """Keep the bodies fetched from a mailbox, up to a sequence, until the messages they belong to are
        saved; and the acknowledgements that are owed for them.
        """
        rows = [(b.relay, b.term, b.sequence, b.message_id, b.at, b.body) for b in bodies]
        with self._transaction() as db:
            db.executemany("INSERT OR IGNORE INTO bodies VALUES (?, ?, ?, ?, ?, ?)", rows)
            db.executemany("INSERT OR REPLACE INTO debts VALUES (?, ?, ?, ?)", map(astuple, debts))
            db.execute("INSERT OR REPLACE INTO taken VALUES (?, ?, ?)", (relay, term, upto))

    def taken(self, relay: RelayId, term: Term) -> int:
        """The sequence up to which a mailbox was taken; 0 at first."""
        query = "SELECT sequence FROM taken WHERE relay = ? AND term = ?"
        row = self._connection.execute(query, (relay, term)).fetchone()
        return int(row[0]) if row else 0

    def all_taken(self) -> dict[tuple[RelayId, Term], int]:
        """The same of all mailboxes of which something was taken."""
        rows = self._connection.execute("SELECT relay, term, sequence FROM taken")
        return {(RelayId(relay), Term(term)): sequence for relay, term, sequence in rows}

    def bodies(self) -> Iterator[StoredBody]:
        """All bodies kept, in the order they came."""
        columns = "relay, term, sequence, message, at, body"
        query = f"SELECT {columns} FROM bodies ORDER BY at, relay, term, sequence"  # noqa: S608
        for relay, term, *rest in self._connection.execute(query):
            yield StoredBody(RelayId(relay), Term(term), *rest)

    def drop_message(self, message_id: bytes) -> None:
        """Forget the bodies of a message, and what is owed for it."""
        with self._transaction() as db:
            for table in ("bodies", "debts"):
                db.execute(f"DELETE FROM {table} WHERE message = ?", (message_id,))  # noqa: S608

    def finish_message(self, message_id: bytes, now: int) -> None:
        """Remember a message as saved, forget its bodies."""
        with self._transaction() as db:
            db.execute("DELETE FROM bodies WHERE message = ?", (message_id,))
            db.execute("INSERT OR IGNORE INTO finished VALUES (?, ?)", (message_id, now))

    def is_finished(self, message_id: bytes) -> bool:
        """Whether a message was saved before."""
        query = "SELECT 1 FROM finished WHERE message = ?"
        return self._connection.execute(query, (message_id,)).fetchone() is not None

    def forget_finished(self, before: int) -> None:
        """Forget which messages were saved before a moment, and for which something was owed."""
        with self._transaction() as db:
            for table in ("finished", "debts"):
                db.execute(f"DELETE FROM {table} WHERE at < ?", (before,))  # noqa: S608


def _next_row(db: sqlite3.Cursor) -> int:
    """A number that no pass ever had: one that was forgotten may still be in use by another command."""
    last = db.execute(
        "SELECT MAX(COALESCE((SELECT MAX(id) FROM passes), 0),"
        " COALESCE((SELECT CAST(value AS INTEGER) FROM facts WHERE name = 'last_pass'), 0))"
    ).fetchone()[0]
    db.execute("INSERT OR REPLACE INTO facts VALUES ('last_pass', ?)", (str(last + 1),))
    return int(last) + 1
