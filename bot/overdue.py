"""Call-backs whose promised time has passed: somebody else is told, the bot speaks again, and the call stays owed.

One sweep tells the supervisors of all that became late together; a danger whose resident nobody has reached calls the
people on duty once more.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import select

from bot import alerts, clock, outbox, paging, roster, takeovers
from bot.change import Context
from bot.channels import Entry
from bot.models import Callback, Contact, Ticket
from bot.roster import Where
from bot.services import Services
from bot.texts import render

BATCH = 200
# A ticket in one of these has had its resident reached; 收到 alone says only that somebody means to.
REACHED = alerts.TAKEN_UP - {"accepted"}
PROMISED = frozenset(
    {"asked", "chased", "misunderstood", "question", "complaint", "privacy", "account", "incomplete", "missed", "seat"}
)  # a call, to the resident
DIGEST = timedelta(minutes=10)  # supervisors hear of late calls no more often than this


def run(services: Services) -> int:
    """Escalate the call-backs that are late; returns how many. Each is escalated once."""
    late = select(Callback.id).where(
        Callback.done_at.is_(None), Callback.escalated_at.is_(None), Callback.due_at <= clock.now()
    )
    with services.database.reading() as session:
        if session.scalar(late.limit(1)) is None:
            return 0
    with services.database.transaction() as session:
        query = select(Callback).where(Callback.id.in_(late.order_by(Callback.due_at).limit(BATCH)))
        rows = session.scalars(query.with_for_update(skip_locked=True, of=Callback)).all()
        rows = [row for row in rows if row.escalated_at is None and row.done_at is None]
        context = services.context(session)
        for row in rows:
            _escalate(context, row)
        if rows:
            _tell_supervisors(services, context, rows)
        return len(rows)


def _escalate(context: Context, row: Callback) -> None:
    """What follows for the resident: their answer comes from the bot again, and they hear once that they wait in vain."""
    row.escalated_at = context.now
    contact = context.session.get_one(Contact, row.contact_id, with_for_update={"of": Contact})
    takeovers.give_back(context, contact, "late")
    ticket = context.session.get(Ticket, row.ticket_id) if row.ticket_id is not None else None
    if row.reason == "urgent":
        if ticket is None or ticket.status not in REACHED:
            alerts.again(context, contact, ticket, row.message_id)
        return
    if row.reason not in PROMISED:
        return
    outbox.queue(
        context.session,
        contact,
        render(context.book, "callback.late", contact.medium, {}),
        occasion=f"callback:{row.id}:late",
        kind="reply",  # they have asked for a person: who wants no notices wants this answer all the same
        now=context.now,
        ticket=ticket,
        entries=[Entry("callback.late")],
    )


def _tell_supervisors(services: Services, context: Context, rows: Sequence[Callback]) -> None:
    """One text for all that are late together, to who is in charge and to the group."""
    first = min(row.due_at for row in rows)
    params = {"count": str(len(rows)), "since": f"{first.astimezone(context.zone):%H:%M}"}
    occasion = f"calls:{_slot(context.now)}"
    for called in roster.for_alert(context.session, Where(), context.now):
        if called.why == roster.SUPERVISOR:
            paging.page(context, services.channels, called.member, "staff.calls", params, occasion=occasion)
    paging.tell_group(context, services.channels, "staff.calls", params, occasion=occasion)


def _slot(now: datetime) -> int:
    return int(now.timestamp() // DIGEST.total_seconds())
