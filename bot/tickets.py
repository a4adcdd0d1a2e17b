"""The only code that changes a ticket. Every change adds an Update; what residents must hear becomes a Delivery.

Functions take an open writing session and commit nothing themselves: a change, its history and its notices belong to
the caller's one transaction.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import chasing, clocks, loop, outbox, standing
from bot.change import SYSTEM as SYSTEM
from bot.change import Actor as Actor
from bot.change import Context as Context
from bot.change import add_update, schedule_dispatch
from bot.change import tell as tell_contacts
from bot.models import Contact, Team, Ticket, TicketContact, Update
from bot.moves import CLOSING, Step
from bot.moves import MoveRefused as MoveRefused
from bot.texts import address_line
from bot.ticket_facts import (
    add_facts,
    address_of,
    home_key,
    join_facts,
    put_address,
    put_phone,
    rank,
    split_off,
    told_facts,
)
from bot.upsert import count_up, insert_ignoring
from handlers.dialogue.types import Address, Case, EditTicket


@dataclass(frozen=True)
class Opened:
    """The ticket a report ended in; `joined` is None for a new one, "own" or "other" where it joined an open one."""

    ticket: Ticket
    joined: str | None = None


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
    standing.bind(context.session, contact, case.address, context.now, opened=True)
    rooms = f"房间：{'、'.join(case.rooms)}" if case.rooms else None
    add_update(context, ticket, Actor("resident", contact.id), "opened", to_status=ticket.status, note=rooms)
    clocks.start(context, ticket)
    loop.watch(context, ticket)
    schedule_dispatch(context, ticket)
    return Opened(ticket)


def _open_ticket_at(session: Session, key: str, fault: str) -> Ticket | None:
    return session.scalar(
        select(Ticket).where(Ticket.home_key == key, Ticket.fault == fault, Ticket.closed_at.is_(None))
    )


def _join(context: Context, ticket: Ticket, contact: Contact, case: Case) -> Opened:
    row = {"ticket_id": ticket.id, "contact_id": contact.id, "joined_at": context.now}
    insert_ignoring(context.session, TicketContact, [row], ["ticket_id", "contact_id"])
    standing.bind(context.session, contact, case.address, context.now)
    own = standing.has_say(context.session, ticket, contact.id, context.proofs_since)
    join_facts(context.book, ticket, case, own)
    add_update(context, ticket, Actor("resident", contact.id), "joined", note=told_facts(case))
    clocks.transfer(context, ticket)
    _heard(context, ticket)
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
    was = (ticket.severity, ticket.district)
    if change.severity is not None:
        ticket.severity = change.severity
    if change.scope is not None:
        ticket.scope = change.scope
    if change.temperature is not None:
        ticket.temperature = change.temperature
    if change.account_no is not None:
        ticket.account_no = change.account_no
    ticket.need = ticket.need or change.need == "yes"
    ticket.neighbours = change.neighbours or ticket.neighbours
    if change.phone is not None:
        put_phone(ticket, change.phone, typed=True)
    rank(context.book, ticket)
    stands = ticket
    if change.address is not None or change.scope is not None:
        stands = _readdress(context, ticket, change.address or address_of(ticket), actor)
    after = address_line(ticket.community, ticket.building, ticket.unit, ticket.room)
    add_update(context, ticket, actor, "edited", note=f"地址：{before} → {after}" if before != after else None)
    loop.watch(context, stands)
    if stands is ticket and was != (ticket.severity, ticket.district):
        clocks.transfer(context, ticket)
    if actor.kind == "resident":
        _heard(context, stands)
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
    """Make `ticket` part of `into`: everyone who hears of the one hears of the other from now on.

    Raises MoveRefused where `into` has ended: nobody would work what is merged into it.
    """
    if into.closed_at is not None:
        raise MoveRefused(f"{into.number} 已经结束，不能并入；请先重新打开它。")
    for party in context.session.scalars(select(TicketContact).where(TicketContact.ticket_id == ticket.id)):
        row = {"ticket_id": into.id, "contact_id": party.contact_id, "joined_at": context.now}
        insert_ignoring(context.session, TicketContact, [row], ["ticket_id", "contact_id"])
    add_facts(context.book, ticket, into)
    ticket.merged_into_id = into.id
    ticket.home_key = None
    clocks.inherit(context, ticket, into)
    move(context, ticket, "merged", actor, note=f"并入 {into.number}", into=into.number)


def split(context: Context, ticket: Ticket, intent: str, actor: Actor) -> Ticket:
    """Make a ticket of its own for one of the problems that this one is about besides its first; returns it.

    It has waited as long as this one. Raises MoveRefused where the ticket is not about it, or the home has an open
    ticket of that fault.
    """
    step = context.book.table.step(ticket.status, "split", actor.kind)
    fault = context.book.fault(intent)
    if intent not in ticket.also or _open_ticket_at(context.session, ticket.home_key or "", fault) is not None:
        raise MoveRefused(f"{ticket.number} 不能拆出“{context.book.intent_name(intent)}”；这家可能已有一张这样的单子。")
    part = split_off(context.book, ticket, intent, fault, next_number(context), context.now)
    context.session.add(part)
    context.session.flush()
    put_address(context.session, context.book, part, address_of(ticket))
    for party in context.session.scalars(select(TicketContact).where(TicketContact.ticket_id == ticket.id)):
        context.session.add(TicketContact(ticket_id=part.id, contact_id=party.contact_id, joined_at=party.joined_at))
    add_update(context, part, actor, "opened", to_status=part.status, note=f"从 {ticket.number} 拆出")
    update = add_update(context, ticket, actor, "edited", note=f"拆出 {part.number}", step=step.key)
    problem = context.book.intent_name(intent)
    update.told = tell_contacts(context, ticket, update, step.said, actor, None, part=part.number, problem=problem)
    clocks.transfer(context, ticket)
    clocks.transfer(context, part)
    loop.watch(context, part)
    schedule_dispatch(context, part)
    return part


def retype(context: Context, ticket: Ticket, intent: str, actor: Actor, *, tell: bool = True) -> Ticket:
    """Correct what a ticket is about; its fault, rank and, to or from the office, its team follow.

    Its contacts are told in one sentence; `tell=False` where the caller tells them itself.

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
    update = add_update(context, ticket, actor, "edited", note=note)
    if twin is not None:
        return twin
    clocks.transfer(context, ticket)
    loop.watch(context, ticket)
    if tell and ticket.closed_at is None:
        update.told = tell_contacts(context, ticket, update, "status.retyped", actor)
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
    add_update(context, ticket, actor, "edited", note=f"班组：{before} → {team.name}")
    _hand_over(context, ticket)


