"""What the issuer keeps, in SQLite: counts of issues, its public keys, credited passes, vouchers.

Nothing in it links a pass to its issue: blinded messages and blind signatures are never written, identities
only as keyed hashes that differ in each period, and no row has a time. A voucher and the credits in it are
written in one transaction, on disk before the voucher is returned.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixpay.errors import UserError
from mixpay.passes import RedeemedPass, Scope
from mixpay.sponsor.tallies import Issued, Redeemed
from mixpay.types import Account, Amount

_MIGRATIONS = (
    """
    CREATE TABLE campaign (chain_id INTEGER NOT NULL, pool BLOB NOT NULL, number INTEGER NOT NULL);
    CREATE TABLE issued (
        identity BLOB PRIMARY KEY, kind INTEGER NOT NULL, period INTEGER NOT NULL, passes INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE period_keys (
        kind INTEGER NOT NULL, period INTEGER NOT NULL, modulus BLOB NOT NULL, hop_price TEXT NOT NULL,
        PRIMARY KEY (kind, period)
    ) WITHOUT ROWID;
    CREATE TABLE redeemed (
        pass_id BLOB PRIMARY KEY, kind INTEGER NOT NULL, period INTEGER NOT NULL, relay BLOB NOT NULL,
        ticks INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE vouchers (
        relay BLOB PRIMARY KEY, period INTEGER NOT NULL, cumulative TEXT NOT NULL, signature BLOB NOT NULL
    ) WITHOUT ROWID;
    """,
    "ALTER TABLE redeemed ADD COLUMN at_pool INTEGER NOT NULL DEFAULT 0;",
    """
    CREATE TABLE past_issued (
        kind INTEGER NOT NULL, period INTEGER NOT NULL, identities INTEGER NOT NULL, passes INTEGER NOT NULL,
        PRIMARY KEY (kind, period)
    ) WITHOUT ROWID;
    CREATE TABLE past_redeemed (
        relay BLOB NOT NULL, kind INTEGER NOT NULL, period INTEGER NOT NULL, passes INTEGER NOT NULL,
        ticks INTEGER NOT NULL, PRIMARY KEY (relay, kind, period)
    ) WITHOUT ROWID;
    CREATE TABLE paused (one INTEGER PRIMARY KEY CHECK (one = 1)) WITHOUT ROWID;
    """,
)
"""Step n brings a database from `user_version` n to n + 1. Written steps are never changed."""

_VARIABLES = 500
"""Names in one question to SQLite, below its oldest limit of 999."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """The public half of a period's blind-signing key, as registered: 256 bytes, hop price in token units."""

    kind: int
    period: int
    modulus: bytes
    hop_price: Amount


@dataclass(frozen=True, slots=True)
class StoredVoucher:
    """The newest voucher for a relay's account: period (epoch), total (token units), signature (65 bytes)."""

    relay: Account
    period: int
    cumulative: Amount
    signature: bytes


class Store:
    """One campaign's database. Thread safe."""

    def __init__(self, path: Path, chain_id: int, pool: bytes, campaign: int) -> None:
        """Open or create. Raises UserError if the file is another campaign's, or of a newer release."""
        self._chain_id, self._pool, self._campaign = chain_id, pool, campaign
        self._lock = threading.RLock()
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        try:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._migrate(path)
            self._belongs(path)
        except sqlite3.DatabaseError as error:
            raise UserError(f"{path} is not a usable database of this issuer: {error}") from None
        path.chmod(0o600)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    # ------------------------------------------------------------------ issues

    def count_issue(self, identity: bytes, kind: int, period: int, quota: int) -> int | None:
        """Count one more pass for a hashed identity: the new count, or None if the quota is used up."""
        row = self._one(
            "INSERT INTO issued VALUES (?, ?, ?, 1) ON CONFLICT (identity) DO UPDATE SET passes = passes + 1"
            " WHERE passes < ? RETURNING passes",
            (identity, kind, period, quota),
        )
        return None if row is None else int(row[0])

    def issues(self, identity: bytes) -> int:
        """Passes counted for a hashed identity."""
        row = self._one("SELECT passes FROM issued WHERE identity = ?", (identity,))
        return 0 if row is None else int(row[0])

    # ------------------------------------------------------------------ keys

    def put_key(self, key: StoredKey) -> None:
        """Keep a key as the chain has it."""
        row = (key.kind, key.period, key.modulus, str(key.hop_price))
        self._all("INSERT OR REPLACE INTO period_keys VALUES (?, ?, ?, ?)", row)

    def drop_key(self, kind: int, period: int) -> None:
        """Forget a key that the chain does not have after all."""
        self._all("DELETE FROM period_keys WHERE kind = ? AND period = ?", (kind, period))

    def key(self, kind: int, period: int) -> StoredKey | None:
        """The registered key of a period."""
        found = [key for key in self.period_keys() if (key.kind, key.period) == (kind, period)]
        return found[0] if found else None

    def period_keys(self) -> list[StoredKey]:
        """All registered keys, by kind and period."""
        rows = self._all("SELECT * FROM period_keys ORDER BY kind, period")
        return [StoredKey(kind, period, modulus, Amount(int(price))) for kind, period, modulus, price in rows]

    # ------------------------------------------------------------------ credits and vouchers

    def redeemed(self, pass_ids: Sequence[bytes]) -> list[RedeemedPass]:
        """The credits given for those of some passes (32-byte ids) that were handed in before."""
        found = []
        for start in range(0, len(pass_ids), _VARIABLES):
            some = pass_ids[start : start + _VARIABLES]
            marks = ",".join("?" * len(some))
            query = f"SELECT pass_id, kind, period, ticks FROM redeemed WHERE pass_id IN ({marks})"  # noqa: S608 marks only
            found += [
                RedeemedPass(pass_id, self._scope(kind, period), ticks)
                for pass_id, kind, period, ticks in self._all(query, some)
            ]
        return found

    def voucher(self, relay: Account) -> StoredVoucher | None:
        """The newest voucher signed for a relay's account."""
        row = self._one("SELECT period, cumulative, signature FROM vouchers WHERE relay = ?", (relay,))
        return None if row is None else StoredVoucher(relay, row[0], Amount(int(row[1])), row[2])

    def counted_at_pool(self, pass_ids: Sequence[bytes]) -> set[bytes]:
        """Those of some passes that were counted because the pool had paid for them."""
        return {
            pass_id
            for pass_id in pass_ids
            if self._one("SELECT 1 FROM redeemed WHERE pass_id = ? AND at_pool = 1", (pass_id,))
        }

    def put_credits(
        self, credits_: Iterable[RedeemedPass], voucher: StoredVoucher, *, at_pool: bool = False
    ) -> None:
        """Keep credits and the voucher for their new total, in one transaction.

        `at_pool`: the pool has paid for these passes. They are kept for ever, for the chain tells of them
        again whenever it is read from its beginning.
        """
        rows = [(c.pass_id, c.scope.kind, c.scope.period, voucher.relay, c.ticks, at_pool) for c in credits_]
        with self._transaction():
            self._db.executemany(
                "INSERT INTO redeemed VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (pass_id) DO UPDATE"
                " SET ticks = excluded.ticks, at_pool = max(at_pool, excluded.at_pool)",
                rows,
            )
            self._db.execute(
                "INSERT OR REPLACE INTO vouchers VALUES (?, ?, ?, ?)",
                (voucher.relay, voucher.period, str(voucher.cumulative), voucher.signature),
            )

    def vouchers(self) -> list[StoredVoucher]:
        """The newest voucher of every relay."""
        rows = self._all("SELECT relay, period, cumulative, signature FROM vouchers ORDER BY relay")
        return [StoredVoucher(Account(r), period, Amount(int(c)), s) for r, period, c, s in rows]

    # ------------------------------------------------------------------ for the sponsor

    def issued(self) -> list[Issued]:
        """What was issued of each kind and period, in that order."""
        rows = self._all(
            "SELECT kind, period, sum(identities), sum(passes) FROM"
            " (SELECT kind, period, count(*) AS identities, sum(passes) AS passes FROM issued"
            " GROUP BY kind, period UNION ALL SELECT kind, period, identities, passes FROM past_issued)"
            " GROUP BY kind, period ORDER BY kind, period"
        )
        return [Issued(*row) for row in rows]

    def credited(self) -> list[Redeemed]:
        """What each relay's account was credited for, of each kind and period, in that order."""
        rows = self._all(
            "SELECT relay, kind, period, sum(passes), sum(ticks) FROM"
            " (SELECT relay, kind, period, count(*) AS passes, sum(ticks) AS ticks FROM redeemed"
            " GROUP BY relay, kind, period UNION ALL SELECT relay, kind, period, passes, ticks"
            " FROM past_redeemed) GROUP BY relay, kind, period ORDER BY kind, period, relay"
        )
        return [Redeemed(Account(relay), *rest) for relay, *rest in rows]

    @property
    def is_paused(self) -> bool:
        """Whether the sponsor wants no passes to be issued."""
        return bool(self._all("SELECT 1 FROM paused"))

    def pause(self, paused: bool) -> None:
        """Note what the sponsor wants. Every service on this database goes by it."""
        self._all("INSERT OR IGNORE INTO paused VALUES (1)" if paused else "DELETE FROM paused")

    # ------------------------------------------------------------------ age

    def prune(self, kind: int, issued_before: int, redeemable_from: int) -> None:
        """Forget counts of periods below the first number, keys and credits of those below the second.

        The caller no longer signs for the ones and no longer credits the others. What the pool has paid for
        stays. Sums of what is forgotten are kept.
        """
        with self._transaction():
            self._db.execute(
                "INSERT INTO past_issued SELECT kind, period, count(*), sum(passes) FROM issued"
                " WHERE kind = ? AND period < ? GROUP BY kind, period ON CONFLICT (kind, period) DO UPDATE"
                " SET identities = identities + excluded.identities, passes = passes + excluded.passes",
                (kind, issued_before),
            )
            self._db.execute(
                "INSERT INTO past_redeemed SELECT relay, kind, period, count(*), sum(ticks) FROM redeemed"
                " WHERE kind = ? AND period < ? AND at_pool = 0 GROUP BY relay, kind, period"
                " ON CONFLICT (relay, kind, period) DO UPDATE"
                " SET passes = passes + excluded.passes, ticks = ticks + excluded.ticks",
                (kind, redeemable_from),
            )
            self._db.execute("DELETE FROM issued WHERE kind = ? AND period < ?", (kind, issued_before))
            self._db.execute("DELETE FROM period_keys WHERE kind = ? AND period < ?", (kind, redeemable_from))
            self._db.execute(
                "DELETE FROM redeemed WHERE kind = ? AND period < ? AND at_pool = 0", (kind, redeemable_from)
            )

    # ------------------------------------------------------------------ internal

    def _all(self, statement: str, values: Sequence[object] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._db.execute(statement, values).fetchall()

    def _one(self, statement: str, values: Sequence[object]) -> tuple[Any, ...] | None:
        rows = self._all(statement, values)
        return rows[0] if rows else None

    def _scope(self, kind: int, period: int) -> Scope:
        return Scope(self._chain_id, self._pool, self._campaign, kind, period)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def _migrate(self, path: Path) -> None:
        (version,) = self._db.execute("PRAGMA user_version").fetchone()
        if version > len(_MIGRATIONS):
            raise UserError(f"{path} was written by a newer release of mixpay: update first")
        for number in range(version, len(_MIGRATIONS)):
            script = f"BEGIN; {_MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT;"
            self._db.executescript(script)

    def _belongs(self, path: Path) -> None:
        mine = (self._chain_id, self._pool, self._campaign)
        rows = self._db.execute("SELECT chain_id, pool, number FROM campaign").fetchall()
        if not rows:
            self._db.execute("INSERT INTO campaign VALUES (?, ?, ?)", mine)
        elif rows[0] != mine:
            raise UserError(
                f"{path} belongs to campaign {rows[0][2]} on chain {rows[0][0]}, not to this one:"
                " name another data folder"
            )
