"""Credits and vouchers. What adds to a relay's total holds the campaign's lock from reading to writing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, Select, case, select

from mixpay.passes import RedeemedPass, Scope
from mixpay.sponsor.store import tables
from mixpay.sponsor.store.engine import upserting
from mixpay.sponsor.store.records import StoredVoucher
from mixpay.sponsor.store.tables import redeemed, vouchers
from mixpay.types import Account, Amount

_VARIABLES = 500
"""Names in one question to SQLite, below its oldest limit of 999."""


class Settlement:
    """What is credited and owed, within one transaction."""

    def __init__(self, db: Connection, scope: Callable[[int, int], Scope]) -> None:
        self._db, self._scope = db, scope

    def lock(self) -> None:
        """Let no other instance settle until the transaction ends. (SQLite lets nobody write anyway.)"""
        self._db.execute(select(tables.campaign.c.number).with_for_update())

    def redeemed(self, pass_ids: Sequence[bytes]) -> list[RedeemedPass]:
        """The credits given for those of some passes (32-byte ids) that were handed in before."""
        columns = redeemed.c.pass_id, redeemed.c.kind, redeemed.c.period, redeemed.c.ticks
        found = []
        for some in _portions(pass_ids):
            rows = self._db.execute(select(*columns).where(redeemed.c.pass_id.in_(some)))
            found += [RedeemedPass(i, self._scope(kind, period), ticks) for i, kind, period, ticks in rows]
        return found

    def counted_at_pool(self, pass_ids: Sequence[bytes]) -> set[bytes]:
        """Those of some passes that were counted because the pool had paid for them."""
        found: set[bytes] = set()
        for some in _portions(pass_ids):
            query = select(redeemed.c.pass_id).where(redeemed.c.pass_id.in_(some), redeemed.c.at_pool == 1)
            found.update(self._db.execute(query).scalars())
        return found

    def voucher(self, relay: Account) -> StoredVoucher | None:
        """The newest voucher signed for a relay's account."""
        found = self._vouchers(select(vouchers).where(vouchers.c.relay == relay))
        return found[0] if found else None

    def vouchers(self) -> list[StoredVoucher]:
        """The newest voucher of every relay."""
        return self._vouchers(select(vouchers).order_by(vouchers.c.relay))

    def put(self, credits_: Iterable[RedeemedPass], voucher: StoredVoucher, *, at_pool: bool = False) -> None:
        """Keep credits and the voucher for their new total.

        `at_pool`: the pool has paid for these passes. They are kept for ever, for the chain tells of them
        again whenever it is read from its beginning.
        """
        self._put_credits(
            [
                {
                    "pass_id": credit.pass_id,
                    "kind": credit.scope.kind,
                    "period": credit.scope.period,
                    "relay": voucher.relay,
                    "ticks": credit.ticks,
                    "at_pool": int(at_pool),
                }
                for credit in credits_
            ]
        )
        new = {
            "period": voucher.period,
            "cumulative": str(voucher.cumulative),
            "signature": voucher.signature,
        }
        query = upserting(self._db.dialect.name, vouchers).values(relay=voucher.relay, **new)
        self._db.execute(query.on_conflict_do_update(index_elements=[vouchers.c.relay], set_=new))

    def _put_credits(self, rows: list[dict[str, object]]) -> None:
        if not rows:
            return
        query = upserting(self._db.dialect.name, redeemed)
        paid = case((query.excluded.at_pool > redeemed.c.at_pool, 1), else_=redeemed.c.at_pool)
        query = query.on_conflict_do_update(
            index_elements=[redeemed.c.pass_id], set_={"ticks": query.excluded.ticks, "at_pool": paid}
        )
        self._db.execute(query, rows)

    def _vouchers(self, query: Select[Any]) -> list[StoredVoucher]:
        return [
            StoredVoucher(Account(row.relay), row.period, Amount(int(row.cumulative)), row.signature)
            for row in self._db.execute(query)
        ]


def _portions(pass_ids: Sequence[bytes]) -> Iterable[Sequence[bytes]]:
    for start in range(0, len(pass_ids), _VARIABLES):
        yield pass_ids[start : start + _VARIABLES]
