"""The one repetition after a report of failure, and the turns of a contact, so that a flood can be slowed down."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("delivery", sa.Column("failed_ref", sa.String(length=64), nullable=True))
    op.add_column("contact", sa.Column("turns_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("contact", sa.Column("turns", sa.Integer(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("contact", "turns")
    op.drop_column("contact", "turns_since")
    op.drop_column("delivery", "failed_ref")
