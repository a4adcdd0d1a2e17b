"""From a dispatched ticket to somebody who has taken it: jobs of one building, asked of one person after another.

A ticket that is dispatched joins the open job of its team and building, or opens one (`offer`). The worker tells the
person whose turn it is (`run`); who does not take it within the limit of data/rules/dispatch.yml is followed by the next
on duty, and the supervisors come last. Every step is a line of each ticket's history.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bot import clock, paging, roster, tickets
from bot.change import SYSTEM, Actor, Context
from bot.channels import Channel
from bot.duty_models import Alert, Job, JobStep, JobTicket, Member
from bot.models import Staff, Ticket
from bot.roster import Called, Where
from bot.services import Services
from bot.texts import address_line
from bot.trace import trace

log = logging.getLogger(__name__)

BATCH = 20
_job: Any = Job.__table__
# The states of a ticket that is still somebody's work.
AT_HAND = frozenset({"dispatched", "accepted", "on_site", "waiting"})


@dataclass(frozen=True, slots=True)
class Plan:
    """The rule `dispatch` as it stands."""

    group: timedelta
    accept: Mapping[bool, timedelta]  # by whether the job is urgent
    listed: int


def plan(raw: Mapping[str, Any]) -> Plan:
    """Read the rule's body."""
    minutes = raw["accept_minutes"]
    return Plan(
        group=timedelta(seconds=int(raw["group_seconds"])),
        accept={True: timedelta(minutes=minutes["urgent"]), False: timedelta(minutes=minutes["normal"])},
        listed=int(raw["listed"]),
    )


# --- a ticket joins a job


def offer(context: Context, ticket: Ticket) -> Job | None:
    """Put a dispatched ticket into the open job of its building, or into a new one; None where it is not dispatched."""
    if ticket.status != "dispatched" or ticket.team_id is None:
        return None
    session, rule = context.session, plan(context.book.raw["dispatch"])
    _leave_others(context, ticket)
    job = _open_job(context, ticket)
    known = session.get(JobTicket, (job.id, ticket.id))
    if known is None:
        session.add(JobTicket(job_id=job.id, ticket_id=ticket.id, added_at=context.now))
    else:
        known.added_at, known.left_at = context.now, None
    due = context.now if ticket.urgent else context.now + rule.group
    told_already = job.state == "offered" and job.step > 0
    job.urgent = job.urgent or ticket.urgent
    if job.state != "offered" or told_already:
        job.round += 1  # there is news, so whoever has or had it is asked about it
    if job.state == "unanswered":
        job.member_id = None
    job.state = "offered"
    job.next_at = min(due, job.next_at) if job.next_at is not None else due
    session.flush()
    return job


def _leave_others(context: Context, ticket: Ticket) -> None:
    """A ticket that was returned or given to another team is no part of its old job any more."""
    place = _place(ticket)
    rows = select(JobTicket).join(Job, Job.id == JobTicket.job_id)
    for row in context.session.scalars(
        rows.where(JobTicket.ticket_id == ticket.id, JobTicket.left_at.is_(None), Job.place != place)
    ):
        row.left_at = context.now


def _place(ticket: Ticket) -> str:
    """What the tickets of one job have in common; a ticket without a building stands alone."""
    where = f"{ticket.community}|{ticket.building}" if ticket.community and ticket.building else f"#{ticket.id}"
    return f"{ticket.team_id}|{where}"[:120]


def _open_job(context: Context, ticket: Ticket) -> Job:
    """The open job of a ticket's place, locked; one whose work is over is closed and followed by a new one."""
    session, place = context.session, _place(ticket)
    query = select(Job).where(Job.place == place, Job.closed_at.is_(None)).with_for_update(of=Job)
    job: Job | None = session.scalar(query)
    if job is not None and not _tickets(session, job):
        job.closed_at, job.next_at = context.now, None
        session.flush()
        job = None
    if job is not None:
        return job
    _open(session, ticket, place, context)
    return session.scalars(query).one()


def _open(session: Session, ticket: Ticket, place: str, context: Context) -> None:
    """Insert a job; where another worker has just opened one for this place, that one stands."""
    dialect = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    row: dict[str, Any] = {
        "place": place,
        "team_id": ticket.team_id,
        "community": ticket.community,
        "building": ticket.building,
    }
    row |= {"urgent": False, "state": "offered", "step": 0, "round": 0, "opened_at": context.now}
    session.execute(dialect(_job).on_conflict_do_nothing(), row)


