"""/desk/media/<id>: a photo, a voice message or a film of a resident, for who may read the conversation it came in."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Response, abort
from sqlalchemy import select
from sqlalchemy.orm import Session, undefer

from bot import staff
from bot.desk.pages import blueprint, me, services, within_reach
from bot.models import Message, Ticket, TicketContact
from bot.push_models import Media

# What browsers may show in place; anything else is a file to be saved, whatever it says it is.
SHOWN = frozenset(
    {"image/jpeg", "image/jpg", "image/png", "image/gif", "image/webp", "audio/mpeg", "audio/mp3", "video/mp4"}
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
        kind = _ALIASES.get(found.content_type or "", found.content_type or "")
        inline = kind in SHOWN
        name = f"heatline-{found.id}.{_ENDINGS.get(found.kind, 'bin')}"
        response = Response(found.content, content_type=kind if inline else "application/octet-stream")
    response.headers["Content-Disposition"] = f'{"inline" if inline else "attachment"}; filename="{name}"'
    response.headers["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response


def _may_see(session: Session, found: Media) -> bool:
    """Whoever sees every ticket or judges messages; a crew what belongs to a ticket of its own team."""
    if staff.may(me(), staff.REVIEW) or (staff.sees_all(me()) and staff.may(me(), staff.SEE)):
        return True
    if not staff.may(me(), staff.SEE):
        return False
    theirs = (
        select(Ticket.id)
        .join(TicketContact, TicketContact.ticket_id == Ticket.id)
        .join(Message, Message.contact_id == TicketContact.contact_id)
        .where(Message.id == found.message_id, *within_reach())
        .limit(1)
    )
    return session.scalar(theirs) is not None


def of_messages(session: Session, message_ids: Iterable[int]) -> dict[int, list[Media]]:
    """What each message brought besides words; the content is not read."""
    wanted = set(message_ids)
    found: dict[int, list[Media]] = {}
    if wanted:
        for item in session.scalars(select(Media).where(Media.message_id.in_(wanted)).order_by(Media.id)):
            found.setdefault(item.message_id, []).append(item)
    return found
