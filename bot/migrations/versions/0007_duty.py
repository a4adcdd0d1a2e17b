"""Who serves a place and who is called: companies' phones, branches, members, shifts, alerts and jobs."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    _widen_company()
    _make_people()
    _widen_places()
    _make_alerts()
    _make_jobs()
    _make_handover()
    op.add_column("callback", sa.Column("escalated_at", TIME, nullable=True))


def _key(name: str = "id", type_: sa.types.TypeEngine[int] | None = None, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, type_ or sa.Integer(), nullable=nullable)


def _refers(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=f"fk_{table}_{column}")


def _partial(condition: str) -> dict[str, Any]:
    return {"sqlite_where": sa.text(condition), "postgresql_where": sa.text(condition)}


def _widen_company() -> None:
    # Nothing ever wrote companies before this, so a code may be required of them.
    op.execute("DELETE FROM company")
    with op.batch_alter_table("company") as company:
        company.add_column(sa.Column("code", sa.String(length=32), nullable=False))
        company.add_column(sa.Column("self_run", sa.Boolean(), nullable=False, server_default=sa.false()))
        company.add_column(sa.Column("phone", sa.String(length=32), nullable=True))
        company.add_column(sa.Column("phone_checked", sa.Date(), nullable=True))
        company.create_unique_constraint("uq_company_code", ["code"])
    op.create_table(
        "branch",
        _key(),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        _key("company_id", nullable=True),
        _refers("branch", "company_id", "company"),
        sa.PrimaryKeyConstraint("id", name="pk_branch"),
        sa.UniqueConstraint("code", name="uq_branch_code"),
    )


def _make_people() -> None:
    with op.batch_alter_table("team") as team:
        team.add_column(_key("branch_id", nullable=True))
        team.create_foreign_key("fk_team_branch_id", "branch", ["branch_id"], ["id"])
    op.create_table(
        "member",
        _key(),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=12), nullable=False),
        _key("team_id", nullable=True),
        sa.Column("phone", sa.LargeBinary(), nullable=True),
        sa.Column("phone_hash", sa.String(length=32), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.CheckConstraint("role IN ('worker', 'duty', 'supervisor')", name=op.f("ck_member_role_known")),
        _refers("member", "team_id", "team"),
        sa.PrimaryKeyConstraint("id", name="pk_member"),
        sa.UniqueConstraint("code", name="uq_member_code"),
    )
    op.create_index("ix_member_phone_hash", "member", ["phone_hash"])
    op.create_table(
        "shift",
        _key(),
        _key("member_id"),
        _key("team_id", nullable=True),
        sa.Column("starts_at", TIME, nullable=False),
        sa.Column("ends_at", TIME, nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        _refers("shift", "member_id", "member"),
        _refers("shift", "team_id", "team"),
        sa.PrimaryKeyConstraint("id", name="pk_shift"),
        sa.UniqueConstraint("member_id", "starts_at", name="uq_shift_member_id_starts_at"),
    )
    op.create_index("ix_shift_ends_at", "shift", ["ends_at"])


_PLACE_LINKS = {
    "community": (
        ("phase_of_id", "community"),
        ("company_id", "company"),
        ("member_id", "member"),
        ("stand_in_id", "member"),
    ),
    "building": (("member_id", "member"), ("stand_in_id", "member")),
}


def _widen_places() -> None:
    for table, links in _PLACE_LINKS.items():
        with op.batch_alter_table(table) as place:
            for column, to in links:
                place.add_column(_key(column, nullable=True))
                place.create_foreign_key(f"fk_{table}_{column}", to, [column], ["id"])


def _make_alerts() -> None:
    op.create_table(
        "alert",
        _key(type_=KEY),
        sa.Column("kind", sa.String(length=24), nullable=False),
        _key("contact_id", KEY),
        _key("message_id", KEY, nullable=True),
        _key("ticket_id", KEY, nullable=True),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("next_at", TIME, nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("escalated_at", TIME, nullable=True),
        sa.Column("acknowledged_at", TIME, nullable=True),
        _key("acknowledged_by", nullable=True),
        _key("acknowledged_member_id", nullable=True),
        _refers("alert", "contact_id", "contact"),
        _refers("alert", "message_id", "message"),
        _refers("alert", "ticket_id", "ticket"),
        _refers("alert", "acknowledged_by", "staff"),
        _refers("alert", "acknowledged_member_id", "member"),
        sa.PrimaryKeyConstraint("id", name="pk_alert"),
    )
    op.create_index("ix_alert_ticket_id", "alert", ["ticket_id"])
    op.create_index("uq_alert_open", "alert", ["contact_id"], unique=True, **_partial("acknowledged_at IS NULL"))
    op.create_index("ix_alert_due", "alert", ["next_at"], **_partial("acknowledged_at IS NULL"))
    op.create_table(
        "alert_step",
        _key(type_=KEY),
        _key("alert_id", KEY),
        sa.Column("step", sa.Integer(), nullable=False),
        _key("member_id", nullable=True),
        sa.Column("why", sa.String(length=16), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("noted", sa.Boolean(), nullable=False),
        _refers("alert_step", "alert_id", "alert"),
        _refers("alert_step", "member_id", "member"),
        sa.PrimaryKeyConstraint("id", name="pk_alert_step"),
        sa.UniqueConstraint("alert_id", "step", "member_id", name="uq_alert_step_alert_id_step_member_id"),
    )


def _make_jobs() -> None:
    op.create_table(
        "job",
        _key(type_=KEY),
        sa.Column("place", sa.String(length=120), nullable=False),
        _key("team_id"),
        sa.Column("community", sa.String(length=64), nullable=True),
        sa.Column("building", sa.String(length=16), nullable=True),
        sa.Column("urgent", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        _key("member_id", nullable=True),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        sa.Column("opened_at", TIME, nullable=False),
        sa.Column("next_at", TIME, nullable=True),
        sa.Column("accepted_at", TIME, nullable=True),
        _key("accepted_by", nullable=True),
        sa.Column("closed_at", TIME, nullable=True),
        sa.CheckConstraint("state IN ('offered', 'accepted', 'unanswered')", name=op.f("ck_job_state_known")),
        _refers("job", "team_id", "team"),
        _refers("job", "member_id", "member"),
        _refers("job", "accepted_by", "staff"),
        sa.PrimaryKeyConstraint("id", name="pk_job"),
    )
    op.create_index("ix_job_team_id", "job", ["team_id"])
    op.create_index("uq_job_open", "job", ["place"], unique=True, **_partial("closed_at IS NULL"))
    op.create_index("ix_job_due", "job", ["next_at"], **_partial("closed_at IS NULL AND next_at IS NOT NULL"))
    op.create_table(
        "job_ticket",
        _key("job_id", KEY),
        _key("ticket_id", KEY),
        sa.Column("added_at", TIME, nullable=False),
        sa.Column("left_at", TIME, nullable=True),
        _refers("job_ticket", "job_id", "job"),
        _refers("job_ticket", "ticket_id", "ticket"),
        sa.PrimaryKeyConstraint("job_id", "ticket_id", name="pk_job_ticket"),
    )
    op.create_index("ix_job_ticket_ticket_id", "job_ticket", ["ticket_id"])
    op.create_table(
        "job_step",
        _key("job_id", KEY),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("round", sa.Integer(), nullable=False),
        _key("member_id"),
        sa.Column("why", sa.String(length=16), nullable=False),
        sa.Column("at", TIME, nullable=False),
        _refers("job_step", "job_id", "job"),
        _refers("job_step", "member_id", "member"),
        sa.PrimaryKeyConstraint("job_id", "step", name="pk_job_step"),
    )


def _make_handover() -> None:
    op.create_table(
        "handover",
        _key(type_=KEY),
        _key("contact_id", KEY),
        _key("company_id"),
        sa.Column("text", sa.LargeBinary(), nullable=False),
        sa.Column("address", sa.LargeBinary(), nullable=False),
        sa.Column("phone", sa.LargeBinary(), nullable=True),
        sa.Column("agreed_at", TIME, nullable=False),
        sa.Column("done_at", TIME, nullable=True),
        _key("done_by", nullable=True),
        _refers("handover", "contact_id", "contact"),
        _refers("handover", "company_id", "company"),
        _refers("handover", "done_by", "staff"),
        sa.PrimaryKeyConstraint("id", name="pk_handover"),
    )
    op.create_index("ix_handover_contact_id", "handover", ["contact_id"])
    op.create_index("ix_handover_open", "handover", ["agreed_at"], **_partial("done_at IS NULL"))


def downgrade() -> None:
    op.drop_column("callback", "escalated_at")
    for table in ("handover", "job_step", "job_ticket", "job", "alert_step", "alert"):
        op.drop_table(table)
    for name, links in _PLACE_LINKS.items():
        with op.batch_alter_table(name) as place:
            for column, _ in links:
                place.drop_constraint(f"fk_{name}_{column}", type_="foreignkey")
                place.drop_column(column)
    for table in ("shift", "member"):
        op.drop_table(table)
    with op.batch_alter_table("team") as team:
        team.drop_constraint("fk_team_branch_id", type_="foreignkey")
        team.drop_column("branch_id")
    op.drop_table("branch")
    with op.batch_alter_table("company") as company:
        company.drop_constraint("uq_company_code", type_="unique")
        for column in ("phone_checked", "phone", "self_run", "code"):
            company.drop_column(column)
