"""The crew's phones: enrolments, devices, forms sent once; who has a ticket, who did a step, photos of a ticket."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Who took a job before this migration has its tickets; what was taken at the desk is nobody's phone's.
_KNOWN = """
UPDATE ticket SET member_id = (
    SELECT max(job.member_id) FROM job JOIN job_ticket ON job_ticket.job_id = job.id
    WHERE job_ticket.ticket_id = ticket.id AND job_ticket.left_at IS NULL AND job.state = 'accepted'
      AND job.accepted_by IS NULL AND job.team_id = ticket.team_id AND job.closed_at IS NULL)
WHERE status IN ('accepted', 'on_site', 'waiting')
"""


def _at(name: str, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def upgrade() -> None:
    for table in ("ticket", "update", "reading"):
        with op.batch_alter_table(table) as altered:
            altered.add_column(sa.Column("member_id", sa.Integer(), nullable=True))
            altered.create_foreign_key(f"fk_{table}_member_id", "member", ["member_id"], ["id"])
    op.create_index("ix_ticket_member_id", "ticket", ["member_id"])
    op.execute(_KNOWN)
    with op.batch_alter_table("media") as media:
        media.alter_column("message_id", existing_type=KEY, nullable=True)
        media.add_column(sa.Column("ticket_id", KEY, nullable=True))
        media.add_column(sa.Column("update_id", KEY, nullable=True))
        media.create_foreign_key("fk_media_ticket_id", "ticket", ["ticket_id"], ["id"])
        media.create_foreign_key("fk_media_update_id", "update", ["update_id"], ["id"])
    op.create_index("ix_media_ticket_id", "media", ["ticket_id"])
    _make_phones()


def _make_phones() -> None:
    op.create_table(
        "enrolment",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("code_hash", sa.String(length=32), nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=False),
        _at("created_at"),
        sa.Column("created_by", sa.Integer(), nullable=False),
        _at("expires_at"),
        _at("used_at", nullable=True),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name="fk_enrolment_member_id"),
        sa.ForeignKeyConstraint(["created_by"], ["staff.id"], name="fk_enrolment_created_by"),
        sa.PrimaryKeyConstraint("id", name="pk_enrolment"),
        sa.UniqueConstraint("code_hash", name="uq_enrolment_code_hash"),
    )
    op.create_index("ix_enrolment_member_id", "enrolment", ["member_id"])
    op.create_table(
        "device",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("token_hash", sa.String(length=32), nullable=False),
        sa.Column("member_id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        _at("enrolled_at"),
        sa.Column("enrolled_by", sa.Integer(), nullable=False),
        _at("used_at"),
        _at("revoked_at", nullable=True),
        sa.Column("revoked_by", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["member_id"], ["member.id"], name="fk_device_member_id"),
        sa.ForeignKeyConstraint(["enrolled_by"], ["staff.id"], name="fk_device_enrolled_by"),
        sa.ForeignKeyConstraint(["revoked_by"], ["staff.id"], name="fk_device_revoked_by"),
        sa.PrimaryKeyConstraint("id", name="pk_device"),
        sa.UniqueConstraint("token_hash", name="uq_device_token_hash"),
    )
    op.create_index("ix_device_member_id", "device", ["member_id"])
    op.create_table(
        "crew_form",
        sa.Column("id", KEY, nullable=False),
        sa.Column("device_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(length=40), nullable=False),
        _at("at"),
        sa.ForeignKeyConstraint(["device_id"], ["device.id"], name="fk_crew_form_device_id"),
        sa.PrimaryKeyConstraint("id", name="pk_crew_form"),
        sa.UniqueConstraint("device_id", "key", name="uq_crew_form_device_id_key"),
    )


def downgrade() -> None:
    for table in ("crew_form", "device", "enrolment"):
        op.drop_table(table)
    op.execute("DELETE FROM media WHERE message_id IS NULL")
    op.drop_index("ix_media_ticket_id", "media")
    with op.batch_alter_table("media") as media:
        for column in ("update_id", "ticket_id"):
            media.drop_constraint(f"fk_media_{column}", type_="foreignkey")
            media.drop_column(column)
        media.alter_column("message_id", existing_type=KEY, nullable=False)
    op.drop_index("ix_ticket_member_id", "ticket")
    for table in ("reading", "update", "ticket"):
        with op.batch_alter_table(table) as altered:
            altered.drop_constraint(f"fk_{table}_member_id", type_="foreignkey")
            altered.drop_column("member_id")
