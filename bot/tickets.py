"""The only code that changes a ticket. Every change adds an Update; what residents must hear becomes a Delivery.

Functions take an open writing session and commit nothing themselves: a change, its history and its notices belong to
the caller's one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import outbox
from bot.channels import Entry
from bot.models import Contact, Task, Team, Ticket, TicketContact, Update
from bot.rules import RuleBook
from bot.texts import address_line, exists, render
from bot.ticket_facts import add_facts, address_of, home_key, put_address, put_phone, rank
from bot.upsert import count_up, insert_ignoring
from handlers.dialogue.types import Address, Case, EditTicket
from nlu.types import INTENTS


class MoveRefused(Exception):
    """The table of moves does not allow this one; the message says from where to where."""


@dataclass(frozen=True)
class Actor:
    """Who changes a ticket: a resident's contact, a member of staff, or the system itself."""

    kind: str  # resident | staff | system
    contact_id: int | None = None
    staff_id: int | None = None


SYSTEM = Actor("system")


@dataclass(frozen=True)
class Opened:
    """The ticket a report ended in; `joined` is None for a new one, "own" or "other" where it joined an open one."""

    ticket: Ticket
    joined: str | None = None


@dataclass(frozen=True)
class Context:
    """What every change needs: the session, the rules, the moment and the zone in which days are counted."""

    session: Session
    book: RuleBook
    now: datetime
    zone: ZoneInfo


def open_ticket(context: Context, contact: Contact, case: Case, *, incomplete: bool, phone: str | None) -> Opened:
    """Open a ticket for a case, or join the open one of the same fault at the same home.

    `phone` is the number to call where the case itself names none (an SMS sender's own).
    """
    key = home_key(case.address, case.scope)
    fault = context.book.fault(case.intent)
    existing = _open_ticket_at(context.session, key, fault) if key else None
    if existing is not None:
        return _join(context, existing, contact, case)
    number = next_number(context)
    # Two first reports at once have waited for one another to get their numbers; the second now sees the first.
    existing = _open_ticket_at(context.session, key, fault) if key else None
    if existing is not None:
        return _join(context, existing, contact, case)
    ticket = _new_ticket(context, contact, case, number, key, fault, incomplete, phone)
    context.session.add(ticket)
    context.session.flush()
    context.session.add(TicketContact(ticket_id=ticket.id, contact_id=contact.id, joined_at=context.now))
    _add_update(context, ticket, Actor("resident", contact.id), "opened", to_status=ticket.status)
    schedule_dispatch(context, ticket)
    return Opened(ticket)


def _open_ticket_at(session: Session, key: str, fault: str) -> Ticket | None:
    return session.scalar(
        select(Ticket).where(Ticket.home_key == key, Ticket.fault == fault, Ticket.closed_at.is_(None))
    )


def _join(context: Context, ticket: Ticket, contact: Contact, case: Case) -> Opened:
    own = is_party(context.session, ticket, contact.id)
    if not own:
        context.session.add(TicketContact(ticket_id=ticket.id, contact_id=contact.id, joined_at=context.now))
    if case.temperature is not None:
        ticket.temperature = case.temperature
    ticket.need = ticket.need or case.need == "yes"
    said = {*ticket.also, *case.also}  # the case's own intent is the same fault, told in other words
    ticket.also = [intent for intent in INTENTS if intent in said and intent != ticket.intent]
    rank(context.book, ticket)
    _add_update(context, ticket, Actor("resident", contact.id), "joined")
    return Opened(ticket, "own" if own else "other")


def is_party(session: Session, ticket: Ticket, contact_id: int) -> bool:
    """Whether a contact reported or joined this ticket."""
    return session.get(TicketContact, (ticket.id, contact_id)) is not None


def _new_ticket(
    context: Context,
    contact: Contact,
    case: Case,
    number: str,
    key: str | None,
    fault: str,
    incomplete: bool,
    phone: str | None,
) -> Ticket:
    ticket = Ticket(
        number=number,
        intent=case.intent,
        also=list(case.also),
        fault=fault,
        status="received",
        contact_id=contact.id,
        incomplete=incomplete,
        home_key=key,
        duration=case.duration,
        scope=case.scope,
        severity=case.severity,
        need=case.need == "yes",
        temperature=case.temperature,
        account_no=case.account_no,
        danger=case.danger,
        opened_at=context.now,
        status_at=context.now,
        chases=0,
        reopened=0,
    )
    put_address(context.session, context.book, ticket, case.address)
    if case.phone or phone:
        put_phone(ticket, case.phone or phone or "", typed=case.phone is not None)
    rank(context.book, ticket)
    return ticket


def next_number(context: Context) -> str:
    """The next number of the local day, such as N20261123-0007: short enough to be read out on the phone."""
    day = context.now.astimezone(context.zone).strftime("%Y%m%d")
    return f"N{day}-{count_up(context.session, f'ticket:{day}'):04d}"


