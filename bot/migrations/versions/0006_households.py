"""Whose word counts for a home: proofs, the company's books of homes, the notice of data use, and how far the cold reaches."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    with op.batch_alter_table("contact") as contact:
        contact.add_column(sa.Column("noticed_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("contact_home") as home:
        home.add_column(sa.Column("verified_at", sa.DateTime(timezone=True), nullable=True))
        home.add_column(sa.Column("verified_by", sa.String(length=16), nullable=True))
    op.create_index("ix_contact_home_home_id", "contact_home", ["home_id"])
    with op.batch_alter_table("ticket") as ticket:
        ticket.add_column(sa.Column("neighbours", sa.String(length=8), nullable=True))
    op.create_table(
        "household",
        sa.Column("home_id", KEY, nullable=False),
        sa.Column("account_hash", sa.String(length=32), nullable=False),
        sa.Column("phone", sa.LargeBinary(), nullable=True),
        sa.Column("phone_tail_hash", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], name="fk_household_home_id"),
        sa.PrimaryKeyConstraint("home_id", name="pk_household"),
        sa.UniqueConstraint("account_hash", name="uq_household_account_hash"),
    )
    op.create_table(
        "proof",
        sa.Column("contact_id", KEY, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("wrong", sa.Integer(), nullable=False),
        sa.Column("home_id", KEY, nullable=True),
        sa.Column("code_hash", sa.String(length=32), nullable=True),
        sa.Column("code_until", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name="fk_proof_contact_id"),
        sa.ForeignKeyConstraint(["home_id"], ["home.id"], name="fk_proof_home_id"),
        sa.PrimaryKeyConstraint("contact_id", name="pk_proof"),
    )


def downgrade() -> None:
    op.drop_table("proof")
    op.drop_table("household")
    with op.batch_alter_table("ticket") as ticket:
        ticket.drop_column("neighbours")
    op.drop_index("ix_contact_home_home_id", "contact_home")
    with op.batch_alter_table("contact_home") as home:
        home.drop_column("verified_by")
        home.drop_column("verified_at")
    with op.batch_alter_table("contact") as contact:
        contact.drop_column("noticed_at")
