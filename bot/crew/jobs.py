"""/crew/: my jobs by estate and building, and what waits to be taken; /crew/jobs/<number>: one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from flask import Response, abort
from sqlalchemy import ColumnElement, and_, false, or_, select
from sqlalchemy.orm import Session, undefer

from bot.crew.pages import blueprint, find, is_mine, my_own, page, to_take
from bot.desk import ticket_time, words
from bot.desk.media import answer_with
from bot.desk.pages import services
from bot.desk.talk import shown_text
from bot.duty_models import Member
from bot.models import Message, Staff, Ticket, Update
from bot.moves import Step
from bot.push_models import Media
from bot.rules import RuleBook
from bot.texts import address_line

MAX_SHOWN = 60  # tickets of one list: a page stays small on a bad network
LAST_WORDS = 12  # of the resident's messages
LAST_NOTES = 12
TALK_BEFORE = timedelta(hours=1)  # twice as long as a conversation lasts without a word
UNTAKEN = ("accept", "return")  # the moves of a ticket that nobody has taken


@dataclass(frozen=True, slots=True)
class Place:
    """The tickets of one building, the most urgent first."""

    name: str
    tickets: list[Ticket]
    due: datetime | None


@blueprint.get("/")
def jobs() -> str:
    """What this member has taken, and what waits to be taken."""
    with services().database.reading() as session:
        mine, waiting = _tickets(session, my_own()), _tickets(session, to_take())
        due = ticket_time.soonest(session, [*mine, *waiting])
        return page("jobs.html", mine=_places(mine, due), waiting=_places(waiting, due), due=due, address=address_line)


def _tickets(session: Session, condition: Sequence[ColumnElement[bool]]) -> Sequence[Ticket]:
    order = (Ticket.priority, Ticket.weight.desc(), Ticket.opened_at, Ticket.id)
    return session.scalars(select(Ticket).where(*condition).order_by(*order).limit(MAX_SHOWN)).all()


def _places(tickets: Sequence[Ticket], due: Mapping[int, datetime]) -> list[Place]:
    """By building: the place with the most urgent ticket first, then the one whose limit comes first."""
    found: dict[str, list[Ticket]] = {}
    for ticket in tickets:
        name = address_line(ticket.community, ticket.building, None, None) or "地址还不全"
        found.setdefault(name, []).append(ticket)
    places = []
    for name, there in found.items():
        limits = [due[ticket.id] for ticket in there if ticket.id in due]
        places.append(Place(name, sorted(there, key=lambda one: _rank(one, due)), min(limits, default=None)))
    return sorted(places, key=lambda place: (_rank(place.tickets[0], due), place.name))


def _rank(ticket: Ticket, due: Mapping[int, datetime]) -> tuple[int, bool, float]:
    limit = due.get(ticket.id)
    return ticket.priority, limit is None, limit.timestamp() if limit else 0.0


@blueprint.get("/jobs/<number>")
def job(number: str) -> str:
    """One job."""
    return show(number)


def show(number: str, problem: str | None = None, draft: Mapping[str, str] | None = None) -> str:
    """A job's page, with why a change was refused and what had been typed."""
    with services().database.reading() as session:
        ticket = find(session, number)
        if ticket is None:
            abort(404)
        book, mine = services().rules.current(), is_mine(ticket)
        return page(
            "job.html",
            ticket=ticket,
            mine=mine,
            address=address_line(ticket.community, ticket.building, ticket.unit, ticket.room),
            map_link=map_link(book, ticket),
            due=ticket_time.soonest(session, [ticket]).get(ticket.id),
            said=_said(session, ticket, mine),
            photos=_photos(session, ticket) if mine else [],
            readings=ticket_time.readings(session, ticket),
            notes=_notes(session, ticket),
            steps={step.key: step for step in open_steps(book, ticket)},
            problem=problem,
            draft=draft or {},
        )


def open_steps(book: RuleBook, ticket: Ticket) -> list[Step]:
    """The moves that the crew's buttons offer now, in the order of the rule."""
    may = {step.key: step for step in book.table.open_to(ticket.status, "staff")}
    offered = book.raw["crew"]["buttons"] if is_mine(ticket) else UNTAKEN
    return [may[key] for key in offered if key in may and not (is_mine(ticket) and key == "accept")]


def map_link(book: RuleBook, ticket: Ticket) -> str | None:
    """Where 导航 leads: the map's search for estate and building. Which home it is stays with us."""
    place = address_line(ticket.community, ticket.building, None, None)
    if not place:
        return None
    return str(book.raw["crew"]["map"]).replace("{address}", quote(f"{ticket.district or ''}{place}"))


def _said(session: Session, ticket: Ticket, mine: bool) -> list[tuple[datetime, str]]:
    """The resident's own words about this ticket, oldest first; numbers in them are masked until it is taken."""
    query = select(Message).where(_about(ticket)).order_by(Message.id.desc()).limit(LAST_WORDS)
    found = [(message.received_at, shown_text(message)) for message in session.scalars(query)]
    return [(at, text if mine else words.mask_numbers(text)) for at, text in reversed(found)]


def _about(ticket: Ticket) -> ColumnElement[bool]:
    """The messages about a ticket: also those with which the talk began that opened it, before it had an address."""
    began = and_(
        Message.ticket_id.is_(None),
        Message.contact_id == ticket.contact_id,
        Message.received_at.between(ticket.opened_at - TALK_BEFORE, ticket.opened_at),
    )
    return or_(Message.ticket_id == ticket.id, began)


def _photos(session: Session, ticket: Ticket) -> Sequence[Media]:
    """The photos that belong to this ticket: the residents', and the crew's own."""
    theirs = select(Message.id).where(_about(ticket))
    query = select(Media).where(Media.state == "kept", Media.kind == "image")
    of_it = Media.message_id.in_(theirs) | (Media.ticket_id == ticket.id)
    return session.scalars(query.where(of_it).order_by(Media.id.desc()).limit(LAST_WORDS)).all()


def _notes(session: Session, ticket: Ticket) -> list[tuple[Update, str | None]]:
    """The last lines of the history that say something, newest first, with who of us did it."""
    query = (
        select(Update, Staff.name, Member.name)
        .outerjoin(Staff, Staff.id == Update.staff_id)
        .outerjoin(Member, Member.id == Update.member_id)
        .where(Update.ticket_id == ticket.id, Update.kind.in_(("moved", "note", "measured", "called", "chased")))
        .order_by(Update.id.desc())
        .limit(LAST_NOTES)
    )
    return [(line, member or staff) for line, staff, member in session.execute(query)]


@blueprint.get("/media/<int:media_id>")
def media(media_id: int) -> Response:
    """A photo of one of this member's own jobs."""
    with services().database.reading() as session:
        found = session.scalar(
            select(Media).where(Media.id == media_id, Media.state == "kept").options(undefer(Media.content))
        )
        if found is None or found.content is None or not _is_of_mine(session, found):
            abort(404)
        return answer_with(found)


def _is_of_mine(session: Session, found: Media) -> bool:
    mine = session.scalars(select(Ticket).where(*my_own()).limit(MAX_SHOWN)).all()
    if found.message_id is None:
        return any(ticket.id == found.ticket_id for ticket in mine)
    about = or_(false(), *(_about(ticket) for ticket in mine))
    return session.scalar(select(Message.id).where(Message.id == found.message_id, about)) is not None
