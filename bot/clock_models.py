"""The tables of time: clocks and what a ticket waited for, who has been told of a late one, readings of rooms."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from bot.models import Base, Key, _one_of, _where

CLOCK_KINDS = ("contact", "on_site", "warm", "answer")
OUTCOMES = ("met", "late", "dropped")


class Clock(Base):
    """One limit of one ticket. `due_at` and `next_at` follow from the rules and the waits; both are empty in a wait.

    `next_at` is when the next person must hear of it; the worker finds what is due by it alone.
    """

    __tablename__ = "clock"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), index=True)
    kind: Mapped[str] = mapped_column(String(8))
    calendar: Mapped[str] = mapped_column(String(8))
    seconds: Mapped[int]  # the limit, of open time
    started_at: Mapped[datetime]
    due_at: Mapped[datetime | None]
    rungs: Mapped[int] = mapped_column(default=0)  # steps of the ladder that have been taken
    next_at: Mapped[datetime | None]
    stopped_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(8))
    __table_args__ = (
        _one_of("kind", CLOCK_KINDS),
        Index("uq_clock_running", "ticket_id", "kind", unique=True, **_where("stopped_at IS NULL")),
        Index("ix_clock_next", "next_at", **_where("next_at IS NOT NULL")),
    )


class Wait(Base):
    """A span in which a ticket's clocks rest; `until` is empty while it lasts."""

    __tablename__ = "ticket_wait"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), index=True)
    reason: Mapped[str] = mapped_column(String(8))  # resident | property | parts
    since: Mapped[datetime]
    until: Mapped[datetime | None]
    __table_args__ = (Index("uq_ticket_wait_open", "ticket_id", unique=True, **_where("until IS NULL")),)


class Escalation(Base):
    """Somebody must look at a ticket: a clock ran late, or a repair did not help. Open until seen or settled."""

    __tablename__ = "escalation"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), index=True)
    kind: Mapped[str] = mapped_column(String(8))  # a clock's kind | reopened
    rung: Mapped[int]  # how far up the ladder, from 1
    role: Mapped[str] = mapped_column(String(16))  # whose turn it is
    member_id: Mapped[int | None] = mapped_column(ForeignKey("member.id"))  # who of them, as the roster has it
    due_at: Mapped[datetime]  # when it was to be raised
    raised_at: Mapped[datetime]
    seen_at: Mapped[datetime | None]
    seen_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    settled_at: Mapped[datetime | None]  # the clock stopped, or the ticket ended
    __table_args__ = (Index("ix_escalation_open", "raised_at", **_where("seen_at IS NULL AND settled_at IS NULL")),)


class Reading(Base):
    """A room's temperature: who measured it, when, and in which room."""

    __tablename__ = "reading"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), index=True)
    at: Mapped[datetime]
    value: Mapped[float]  # ℃
    room: Mapped[str | None] = mapped_column(String(16))
    by: Mapped[str] = mapped_column(String(8))  # resident (自测) | crew
    contact_id: Mapped[int | None] = mapped_column(ForeignKey("contact.id"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("message.id"))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    member_id: Mapped[int | None] = mapped_column(ForeignKey("member.id"))
    instrument: Mapped[str | None] = mapped_column(String(32))
    __table_args__ = (_one_of("by", ("resident", "crew")),)
