"""Counting a batch of claims: each once, whoever counts, and never above a quota.

In one transaction: what is asked for the first time is written down; the counts that it belongs to are read
and held, so that no other instance reads or changes them until the transaction ends; claims are counted one
after the other; what a quota refuses is not written down after all. Rows are taken in the order of their
keys, so that no two batches wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.sql.dml import Insert, ReturningInsert

from mixpay.sponsor.store.engine import upserting
from mixpay.sponsor.store.records import Claim, Counted, Refused
from mixpay.sponsor.store.tables import asked, issued


def count(db: Connection, claims: Sequence[Claim]) -> list[Counted | Refused]:
    """Count each claim, unless it was counted before, in another batch or this one."""
    noted = _note(db, claims)
    first: dict[bytes, Claim] = {}
    for claim in claims:
        if claim.asked in noted:
            first.setdefault(claim.asked, claim)
    fresh = list(first.values())
    held = _hold(db, fresh)
    counts = dict(held)
    outcomes = {claim.asked: _add(counts, claim) for claim in fresh}
    _write(db, fresh, {identity: passes for identity, passes in counts.items() if passes != held[identity]})
    refused = [digest for digest, outcome in outcomes.items() if isinstance(outcome, Refused)]
    _forget(db, refused, [identity for identity, passes in counts.items() if not passes])
    before = [claim.identity for claim in claims if claim.asked not in noted]
    counts |= _passes(db, [identity for identity in before if identity not in counts])
    return [outcomes.get(c.asked) or Counted(counts.get(c.identity, 0)) for c in claims]


def _add(counts: dict[bytes, int], claim: Claim) -> Counted | Refused:
    """Count one claim, if that is within its quotas."""
    if any(quota is not None and counts[share] >= quota for share, quota in claim.shares):
        return Refused.SHARE
    if counts[claim.identity] >= claim.quota:
        return Refused.QUOTA
    mine = _identities(claim)
    for identity in mine:
        counts[identity] += 1
    return Counted(counts[claim.identity], tuple(counts[identity] for identity in mine[1:]))


def _identities(claim: Claim) -> list[bytes]:
    return [claim.identity, *(share for share, _ in claim.shares)]


def _note(db: Connection, claims: Iterable[Claim]) -> set[bytes]:
    """Write down what is asked for; what was not there before."""
    rows = {claim.asked: claim for claim in claims}
    values = [{"digest": d, "kind": rows[d].kind, "period": rows[d].period} for d in sorted(rows)]
    return set(db.execute(_noting(db.dialect.name), values).scalars())


def _hold(db: Connection, claims: Sequence[Claim]) -> dict[bytes, int]:
    """The counts of all identities, which nobody else changes until the transaction ends."""
    identities = {identity for claim in claims for identity in _identities(claim)}
    held = dict.fromkeys(identities, 0)
    if db.dialect.name == "postgresql" and claims:
        rows = db.execute(_holding(), _rows(claims, held))
        return held | {row.identity: row.passes for row in rows}
    return held | _passes(db, identities)  # SQLite lets nobody else write meanwhile


def _write(db: Connection, claims: Sequence[Claim], counts: Mapping[bytes, int]) -> None:
    if counts:
        db.execute(_writing(db.dialect.name), _rows(claims, counts))


def _rows(claims: Sequence[Claim], counts: Mapping[bytes, int]) -> list[dict[str, Any]]:
    """Rows of those identities of the claims that have a count here."""
    owners = {identity: claim for claim in claims for identity in _identities(claim) if identity in counts}
    return [
        {
            "identity": i,
            "kind": owners[i].kind,
            "period": owners[i].period,
            "passes": counts[i],
            "is_share": int(i != owners[i].identity),
        }
        for i in sorted(owners)
    ]


def _forget(db: Connection, digests: Sequence[bytes], nobody: Sequence[bytes]) -> None:
    """Delete what is refused, and the rows of identities that were held and got nothing."""
    if digests:
        db.execute(delete(asked).where(asked.c.digest.in_(digests)))
    if nobody and db.dialect.name == "postgresql":  # SQLite holds without a row
        db.execute(delete(issued).where(issued.c.identity.in_(nobody)))


def _passes(db: Connection, identities: Iterable[bytes]) -> dict[bytes, int]:
    wanted = sorted(identities)
    if not wanted:
        return {}
    query = select(issued.c.identity, issued.c.passes).where(issued.c.identity.in_(wanted))
    return {row.identity: row.passes for row in db.execute(query)}


# Making a statement costs more than a row of it.


@lru_cache
def _noting(dialect: str) -> ReturningInsert[Any]:
    return upserting(dialect, asked).on_conflict_do_nothing().returning(asked.c.digest)


@lru_cache
def _holding() -> ReturningInsert[Any]:
    """An update that changes nothing, for it takes the row's lock; a new row is one's own anyway."""
    query = upserting("postgresql", issued).on_conflict_do_update(
        index_elements=[issued.c.identity], set_={"passes": issued.c.passes}
    )
    return query.returning(issued.c.identity, issued.c.passes)


@lru_cache
def _writing(dialect: str) -> Insert:
    query = upserting(dialect, issued)
    return query.on_conflict_do_update(
        index_elements=[issued.c.identity], set_={"passes": query.excluded.passes}
    )
