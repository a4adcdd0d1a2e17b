"""How staff are reached: a text to a member's phone and a line in the group's chat, through the same outbox as residents.

The phone gets the whole address, for whoever is called must go there; the group sees it masked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from bot import crypto, outbox
from bot.change import Context
from bot.channels import Channel, Entry
from bot.duty_models import Member
from bot.models import Contact, Resident, Ticket
from bot.texts import address_line, render
from bot.upsert import insert_ignoring
from bot.ways import MAINLAND_FIRST

ROBOT = "wecom_robot"  # the channel, the medium and the one address of the group
_ROOM_END = 2  # characters of a room that a group may see


def page(
    context: Context,
    channels: Mapping[str, Channel],
    member: Member,
    key: str,
    params: Mapping[str, str],
    *,
    occasion: str,
    ticket: Ticket | None = None,
) -> bool:
    """Queue a text to a member's phone; False where there is no phone, or no channel to it.

    The occasion makes it once: the same member is not told the same step twice, however many workers there are.
    """
    contact = contact_of(context.session, channels, member, context.now)
    if contact is None:
        return False
    _queue(context, contact, key, params, occasion, ticket)
    return True


def tell_group(
    context: Context,
    channels: Mapping[str, Channel],
    key: str,
    params: Mapping[str, str],
    *,
    occasion: str,
    ticket: Ticket | None = None,
) -> bool:
    """Queue a line for the group's chat; False where the robot is switched off. `params` must be fit for a group."""
    if ROBOT not in channels:
        return False
    contact = _contact(context.session, ROBOT, ROBOT, "group", context.now)
    _queue(context, contact, key, params, occasion, ticket)
    return True


def _queue(
    context: Context, contact: Contact, key: str, params: Mapping[str, str], occasion: str, ticket: Ticket | None
) -> None:
    medium = "sms" if contact.medium == "sms" else "wechat"
    outbox.queue(
        context.session,
        contact,
        render(context.book, key, medium, params),
        occasion=occasion,
        kind="urgent",
        now=context.now,
        ticket=ticket,
        entries=[Entry(key, params)],
    )


def contact_of(session: Session, channels: Mapping[str, Channel], member: Member, now: datetime) -> Contact | None:
    """The contact behind a member's phone, made at the first need; None where no SMS provider is switched on."""
    if not member.phone:
        return None
    name = next((name for name in MAINLAND_FIRST if name in channels), None)
    return _contact(session, "sms", name, member.phone, now) if name is not None else None


def _contact(session: Session, medium: str, channel: str, address: str, now: datetime) -> Contact:
    hashed = crypto.blind_index(medium, address)
    known = select(Contact).where(Contact.medium == medium, Contact.address_hash == hashed)
    if (found := session.scalar(known)) is not None:
        return found
    resident = Resident(created_at=now)
    session.add(resident)
    session.flush()
    row = {
        "resident_id": resident.id,
        "medium": medium,
        "channel": channel,
        "address": address,
        "address_hash": hashed,
        "created_at": now,
        "following": True,
        "pending_lane": 1,
        "turns": 0,
        "message_left": 0,
        "action_left": 0,
        "holding": False,
    }
    if not insert_ignoring(session, Contact, [row], ["medium", "address_hash"]):
        session.execute(delete(Resident).where(Resident.id == resident.id))
    return session.scalars(known).one()


def whole_address(ticket: Ticket | None) -> str:
    """Where to go, in full; said as not known where it is not."""
    line = address_line(ticket.community, ticket.building, ticket.unit, ticket.room) if ticket is not None else ""
    return line or "地址还没问到"


def masked_address(ticket: Ticket | None) -> str:
    """Where it is as a group may see it: 阳光花园3号楼*单元**01室."""
    if ticket is None or not ticket.community:
        return "地址还没问到"
    unit = "*" if ticket.unit else None
    return address_line(ticket.community, ticket.building, unit, _masked_room(ticket.room))


def _masked_room(room: str | None) -> str | None:
    return "*" * max(0, len(room) - _ROOM_END) + room[-_ROOM_END:] if room else None


def phone_of(ticket: Ticket | None, contact: Contact | None) -> str:
    """The number to call, as it is dialled here; "" where there is none."""
    if ticket is not None and ticket.phone:
        return ticket.phone.removeprefix("+86")
    if contact is None:
        return ""
    number = contact.address if contact.medium == "sms" else contact.resident.phone
    return (number or "").removeprefix("+86")


def brief(text: str, longest: int = 30) -> str:
    """The beginning of what a resident wrote, on one line."""
    plain = re.sub(r"\s+", " ", text).strip()
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"