def _tickets(session: Session, job: Job) -> Sequence[Ticket]:
    """The tickets of a job that are still at hand, the most urgent first."""
    query = (
        select(Ticket)
        .join(JobTicket, JobTicket.ticket_id == Ticket.id)
        .where(JobTicket.job_id == job.id, JobTicket.left_at.is_(None), Ticket.status.in_(AT_HAND))
        .where(Ticket.team_id == job.team_id)
        .order_by(Ticket.priority, Ticket.id)
    )
    return session.scalars(query).all()


# --- asking people


def run(services: Services) -> int:
    """Take the next step of every job that is due; returns how many there were."""
    due = select(Job.id).where(Job.closed_at.is_(None), Job.next_at <= clock.now())
    with services.database.reading() as session:
        ids = session.scalars(due.order_by(Job.next_at).limit(BATCH)).all()
    for job_id in ids:
        try:
            with services.database.transaction() as session:
                _step(services.channels, services.context(session), job_id)
        except Exception as error:
            log.error("Job %s could not be carried on: %s", job_id, trace(error))
            with services.database.transaction() as session:
                later = clock.now() + timedelta(seconds=30)
                session.execute(update(Job).where(Job.id == job_id).values(next_at=later))
    return len(ids)


def _step(channels: Mapping[str, Channel], context: Context, job_id: int) -> None:
    """Ask the next person, by whoever has the row; a step that another worker has taken is not taken twice."""
    session = context.session
    due = select(Job).where(Job.id == job_id, Job.closed_at.is_(None), Job.next_at <= context.now)
    job = session.scalar(due.with_for_update(skip_locked=True, of=Job))
    if job is None:
        return
    at_hand = _tickets(session, job)
    untaken = [ticket for ticket in at_hand if ticket.status == "dispatched"]
    if not untaken:
        _settle(context, job, at_hand)
        return
    waiting = _without_alert(session, untaken)
    if not waiting:  # people are being called because of it; that goes first
        job.next_at = context.now + plan(context.book.raw["dispatch"]).group
        return
    chosen = _next(session, job, context)
    if chosen is None:
        _give_up(context, job, waiting)
        return
    job.step += 1
    job.member_id, job.state = chosen.member.id, "offered"
    job.next_at = context.now + plan(context.book.raw["dispatch"]).accept[job.urgent]
    row = {"job_id": job.id, "step": job.step, "round": job.round, "member_id": chosen.member.id, "why": chosen.why}
    session.add(JobStep(**row, at=context.now))
    _tell(channels, context, job, chosen, waiting)
    for ticket in waiting:
        tickets.add_note(context, ticket, f"派给{chosen.member.name}（{chosen.why}）", SYSTEM, kind="dispatched")
    session.flush()


def _without_alert(session: Session, waiting: Sequence[Ticket]) -> list[Ticket]:
    """The tickets that no open alert is about: nobody hears of one emergency by two texts at once."""
    ids = [ticket.id for ticket in waiting]
    alerted = select(Alert.ticket_id).where(Alert.ticket_id.in_(ids), Alert.acknowledged_at.is_(None))
    held = set(session.scalars(alerted))
    return [ticket for ticket in waiting if ticket.id not in held]


def _settle(context: Context, job: Job, at_hand: Sequence[Ticket]) -> None:
    """Nothing of it waits to be taken: it was taken at the desk, or it is over."""
    job.next_at = None
    if at_hand:
        job.state, job.accepted_at = "accepted", job.accepted_at or context.now
    else:
        job.closed_at = context.now


def _next(session: Session, job: Job, context: Context) -> Called | None:
    """Whose turn it is: who has the job is asked about news first, then whoever was not asked in this round."""
    called = roster.for_job(session, Where(job.team_id, job.community, job.building), context.now)
    asked = set(session.scalars(select(JobStep.member_id).where(JobStep.job_id == job.id, JobStep.round == job.round)))
    fresh = [one for one in called if one.member.id not in asked]
    return next((one for one in fresh if one.member.id == job.member_id), fresh[0] if fresh else None)


def _give_up(context: Context, job: Job, waiting: Sequence[Ticket]) -> None:
    """Everybody was asked: the desk shows it first until somebody takes it or there is news."""
    job.state, job.next_at = "unanswered", None
    for ticket in waiting:
        tickets.add_note(context, ticket, "没有人接单，请调度员处理", SYSTEM, kind="dispatched")


