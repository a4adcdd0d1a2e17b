"""/desk/live: what has changed, as server-sent events that hold no thread.

A stream that stays open would cost a thread of the web server for each viewer, and webhooks need those. So each answer
says what is to be said and ends; by its `retry` line the browser comes again after a few seconds, with the id of what it
knows, and is sent nothing where nothing has changed. Any number of pages may be open at the price of one small request each.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from flask import Response, request
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot import clock, staff
from bot.desk import presence
from bot.desk.pages import blueprint, me, permit, services, within_reach
from bot.desk.search import WAITING
from bot.desk.ticket_page import reachable
from bot.models import Contact, Delivery, Message, Ticket, TicketContact, Update
from bot.push_models import Media

RETRY = 3000  # milliseconds until the browser asks again
COUNTED = 999  # waiting tickets; with more the title says 999+
WATCHED = 30  # the newest texts of a conversation whose progress is told


@blueprint.get("/live")
def live() -> Response:
    """How many tickets wait, and marks that change when the list or the ticket that is shown changes."""
    permit(staff.SEE)
    number, contact = request.args.get("ticket", "")[:20], request.args.get("contact", "")
    contact_id = int(contact) if contact.isascii() and contact.isdecimal() and len(contact) < 18 else 0
    with services().database.reading() as session:
        ticket = reachable(session, number) if number else None
        said: dict[str, Any] = {"waiting": _waiting(session), "list": session.scalar(select(func.max(Update.id))) or 0}
        if ticket is not None:
            said["ticket"] = _mark(session, ticket, contact_id)
            said["others"] = presence.tell(presence.others(session, ticket.id, clock.now()))
            ticket_id = ticket.id
        elif contact_id and staff.may(me(), staff.CALL):
            said["ticket"] = _digest(_talk(session, contact_id))
    if ticket is not None:
        presence.note(ticket_id)
    data = json.dumps(said, ensure_ascii=False)
    token = hashlib.sha256(data.encode()).hexdigest()[:16]
    news = f"id: {token}\ndata: {data}\n\n" if request.headers.get("Last-Event-ID") != token else ""
    return Response(f"retry: {RETRY}\n\n{news}", content_type="text/event-stream; charset=utf-8")


@blueprint.post("/tickets/<number>/writing")
def note_writing(number: str) -> tuple[str, int]:
    """This account is filling in a form of the ticket."""
    permit(staff.SEE)
    with services().database.reading() as session:
        ticket_id = reachable(session, number).id
    presence.note(ticket_id, writing=True)
    return "", 204


def _waiting(session: Session) -> int:
    waiting = select(Ticket.id).where(Ticket.status.in_(WAITING), *within_reach()).limit(COUNTED + 1).subquery()
    return session.scalar(select(func.count()).select_from(waiting)) or 0


def _mark(session: Session, ticket: Ticket, contact_id: int) -> str:
    """What differs once anything on the ticket's page does; the contact counts only where they are a party."""
    last = select(func.max(Update.id)).where(Update.ticket_id == ticket.id)
    party = session.get(TicketContact, (ticket.id, contact_id)) is not None
    return _digest([ticket.version, session.scalar(last), *(_talk(session, contact_id) if party else [])])


def _talk(session: Session, contact_id: int) -> list[Any]:
    """What differs once a conversation goes on, or who leads it changes."""
    newest = select(func.max(Message.id)).where(Message.contact_id == contact_id)
    texts = select(Delivery.id, Delivery.state).where(Delivery.contact_id == contact_id)
    photos = select(Media.id, Media.state).join(Message, Message.id == Media.message_id)
    photos = photos.where(Message.contact_id == contact_id)
    return [
        session.scalar(newest),
        session.scalar(select(Contact.taken_over_by).where(Contact.id == contact_id)),
        [tuple(row) for row in session.execute(texts.order_by(Delivery.id.desc()).limit(WATCHED))],
        [tuple(row) for row in session.execute(photos.order_by(Media.id.desc()).limit(WATCHED))],
    ]


def _digest(seen: list[Any]) -> str:
    return hashlib.sha256(repr(seen).encode()).hexdigest()[:16]
