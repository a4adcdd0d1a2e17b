"""The parameters of what a delivery says, for providers that send registered templates."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("delivery", sa.Column("params", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    op.drop_column("delivery", "params")
