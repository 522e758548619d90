"""Counting a batch of claims: each once, whoever counts, and never above its quota.

In one transaction: what is asked for the first time is written down; each such claim adds one to its
identity's count by a single statement that also checks the quota, so that instances cannot count past each
other; what the quota refuses is not written down after all. Rows are taken in the order of their keys, so
that two batches never wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, delete, select
from sqlalchemy.sql.dml import ReturningInsert

from mixpay.sponsor.store.engine import upserting
from mixpay.sponsor.store.records import Claim
from mixpay.sponsor.store.tables import asked, issued


def count(db: Connection, claims: Sequence[Claim]) -> list[int | None]:
    """Passes of each claim's identity, its own among them; None where the quota was used up before.

    A claim that was counted before, in another batch or this one, is not counted again.
    """
    first = _note(db, claims)
    passes: dict[bytes, int | None] = {}
    for some in _rounds(claim for claim in claims if claim.asked in first):
        counted = _add(db, some)
        passes |= {claim.asked: counted.get(claim.identity) for claim in some}
    refused = [digest for digest, number in passes.items() if number is None]
    if refused:
        db.execute(delete(asked).where(asked.c.digest.in_(refused)))
    before = {claim.identity for claim in claims if claim.asked not in first}
    known = _passes(db, before) if before else {}
    return [passes[c.asked] if c.asked in first else known.get(c.identity, 0) for c in claims]


def _note(db: Connection, claims: Iterable[Claim]) -> set[bytes]:
    """Write down what is asked for; what was not there before."""
    rows = {claim.asked: claim for claim in claims}
    values = [{"digest": d, "kind": rows[d].kind, "period": rows[d].period} for d in sorted(rows)]
    return set(db.execute(_noting(db.dialect.name), values).scalars())


def _rounds(claims: Iterable[Claim]) -> Iterator[list[Claim]]:
    """Portions in which no identity comes twice, and all have the same quota: each is one statement's."""
    left = list({claim.asked: claim for claim in claims}.values())
    while left:
        some: dict[bytes, Claim] = {}
        later = []
        for claim in left:
            if claim.quota == left[0].quota and claim.identity not in some:
                some[claim.identity] = claim
            else:
                later.append(claim)
        yield [some[identity] for identity in sorted(some)]
        left = later


def _add(db: Connection, claims: Sequence[Claim]) -> dict[bytes, int]:
    """Add one to the count of each identity that is below the quota of all of them; the new counts."""
    if claims[0].quota < 1:
        return {}
    values = [{"identity": c.identity, "kind": c.kind, "period": c.period, "passes": 1} for c in claims]
    rows = db.execute(_adding(db.dialect.name, claims[0].quota), values)
    return {row.identity: row.passes for row in rows}


@lru_cache
def _noting(dialect: str) -> ReturningInsert[Any]:
    """Making a statement costs more than a row of it."""
    return upserting(dialect, asked).on_conflict_do_nothing().returning(asked.c.digest)


@lru_cache
def _adding(dialect: str, quota: int) -> ReturningInsert[Any]:
    query = upserting(dialect, issued).on_conflict_do_update(
        index_elements=[issued.c.identity],
        set_={"passes": issued.c.passes + 1},
        where=issued.c.passes < quota,
    )
    return query.returning(issued.c.identity, issued.c.passes)


def _passes(db: Connection, identities: Iterable[bytes]) -> dict[bytes, int]:
    query = select(issued.c.identity, issued.c.passes).where(issued.c.identity.in_(sorted(identities)))
    return {row.identity: row.passes for row in db.execute(query)}