def _hand_over(context: Context, ticket: Ticket) -> None:
    """A ticket that changes teams waits for its new team, wherever the table of moves lets it."""
    ticket.member_id = None
    context.session.flush()
    if ticket.team_id is not None and "dispatched" in context.book.moves.get(ticket.status, frozenset()):
        move(context, ticket, "dispatched", SYSTEM, tell=False)


def add_note(context: Context, ticket: Ticket, note: str, actor: Actor, kind: str = "note") -> None:
    """Keep a line on a ticket without moving it; `called` and `replied`: a person has spoken with the resident."""
    add_update(context, ticket, actor, kind, note=note)
    if actor.kind == "resident":
        _heard(context, ticket)
    elif kind in ("called", "replied"):
        clocks.stop(context, ticket, clocks.ANSWERED)


def chase(context: Context, ticket: Ticket, actor: Actor) -> int:
    """The resident presses. Returns how often they have now pressed."""
    ticket.chases += 1
    add_update(context, ticket, actor, "chased")
    chasing.note(context, ticket)
    _heard(context, ticket)
    return ticket.chases


def rate(context: Context, ticket: Ticket, satisfaction: int, actor: Actor) -> None:
    """How content the resident is, 1 to 5; the ticket stays as it is."""
    ticket.satisfaction = satisfaction
    add_update(context, ticket, actor, "rated", note=f"满意度：{satisfaction}")


