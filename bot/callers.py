"""One telephone number: who calls from it, the contacts that it belongs to, and the contact that its texts go to.

A caller is a contact of their own (medium `phone`): a number that rings proves less than one that texts, since what the
telephone network shows can be forged.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.orm import Session

from bot import crypto
from bot.channels.phone import is_possible, normalise
from bot.models import Contact, Resident
from bot.upsert import insert_new

_LOCAL = re.compile(r"^\+86")


def number_in(typed: str) -> str | None:
    """A typed or reported number in E.164; None where it is none (withheld, an extension)."""
    number = normalise(re.sub(r"[\s\-()（）.]", "", typed))
    return number if number.startswith("+") and is_possible(number) else None


def number_of(contact: Contact) -> str | None:
    """The number of a contact, in E.164: their own on a phone, else one that they have told."""
    own = contact.address if contact.medium in ("sms", "phone") else contact.resident.phone
    return number_in(own) if own else None


def hash_of(number: str) -> str:
    """What a number in E.164 is found by."""
    return crypto.blind_index("phone", number)


def contact_of(session: Session, medium: str, channel: str, number: str, now: datetime) -> Contact:
    """The number's contact on `medium` (sms or phone), locked; made where there is none. `channel` carries a new one's texts."""
    hashed = crypto.blind_index(medium, number)
    locked = select(Contact).where(Contact.medium == medium, Contact.address_hash == hashed)
    known = session.scalar(locked.with_for_update(of=Contact))
    if known is None:
        _make(session, medium, channel, number, now)
        known = session.scalars(locked.with_for_update(of=Contact)).one()
    return known


def _make(session: Session, medium: str, channel: str, number: str, now: datetime) -> None:
    resident = Resident(phone=number, phone_hash=hash_of(number), created_at=now)
    session.add(resident)
    session.flush()
    row = {
        "resident_id": resident.id,
        "medium": medium,
        "channel": channel,
        "address": number,
        "address_hash": crypto.blind_index(medium, number),
        "created_at": now,
    }
    if insert_new(session, Contact, row, ["medium", "address_hash"]) is None:  # somebody else has made it meanwhile
        session.execute(delete(Resident).where(Resident.id == resident.id))


def contacts_of(session: Session, number: str) -> Sequence[Contact]:
    """Everybody who is known by a number in E.164: who texts or calls from it, and who has told it on another medium."""
    own = [
        and_(Contact.medium == medium, Contact.address_hash == crypto.blind_index(medium, number))
        for medium in ("phone", "sms")
    ]
    forms = [hash_of(form) for form in {number, _LOCAL.sub("", number)}]
    told = select(Resident.id).where(Resident.phone_hash.in_(forms))
    query = select(Contact).where(or_(*own, Contact.resident_id.in_(told)))
    return session.scalars(query.order_by(Contact.id)).all()
