"""The tables of who is called: branches, members with their shifts, alerts, and jobs with who was asked to take them."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bot.crypto import Encrypted
from bot.models import Base, Key, Team, Ticket, _one_of, _where

MEMBER_ROLES = ("worker", "duty", "supervisor")
JOB_STATES = ("offered", "accepted", "unanswered")


class Branch(Base):
    """A part of a company with its own teams: 分公司."""

    __tablename__ = "branch"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(64))
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))


class Member(Base):
    """Someone who goes out or is on call: 责任人, 值班员, 主管. `phone_hash` is that of a contact's address on SMS."""

    __tablename__ = "member"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(12), default="worker")
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    phone: Mapped[str | None] = mapped_column(Encrypted)
    phone_hash: Mapped[str | None] = mapped_column(String(32), index=True)
    active: Mapped[bool] = mapped_column(default=True)
    team: Mapped[Team | None] = relationship(lazy="select")
    __table_args__ = (_one_of("role", MEMBER_ROLES),)


class Shift(Base):
    """Who is on duty from when until when, for a team or (no team) for the whole network; `line` 1 is called first."""

    __tablename__ = "shift"
    id: Mapped[int] = mapped_column(primary_key=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    line: Mapped[int] = mapped_column(default=1)
    member: Mapped[Member] = relationship(lazy="joined", innerjoin=True)
    __table_args__ = (UniqueConstraint("member_id", "starts_at"), Index("ix_shift_ends_at", "ends_at"))


class Alert(Base):
    """A danger that people are told of again and again until somebody acknowledges it. One is open per contact."""

    __tablename__ = "alert"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(String(24))
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("message.id"))
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"), index=True)
    opened_at: Mapped[datetime]
    next_at: Mapped[datetime]
    step: Mapped[int] = mapped_column(default=0)
    escalated_at: Mapped[datetime | None]  # nobody answered: the supervisors and the resident were told
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    acknowledged_member_id: Mapped[int | None] = mapped_column(ForeignKey("member.id"))
    ticket: Mapped[Ticket | None] = relationship(lazy="select")
    __table_args__ = (
        Index("uq_alert_open", "contact_id", unique=True, **_where("acknowledged_at IS NULL")),
        Index("ix_alert_due", "next_at", **_where("acknowledged_at IS NULL")),
    )


class AlertStep(Base):
    """One person told of one alert, once for each step; `member_id` is NULL where there was nobody to tell."""

    __tablename__ = "alert_step"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alert.id"))
    step: Mapped[int]
    member_id: Mapped[int | None] = mapped_column(ForeignKey("member.id"))
    why: Mapped[str] = mapped_column(String(16))  # 值班, 责任人, 替班, 主管
    at: Mapped[datetime]
    noted: Mapped[bool] = mapped_column(default=False)  # the ticket's history has it
    member: Mapped[Member | None] = relationship(lazy="joined")
    __table_args__ = (UniqueConstraint("alert_id", "step", "member_id"),)


class Handover(Base):
    """What a resident agreed to have passed on to whoever serves their home; a person passes it on."""

    __tablename__ = "handover"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"), index=True)
    company_id: Mapped[int] = mapped_column(ForeignKey("company.id"))
    text: Mapped[str] = mapped_column(Encrypted)  # the resident's own words, …
    address: Mapped[str] = mapped_column(Encrypted)
    phone: Mapped[str | None] = mapped_column(Encrypted)  # … and all that they agreed to
    agreed_at: Mapped[datetime]
    done_at: Mapped[datetime | None]
    done_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    __table_args__ = (Index("ix_handover_open", "agreed_at", **_where("done_at IS NULL")),)


class Job(Base):
    """What one person is asked to take: the tickets of one building. One is open for each team and building."""

    __tablename__ = "job"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    place: Mapped[str] = mapped_column(String(120))  # team, estate and building
    team_id: Mapped[int] = mapped_column(ForeignKey("team.id"), index=True)
    community: Mapped[str | None] = mapped_column(String(64))
    building: Mapped[str | None] = mapped_column(String(16))
    urgent: Mapped[bool] = mapped_column(default=False)
    state: Mapped[str] = mapped_column(String(12), default="offered")
    member_id: Mapped[int | None] = mapped_column(ForeignKey("member.id"))  # who is asked, or has taken it
    step: Mapped[int] = mapped_column(default=0)
    round: Mapped[int] = mapped_column(default=0)
    opened_at: Mapped[datetime]
    next_at: Mapped[datetime | None]  # when the next person is asked, or the first one told
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    closed_at: Mapped[datetime | None]
    team: Mapped[Team] = relationship(lazy="select")
    member: Mapped[Member | None] = relationship(lazy="joined")
    __table_args__ = (
        _one_of("state", JOB_STATES),
        Index("uq_job_open", "place", unique=True, **_where("closed_at IS NULL")),
        Index("ix_job_due", "next_at", **_where("closed_at IS NULL AND next_at IS NOT NULL")),
    )


class JobTicket(Base):
    """A ticket of a job; it is in one open job at a time."""

    __tablename__ = "job_ticket"
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), primary_key=True, index=True)
    added_at: Mapped[datetime]
    left_at: Mapped[datetime | None]


class JobStep(Base):
    """One person asked to take a job, once for each step."""

    __tablename__ = "job_step"
    job_id: Mapped[int] = mapped_column(ForeignKey("job.id"), primary_key=True)
    step: Mapped[int] = mapped_column(primary_key=True)
    round: Mapped[int]  # rises when tickets are added, so that everybody may be asked again
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"))
    why: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime]
