"""When words and phones were taken away, and who has asked for it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0014"
branch_labels = None
depends_on = None

KEPT = {
    "message": ("ix_message_kept", "received_at", "emptied_at IS NULL"),
    "delivery": ("ix_delivery_kept", "created_at", "emptied_at IS NULL"),
    "ticket": ("ix_ticket_kept", "closed_at", "closed_at IS NOT NULL AND emptied_at IS NULL"),
}


def upgrade() -> None:
    for table, (index, column, where) in KEPT.items():
        op.add_column(table, sa.Column("emptied_at", sa.DateTime(timezone=True), nullable=True))
        condition = sa.text(where)
        op.create_index(index, table, [column], sqlite_where=condition, postgresql_where=condition)
    op.add_column("contact", sa.Column("erase_asked_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    for table, (index, _, _) in KEPT.items():
        op.drop_index(index, table)
        op.drop_column(table, "emptied_at")
    op.drop_column("contact", "erase_asked_at")
