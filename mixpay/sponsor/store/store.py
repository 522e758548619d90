"""One campaign's database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import delete, select
from sqlalchemy.exc import DatabaseError

from mixpay.errors import UserError
from mixpay.passes import RedeemedPass, Scope
from mixpay.sponsor.store import counting, sums
from mixpay.sponsor.store.engine import Database, StoreUnavailable, first_line, upserting
from mixpay.sponsor.store.migrate import prepare
from mixpay.sponsor.store.place import Place
from mixpay.sponsor.store.records import Claim, Counted, Refused, StoredKey, StoredVoucher
from mixpay.sponsor.store.settling import Settlement
from mixpay.sponsor.store.tables import asked, issued, paused, period_keys, redeemed, secret_keys
from mixpay.sponsor.tallies import Issued, Redeemed
from mixpay.types import Account, Amount


class Store:
    """One campaign's database. Thread safe. Every method raises StoreUnavailable if the database is in
    trouble.
    """

    def __init__(
        self, place: Place | Path, chain_id: int, pool: bytes, campaign: int, *, paused: bool = False
    ) -> None:
        """Open or create; a path is SQLite's. `paused`: whether a new one begins so.

        Raises UserError if the database is another campaign's, or of a newer release, or cannot be opened.
        """
        place = Place.file(place) if isinstance(place, Path) else place
        self._chain_id, self._pool, self._campaign = chain_id, pool, campaign
        self._database = Database(place)
        self._registered: frozenset[tuple[int, int]] = frozenset()
        try:
            prepare(self._database, (chain_id, pool, campaign), paused=paused)
        except StoreUnavailable as error:
            self.close()
            raise UserError(f"{place}: {error}") from None
        except DatabaseError as error:
            self.close()
            raise UserError(f"{place} is not a usable database of this issuer: {first_line(error)}") from None
        except UserError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections."""
        self._database.close()

    # ------------------------------------------------------------------ issues

    def count(self, claims: Sequence[Claim]) -> list[Counted | Refused]:
        """Count claims, each once for ever; for each the new counts, or which quota is used up."""
        if not claims:
            return []
        with self._database.writing() as db:
            return counting.count(db, claims)

    # ------------------------------------------------------------------ keys

    def put_key(self, key: StoredKey) -> None:
        """Keep a key as the chain has it."""
        new = {"modulus": key.modulus, "hop_price": str(key.hop_price)}
        with self._database.writing() as db:
            query = upserting(db.dialect.name, period_keys).values(kind=key.kind, period=key.period, **new)
            db.execute(query.on_conflict_do_update(index_elements=["kind", "period"], set_=new))
        self._registered = frozenset()

    def drop_key(self, kind: int, period: int) -> None:
        """Forget a key that the chain does not have after all."""
        with self._database.writing() as db:
            db.execute(delete(period_keys).where(period_keys.c.kind == kind, period_keys.c.period == period))
        self._registered = frozenset()

    def is_registered(self, kind: int, period: int) -> bool:
        """Whether a period has a registered key, as far as this instance knows.

        That another instance has dropped one is found out when this one looks at the chain by itself.
        """
        if (kind, period) not in self._registered:
            self._registered = frozenset((key.kind, key.period) for key in self.period_keys())
        return (kind, period) in self._registered

    def key(self, kind: int, period: int) -> StoredKey | None:
        """The registered key of a period."""
        found = [key for key in self.period_keys() if (key.kind, key.period) == (kind, period)]
        return found[0] if found else None

    def period_keys(self) -> list[StoredKey]:
        """All registered keys, by kind and period."""
        with self._database.reading() as db:
            rows = db.execute(select(period_keys).order_by(period_keys.c.kind, period_keys.c.period)).all()
        return [StoredKey(kind, period, modulus, Amount(int(price))) for kind, period, modulus, price in rows]

    def secret_key(self, kind: int, period: int) -> bytes | None:
        """The secret half of a period's key, encrypted."""
        here = secret_keys.c.kind == kind, secret_keys.c.period == period
        with self._database.reading() as db:
            return db.execute(select(secret_keys.c.encrypted).where(*here)).scalar_one_or_none()

    def agree_on_secret_key(self, kind: int, period: int, encrypted: bytes) -> bytes:
        """Keep a period's secret key, unless there is one; the one that is kept."""
        with self._database.writing() as db:
            row = {"kind": kind, "period": period, "encrypted": encrypted}
            db.execute(upserting(db.dialect.name, secret_keys).on_conflict_do_nothing(), row)
        return self.secret_key(kind, period) or encrypted

    def drop_secret_keys(self, kind: int, before: int) -> list[int]:
        """Delete the secret keys of periods before this one, for good; which ones."""
        old = secret_keys.c.kind == kind, secret_keys.c.period < before
        with self._database.writing() as db:
            rows = db.execute(delete(secret_keys).where(*old).returning(secret_keys.c.period))
            gone = sorted(rows.scalars())
        if gone:
            self._database.forget()
        return gone

    # ------------------------------------------------------------------ credits and vouchers

    @contextmanager
    def settling(self) -> Iterator[Settlement]:
        """One after the other, in all instances: from reading what is owed to writing what is owed then."""
        with self._database.writing() as db:
            settlement = Settlement(db, self._scope)
            settlement.lock()
            yield settlement

    def redeemed(self, pass_ids: Sequence[bytes]) -> list[RedeemedPass]:
        """The credits given for those of some passes (32-byte ids) that were handed in before."""
        with self._database.reading() as db:
            return Settlement(db, self._scope).redeemed(pass_ids)

    def voucher(self, relay: Account) -> StoredVoucher | None:
        """The newest voucher signed for a relay's account."""
        with self._database.reading() as db:
            return Settlement(db, self._scope).voucher(relay)

    def vouchers(self) -> list[StoredVoucher]:
        """The newest voucher of every relay."""
        with self._database.reading() as db:
            return Settlement(db, self._scope).vouchers()

    # ------------------------------------------------------------------ for the sponsor

    def issued(self) -> list[Issued]:
        """What was issued of each kind and period, in that order."""
        with self._database.reading() as db:
            return sums.sum_issued(db)

    def credited(self) -> list[Redeemed]:
        """What each relay's account was credited for, of each kind and period, in that order."""
        with self._database.reading() as db:
            return sums.sum_credited(db)

    @property
    def is_paused(self) -> bool:
        """Whether the sponsor wants no passes to be issued."""
        with self._database.reading() as db:
            return db.execute(select(paused)).first() is not None

    def pause(self, wanted: bool) -> None:
        """Note what the sponsor wants. Every service on this database goes by it."""
        with self._database.writing() as db:
            if wanted:
                db.execute(upserting(db.dialect.name, paused).on_conflict_do_nothing(), {"one": 1})
            else:
                db.execute(delete(paused))

    # ------------------------------------------------------------------ age

    def prune(self, kind: int, issued_before: int, redeemable_from: int) -> None:
        """Forget counts of periods below the first number, keys and credits of those below the second.

        The caller no longer signs for the ones and no longer credits the others. What the pool has paid for
        stays. Sums of what is forgotten are kept.
        """
        ages = (issued, issued_before), (asked, issued_before), (period_keys, redeemable_from)
        with self._database.writing() as db:
            Settlement(db, self._scope).lock()  # two instances must not add the same rows up
            sums.keep_issued(db, kind, issued_before)
            sums.keep_credited(db, kind, redeemable_from)
            for table, first in ages:
                db.execute(delete(table).where(table.c.kind == kind, table.c.period < first))
            unpaid = redeemed.c.kind == kind, redeemed.c.period < redeemable_from, redeemed.c.at_pool == 0
            db.execute(delete(redeemed).where(*unpaid))
        self._registered = frozenset()

    def _scope(self, kind: int, period: int) -> Scope:
        return Scope(self._chain_id, self._pool, self._campaign, kind, period)
