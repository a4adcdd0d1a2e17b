"""催单 reaches the team as a digest: one text for everything that was pressed within a while, to whoever has the job.

The second press of one ticket is a call by a person, which the dialogue asks for (handlers/urge.py); here both only add
up. A digest names tickets and buildings, no doors and no phones: it brings no new work, only the wish to be heard.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot import paging, roster
from bot.change import SYSTEM, Context, add_update
from bot.channels import Channel
from bot.duty_models import Job, JobTicket, Member
from bot.models import Task, Ticket, Update
from bot.texts import address_line
from bot.upsert import insert_ignoring

TASK = "chases"


@dataclass(frozen=True, slots=True)
class Pressed:
    """A ticket of a digest: how often it was pressed in this while."""

    ticket: Ticket
    times: int


def note(context: Context, ticket: Ticket) -> None:
    """A ticket was pressed: its team hears of it with the next digest. Without a team the desk's list shows it."""
    if ticket.team_id is None:
        return
    period = _period(context)
    slot = int(context.now.timestamp() // period.total_seconds())
    due = datetime.fromtimestamp((slot + 1) * period.total_seconds(), UTC)
    ref = f"{ticket.team_id}:{slot * int(period.total_seconds())}"
    insert_ignoring(
        context.session,
        Task,
        [{"kind": TASK, "ref": ref, "lane": 1, "due_at": due, "attempts": 0}],
        ["kind", "ref"],
    )


def _period(context: Context) -> timedelta:
    return timedelta(minutes=float(context.book.raw["chasing"]["digest_minutes"]))


def tell(context: Context, channels: Mapping[str, Channel], ref: str) -> None:
    """Send the digest of one team and one while: to each member for the tickets that are theirs, and to the group."""
    team_id, since = map(int, ref.split(":"))
    begin = datetime.fromtimestamp(since, UTC)
    pressed = _pressed(context.session, team_id, begin, begin + _period(context))
    if not pressed:
        return
    occasion = f"chases:{ref}"
    by_member: dict[int, list[Pressed]] = defaultdict(list)
    members: dict[int, Member] = {}
    for one in pressed:
        member = _whose(context, one.ticket)
        if member is not None:
            members[member.id] = member
            by_member[member.id].append(one)
    for member_id, theirs in by_member.items():
        if paging.page(
            context, channels, members[member_id], "staff.chased", _words(context, theirs), occasion=occasion
        ):
            for one in theirs:
                told = f"催单已汇总告诉{members[member_id].name}"
                add_update(context, one.ticket, SYSTEM, "dispatched", note=told)
    paging.tell_group(context, channels, "staff.chased", _words(context, pressed), occasion=occasion)


def _pressed(session: Session, team_id: int, begin: datetime, end: datetime) -> list[Pressed]:
    """The open tickets of a team that were pressed between two moments, the most often pressed ones first."""
    presses = (
        select(Update.ticket_id, func.count().label("times"))
        .where(Update.kind == "chased", Update.at >= begin, Update.at < end)
        .group_by(Update.ticket_id)
        .subquery()
    )
    query = (
        select(Ticket, presses.c.times)
        .join(presses, presses.c.ticket_id == Ticket.id)
        .where(Ticket.team_id == team_id, Ticket.closed_at.is_(None))
        .order_by(presses.c.times.desc(), Ticket.id)
    )
    return [Pressed(ticket, count) for ticket, count in session.execute(query)]


def _whose(context: Context, ticket: Ticket) -> Member | None:
    """Who has taken or is asked to take the ticket's job, else whom it would be offered to first."""
    job = (
        select(Job)
        .join(JobTicket, JobTicket.job_id == Job.id)
        .where(JobTicket.ticket_id == ticket.id, JobTicket.left_at.is_(None), Job.closed_at.is_(None))
    )
    found = context.session.scalar(job.where(Job.member_id.is_not(None)).order_by(Job.id.desc()).limit(1))
    if found is not None and found.member is not None and found.member.active:
        return found.member
    line = roster.for_job(context.session, roster.Where(ticket.team_id, ticket.community, ticket.building), context.now)
    return line[0].member if line else None


def _words(context: Context, pressed: Sequence[Pressed]) -> dict[str, str]:
    listed = int(context.book.raw["chasing"]["listed"])
    lines = [_line(one) for one in pressed[:listed]]
    more = f"等{len(pressed)}单" if len(pressed) > listed else ""
    return {"count": str(len(pressed)), "tickets": "；".join(lines) + more}


def _line(one: Pressed) -> str:
    place = address_line(one.ticket.community, one.ticket.building, None, None)
    in_all = f"（共{one.ticket.chases}次）" if one.ticket.chases > one.times else ""
    return f"{one.ticket.number}{place}{one.times}次{in_all}"
