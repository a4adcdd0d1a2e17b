"""What must happen to a ticket by itself, later: a repair that nobody answers for, a home that stays cold.

`watch` and `follow` put rows with a due time beside a change; the worker brings them back here when they are due.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select

from bot import calls
from bot.change import Context
from bot.clock_models import Escalation, Reading
from bot.models import Task, Ticket, Update
from bot.ticket_facts import rank
from bot.upsert import insert_ignoring

_WORKED = frozenset({"received", "dispatched", "accepted", "on_site", "waiting", "reopened", "returned"})


def watch(context: Context, ticket: Ticket) -> None:
    """See to it that a cold home weighs more the longer it stays cold, and that a home in need is called."""
    if ticket.fault != "cold" or ticket.closed_at is not None:
        return
    hours = context.book.tickets["cold_hours"]
    for number, rung in enumerate(hours, start=1):
        _later(context, "cold", f"{ticket.id}:{ticket.reopened}:{number}", _began(ticket) + timedelta(hours=rung))
    if ticket.need:
        due = _began(ticket) + timedelta(hours=context.book.tickets["need_call_hours"])
        _later(context, "cold", f"{ticket.id}:{ticket.reopened}:need", due)


def follow(context: Context, ticket: Ticket, update: Update) -> None:
    """What a move asks for later: an answer to 处理好了; whoever has a ticket that is reopened hears of it at once."""
    if update.to_status == "done":
        due = context.now + context.book.table.silence.after
        _later(context, "silence", f"{ticket.id}:{update.id}", due)
    if update.to_status == "reopened":
        watch(context, ticket)
        row = Escalation(ticket_id=ticket.id, kind="reopened", rung=1, role="crew", due_at=context.now)
        row.raised_at = context.now
        context.session.add(row)


def still_cold(context: Context, ref: str) -> None:
    """A home has been cold for one more span: it weighs more; a home in need is called by a person."""
    ticket_id, round_, what = ref.split(":")
    ticket = context.session.get(Ticket, int(ticket_id), with_for_update=True)
    if ticket is None or ticket.fault != "cold" or ticket.status not in _WORKED or ticket.reopened != int(round_):
        return
    if what == "need":
        if ticket.need:
            calls.owe(context, ticket.contact_id, "cold", ticket_id=ticket.id)
        return
    ticket.cold_rungs = max(ticket.cold_rungs, int(what))
    rank(context.book, ticket)


def still_silent(context: Context, ref: str) -> str | None:
    """Nobody has said whether a repair helped. Returns the step that follows: `unconfirmed` closes, `confirm` is for a
    person, who is asked here to call; None where the ticket has moved on.
    """
    ticket_id, update_id = map(int, ref.split(":"))
    ticket = context.session.get(Ticket, ticket_id, with_for_update=True)
    last = select(Update.id).where(Update.ticket_id == ticket_id, Update.kind == "moved").order_by(Update.id.desc())
    if ticket is None or ticket.status != "done" or context.session.scalar(last.limit(1)) != update_id:
        return None
    silence = context.book.table.silence
    intents = {ticket.intent, *ticket.also}
    unmeasured = intents & silence.measured and not _measured(context, ticket)
    if ticket.fault in silence.never or intents & silence.never or unmeasured:
        calls.owe(context, ticket.contact_id, "confirm", ticket_id=ticket.id)
        return "confirm"
    return "unconfirmed"


def _measured(context: Context, ticket: Ticket) -> bool:
    """Whether a crew has measured since the ticket was opened, or last reopened."""
    since = select(Update.at).where(Update.ticket_id == ticket.id, Update.to_status == "reopened")
    reopened = context.session.scalar(since.order_by(Update.id.desc()).limit(1))
    by_crew = select(Reading.id).where(
        Reading.ticket_id == ticket.id, Reading.by == "crew", Reading.at >= (reopened or ticket.opened_at)
    )
    return context.session.scalar(by_crew.limit(1)) is not None


def _began(ticket: Ticket) -> datetime:
    """Since when the home has been cold: for a reopened ticket since it was reopened."""
    return ticket.status_at if ticket.status == "reopened" else ticket.opened_at


def _later(context: Context, kind: str, ref: str, due: datetime) -> None:
    context.session.flush()
    row = {"kind": kind, "ref": ref, "lane": 1, "due_at": max(due, context.now), "attempts": 0}
    insert_ignoring(context.session, Task, [row], ["kind", "ref"])