def edit(context: Context, ticket: Ticket, change: EditTicket, actor: Actor) -> Ticket:
    """Put corrected or further facts on a ticket and keep a line of what changed.

    Where the ticket turns out to be the same fault at the same home as another open one, it is merged into that one.
    Returns the ticket that now stands for the case.
    """
    before = address_line(ticket.community, ticket.building, ticket.unit, ticket.room)
    if change.severity is not None:
        ticket.severity = change.severity
    if change.scope is not None:
        ticket.scope = change.scope
    if change.temperature is not None:
        ticket.temperature = change.temperature
    if change.account_no is not None:
        ticket.account_no = change.account_no
    ticket.need = ticket.need or change.need == "yes"
    if change.phone is not None:
        put_phone(ticket, change.phone, typed=True)
    rank(context.book, ticket)
    stands = ticket
    if change.address is not None or change.scope is not None:
        stands = _readdress(context, ticket, change.address or address_of(ticket), actor)
    after = address_line(ticket.community, ticket.building, ticket.unit, ticket.room)
    _add_update(context, ticket, actor, "edited", note=f"地址：{before} → {after}" if before != after else None)
    return stands


def _readdress(context: Context, ticket: Ticket, address: Address, actor: Actor) -> Ticket:
    key = home_key(address, ticket.scope)
    if address != address_of(ticket):
        put_address(context.session, context.book, ticket, address)
    ticket.incomplete = ticket.incomplete and key is None
    if key == ticket.home_key:
        return ticket
    twin = _open_ticket_at(context.session, key, ticket.fault) if key and ticket.closed_at is None else None
    if twin is not None and twin.id != ticket.id:
        merge(context, ticket, twin, actor)
        return twin
    ticket.home_key = key
    schedule_dispatch(context, ticket)
    return ticket


def merge(context: Context, ticket: Ticket, into: Ticket, actor: Actor) -> None:
    """Make `ticket` part of `into`: everyone who hears of the one hears of the other from now on."""
    for party in context.session.scalars(select(TicketContact).where(TicketContact.ticket_id == ticket.id)):
        row = {"ticket_id": into.id, "contact_id": party.contact_id, "joined_at": context.now}
        insert_ignoring(context.session, TicketContact, [row], ["ticket_id", "contact_id"])
    add_facts(context.book, ticket, into)
    ticket.merged_into_id = into.id
    ticket.home_key = None
    move(context, ticket, "merged", actor, note=f"并入 {into.number}", tell=False)


def retype(context: Context, ticket: Ticket, intent: str, actor: Actor) -> Ticket:
    """Correct what a ticket is about; its fault, rank and, to or from the office, its team follow.

    Where that makes it the same fault at the same home as another open ticket, it is merged into that one. Returns
    the ticket that now stands for the case. Raises ValueError for an intent that is no reason for a ticket.
    """
    if intent not in context.book.tickets["faults"]:
        raise ValueError(f"{intent} is not something a ticket is about.")
    if intent == ticket.intent:
        return ticket
    note = f"类型：{context.book.intent_name(ticket.intent)} → {context.book.intent_name(intent)}"
    fault_before, ticket.intent, ticket.fault = ticket.fault, intent, context.book.fault(intent)
    ticket.also = [other for other in ticket.also if other != intent]
    if "leak" not in (intent, *ticket.also):
        ticket.severity = None
    rank(context.book, ticket)
    # Merged before anything is written: for a moment both would be the one open ticket of this fault and home.
    twin = None if ticket.closed_at or ticket.home_key is None else _other_open(context.session, ticket)
    if twin is not None:
        merge(context, ticket, twin, actor)
    _add_update(context, ticket, actor, "edited", note=note)
    if twin is not None:
        return twin
    if "account" in (fault_before, ticket.fault) and fault_before != ticket.fault:
        put_address(context.session, context.book, ticket, address_of(ticket))
        _hand_over(context, ticket)
    return ticket


def assign(context: Context, ticket: Ticket, team: Team, actor: Actor) -> None:
    """Give a ticket to a team of somebody's choice, as where the gazetteer does not know the place."""
    if ticket.team_id == team.id:
        return
    before = ticket.team.name if ticket.team else "未分派"
    ticket.team = team
    _add_update(context, ticket, actor, "edited", note=f"班组：{before} → {team.name}")
    _hand_over(context, ticket)


def _hand_over(context: Context, ticket: Ticket) -> None:
    """A ticket that changes teams waits for its new team, wherever the table of moves lets it."""
    context.session.flush()
    if ticket.team_id is not None and "dispatched" in context.book.moves.get(ticket.status, frozenset()):
        move(context, ticket, "dispatched", SYSTEM, tell=False)


