"""Which counts are an identity's, and which are shared by several: all of one key, all of one policy.

What was counted before cannot be told apart any more, and stays as it is until its period is forgotten.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the column."""
    op.add_column("issued", sa.Column("is_share", sa.Integer(), nullable=False, server_default="0"))
