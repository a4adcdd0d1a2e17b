"""A resident wants their data deleted: settled tickets at once, the rest when their last open case is settled.

Residents are told so (data/intents/privacy.yml): a person sees to it and calls, and what is being repaired is finished
first. The ticket stays without them, for heat was or was not delivered.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import or_, select, update

from bot import unlink
from bot.change import Context
from bot.models import Callback, Contact, Message, Task
from bot.upsert import insert_ignoring

LATER = timedelta(hours=1)  # until a case that is still open is looked at again


def begin(context: Context, contact: Contact, staff_id: int) -> bool:
    """Delete what may go now; returns whether that was everything. The call about it has been made."""
    _call_made(context, contact.id, staff_id)
    contact.erase_asked_at = contact.erase_asked_at or context.now
    if settle(context, contact.id):
        return True
    _settled_part(context, contact)
    return False


def settle(context: Context, contact_id: int) -> bool:
    """Anonymise a contact who has asked for it, unless a case of theirs is open; then it is looked at again later."""
    session = context.session
    contact = session.scalar(select(Contact).where(Contact.id == contact_id).with_for_update(of=Contact))
    if contact is None or contact.erase_asked_at is None or contact.address is None:
        return False
    if contact.pending_since is not None or unlink.has_open_case(session, contact_id):
        at = context.now + LATER
        row = {"kind": "erase", "ref": f"{contact_id}:{at.timestamp():.0f}", "due_at": at, "lane": 2, "attempts": 0}
        insert_ignoring(session, Task, [row], ["kind", "ref"])
        return False
    unlink.anonymise(session, contact, context.now)
    contact.erase_asked_at = None
    return True


def _settled_part(context: Context, contact: Contact) -> None:
    """What no open ticket needs: the settled tickets, and every message that is not about an open one."""
    theirs = unlink.tickets_of(context.session, contact.id)
    open_ids = [ticket.id for ticket in theirs if ticket.closed_at is None]
    for ticket in theirs:
        if ticket.closed_at is not None:
            unlink.anonymise_ticket(context.session, ticket, contact.id, context.now)
    since = min(ticket.opened_at for ticket in theirs if ticket.closed_at is None) if open_ids else context.now
    about_none = or_(Message.ticket_id.is_(None), Message.ticket_id.not_in(open_ids))
    old = (Message.contact_id == contact.id) & Message.handled_at.is_not(None) & (Message.received_at < since)
    unlink.empty_messages(context.session, old & about_none, context.now)


def _call_made(context: Context, contact_id: int, staff_id: int) -> None:
    """They were called and told; nobody owes them that call any more."""
    owed = update(Callback).where(
        Callback.contact_id == contact_id, Callback.reason == "privacy", Callback.done_at.is_(None)
    )
    context.session.execute(
        owed.values(done_at=context.now, done_by=staff_id).execution_options(synchronize_session=False)
    )
