"""Who leaves the WeChat account is unlinked: their openid goes at once, the rest when their last case is settled.

WeChat obliges us to delete a user's data when they unfollow. The ticket stays, for heat was or was not delivered;
who reported it does not.
"""

from __future__ import annotations

import re
import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select, update
from sqlalchemy.orm import Session

from bot import crypto
from bot.call_models import MissedCall
from bot.duty_models import Handover
from bot.models import (
    Callback,
    Contact,
    ContactHome,
    Conversation,
    Delivery,
    Message,
    Proof,
    Resident,
    Review,
    Task,
    Ticket,
    TicketContact,
    Update,
)
from bot.push_models import Media, Subscription
from bot.review_models import Opinion
from bot.upsert import insert_ignoring

LATER = timedelta(hours=12)  # until a case that is still open is looked at again
SETTLED = ("closed", "cancelled", "merged")
_DIGITS = re.compile(r"\d[\d -]{5,}\d")


def begin(session: Session, contact: Contact, now: datetime) -> None:
    """They have left: drop the openid, and have the rest looked at. The keyed hash stays, so that they may come back."""
    contact.address = None
    _look(session, contact.id, now)


def _look(session: Session, contact_id: int, at: datetime) -> None:
    row = {"kind": "unlink", "ref": f"{contact_id}:{at.timestamp():.0f}", "due_at": at, "lane": 2, "attempts": 0}
    insert_ignoring(session, Task, [row], ["kind", "ref"])


def settle(session: Session, contact_id: int, now: datetime) -> bool:
    """Anonymise a contact who has left, unless they came back or a case of theirs is open; returns whether it was done."""
    contact = session.scalar(select(Contact).where(Contact.id == contact_id).with_for_update(of=Contact))
    if contact is None or contact.following:
        return False
    if contact.pending_since is not None or has_open_case(session, contact_id):
        _look(session, contact_id, now + LATER)
        return False
    anonymise(session, contact, now)
    return True


def has_open_case(session: Session, contact_id: int) -> bool:
    """Whether a ticket that they reported or joined is not settled."""
    query = (
        select(Ticket.id)
        .join(TicketContact, TicketContact.ticket_id == Ticket.id)
        .where(TicketContact.contact_id == contact_id, Ticket.status.not_in(SETTLED))
        .limit(1)
    )
    return session.scalar(query) is not None


def anonymise(session: Session, contact: Contact, now: datetime) -> None:
    """Take everything personal away from a contact: words, media, homes, phone; and from the tickets only they reported."""
    mine = contact.id
    empty_messages(session, Message.contact_id == mine, now)
    for gone in (
        delete(Conversation).where(Conversation.contact_id == mine),
        delete(ContactHome).where(ContactHome.contact_id == mine),
        delete(Proof).where(Proof.contact_id == mine),
        delete(Subscription).where(Subscription.contact_id == mine),
        update(Delivery)
        .where(Delivery.contact_id == mine, Delivery.state.in_(("queued", "held")))
        .values(state="suppressed", waits_for=None, error="has left"),
        update(Delivery).where(Delivery.contact_id == mine).values(text="", params=None, emptied_at=now),
        update(Callback).where(Callback.contact_id == mine).values(note=None),
        delete(Handover).where(Handover.contact_id == mine),
        delete(MissedCall).where(MissedCall.contact_id == mine),
    ):
        session.execute(gone.execution_options(synchronize_session=False))
    for ticket in tickets_of(session, mine):
        anonymise_ticket(session, ticket, mine, now)
    contact.address = contact.account = contact.place = None
    contact.address_hash = crypto.blind_index("gone", secrets.token_hex(16))
    _anonymise_resident(session, contact)


def empty_messages(session: Session, which: ColumnElement[bool], now: datetime) -> None:
    """Take the words and media away from messages; what they were taken for stays. What nobody has judged goes."""
    ids = select(Message.id).where(which)
    unjudged = select(Review.id).where(Review.message_id.in_(ids), Review.decided_at.is_(None))
    bare = {"note": None, "verdict_entities": None, "repair_before": None}
    for gone in (
        delete(Media).where(Media.message_id.in_(ids)),
        update(Review).where(Review.message_id.in_(ids)).values(**bare),
        delete(Opinion).where(Opinion.review_id.in_(unjudged)),
        delete(Review).where(Review.id.in_(unjudged)),
        update(Message).where(which).values(text="", payload=None, understanding=None, emptied_at=now),
    ):
        session.execute(gone.execution_options(synchronize_session=False))


def tickets_of(session: Session, contact_id: int) -> list[Ticket]:
    """The tickets that a contact reported or joined, locked."""
    query = select(Ticket).join(TicketContact, TicketContact.ticket_id == Ticket.id)
    return list(session.scalars(query.where(TicketContact.contact_id == contact_id).with_for_update(of=Ticket)))


def anonymise_ticket(session: Session, ticket: Ticket, contact_id: int, now: datetime) -> None:
    """The phone goes with its owner; the home and what was said only where nobody else reported it."""
    parties = select(func.count()).where(TicketContact.ticket_id == ticket.id)
    if ticket.contact_id == contact_id:
        _drop_phone(ticket)
    if (session.scalar(parties) or 0) <= 1:
        empty_ticket(session, ticket, now)


def empty_ticket(session: Session, ticket: Ticket, now: datetime) -> None:
    """Take phone, door and notes away from a settled ticket; what it was about, where and when stays, for the figures."""
    _drop_phone(ticket)
    ticket.room = ticket.home_key = None
    session.execute(delete(Media).where(Media.ticket_id == ticket.id).execution_options(synchronize_session=False))
    ticket.emptied_at = now
    session.execute(delete(Media).where(Media.ticket_id == ticket.id))
    for line in session.scalars(select(Update).where(Update.ticket_id == ticket.id)):
        line.told = None
        line.note = _DIGITS.sub("•••", line.note) if line.note and line.actor == "staff" else None


def _drop_phone(ticket: Ticket) -> None:
    ticket.phone = ticket.phone_hash = ticket.phone_tail_hash = None
    ticket.account_no, ticket.phone_typed = None, False


def _anonymise_resident(session: Session, contact: Contact) -> None:
    others = select(func.count()).where(Contact.resident_id == contact.resident_id, Contact.id != contact.id)
    if not session.scalar(others):
        values: dict[str, Any] = {"name": None, "phone": None, "phone_hash": None}
        session.execute(update(Resident).where(Resident.id == contact.resident_id).values(**values))
