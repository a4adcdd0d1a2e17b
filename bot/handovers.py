"""What residents agreed to have passed on to whoever serves their home: kept with their own words until a person has done it."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from bot.change import Context
from bot.duty_models import Handover
from bot.models import Community, Contact, Message
from bot.texts import address_line
from handlers.dialogue.types import Case

TOLD_WITHIN = timedelta(minutes=30)  # as long as a conversation lasts


def keep(context: Context, contact: Contact, case: Case, phone: str | None, said: str) -> None:
    """Keep what was agreed to: the words of this conversation, the address and the number; nothing else of the resident."""
    name = case.address.community
    company_id = context.session.scalar(select(Community.company_id).where(Community.name == name))
    if company_id is None:
        return  # it became ours a moment ago
    a = case.address
    context.session.add(
        Handover(
            contact_id=contact.id,
            company_id=company_id,
            text=_told(context, contact) or said,
            address=address_line(a.community, a.building, a.unit, a.room),
            phone=phone,
            agreed_at=context.now,
        )
    )
    context.session.flush()


def _told(context: Context, contact: Contact) -> str:
    """What the contact has written in this conversation, before they agreed."""
    query = select(Message.text).where(
        Message.contact_id == contact.id,
        Message.received_at > context.now - TOLD_WITHIN,
        Message.handled_at.is_not(None),
    )
    return "\n".join(text for text in context.session.scalars(query.order_by(Message.id)) if text)