def add_note(context: Context, ticket: Ticket, note: str, actor: Actor, kind: str = "note") -> None:
    """Keep a line on a ticket without moving it."""
    _add_update(context, ticket, actor, kind, note=note)


def chase(context: Context, ticket: Ticket, actor: Actor) -> int:
    """The resident presses. Returns how often they have now pressed."""
    ticket.chases += 1
    _add_update(context, ticket, actor, "chased")
    return ticket.chases


def move(
    context: Context,
    ticket: Ticket,
    to: str,
    actor: Actor,
    *,
    note: str | None = None,
    tell: bool = True,
    resolution: str | None = None,
) -> Update:
    """Move a ticket along the table of moves; tells its contacts where the table says so.

    `note` is shown to residents when the actor is staff. The contact who caused the move is not notified: they are
    being answered. Raises MoveRefused and changes nothing where the table has no such move.
    """
    if to not in context.book.moves.get(ticket.status, frozenset()):
        names = context.book.status_names
        raise MoveRefused(f"{names.get(ticket.status, ticket.status)} 不能改为 {names.get(to, to)}")
    before, ticket.status, ticket.status_at = ticket.status, to, context.now
    if to in ("closed", "cancelled", "merged"):
        ticket.closed_at, ticket.resolution = context.now, resolution or ticket.resolution
    if to == "reopened":
        _reopen_fields(context, ticket)
    update = _add_update(context, ticket, actor, "moved", before, to, note)
    if tell and to in context.book.told_statuses:
        update.told = _tell_contacts(context, ticket, update, actor, note)
    return update


def _reopen_fields(context: Context, ticket: Ticket) -> None:
    ticket.closed_at = ticket.resolution = None
    ticket.reopened += 1
    if ticket.home_key and (twin := _other_open(context.session, ticket)):
        ticket.home_key = None  # another report of this fault is open meanwhile; the desk sees both
        ticket.also = sorted({*ticket.also} - {twin.intent})
    schedule_dispatch(context, ticket)


def _other_open(session: Session, ticket: Ticket) -> Ticket | None:
    other = _open_ticket_at(session, ticket.home_key or "", ticket.fault)
    return other if other is not None and other.id != ticket.id else None


def _tell_contacts(context: Context, ticket: Ticket, update: Update, actor: Actor, note: str | None) -> str | None:
    key = f"status.{update.to_status}"
    if not exists(context.book, key):
        return None
    told = None
    parties = select(Contact).join(TicketContact, TicketContact.contact_id == Contact.id)
    for contact in context.session.scalars(parties.where(TicketContact.ticket_id == ticket.id)):
        if contact.id == actor.contact_id:
            continue
        entry = Entry(key, _told_params(context, ticket, note, actor))
        told = render(context.book, key, contact.medium, entry.params)
        outbox.queue(
            context.session,
            contact,
            told,
            occasion=f"ticket:{ticket.id}:update:{update.id}",
            kind="notice",
            now=context.now,
            ticket=ticket,
            entries=[entry],
        )
    return told


def _told_params(context: Context, ticket: Ticket, note: str | None, actor: Actor) -> dict[str, str]:
    said = f"{note.strip()}" if note and actor.kind == "staff" else ""
    if said and said[-1] not in "。！？!?.":
        said += "。"
    return {
        "number": ticket.number,
        "problem": context.book.intent_name(ticket.intent),
        "note": said,
        "team": ticket.team.name if ticket.team else "维修人员",
    }


def _add_update(
    context: Context,
    ticket: Ticket,
    actor: Actor,
    kind: str,
    from_status: str | None = None,
    to_status: str | None = None,
    note: str | None = None,
) -> Update:
    update = Update(
        ticket_id=ticket.id,
        at=context.now,
        actor=actor.kind,
        staff_id=actor.staff_id,
        kind=kind,
        from_status=from_status,
        to_status=to_status,
        note=note,
    )
    context.session.add(update)
    context.session.flush()
    return update


def schedule_dispatch(context: Context, ticket: Ticket) -> None:
    """Have the worker give the ticket to its team at once; a ticket that waits already is left alone."""
    context.session.flush()
    ref = f"{ticket.id}:{ticket.reopened}:{ticket.team_id or 0}"
    lane = 0 if ticket.urgent else 1
    insert_ignoring(
        context.session,
        Task,
        [{"kind": "dispatch", "ref": ref, "lane": lane, "due_at": context.now, "attempts": 0}],
        ["kind", "ref"],
    )


def dispatch(context: Context, ticket: Ticket) -> None:
    """Give a received or reopened ticket to the team that its address belongs to; without a team it stays."""
    if ticket.status not in ("received", "reopened") or ticket.team_id is None:
        return
    move(context, ticket, "dispatched", SYSTEM, tell=False)
