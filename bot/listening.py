"""Voice messages without words: a person listens, and what was said goes the way of every message.

Each is a Review of the reason `voice`; its contact is owed the hearing (a Callback of the reason `voice`) within
`listen_minutes`, and who is late is told like every late call.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot import calls, outbox
from bot.change import Context
from bot.channels import Entry, Inbound
from bot.models import Callback, Contact, Message, Review
from bot.texts import render

VOICE = "voice"


def expect(context: Context, contact_id: int, message_id: int) -> None:
    """Somebody has to listen to this message, in the rules' `listen_minutes`."""
    minutes = context.book.raw["dialogue"]["listen_minutes"]
    calls.owe(context, contact_id, VOICE, message_id=message_id, minutes=float(minutes))


def waiting(session: Session, limit: int) -> list[Review]:
    """What nobody has listened to, the oldest first."""
    query = select(Review).where(Review.reason == VOICE, Review.decided_at.is_(None)).order_by(Review.id).limit(limit)
    return list(session.scalars(query))


def as_said(contact: Contact, message: Message, words: str, staff_id: int) -> Inbound | None:
    """What was heard, as a message of its contact; however often it is sent in, it is one message. None where the
    contact has been forgotten meanwhile.
    """
    if contact.address is None:
        return None
    return Inbound(
        channel=contact.channel,
        medium=contact.medium,
        provider_id=f"heard:{message.id}",
        sender=contact.address,
        recipient=contact.account or "",
        kind="text",
        text=words,
        sent_at=None,
        payload={"heard": message.id, "staff": staff_id},
    )


def settle(session: Session, review_id: int, staff_id: int, now: datetime) -> bool:
    """One recording is done with; False where a colleague was first. With the contact's last one the hearing is given."""
    done = session.execute(
        update(Review)
        .where(Review.id == review_id, Review.reason == VOICE, Review.decided_at.is_(None))
        .values(decided_at=now, decided_by=staff_id)
    )
    if not done.rowcount:  # type: ignore[attr-defined]
        return False
    contact_id = session.scalar(select(Message.contact_id).join(Review).where(Review.id == review_id))
    others = (
        select(Review.id)
        .join(Message)
        .where(Message.contact_id == contact_id, Review.reason == VOICE, Review.decided_at.is_(None))
    )
    if session.scalar(others.limit(1)) is None:
        session.execute(
            update(Callback)
            .where(Callback.contact_id == contact_id, Callback.reason == VOICE, Callback.done_at.is_(None))
            .values(done_at=now, done_by=staff_id)
        )
    return True


def ask_again(context: Context, review: Review) -> None:
    """The resident is asked, once for each recording, to say it again."""
    contact = context.session.get_one(Contact, review.message.contact_id)
    outbox.queue(
        context.session,
        contact,
        render(context.book, "system.voice_again", contact.medium, {}),
        occasion=f"voice:{review.message_id}:again",
        kind="reply",
        now=context.now,
        entries=[Entry("system.voice_again")],
    )
