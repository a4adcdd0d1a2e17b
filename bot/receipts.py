"""收到 from a member's phone: it acknowledges the alerts and takes the jobs that they were told of.

Only this word, from a known phone, while something is outstanding: a member is a resident too, and everything else they
write is answered as anybody's. Understanding is not asked.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import alerts, dispatch
from bot.change import Context
from bot.channels import Entry
from bot.database import Database
from bot.duty_models import Member
from bot.inbox import Pending
from bot.models import Contact
from bot.texts import render

_WORD = re.compile(r"^\W*(?:好的?[,，\s]*)?(?:已?收到|已?接单|确认收到)(?:了|啦|嘞)?\W*$")


def is_word(text: str) -> bool:
    """Whether a text is nothing but 收到 or 接单."""
    return len(text) <= 12 and _WORD.match(text.strip()) is not None


def is_from_member(database: Database, contact_id: int, messages: Sequence[Pending]) -> bool:
    """Whether these messages are a member's receipt, so that understanding need not be asked."""
    if not all(is_word(message.text) for message in messages):
        return False
    with database.reading() as session:
        contact = session.get(Contact, contact_id)
        return contact is not None and _member(session, contact) is not None


def _member(session: Session, contact: Contact) -> Member | None:
    if contact.medium != "sms":
        return None
    return session.scalar(
        select(Member).where(Member.phone_hash == contact.address_hash, Member.active).order_by(Member.id).limit(1)
    )


def take(context: Context, contact: Contact, messages: Sequence[Pending]) -> tuple[str, list[Entry]] | None:
    """Take a receipt; returns what the member hears, or None where it is none or nothing was outstanding."""
    if not all(is_word(message.text) for message in messages):
        return None
    member = _member(context.session, contact)
    if member is None:
        return None
    taken = alerts.acknowledge_by_member(context, member)
    numbers = [alert.ticket.number for alert in taken if alert.ticket is not None]
    numbers += dispatch.accept_by_member(context, member)
    if not taken and not numbers:
        return None
    named = "、".join(dict.fromkeys(numbers))
    entry = Entry("staff.taken", {"numbers": f"：{named}" if named else ""})
    return render(context.book, entry.key, contact.medium, entry.params), [entry]
