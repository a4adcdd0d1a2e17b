"""Which rows hold personal data that are past their time, by kind, and what becomes of them: emptied, or deleted.

A row that figures are made of stays: a ticket keeps what it was about, where (estate, building, unit) and its times, a
message what it was taken for. Nothing is due of a contact who is a party to an open ticket or is owed a call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, exists, func, or_, select, update
from sqlalchemy.orm import Session

from bot import unlink
from bot.desk_models import Audit
from bot.duty_models import Handover, Member
from bot.models import (
    Callback,
    Contact,
    ContactHome,
    Delivery,
    Home,
    Household,
    Message,
    Proof,
    Review,
    Ticket,
    TicketContact,
)
from bot.paging import ROBOT
from bot.push_models import Media

Ids = Sequence[int]
WAITING = ("queued", "held")


@dataclass(frozen=True, slots=True)
class Source:
    """Rows of one kind: those due before a moment, and what becomes of them."""

    kind: str
    due: Callable[[datetime], Select[int]]
    clear: Callable[[Session, Ids, datetime], None]


def _idle(contact_id: Any) -> ColumnElement[bool]:
    """Whether nothing is open with a contact: no ticket that is not settled, no call that is owed."""
    at_work = exists().where(
        TicketContact.contact_id == contact_id, Ticket.id == TicketContact.ticket_id, Ticket.closed_at.is_(None)
    )
    owed = exists().where(Callback.contact_id == contact_id, Callback.done_at.is_(None))
    return ~or_(at_work, owed)


def _messages(before: datetime) -> Select[int]:
    old = select(Message.id).where(Message.emptied_at.is_(None), Message.received_at < before)
    return old.where(Message.handled_at.is_not(None), _idle(Message.contact_id))


def _empty_messages(session: Session, ids: Ids, now: datetime) -> None:
    unlink.empty_messages(session, Message.id.in_(ids), now)


def _deliveries(before: datetime) -> Select[int]:
    old = select(Delivery.id).where(Delivery.emptied_at.is_(None), Delivery.created_at < before)
    return old.where(Delivery.state != "sending", _idle(Delivery.contact_id))


def _empty_deliveries(session: Session, ids: Ids, now: datetime) -> None:
    """What still waits to be sent would be empty words, and is news to nobody."""
    these = update(Delivery).where(Delivery.id.in_(ids))
    _run(session, these.where(Delivery.state.in_(WAITING)).values(state="suppressed", waits_for=None, done_at=now))
    _run(session, these.values(text="", params=None, emptied_at=now))


def _media(before: datetime) -> Select[int]:
    with_message = select(Media.id).join(Message, Message.id == Media.message_id)
    return with_message.where(Message.received_at < before, _idle(Message.contact_id))


def _crew_photos(before: datetime) -> Select[int]:
    of_ticket = select(Media.id).join(Ticket, Ticket.id == Media.ticket_id)
    return of_ticket.where(Ticket.closed_at < before)


def _delete_media(session: Session, ids: Ids, now: datetime) -> None:
    _run(session, delete(Media).where(Media.id.in_(ids)))


def _tickets(before: datetime) -> Select[int]:
    return select(Ticket.id).where(Ticket.emptied_at.is_(None), Ticket.closed_at < before)


def _empty_tickets(session: Session, ids: Ids, now: datetime) -> None:
    for ticket in session.scalars(select(Ticket).where(Ticket.id.in_(ids), Ticket.closed_at.is_not(None))):
        unlink.empty_ticket(session, ticket, now)


def _contacts(before: datetime) -> Select[int]:
    """Who has not written for so long. Staff are reached at theirs as long as they are members."""
    members = select(Member.phone_hash).where(Member.phone_hash.is_not(None))
    silent = select(Contact.id).where(
        Contact.address.is_not(None), func.coalesce(Contact.last_inbound_at, Contact.created_at) < before
    )
    return silent.where(
        Contact.medium != ROBOT,
        ~((Contact.medium == "sms") & Contact.address_hash.in_(members)),
        Contact.pending_since.is_(None),
        _idle(Contact.id),
    )


def _forget_contacts(session: Session, ids: Ids, now: datetime) -> None:
    for contact in session.scalars(select(Contact).where(Contact.id.in_(ids)).with_for_update(of=Contact)):
        unlink.anonymise(session, contact, now)


def _homes(before: datetime) -> Select[int]:
    """Homes that nobody belongs to any more; those in the company's books stay, and those of tickets that still have one."""
    kept = (
        exists().where(ContactHome.home_id == Home.id),
        exists().where(Household.home_id == Home.id),
        exists().where(Proof.home_id == Home.id),
        exists().where(Ticket.home_key == Home.key),
    )
    return select(Home.id).where(~or_(*kept))


def _delete_homes(session: Session, ids: Ids, now: datetime) -> None:
    _run(session, delete(Home).where(Home.id.in_(ids)))


def _calls(before: datetime) -> Select[int]:
    return select(Callback.id).where(Callback.note.is_not(None), Callback.done_at < before)


def _empty_calls(session: Session, ids: Ids, now: datetime) -> None:
    _run(session, update(Callback).where(Callback.id.in_(ids)).values(note=None))


def _handovers(before: datetime) -> Select[int]:
    return select(Handover.id).where(Handover.done_at < before)


def _delete_handovers(session: Session, ids: Ids, now: datetime) -> None:
    _run(session, delete(Handover).where(Handover.id.in_(ids)))


def _reviews(before: datetime) -> Select[int]:
    """Notes and marks of verdicts; with the message gone nothing can be learnt or taken back from them."""
    told = or_(Review.note.is_not(None), Review.verdict_entities.is_not(None), Review.repair_before.is_not(None))
    return select(Review.id).where(told, Review.decided_at < before)


def _empty_reviews(session: Session, ids: Ids, now: datetime) -> None:
    bare = {"note": None, "verdict_entities": None, "repair_before": None}
    _run(session, update(Review).where(Review.id.in_(ids)).values(**bare))


def _audit(before: datetime) -> Select[int]:
    return select(Audit.id).where(Audit.at < before)


def _delete_audit(session: Session, ids: Ids, now: datetime) -> None:
    _run(session, delete(Audit).where(Audit.id.in_(ids)))


def _run(session: Session, statement: Any) -> None:
    session.execute(statement.execution_options(synchronize_session=False))


# In this order: what hangs on a contact before the contact, what a ticket points to after the ticket.
SOURCES = (
    Source("media", _media, _delete_media),
    Source("media", _crew_photos, _delete_media),
    Source("messages", _messages, _empty_messages),
    Source("messages", _deliveries, _empty_deliveries),
    Source("phones", _tickets, _empty_tickets),
    Source("openids", _contacts, _forget_contacts),
    Source("openids", _homes, _delete_homes),
    Source("notes", _calls, _empty_calls),
    Source("notes", _handovers, _delete_handovers),
    Source("notes", _reviews, _empty_reviews),
    Source("audit", _audit, _delete_audit),
)
