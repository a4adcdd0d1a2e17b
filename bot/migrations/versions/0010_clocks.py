"""Clocks of tickets, what they wait for, who has been told of late ones, readings, and a rank that chasing only refines."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0007"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _at(name: str, nullable: bool = True) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    with op.batch_alter_table("ticket") as ticket:
        ticket.add_column(sa.Column("waits_for", sa.String(length=8), nullable=True))
        ticket.add_column(sa.Column("weight", sa.Integer(), nullable=False, server_default="0"))
        ticket.add_column(sa.Column("cold_rungs", sa.Integer(), nullable=False, server_default="0"))
        ticket.add_column(sa.Column("satisfaction", sa.Integer(), nullable=True))
        ticket.add_column(sa.Column("split_from_id", KEY, nullable=True))
        ticket.create_foreign_key("fk_ticket_split_from_id", "ticket", ["split_from_id"], ["id"])
    op.drop_index("ix_ticket_status_priority_opened_at", "ticket")
    op.create_index("ix_ticket_urgency", "ticket", ["status", "priority", "weight", "chases", "opened_at"])
    with op.batch_alter_table("update") as update:
        update.add_column(sa.Column("step", sa.String(length=16), nullable=True))
    _make_clocks()
    _make_escalations()
    _make_readings()


def _make_clocks() -> None:
    op.create_table(
        "clock",
        sa.Column("id", KEY, nullable=False),
        sa.Column("ticket_id", KEY, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("calendar", sa.String(length=8), nullable=False),
        sa.Column("seconds", sa.Integer(), nullable=False),
        _at("started_at", nullable=False),
        _at("due_at"),
        sa.Column("rungs", sa.Integer(), nullable=False),
        _at("next_at"),
        _at("stopped_at"),
        sa.Column("outcome", sa.String(length=8), nullable=True),
        sa.CheckConstraint("kind IN ('contact', 'on_site', 'warm', 'answer')", name=op.f("ck_clock_kind_known")),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="fk_clock_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_clock"),
    )
    op.create_index("ix_clock_ticket_id", "clock", ["ticket_id"])
    _partial("uq_clock_running", "clock", ["ticket_id", "kind"], "stopped_at IS NULL", unique=True)
    _partial("ix_clock_next", "clock", ["next_at"], "next_at IS NOT NULL")
    op.create_table(
        "ticket_wait",
        sa.Column("id", KEY, nullable=False),
        sa.Column("ticket_id", KEY, nullable=False),
        sa.Column("reason", sa.String(length=8), nullable=False),
        _at("since", nullable=False),
        _at("until"),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="fk_ticket_wait_ticket_id"),
        sa.PrimaryKeyConstraint("id", name="pk_ticket_wait"),
    )
    op.create_index("ix_ticket_wait_ticket_id", "ticket_wait", ["ticket_id"])
    _partial("uq_ticket_wait_open", "ticket_wait", ["ticket_id"], "until IS NULL", unique=True)


def _make_escalations() -> None:
    op.create_table(
        "escalation",
        sa.Column("id", KEY, nullable=False),
        sa.Column("ticket_id", KEY, nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("rung", sa.Integer(), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=True),
        _at("due_at", nullable=False),
        _at("raised_at", nullable=False),
        _at("seen_at"),
        sa.Column("seen_by", sa.Integer(), nullable=True),
        _at("settled_at"),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="fk_escalation_ticket_id"),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name="fk_escalation_member_id"),
        sa.ForeignKeyConstraint(["seen_by"], ["staff.id"], name="fk_escalation_seen_by"),
        sa.PrimaryKeyConstraint("id", name="pk_escalation"),
    )
    op.create_index("ix_escalation_ticket_id", "escalation", ["ticket_id"])
    _partial("ix_escalation_open", "escalation", ["raised_at"], "seen_at IS NULL AND settled_at IS NULL")


def _make_readings() -> None:
    op.create_table(
        "reading",
        sa.Column("id", KEY, nullable=False),
        sa.Column("ticket_id", KEY, nullable=False),
        _at("at", nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("room", sa.String(length=16), nullable=True),
        sa.Column("by", sa.String(length=8), nullable=False),
        sa.Column("contact_id", KEY, nullable=True),
        sa.Column("message_id", KEY, nullable=True),
        sa.Column("staff_id", sa.Integer(), nullable=True),
        sa.Column("instrument", sa.String(length=32), nullable=True),
        sa.CheckConstraint("by IN ('resident', 'crew')", name=op.f("ck_reading_by_known")),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="fk_reading_ticket_id"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_reading_contact_id"),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name="fk_reading_message_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_reading_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_reading"),
    )
    op.create_index("ix_reading_ticket_id", "reading", ["ticket_id"])


def _partial(name: str, table: str, columns: list[str], where: str, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    for table in ("reading", "escalation", "ticket_wait", "clock"):
        op.drop_table(table)
    with op.batch_alter_table("update") as update:
        update.drop_column("step")
    op.drop_index("ix_ticket_urgency", "ticket")
    op.create_index("ix_ticket_status_priority_opened_at", "ticket", ["status", "priority", "opened_at"])
    with op.batch_alter_table("ticket") as ticket:
        ticket.drop_constraint("fk_ticket_split_from_id", type_="foreignkey")
        for name in ("split_from_id", "satisfaction", "cold_rungs", "weight", "waits_for"):
            ticket.drop_column(name)
