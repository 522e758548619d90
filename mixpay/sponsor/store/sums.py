"""Sums for the sponsor, over what is there and what was forgotten. They name no identity and no pass."""

from __future__ import annotations

from sqlalchemy import Connection, func, select, union_all

from mixpay.sponsor.store.engine import upserting
from mixpay.sponsor.store.tables import issued, past_issued, past_redeemed, redeemed
from mixpay.sponsor.tallies import Issued, Redeemed
from mixpay.types import Account

_ISSUED_NOW = (
    select(
        issued.c.kind,
        issued.c.period,
        func.count().label("identities"),
        func.sum(issued.c.passes).label("passes"),
    )
    .where(issued.c.is_share == 0)  # a share counts its identities' passes once more
    .group_by(issued.c.kind, issued.c.period)
)
_REDEEMED_NOW = select(
    redeemed.c.relay,
    redeemed.c.kind,
    redeemed.c.period,
    func.count().label("passes"),
    func.sum(redeemed.c.ticks).label("ticks"),
).group_by(redeemed.c.relay, redeemed.c.kind, redeemed.c.period)


def sum_issued(db: Connection) -> list[Issued]:
    """What was issued of each kind and period, in that order."""
    every = union_all(_ISSUED_NOW, select(past_issued)).subquery().c
    query = select(every.kind, every.period, func.sum(every.identities), func.sum(every.passes))
    rows = db.execute(query.group_by(every.kind, every.period).order_by(every.kind, every.period))
    return [Issued(kind, period, int(identities), int(passes)) for kind, period, identities, passes in rows]


def sum_credited(db: Connection) -> list[Redeemed]:
    """What each relay's account was credited for, of each kind and period, in that order."""
    every = union_all(_REDEEMED_NOW, select(past_redeemed)).subquery().c
    query = select(every.relay, every.kind, every.period, func.sum(every.passes), func.sum(every.ticks))
    order = every.kind, every.period, every.relay
    rows = db.execute(query.group_by(*order).order_by(*order))
    return [Redeemed(Account(relay), kind, period, int(n), int(t)) for relay, kind, period, n, t in rows]


def keep_issued(db: Connection, kind: int, before: int) -> None:
    """Add up what is about to be forgotten."""
    old = _ISSUED_NOW.where(issued.c.kind == kind, issued.c.period < before)
    query = upserting(db.dialect.name, past_issued)
    query = query.from_select(["kind", "period", "identities", "passes"], old)
    more = {name: past_issued.c[name] + query.excluded[name] for name in ("identities", "passes")}
    db.execute(query.on_conflict_do_update(index_elements=["kind", "period"], set_=more))


def keep_credited(db: Connection, kind: int, before: int) -> None:
    """Likewise; what the pool has paid for is not forgotten."""
    old = _REDEEMED_NOW.where(
        redeemed.c.kind == kind, redeemed.c.period < before, redeemed.c.at_pool == 0
    )
    query = upserting(db.dialect.name, past_redeemed)
    query = query.from_select(["relay", "kind", "period", "passes", "ticks"], old)
    more = {name: past_redeemed.c[name] + query.excluded[name] for name in ("passes", "ticks")}
    db.execute(query.on_conflict_do_update(index_elements=["relay", "kind", "period"], set_=more))
