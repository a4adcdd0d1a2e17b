"""Reviews in order of worth that repair the live case, second opinions, and trainings asked for at the desk."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_OPEN = "decided_at IS NULL AND flagged_at IS NULL"


def upgrade() -> None:
    with op.batch_alter_table("review") as review:
        review.add_column(sa.Column("worth", sa.Double(), nullable=True))
        review.add_column(sa.Column("candidate", sa.String(length=24), nullable=True))
        review.add_column(sa.Column("flagged_at", sa.DateTime(timezone=True), nullable=True))
        review.add_column(sa.Column("note", sa.LargeBinary(), nullable=True))
        review.add_column(sa.Column("verdict_entities", sa.LargeBinary(), nullable=True))
        review.add_column(sa.Column("repair", sa.String(length=16), nullable=True))
        review.add_column(sa.Column("repair_ticket_id", KEY, nullable=True))
        review.add_column(sa.Column("repair_before", sa.LargeBinary(), nullable=True))
        review.add_column(sa.Column("told_id", KEY, nullable=True))
        review.create_foreign_key("fk_review_repair_ticket_id", "ticket", ["repair_ticket_id"], ["id"])
        review.create_foreign_key("fk_review_told_id", "delivery", ["told_id"], ["id"])
    op.create_index(
        "ix_review_queue",
        "review",
        ["worth", "id"],
        sqlite_where=sa.text(_OPEN),
        postgresql_where=sa.text(_OPEN),
    )
    op.create_index("ix_review_decided_at", "review", ["decided_at"])
    _make_judgements()
    _make_learning()


def _make_judgements() -> None:
    op.create_table(
        "review_skip",
        sa.Column("review_id", KEY, nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["review_id"], ["review.id"], name="fk_review_skip_review_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_review_skip_staff_id"),
        sa.PrimaryKeyConstraint("review_id", "staff_id", name="pk_review_skip"),
    )
    op.create_table(
        "opinion",
        sa.Column("review_id", KEY, nullable=False),
        sa.Column("staff_id", sa.Integer(), nullable=False),
        sa.Column("verdict", sa.String(length=24), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["review_id"], ["review.id"], name="fk_opinion_review_id"),
        sa.ForeignKeyConstraint(["staff_id"], ["staff.id"], name="fk_opinion_staff_id"),
        sa.PrimaryKeyConstraint("review_id", "staff_id", name="pk_opinion"),
    )


def _make_learning() -> None:
    op.create_table(
        "learning",
        sa.Column("id", KEY, nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("progress", sa.Double(), nullable=False),
        sa.Column("step", sa.String(length=80), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_by", sa.Integer(), nullable=True),
        sa.Column("beat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(length=400), nullable=True),
        sa.Column("model", sa.String(length=96), nullable=True),
        sa.Column("compared_with", sa.String(length=96), nullable=True),
        sa.Column("report", sa.LargeBinary(), nullable=True),
        sa.Column("asked_by", sa.Integer(), nullable=True),
        sa.Column("promoted_by", sa.Integer(), nullable=True),
        sa.Column("promoted_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state IN ('running', 'done', 'failed')", name=op.f("ck_learning_state_known")),
        sa.ForeignKeyConstraint(["started_by"], ["staff.id"], name="fk_learning_started_by"),
        sa.ForeignKeyConstraint(["asked_by"], ["staff.id"], name="fk_learning_asked_by"),
        sa.ForeignKeyConstraint(["promoted_by"], ["staff.id"], name="fk_learning_promoted_by"),
        sa.PrimaryKeyConstraint("id", name="pk_learning"),
    )
    op.create_index(
        "uq_learning_running",
        "learning",
        ["state"],
        unique=True,
        sqlite_where=sa.text("state = 'running'"),
        postgresql_where=sa.text("state = 'running'"),
    )


def downgrade() -> None:
    for table in ("learning", "opinion", "review_skip"):
        op.drop_table(table)
    op.drop_index("ix_review_decided_at", "review")
    op.drop_index("ix_review_queue", "review")
    with op.batch_alter_table("review") as review:
        review.drop_constraint("fk_review_told_id", type_="foreignkey")
        review.drop_constraint("fk_review_repair_ticket_id", type_="foreignkey")
        for name in (
            "told_id",
            "repair_before",
            "repair_ticket_id",
            "repair",
            "verdict_entities",
            "note",
            "flagged_at",
            "candidate",
            "worth",
        ):
            review.drop_column(name)
