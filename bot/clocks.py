"""A ticket's clocks: started, stopped, resting while it waits, reckoned anew when it changes hands or kind.

A clock is arithmetic over its start, its limit and the ticket's waits (bot/calendar.py); what stands in its row is worked
out from those each time something changes, so that the order in which things happened cannot matter. Written only with
the ticket locked, in the transaction of the change itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from bot.calendar import Meter
from bot.change import Context
from bot.clock_models import Clock, Escalation, Wait
from bot.clock_rules import Limit
from bot.models import Ticket, Update

ALL = ("contact", "on_site", "warm", "answer")
ANSWERED = ("contact", "answer")  # what a person's word to the resident stops


def start(context: Context, ticket: Ticket) -> None:
    """Start the clocks of a ticket that was opened or reopened now."""
    for kind, limit in _limits(context, ticket, context.now).items():
        _add(context, ticket, kind, limit, context.now)


def transfer(context: Context, ticket: Ticket) -> None:
    """Reckon anew for what the ticket now is: as if it had been so from the start of its round; waits still count.

    A ticket that is closed has no clocks to reckon; a reopening starts them by what it is then.
    """
    if ticket.closed_at is not None:
        return
    since = _round_began(context.session, ticket)
    limits = _limits(context, ticket, since)
    for clock in running(context.session, ticket.id):
        limit = limits.pop(clock.kind, None)
        if limit is not None:
            clock.seconds, clock.calendar = int(limit.span.total_seconds()), limit.calendar
        elif clock.started_at <= since:
            _end(context, ticket, clock, "dropped")
    over = _stopped_kinds(context, ticket, since)
    for kind, limit in limits.items():
        if kind not in over and ticket.status not in ("done", "confirming"):
            _add(context, ticket, kind, limit, since)
    reckon(context, ticket)


def inherit(context: Context, ticket: Ticket, into: Ticket) -> None:
    """A merged ticket's clocks end; where it had been waiting longer, the other's count from that earlier start."""
    starts = {clock.kind: clock.started_at for clock in running(context.session, ticket.id)}
    halt(context, ticket)
    for clock in running(context.session, into.id):
        clock.started_at = min(clock.started_at, starts.get(clock.kind, clock.started_at))
    reckon(context, into)


def stop(context: Context, ticket: Ticket, kinds: Iterable[str] = ALL) -> None:
    """What these clocks ask for has happened now."""
    wanted = set(kinds)
    for clock in running(context.session, ticket.id):
        if clock.kind in wanted:
            used = meter(context, ticket, clock, _waits(context.session, ticket.id)).used(context.now)
            _end(context, ticket, clock, "met" if used <= timedelta(seconds=clock.seconds) else "late")


def halt(context: Context, ticket: Ticket) -> None:
    """The ticket is no longer worked, whatever came of it: nothing of it raises an alarm any more."""
    for clock in running(context.session, ticket.id):
        _end(context, ticket, clock, "dropped")
    _settle(context, ticket, None)


def wait(context: Context, ticket: Ticket, reason: str) -> None:
    """From now on nothing can be done: the clocks rest. A wait for something else ends the one before."""
    _end_wait(context, ticket)
    context.session.add(Wait(ticket_id=ticket.id, reason=reason, since=context.now))
    context.session.flush()
    reckon(context, ticket)


def go_on(context: Context, ticket: Ticket) -> None:
    """What was waited for is there."""
    if _end_wait(context, ticket):
        reckon(context, ticket)


def heard(context: Context, ticket: Ticket) -> None:
    """The resident has said something for people to read: once somebody has been in touch, it wants an answer."""
    kinds = {clock.kind for clock in running(context.session, ticket.id)}
    if not kinds & set(ANSWERED) and ticket.status not in ("done", "confirming") and ticket.closed_at is None:
        _add(context, ticket, "answer", context.book.clocks.word, context.now)


def running(session: Session, ticket_id: int) -> list[Clock]:
    """The clocks of a ticket that have not stopped."""
    session.flush()
    query = select(Clock).where(Clock.ticket_id == ticket_id, Clock.stopped_at.is_(None)).order_by(Clock.id)
    return list(session.scalars(query))


def reckon(context: Context, ticket: Ticket) -> None:
    """Work out when each running clock is due and when the next person must hear of it."""
    waits = _waits(context.session, ticket.id)
    for clock in running(context.session, ticket.id):
        place(context, clock, meter(context, ticket, clock, waits))


def used(context: Context, ticket: Ticket, clock: Clock) -> timedelta:
    """How much of a clock's limit is used by now, or was when it stopped."""
    return meter(context, ticket, clock, _waits(context.session, ticket.id)).used(clock.stopped_at or context.now)


