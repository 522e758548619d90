"""Sums of what is forgotten, and whether issuing is paused. An issuer.db of version 3 has these tables."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "past_issued",
        sa.Column("kind", sa.Integer(), primary_key=True),
        sa.Column("period", sa.BigInteger(), primary_key=True),
        sa.Column("identities", sa.Integer(), nullable=False),
        sa.Column("passes", sa.Integer(), nullable=False),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "past_redeemed",
        sa.Column("relay", sa.LargeBinary(), primary_key=True),
        sa.Column("kind", sa.Integer(), primary_key=True),
        sa.Column("period", sa.BigInteger(), primary_key=True),
        sa.Column("passes", sa.Integer(), nullable=False),
        sa.Column("ticks", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
    op.create_table(
        "paused",
        sa.Column("one", sa.Integer(), primary_key=True, autoincrement=False),
        sqlite_with_rowid=False,
        if_not_exists=True,
    )
