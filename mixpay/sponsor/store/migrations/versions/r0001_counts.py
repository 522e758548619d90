"""Counts, registered keys, credits, vouchers: what an issuer.db of version 2 had before there was Alembic."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

BINARY, NUMBER = sa.LargeBinary(), sa.BigInteger()


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "campaign",
        sa.Column("chain_id", NUMBER, nullable=False),
        sa.Column("pool", BINARY, nullable=False),
        sa.Column("number", NUMBER, nullable=False),
    )
    op.create_table(
        "issued",
        sa.Column("identity", BINARY, primary_key=True),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("period", NUMBER, nullable=False),
        sa.Column("passes", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "period_keys",
        sa.Column("kind", sa.Integer(), primary_key=True),
        sa.Column("period", NUMBER, primary_key=True),
        sa.Column("modulus", BINARY, nullable=False),
        sa.Column("hop_price", sa.Text(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "redeemed",
        sa.Column("pass_id", BINARY, primary_key=True),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("period", NUMBER, nullable=False),
        sa.Column("relay", BINARY, nullable=False),
        sa.Column("ticks", sa.Integer(), nullable=False),
        sa.Column("at_pool", sa.Integer(), nullable=False, server_default="0"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "vouchers",
        sa.Column("relay", BINARY, primary_key=True),
        sa.Column("period", NUMBER, nullable=False),
        sa.Column("cumulative", sa.Text(), nullable=False),
        sa.Column("signature", BINARY, nullable=False),
        sqlite_with_rowid=False,
    )