def _heard(context: Context, ticket: Ticket) -> None:
    """The resident has said something for people to read: a wait for them is over, and they want an answer."""
    if ticket.waits_for == "resident":
        move(context, ticket, "resume", SYSTEM, note="住户有回音")
    clocks.heard(context, ticket)


def move(
    context: Context,
    ticket: Ticket,
    to: str,
    actor: Actor,
    *,
    note: str | None = None,
    tell: bool = True,
    resolution: str | None = None,
    **params: str,
) -> Update:
    """Move a ticket along the table of moves; tells its contacts where the table says so.

    `to` is a step of the table, or a status: then the first step that leads there. `note` is shown to residents when
    the actor is staff; `params` are further words of the step's text. The contact who caused the move is not notified:
    they are being answered. Raises MoveRefused and changes nothing where the table has no such move.
    """
    step = context.book.table.step(ticket.status, to, actor.kind)
    before, waited = ticket.status, ticket.waits_for
    ticket.status, ticket.status_at, ticket.waits_for = step.to or before, context.now, step.waits_for
    if ticket.status in CLOSING:
        ticket.closed_at, ticket.resolution = context.now, resolution or ticket.resolution
        ticket.need = False  # kept only as long as it may hurry somebody
    if ticket.status in ("dispatched", "returned"):
        ticket.member_id = None  # whoever had it, somebody is asked anew
    if ticket.status == "reopened":
        _reopen_fields(context, ticket)
    update = add_update(context, ticket, actor, "moved", before, ticket.status, note, step.key)
    if tell and step.tell:
        update.told = tell_contacts(context, ticket, update, step.said, actor, note, **params)
    _set_clocks(context, ticket, step, waited)
    if update.told and actor.kind == "staff":
        clocks.stop(context, ticket, ("answer",))  # they have been answered, whatever else has changed
    loop.follow(context, ticket, update)
    return update


def _set_clocks(context: Context, ticket: Ticket, step: Step, waited: str | None) -> None:
    """What a move does to the clocks: stop, rest, go on, end, or begin again."""
    if step.to in ("cancelled", "merged"):
        clocks.halt(context, ticket)
    elif step.to == "reopened":
        clocks.halt(context, ticket)
        clocks.go_on(context, ticket)
        clocks.start(context, ticket)
    else:
        clocks.stop(context, ticket, clocks.ALL if step.to == "closed" else step.stops)
    if step.waits_for:
        clocks.wait(context, ticket, step.waits_for)
    elif waited:
        clocks.go_on(context, ticket)


def _reopen_fields(context: Context, ticket: Ticket) -> None:
    ticket.closed_at = ticket.resolution = None
    ticket.reopened += 1
    outbox.drop_unsent(context.session, ticket, context.now)  # 处理好了 that waited for the morning is true no more
    ticket.cold_rungs, ticket.satisfaction = 0, None  # asked again after the next repair
    if ticket.home_key and (twin := _other_open(context.session, ticket)):
        ticket.home_key = None  # another report of this fault is open meanwhile; the desk sees both
        ticket.also = sorted({*ticket.also} - {twin.intent})
    schedule_dispatch(context, ticket)


def _other_open(session: Session, ticket: Ticket) -> Ticket | None:
    other = _open_ticket_at(session, ticket.home_key or "", ticket.fault)
    return other if other is not None and other.id != ticket.id else None


def dispatch(context: Context, ticket: Ticket) -> None:
    """Give a received or reopened ticket to the team that its address belongs to; without a team it stays."""
    if ticket.status not in ("received", "reopened") or ticket.team_id is None:
        return
    move(context, ticket, "dispatched", SYSTEM, tell=False)
