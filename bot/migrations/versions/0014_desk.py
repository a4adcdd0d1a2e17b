"""The desk all day: take-overs with their history, who looks at a ticket, saved filters, the log of views and changes."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _at(name: str, nullable: bool = True) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    with op.batch_alter_table("delivery") as delivery:
        delivery.add_column(sa.Column("staff_id", sa.Integer(), nullable=True))
        delivery.create_foreign_key("fk_delivery_staff_id", "staff", ["staff_id"], ["id"])
    _make_takeovers()
    _make_presence()
    _make_filters()
    _make_audit()


def _make_takeovers() -> None:
    op.create_table(
        "takeover",
        sa.Column("id", KEY, nullable=False),
        sa.Column("contact_id", KEY, nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("ticket_id", KEY, nullable=True),
        _at("taken_at", nullable=False),
        _at("returns_at", nullable=False),
        sa.Column("heard_id", sa.Integer(), nullable=False),
        _at("ended_at"),
        sa.Column("ended_by", sa.Integer(), nullable=True),
        sa.Column("ending", sa.String(length=8), nullable=True),
        sa.CheckConstraint("ending IN ('returned', 'passed', 'silent', 'late')", name=op.f("ck_takeover_ending_known")),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_takeover_contact_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_takeover_staff_id"),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="fk_takeover_ticket_id"),
        sa.ForeignKeyConstraint(["ended_by"], ["staff.id"], name="fk_takeover_ended_by"),
        sa.PrimaryKeyConstraint("id", name="pk_takeover"),
    )
    op.create_index("ix_takeover_contact_id", "takeover", ["contact_id"])
    _partial("uq_takeover_open", "takeover", ["contact_id"], "ended_at IS NULL", unique=True)
    _partial("ix_takeover_returns", "takeover", ["returns_at"], "ended_at IS NULL")


def _make_presence() -> None:
    op.create_table(
        "presence",
        sa.Column("ticket_id", KEY, nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        _at("seen_at", nullable=False),
        _at("wrote_at"),
        sa.ForeignKeyConstraint(["ticket_id"], ["ticket.id"], name="fk_presence_ticket_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_presence_staff_id"),
        sa.PrimaryKeyConstraint("ticket_id", "staff_id", name="pk_presence"),
    )
    op.create_index("ix_presence_staff_id", "presence", ["staff_id"])


def _make_filters() -> None:
    op.create_table(
        "saved_filter",
        sa.Column("id", KEY, nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=24), nullable=False),
        sa.Column("query", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_saved_filter_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_saved_filter"),
        sa.UniqueConstraint("staff_id", "name", name="uq_saved_filter_staff_id_name"),
    )


def _make_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", KEY, nullable=False),
        _at("at", nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("page", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=40), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.CheckConstraint("kind IN ('viewed', 'changed')", name=op.f("ck_audit_kind_known")),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_audit_staff_id"),
        sa.PrimaryKeyConstraint("id", name="pk_audit"),
    )
    op.create_index("ix_audit_subject", "audit", ["subject", "id"])
    op.create_index("ix_audit_staff_id", "audit", ["staff_id", "id"])


def _partial(name: str, table: str, columns: list[str], where: str, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, table, columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    for table in ("audit", "saved_filter", "presence", "takeover"):
        op.drop_table(table)
    with op.batch_alter_table("delivery") as delivery:
        delivery.drop_constraint("fk_delivery_staff_id", type_="foreignkey")
        delivery.drop_column("staff_id")
