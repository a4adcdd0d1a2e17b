"""/desk/tickets/<number>: one ticket with its facts, its history and the conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from flask import abort, request
from sqlalchemy import func, select
from sqlalchemy.orm import Session, selectinload

from bot import clock, staff, standing
from bot.desk import canned, media, presence, talk, talk_panel, ticket_time
from bot.desk.pages import blueprint, me, page, permit, services, within_reach
from bot.duty_models import Member
from bot.models import Callback, Contact, Staff, Team, Ticket, TicketContact, Update
from bot.texts import address_line
from nlu.types import INTENTS

TALK_BEFORE, TALK_AFTER = timedelta(hours=6), timedelta(days=3)
MAX_PARTIES = 30  # reporters listed beside a ticket; a station's failure may have thousands


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a change was refused, and what had been typed, so that nobody types it twice."""

    message: str
    form: Mapping[str, str]
    status: int = 409


@blueprint.get("/tickets/<number>")
def ticket(number: str) -> str:
    """One ticket."""
    permit(staff.SEE)
    with services().database.reading() as session:
        ticket_id = reachable(session, number).id
    presence.note(ticket_id)
    return show(number)


def show(number: str, problem: Problem | None = None, contact_id: int | None = None) -> str:
    """The ticket's page, with the refusal of a change where there was one; `contact_id`: whose conversation is shown."""
    with services().database.reading() as session:
        row = reachable(session, number)
        parties, more = _parties(session, row)
        shown = _chosen(parties, contact_id)
        lines = _lines(session, row, shown)
        book = services().rules.current()
        return page(
            session,
            "ticket.html",
            ticket=row,
            address=address_line(row.community, row.building, row.unit, row.room),
            history=_history(session, row),
            photos=media.of_updates(session, row),
            holder=session.get(Member, row.member_id) if row.member_id else None,
            parties=parties,
            more_parties=more,
            shown=shown,
            belongs=standing.known_by(session, row, shown.id) if shown is not None else None,
            lines=lines,
            panel=talk_panel.build(session, shown, row, lines),
            note_texts=canned.offered(book, canned.NOTE, row),
            moves=[step for step in book.table.open_to(row.status, "staff") if step.key not in ("merge", "split")],
            can_merge="merged" in book.moves[row.status],
            splits=row.also if row.status in book.table.steps["split"].before else [],
            clocks=ticket_time.clock_lines(session, row, book, clock.now()),
            late=ticket_time.open_escalations(session, row),
            clock_names=book.clocks.names,
            ladder=book.clocks.ladder,
            steps=book.table.steps,
            readings=ticket_time.readings(session, row),
            merged_into=session.get(Ticket, row.merged_into_id) if row.merged_into_id else None,
            callbacks=_callbacks(session, row),
            kinds=[intent for intent in INTENTS if intent in book.tickets["faults"]],
            teams=session.scalars(select(Team).order_by(Team.name)).all() if staff.sees_all(me()) else [],
            others=presence.tell(presence.others(session, row.id, clock.now())),
            problem=problem,
            draft=problem.form if problem else {},
        )


def reachable(session: Session, number: str, *, lock: bool = False) -> Ticket:
    """The ticket of a number; 404 where there is none or the asker may not see it."""
    query = select(Ticket).where(Ticket.number == number, *within_reach()).options(selectinload(Ticket.team))
    row = session.scalar(query.with_for_update(of=Ticket) if lock else query)
    if row is None:
        abort(404)
    return row


def _parties(session: Session, row: Ticket) -> tuple[list[Contact], bool]:
    """Who hears of the ticket, its first reporter first; and whether there are more than are listed."""
    query = (
        select(Contact)
        .join(TicketContact, TicketContact.contact_id == Contact.id)
        .where(TicketContact.ticket_id == row.id)
        .order_by(TicketContact.joined_at, Contact.id)
        .limit(MAX_PARTIES + 1)
    )
    found = list(session.scalars(query))
    return found[:MAX_PARTIES], len(found) > MAX_PARTIES


def _chosen(parties: list[Contact], contact_id: int | None) -> Contact | None:
    """The party whose conversation is shown: the one that was asked for, else the first reporter."""
    asked = request.args.get("contact", "") if contact_id is None else str(contact_id)
    return next((contact for contact in parties if str(contact.id) == asked), parties[0] if parties else None)


def _lines(session: Session, row: Ticket, contact: Contact | None) -> list[talk.Line]:
    if contact is None:
        return []
    until = (row.closed_at or clock.now()) + TALK_AFTER
    return talk.between(session, [contact.id], row.opened_at - TALK_BEFORE, until)


def _history(session: Session, row: Ticket) -> list[tuple[Update, str | None]]:
    """The ticket's updates, newest first, each with the name of who of us is behind it."""
    query = (
        select(Update, func.coalesce(Staff.name, Member.name))
        .outerjoin(Staff, Staff.id == Update.staff_id)
        .outerjoin(Member, Member.id == Update.member_id)
        .where(Update.ticket_id == row.id)
        .order_by(Update.id.desc())
    )
    return [(update, name) for update, name in session.execute(query)]


def _callbacks(session: Session, row: Ticket) -> list[Callback]:
    """Calls that are owed for this ticket."""
    owed = select(Callback).where(Callback.ticket_id == row.id, Callback.done_at.is_(None)).order_by(Callback.due_at)
    return list(session.scalars(owed))
