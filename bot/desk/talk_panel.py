"""Beside a conversation: who has it, what may still be sent, and the field to write in."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import clock, staff, takeovers, ways
from bot.desk import canned
from bot.desk.pages import me, services
from bot.desk.talk import Line
from bot.models import Contact, Staff, Ticket


@dataclass(frozen=True, slots=True)
class Panel:
    """What the panel of one contact shows."""

    contact: Contact
    ticket: Ticket | None
    holder: str | None  # who talks in the bot's place
    mine: bool
    returns_at: datetime | None
    heard: int  # the last message on the page
    nonce: str  # what makes a form that is sent twice one reply
    left: int | None  # texts that may still be pushed; None: not rationed
    elsewhere: bool  # where none is left, the phone that they told us takes it
    texts: list[canned.Canned]


def build(session: Session, contact: Contact | None, ticket: Ticket | None, lines: list[Line]) -> Panel | None:
    """The panel; None where there is nobody to talk with or this account talks with nobody."""
    if contact is None or not staff.may(me(), staff.CALL):
        return None
    row, now = takeovers.current(session, contact.id), clock.now()
    holder = session.scalar(select(Staff.name).where(Staff.id == row.staff_id)) if row is not None else None
    return Panel(
        contact=contact,
        ticket=ticket,
        holder=holder,
        mine=row is not None and row.staff_id == me().id,
        returns_at=row.returns_at if row is not None else None,
        heard=max((line.message_id or 0 for line in lines), default=0),
        nonce=secrets.token_hex(8),
        left=ways.left(contact, now),
        elsewhere=contact.medium != "sms" and bool(contact.resident.phone),
        texts=canned.offered(services().rules.current(), canned.REPLY, ticket),
    )
