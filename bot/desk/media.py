"""/desk/media/<id>: a resident's photo, voice message or film, for who may read the conversation; a crew's of a ticket."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Response, abort
from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from bot import staff, voice
from bot.desk.pages import blueprint, me, services, within_reach
from bot.models import Message, Ticket, TicketContact
from bot.push_models import Media

# What browsers may show in place; anything else is a file to be saved, whatever it says it is.
WAV = "audio/wav"
SHOWN = frozenset(
    {"image/jpeg", "image/jpg", "image/png", "image/gif", "image/webp", "audio/mpeg", "audio/mp3", WAV, "video/mp4"}
)
_ALIASES = {"image/jpg": "image/jpeg"}
_ENDINGS = {"image": "jpg", "voice": "amr", "video": "mp4"}


@blueprint.get("/media/<int:media_id>")
def media(media_id: int) -> Response:
    """The content, decrypted. 404 for what is not there (any more) and for what this account may not see."""
    with services().database.reading() as session:
        found = session.scalar(
            select(Media).where(Media.id == media_id, Media.state == "kept").options(undefer(Media.content))
        )
        if found is None or found.content is None or not _may_see(session, found):
            abort(404)
        return answer_with(found)


def answer_with(found: Media) -> Response:
    """The content as browsers may show it; what they may not is a file to be saved."""
    content, kind = _playable(found.content or b"", found.content_type or "")
    inline = kind in SHOWN
    name = f"heatline-{found.id}.{'wav' if kind == WAV else _ENDINGS.get(found.kind, 'bin')}"
    response = Response(content, content_type=kind if inline else "application/octet-stream")
    response.headers["Content-Disposition"] = f'{"inline" if inline else "attachment"}; filename="{name}"'
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _playable(content: bytes, content_type: str) -> tuple[bytes, str]:
    """What a browser can play, and its type; a recording that cannot be turned stays what it is."""
    if not voice.is_amr(content):
        return content, _ALIASES.get(content_type, content_type)
    try:
        return voice.wav(content), WAV
    except voice.VoiceError:
        return content, "audio/amr"


def _may_see(session: Session, found: Media) -> bool:
    """Whoever sees every ticket or judges messages; a crew what belongs to a ticket of its own team."""
    if staff.sees_all(me()) and staff.may(me(), staff.SEE):
        return True
    if found.message_id is not None and staff.may(me(), staff.REVIEW):
        return True
    if not staff.may(me(), staff.SEE):
        return False
    if found.ticket_id is not None:
        reach = select(Ticket.id).where(Ticket.id == found.ticket_id, *within_reach())
        return session.scalar(reach) is not None
    theirs = (
        select(Ticket.id)
        .join(TicketContact, TicketContact.ticket_id == Ticket.id)
        .join(Message, Message.contact_id == TicketContact.contact_id)
        .where(Message.id == found.message_id, *within_reach())
        .limit(1)
    )
    return session.scalar(theirs) is not None


def of_updates(session: Session, ticket: Ticket) -> dict[int, list[Media]]:
    """What the crew photographed, by the line of the ticket's history that tells of it."""
    found: dict[int, list[Media]] = {}
    query = select(Media).where(Media.ticket_id == ticket.id, Media.state == "kept").order_by(Media.id)
    for item in session.scalars(query):
        found.setdefault(item.update_id or 0, []).append(item)
    return found


def of_messages(session: Session, message_ids: Iterable[int]) -> dict[int, list[Media]]:
    """What each message brought besides words; the content is not read."""
    wanted = set(message_ids)
    found: dict[int, list[Media]] = {}
    if wanted:
        for item in session.scalars(select(Media).where(Media.message_id.in_(wanted)).order_by(Media.id)):
            found.setdefault(item.message_id or 0, []).append(item)
    return found
