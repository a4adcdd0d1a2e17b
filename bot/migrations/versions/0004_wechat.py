"""What WeChat needs: the ledger of what may be pushed, other ways out, subscriptions, media, and where a code was scanned."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("contact") as contact:
        contact.add_column(sa.Column("place", sa.LargeBinary(), nullable=True))
        for grant in ("message", "action"):
            left = sa.Column(f"{grant}_left", sa.Integer(), nullable=False, server_default="0")
            contact.add_column(left)
            contact.add_column(sa.Column(f"{grant}_until", sa.DateTime(timezone=True), nullable=True))
        contact.add_column(sa.Column("holding", sa.Boolean(), nullable=False, server_default=sa.false()))
    with op.batch_alter_table("delivery") as delivery:
        delivery.add_column(sa.Column("by", sa.String(length=16), nullable=True))
        delivery.add_column(sa.Column("waits_for", sa.String(length=16), nullable=True))
    op.create_index(
        "ix_delivery_waiting",
        "delivery",
        ["waits_for", "due_at"],
        sqlite_where=sa.text("state = 'held'"),
        postgresql_where=sa.text("state = 'held'"),
    )
    _make_subscription()
    _make_pause()
    _make_media()


def _make_subscription() -> None:
    op.create_table(
        "subscription",
        sa.Column("contact_id", KEY, nullable=False),
        sa.Column("template_id", sa.String(length=64), nullable=False),
        sa.Column("left", sa.Integer(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_subscription_contact_id")),
        sa.PrimaryKeyConstraint("contact_id", "template_id", name=op.f("pk_subscription")),
    )


def _make_pause() -> None:
    op.create_table(
        "pause",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_pause")),
    )


def _make_media() -> None:
    op.create_table(
        "media",
        sa.Column("id", KEY, nullable=False),
        sa.Column("message_id", KEY, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("ref", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("lease_token", sa.String(length=32), nullable=True),
        sa.Column("error", sa.String(length=160), nullable=True),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("content_type", sa.String(length=64), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.CheckConstraint("state IN ('wanted', 'kept', 'lost')", name=op.f("ck_media_state_known")),
        sa.ForeignKeyConstraint(["message_id"], ["message.id"], name=op.f("fk_media_message_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media")),
        sa.UniqueConstraint("message_id", "number", name=op.f("uq_media_message_id_number")),
    )
    op.create_index(
        "ix_media_queue",
        "media",
        ["due_at", "id"],
        sqlite_where=sa.text("state = 'wanted'"),
        postgresql_where=sa.text("state = 'wanted'"),
    )


def downgrade() -> None:
    for table in ("media", "pause", "subscription"):
        op.drop_table(table)
    op.drop_index("ix_delivery_waiting", "delivery")
    with op.batch_alter_table("delivery") as delivery:
        delivery.drop_column("waits_for")
        delivery.drop_column("by")
    with op.batch_alter_table("contact") as contact:
        for name in ("holding", "action_until", "action_left", "message_until", "message_left", "place"):
            contact.drop_column(name)