Waits = tuple[tuple[datetime, datetime | None], ...]


def waits_of(session: Session, ticket_ids: Iterable[int]) -> dict[int, Waits]:
    """The waits of many tickets, in one statement; tickets without any are left out."""
    found: dict[int, Waits] = {}
    rows = session.execute(select(Wait.ticket_id, Wait.since, Wait.until).where(Wait.ticket_id.in_(list(ticket_ids))))
    for ticket_id, since, until in rows:
        found[ticket_id] = (*found.get(ticket_id, ()), (since, until))
    return found


def _limits(context: Context, ticket: Ticket, since: datetime) -> dict[str, Limit]:
    intents = [ticket.intent, *ticket.also]
    return context.book.clocks.limits(intents, ticket.severity, since, context.zone, ticket.district)


def _add(context: Context, ticket: Ticket, kind: str, limit: Limit, since: datetime) -> None:
    clock = Clock(
        ticket_id=ticket.id,
        kind=kind,
        calendar=limit.calendar,
        seconds=int(limit.span.total_seconds()),
        started_at=since,
        rungs=0,
    )
    place(context, clock, meter(context, ticket, clock, _waits(context.session, ticket.id) if ticket.id else ()))
    context.session.add(clock)


def meter(context: Context, ticket: Ticket, clock: Clock, waits: Waits) -> Meter:
    """A clock as arithmetic."""
    calendar = context.book.clocks.calendar(clock.calendar, context.zone, ticket.district)
    return Meter(calendar, timedelta(seconds=clock.seconds), clock.started_at, waits)


def place(context: Context, clock: Clock, reckoned: Meter) -> None:
    """Write when a clock is due, and when the next person must hear of it."""
    ladder = context.book.clocks.ladder
    # A longer limit takes steps back; those it still has behind it are not taken twice.
    clock.rungs = min(clock.rungs, context.book.clocks.rungs_reached(reckoned, context.now))
    clock.due_at = reckoned.reaches()
    clock.next_at = reckoned.reaches(ladder[clock.rungs].share) if clock.rungs < len(ladder) else None


def _end(context: Context, ticket: Ticket, clock: Clock, outcome: str) -> None:
    clock.stopped_at, clock.outcome, clock.next_at = context.now, outcome, None
    _settle(context, ticket, clock.kind)


def _settle(context: Context, ticket: Ticket, kind: str | None) -> None:
    """Whoever was told of this need not look any more."""
    open_ones = update(Escalation).where(
        Escalation.ticket_id == ticket.id, Escalation.seen_at.is_(None), Escalation.settled_at.is_(None)
    )
    named = open_ones if kind is None else open_ones.where(Escalation.kind == kind)
    context.session.execute(named.values(settled_at=context.now).execution_options(synchronize_session=False))


def _waits(session: Session, ticket_id: int) -> Waits:
    return waits_of(session, [ticket_id]).get(ticket_id, ())


def _end_wait(context: Context, ticket: Ticket) -> bool:
    context.session.flush()
    ended = context.session.scalars(
        update(Wait)
        .where(Wait.ticket_id == ticket.id, Wait.until.is_(None))
        .values(until=context.now)
        .returning(Wait.id)
        .execution_options(synchronize_session=False)
    ).all()
    return bool(ended)


def _round_began(session: Session, ticket: Ticket) -> datetime:
    """When the ticket was opened, or last reopened."""
    if not ticket.reopened:
        return ticket.opened_at
    last = select(func.max(Update.at)).where(Update.ticket_id == ticket.id, Update.to_status == "reopened")
    return session.scalar(last) or ticket.opened_at


def _stopped_kinds(context: Context, ticket: Ticket, since: datetime) -> set[str]:
    """What has been done for the ticket in this round, whatever it was called then."""
    met = select(Clock.kind).where(
        Clock.ticket_id == ticket.id, Clock.started_at >= since, Clock.outcome.in_(("met", "late"))
    )
    taken = select(Update.step).where(Update.ticket_id == ticket.id, Update.at >= since, Update.step.is_not(None))
    steps = context.book.table.steps
    by_moves = {kind for key in context.session.scalars(taken) if key and key in steps for kind in steps[key].stops}
    return set(context.session.scalars(met)) | by_moves
