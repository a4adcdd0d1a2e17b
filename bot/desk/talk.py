"""What was said: the messages of contacts and the texts they were sent, in order of time, as one conversation."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.channels.telephone import TELEPHONE
from bot.desk import words
from bot.desk.media import SHOWN, of_messages
from bot.models import Delivery, Message, Staff
from bot.push_models import Media

BEFORE, AFTER = timedelta(hours=24), timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Line:
    """One text of a conversation. `state` and `error` tell how far ours got; `intent` what theirs was taken for."""

    said_by: str  # resident | us
    at: datetime
    text: str
    contact_id: int
    message_id: int | None = None
    intent: str | None = None
    state: str | None = None
    error: str | None = None
    media: tuple[Shown, ...] = ()
    writer: str | None = None  # who of us wrote it; None: the bot
    typed_by: str | None = None  # who of us typed what a caller said


@dataclass(frozen=True, slots=True)
class Shown:
    """A photo, a voice message or a film beside a text; `state` is wanted, kept or lost."""

    id: int
    kind: str
    state: str
    inline: bool


def between(
    session: Session, contacts: Sequence[int], since: datetime, until: datetime, limit: int = 200
) -> list[Line]:
    """The last `limit` texts between two moments, oldest first."""
    messages = session.scalars(
        select(Message)
        .where(Message.contact_id.in_(contacts), Message.received_at >= since, Message.received_at <= until)
        .order_by(Message.received_at.desc(), Message.id.desc())
        .limit(limit)
    ).all()
    deliveries = session.execute(
        select(Delivery, Staff.name)
        .outerjoin(Staff, Staff.id == Delivery.staff_id)
        .where(Delivery.contact_id.in_(contacts), Delivery.created_at >= since, Delivery.created_at <= until)
        .order_by(Delivery.created_at.desc(), Delivery.id.desc())
        .limit(limit)
    ).all()
    kept = of_messages(session, [message.id for message in messages if message.kind != "text"])
    typists = _typists(session, messages)
    heard = (_heard(message, kept.get(message.id, []), typists.get(message.id)) for message in reversed(messages))
    lines = [*heard, *(_told(*row) for row in reversed(deliveries))]
    # A reply bears the same moment as its message where the clock is coarse; theirs comes first.
    return sorted(lines, key=lambda line: (line.at, line.said_by == "us"))[-limit:]


def around(session: Session, message: Message, before: int = 10, after: int = 6) -> list[Line]:
    """The texts just before and after one message of one contact."""
    at = message.received_at
    lines = between(session, [message.contact_id], at - BEFORE, at + AFTER)
    places = [place for place, line in enumerate(lines) if line.message_id == message.id]
    if not places:
        return [_heard(message, of_messages(session, [message.id]).get(message.id, []))]
    return lines[max(0, places[0] - before) : places[0] + after + 1]


def _typists(session: Session, messages: Sequence[Message]) -> dict[int, str]:
    """The names of who typed messages of callers, by the message's id."""
    spoken = [message for message in messages if message.channel == TELEPHONE.name and message.payload]
    typed = {message.id: json.loads(message.payload or "{}").get("typed_by") for message in spoken}
    if not typed:
        return {}
    query = select(Staff.id, Staff.name).where(Staff.id.in_(typed.values()))
    names = {row.id: row.name for row in session.execute(query)}
    return {message_id: names[staff_id] for message_id, staff_id in typed.items() if staff_id in names}


def _heard(message: Message, media: Sequence[Media], typed_by: str | None = None) -> Line:
    return Line(
        said_by="resident",
        at=message.received_at,
        text=shown_text(message),
        contact_id=message.contact_id,
        message_id=message.id,
        intent=message.intent,
        media=tuple(shown(item) for item in media),
        typed_by=typed_by,
    )


def shown(item: Media) -> Shown:
    """A photo, a voice message or a film as a page tells of it."""
    return Shown(item.id, item.kind, item.state, item.kind == "voice" or item.content_type in SHOWN)


def shown_text(message: Message) -> str:
    """A message's words, with its kind in front where it is more than words."""
    if message.kind == "text":
        return message.text
    return f"［{words.MESSAGE_KINDS.get(message.kind, '其他消息')}］{message.text}"


def _told(delivery: Delivery, writer: str | None) -> Line:
    # What answers a caller is spoken, and has no way to go wrong.
    spoken = delivery.message_id is not None and delivery.contact.medium == TELEPHONE.medium
    return Line(
        said_by="us",
        at=delivery.created_at,
        text=delivery.text,
        contact_id=delivery.contact_id,
        state=None if spoken else delivery.state,
        error=delivery.error,
        writer=writer,
    )
