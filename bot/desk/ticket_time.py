"""What a ticket's page tells of time: its clocks, who has been told of a late one, and the readings of its rooms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.clock_models import Clock, Escalation, Reading
from bot.duty_models import Member
from bot.models import Staff, Ticket
from bot.rules import RuleBook


@dataclass(frozen=True, slots=True)
class ClockLine:
    """One clock as people read it; `state`: running | late | resting | met | missed | dropped."""

    name: str
    state: str
    due_at: datetime | None
    stopped_at: datetime | None


def clock_lines(session: Session, ticket: Ticket, book: RuleBook, now: datetime) -> list[ClockLine]:
    """The ticket's clocks, those of the present round first."""
    rows = session.scalars(select(Clock).where(Clock.ticket_id == ticket.id).order_by(Clock.id.desc()))
    lines = [ClockLine(book.clocks.names.get(r.kind, r.kind), _state(r, now), r.due_at, r.stopped_at) for r in rows]
    return sorted(lines, key=lambda line: line.stopped_at is not None)


def _state(row: Clock, now: datetime) -> str:
    if row.stopped_at is not None:
        return {"met": "met", "late": "missed"}.get(row.outcome or "", "dropped")
    if row.due_at is None:
        return "resting"
    return "late" if row.due_at < now else "running"


def open_escalations(session: Session, ticket: Ticket) -> list[tuple[Escalation, str | None]]:
    """What nobody has looked at yet, each with the name of who was told."""
    query = (
        select(Escalation, Member.name)
        .outerjoin(Member, Member.id == Escalation.member_id)
        .where(Escalation.ticket_id == ticket.id, Escalation.seen_at.is_(None), Escalation.settled_at.is_(None))
        .order_by(Escalation.id)
    )
    return [(row, name) for row, name in session.execute(query)]


def readings(session: Session, ticket: Ticket) -> list[tuple[Reading, str | None]]:
    """Every reading, newest first, each with the name of who of us entered it."""
    query = (
        select(Reading, func.coalesce(Staff.name, Member.name))
        .outerjoin(Staff, Staff.id == Reading.staff_id)
        .outerjoin(Member, Member.id == Reading.member_id)
        .where(Reading.ticket_id == ticket.id)
        .order_by(Reading.at.desc(), Reading.id.desc())
    )
    return [(row, name) for row, name in session.execute(query)]


def soonest(session: Session, tickets: Sequence[Ticket]) -> dict[int, datetime]:
    """When the next running clock of each ticket is due; tickets whose clocks rest or have stopped are left out."""
    query = (
        select(Clock.ticket_id, func.min(Clock.due_at))
        .where(Clock.ticket_id.in_([ticket.id for ticket in tickets]), Clock.stopped_at.is_(None))
        .group_by(Clock.ticket_id)
    )
    return {ticket_id: due for ticket_id, due in session.execute(query) if due is not None}
