"""What several instances share: which requests were counted, and the secret halves of the keys
(encrypted).
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "asked",
        sa.Column("digest", sa.LargeBinary(), primary_key=True),
        sa.Column("kind", sa.Integer(), nullable=False),
        sa.Column("period", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "secret_keys",
        sa.Column("kind", sa.Integer(), primary_key=True),
        sa.Column("period", sa.BigInteger(), primary_key=True),
        sa.Column("encrypted", sa.LargeBinary(), nullable=False),
        sqlite_with_rowid=False,
    )
