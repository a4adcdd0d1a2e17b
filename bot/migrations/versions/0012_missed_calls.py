"""Calls that nobody picked up: kept once, answered by a text, owed a call."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0010"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _at(name: str, nullable: bool = True) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def _refers(column: str, table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{table}.id"], name=f"fk_missed_call_{column}")


def upgrade() -> None:
    op.create_table(
        "missed_call",
        sa.Column("id", KEY, nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("call_id", sa.String(length=64), nullable=False),
        sa.Column("contact_id", KEY, nullable=False),
        sa.Column("number_hash", sa.String(length=32), nullable=False),
        _at("rang_at", nullable=False),
        _at("noted_at", nullable=False),
        sa.Column("noted_by", sa.Integer(), nullable=True),
        sa.Column("delivery_id", KEY, nullable=True),
        sa.Column("callback_id", KEY, nullable=True),
        _at("settled_at"),
        sa.Column("ticket_id", KEY, nullable=True),
        sa.CheckConstraint("source IN ('webhook', 'desk')", name=op.f("ck_missed_call_source_known")),
        _refers("contact_id", "contact"),
        _refers("noted_by", "staff"),
        _refers("delivery_id", "delivery"),
        _refers("callback_id", "callback"),
        _refers("ticket_id", "ticket"),
        sa.PrimaryKeyConstraint("id", name="pk_missed_call"),
        sa.UniqueConstraint("source", "call_id", name="uq_missed_call_source_call_id"),
    )
    op.create_index("ix_missed_call_contact_id", "missed_call", ["contact_id"])
    op.create_index("ix_missed_call_callback_id", "missed_call", ["callback_id"])
    condition = sa.text("settled_at IS NULL")
    op.create_index(
        "ix_missed_call_open", "missed_call", ["number_hash"], sqlite_where=condition, postgresql_where=condition
    )


def downgrade() -> None:
    op.drop_table("missed_call")
