"""The tables of one campaign's database, as the newest migration leaves them.

Amounts are decimal text: they do not fit the integers of either database.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, Table, Text

REVISION = "0004"
"""The newest migration."""

METADATA = MetaData()


def _kept_by_key(name: str, *columns: Column[int] | Column[bytes] | Column[str]) -> Table:
    """Rows lie in the order of their keys in SQLite: nothing says which came first."""
    return Table(name, METADATA, *columns, sqlite_with_rowid=False)


campaign = Table(
    "campaign",
    METADATA,
    Column("chain_id", BigInteger, nullable=False),
    Column("pool", LargeBinary, nullable=False),
    Column("number", BigInteger, nullable=False),
)

issued = _kept_by_key(
    "issued",
    Column("identity", LargeBinary, primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("period", BigInteger, nullable=False),
    Column("passes", Integer, nullable=False),
    Column("is_share", Integer, nullable=False),
)

asked = _kept_by_key(
    "asked",
    Column("digest", LargeBinary, primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("period", BigInteger, nullable=False),
)

period_keys = _kept_by_key(
    "period_keys",
    Column("kind", Integer, primary_key=True),
    Column("period", BigInteger, primary_key=True),
    Column("modulus", LargeBinary, nullable=False),
    Column("hop_price", Text, nullable=False),
)

secret_keys = _kept_by_key(
    "secret_keys",
    Column("kind", Integer, primary_key=True),
    Column("period", BigInteger, primary_key=True),
    Column("encrypted", LargeBinary, nullable=False),
)

redeemed = _kept_by_key(
    "redeemed",
    Column("pass_id", LargeBinary, primary_key=True),
    Column("kind", Integer, nullable=False),
    Column("period", BigInteger, nullable=False),
    Column("relay", LargeBinary, nullable=False),
    Column("ticks", Integer, nullable=False),
    Column("at_pool", Integer, nullable=False),
)

vouchers = _kept_by_key(
    "vouchers",
    Column("relay", LargeBinary, primary_key=True),
    Column("period", BigInteger, nullable=False),
    Column("cumulative", Text, nullable=False),
    Column("signature", LargeBinary, nullable=False),
)

past_issued = _kept_by_key(
    "past_issued",
    Column("kind", Integer, primary_key=True),
    Column("period", BigInteger, primary_key=True),
    Column("identities", Integer, nullable=False),
    Column("passes", Integer, nullable=False),
)

past_redeemed = _kept_by_key(
    "past_redeemed",
    Column("relay", LargeBinary, primary_key=True),
    Column("kind", Integer, primary_key=True),
    Column("period", BigInteger, primary_key=True),
    Column("passes", Integer, nullable=False),
    Column("ticks", BigInteger, nullable=False),
)

paused = _kept_by_key("paused", Column("one", Integer, primary_key=True, autoincrement=False))