def _tell(
    channels: Mapping[str, Channel], context: Context, job: Job, chosen: Called, waiting: Sequence[Ticket]
) -> None:
    """One line for the whole job: to the phone in full, to the group masked."""
    listed = plan(context.book.raw["dispatch"]).listed
    first, occasion = waiting[0], f"job:{job.id}:{job.step}"
    problems = dict.fromkeys(context.book.intent_name(ticket.intent) for ticket in waiting)
    params = {
        "place": address_line(job.community, job.building, None, None) or paging.whole_address(first),
        "count": str(len(waiting)),
        "problems": "、".join(problems),
        "homes": _homes(waiting[:listed], len(waiting)),
    }
    paging.page(context, channels, chosen.member, "staff.job", params, occasion=occasion, ticket=first)
    masked = {
        "place": address_line(job.community, job.building, None, None) or paging.masked_address(first),
        "count": params["count"],
        "problems": params["problems"],
        "numbers": "、".join(ticket.number for ticket in waiting[:listed]),
        "person": chosen.member.name,
    }
    paging.tell_group(context, channels, "staff.job_group", masked, occasion=occasion, ticket=first)


def _homes(shown: Sequence[Ticket], count: int) -> str:
    """The homes of a job, each with the number to call: 2单元501室19900001234."""
    lines = []
    for ticket in shown:
        where = address_line(None, None, ticket.unit, ticket.room) or ticket.number
        lines.append(f"{where}{paging.phone_of(ticket, ticket.contact)}")
    more = f"等{count}户" if count > len(shown) else ""
    return "；".join(lines) + more


# --- taking


def accept(context: Context, job: Job, *, staff: Staff | None = None, member: Member | None = None) -> list[str]:
    """Somebody takes a job: its waiting tickets are accepted and their residents told; returns their numbers."""
    waiting = [ticket for ticket in _tickets(context.session, job) if ticket.status == "dispatched"]
    actor = Actor("staff", staff_id=staff.id if staff else None, member_id=member.id if member else None)
    for ticket in waiting:
        tickets.add_note(context, ticket, f"{member.name if member else '工作台'}接单", actor, kind="dispatched")
        tickets.move(context, ticket, "accepted", actor)
        ticket.member_id = actor.member_id
    job.state, job.accepted_at, job.next_at = "accepted", context.now, None
    job.accepted_by = staff.id if staff else None
    if member is not None:
        job.member_id = member.id
    context.session.flush()
    return [ticket.number for ticket in waiting]


def take_ticket(context: Context, ticket: Ticket, member: Member) -> None:
    """A member who has acknowledged an alert has taken its ticket, where nobody had."""
    if ticket.status not in ("received", "dispatched", "reopened"):
        return
    actor = Actor("staff", member_id=member.id)
    tickets.add_note(context, ticket, f"{member.name}接单", actor, kind="dispatched")
    tickets.move(context, ticket, "accepted", actor)
    ticket.member_id = member.id


def take(context: Context, ticket: Ticket, member: Member) -> None:
    """A member takes one ticket of a job from their phone; a job of which nothing waits any more is theirs.

    Raises tickets.MoveRefused where somebody else has it already.
    """
    if ticket.status != "dispatched":
        raise tickets.MoveRefused("这张单子刚刚有变化，不用接了。")
    take_ticket(context, ticket, member)
    context.session.flush()
    query = select(Job).join(JobTicket, JobTicket.job_id == Job.id)
    query = query.where(JobTicket.ticket_id == ticket.id, JobTicket.left_at.is_(None), Job.closed_at.is_(None))
    for job in context.session.scalars(query.with_for_update(of=Job)):
        if not any(other.status == "dispatched" for other in _tickets(context.session, job)):
            job.state, job.accepted_at, job.next_at = "accepted", context.now, None
            job.accepted_by, job.member_id = None, member.id


def accept_by_member(context: Context, member: Member) -> list[str]:
    """Everything that this member was asked to take and nobody else has, taken by them."""
    asked = select(JobStep.job_id).where(JobStep.member_id == member.id, JobStep.round == Job.round)
    query = select(Job).where(Job.closed_at.is_(None), Job.state != "accepted", Job.step > 0, Job.id.in_(asked))
    numbers: list[str] = []
    for job in context.session.scalars(query.order_by(Job.id).with_for_update(of=Job)):
        numbers += accept(context, job, member=member)
    return numbers
