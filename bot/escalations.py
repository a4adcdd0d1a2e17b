"""Late clocks reach the next person: one pass finds by `next_at` alone what is due, however many tickets are open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import clock as time_source
from bot import clocks, paging, roster
from bot.change import SYSTEM, Context
from bot.channels import Channel
from bot.clock_models import Clock, Escalation
from bot.clock_rules import Rung
from bot.duty_models import Alert, Job, JobTicket, Member
from bot.models import Ticket, Update
from bot.services import Services

BATCH = 200  # tickets of one transaction: short enough for a webhook to wait behind on SQLite


def run(services: Services) -> int:
    """Raise what is due, once; returns how many clocks were looked at."""
    due = select(Clock.ticket_id).where(Clock.next_at <= time_source.now()).order_by(Clock.next_at).limit(BATCH)
    with services.database.reading() as session:
        ids = sorted(set(session.scalars(due)))
    if not ids:
        return 0
    with services.database.transaction() as session:
        return _raise_due(services.context(session), services.channels, ids)


@dataclass
class _Pass:
    """What one pass has found out and has to tell: one text for each person, not one for each ticket."""

    context: Context
    waits: dict[int, clocks.Waits]
    being_called: set[int]  # tickets about which somebody is being called already, by an alert or to take them
    called: dict[roster.Where, list[roster.Called]] = field(default_factory=dict)
    late: dict[tuple[int, Rung], list[tuple[Escalation, Ticket]]] = field(default_factory=lambda: defaultdict(list))
    members: dict[int, Member] = field(default_factory=dict)


def _raise_due(context: Context, channels: Mapping[str, Channel], ids: Sequence[int]) -> int:
    # The ticket is locked before its clocks, as every change does it, so that two can never wait for each other.
    query = select(Ticket).where(Ticket.id.in_(ids)).order_by(Ticket.id).with_for_update(skip_locked=True)
    tickets = {ticket.id: ticket for ticket in context.session.scalars(query)}
    due = select(Clock).where(Clock.ticket_id.in_(tickets), Clock.next_at <= context.now).order_by(Clock.id)
    found = list(context.session.scalars(due))
    done = _Pass(context, clocks.waits_of(context.session, tickets), _being_called(context.session, tickets))
    for row in found:
        _raise(done, tickets[row.ticket_id], row)
    context.session.flush()
    for (member_id, rung), late in done.late.items():
        _tell(context, channels, done.members[member_id], rung, late)
    return len(found)


def _being_called(session: Session, ticket_ids: Iterable[int]) -> set[int]:
    """Nobody is told of a late clock beside an alert or an offer that goes from one to the next by itself."""
    ids = list(ticket_ids)
    alerts = select(Alert.ticket_id).where(Alert.ticket_id.in_(ids), Alert.acknowledged_at.is_(None))
    offers = (
        select(JobTicket.ticket_id)
        .join(Job, Job.id == JobTicket.job_id)
        .where(
            JobTicket.ticket_id.in_(ids), JobTicket.left_at.is_(None), Job.state == "offered", Job.closed_at.is_(None)
        )
    )
    return {key for query in (alerts, offers) for key in session.scalars(query) if key is not None}


def _raise(done: _Pass, ticket: Ticket, row: Clock) -> None:
    """Take the highest step of the ladder that is reached: after a night without a worker nobody hears of three."""
    context, rules, due = done.context, done.context.book.clocks, row.next_at
    meter = clocks.meter(context, ticket, row, done.waits.get(ticket.id, ()))
    reached = rules.rungs_reached(meter, context.now)
    if due is not None and ticket.closed_at is None and reached > row.rungs:
        rung = rules.ladder[reached - 1]
        member = _member(done, ticket, rung.role)
        raised = Escalation(ticket_id=ticket.id, kind=row.kind, rung=reached, role=rung.role, due_at=due)
        raised.raised_at, raised.member_id = context.now, member.id if member else None
        context.session.add(raised)
        if member is not None and ticket.id not in done.being_called:
            done.members[member.id] = member
            done.late[member.id, rung].append((raised, ticket))
        whom = f"（{member.name}）" if member else ""
        name = rules.names.get(row.kind, row.kind)
        note = f"{rung.name}{whom}：{name}{_how_late(rung)}"
        context.session.add(Update(ticket_id=ticket.id, at=context.now, actor=SYSTEM.kind, kind="escalated", note=note))
    row.rungs = max(row.rungs, reached)
    clocks.place(context, row, meter)


def _how_late(rung: Rung) -> str:
    return "将到时限" if rung.share < 1 else "超过时限"


def _member(done: _Pass, ticket: Ticket, role: str) -> Member | None:
    """Who of the roster it is: the one in charge, then the next in line, then a supervisor; None without a roster."""
    where = roster.Where(ticket.team_id, ticket.community, ticket.building)
    if where not in done.called:
        done.called[where] = roster.for_job(done.context.session, where, done.context.now)
    line = done.called[where]
    if role == "supervisor":
        return next((one.member for one in line if one.why == roster.SUPERVISOR), None)
    others = [one.member for one in line if one.why != roster.SUPERVISOR]
    place = 0 if role == "crew" else 1
    return others[min(place, len(others) - 1)] if others else None


def _tell(
    context: Context,
    channels: Mapping[str, Channel],
    member: Member,
    rung: Rung,
    late: Sequence[tuple[Escalation, Ticket]],
) -> None:
    """One text to one person for everything of this pass, and from the second step on a line for the group."""
    first, occasion = late[0][1], f"late:{late[0][0].id}"
    params = {"rung": rung.name, "late": _how_late(rung), "count": str(len(late)), "number": first.number}
    place = {"place": paging.whole_address(first)}
    paging.page(context, channels, member, "staff.late", {**params, **place}, occasion=occasion, ticket=first)
    if rung.share >= 1:
        masked = {"place": paging.masked_address(first), "person": member.name}
        paging.tell_group(context, channels, "staff.late_group", {**params, **masked}, occasion=occasion, ticket=first)
