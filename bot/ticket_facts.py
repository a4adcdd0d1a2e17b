"""What is known on a ticket: its address, its phone, its rank; and the key of the home that they make.

Written only through bot/tickets.py, which keeps the history beside every change.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import crypto
from bot.gazetteer import route
from bot.models import Team, Ticket
from bot.rules import RuleBook
from handlers.dialogue.types import Address, Case
from nlu.types import INTENTS


def home_key(address: Address, scope: str | None = None) -> str | None:
    """The blind index of a complete address; None while it is incomplete. A wider scope is complete without a room."""
    wide = {"community": 1, "building": 2, "unit": 3}.get(scope or "", 4)
    parts = [address.community, address.building, address.unit, address.room]
    if wide == 4:
        if not (address.community and address.building and address.room):
            return None
    else:
        parts = parts[:wide]
        if not all(parts[: 2 if wide == 3 else wide]):
            return None
    return crypto.blind_index("home", "|".join(part or "" for part in parts))


def address_of(ticket: Ticket) -> Address:
    """The address on a ticket, as the dialogue speaks of it."""
    address = Address(ticket.district, ticket.community, ticket.building, ticket.unit, ticket.room)
    return replace(address, known=ticket.known)


def put_address(session: Session, book: RuleBook, ticket: Ticket, address: Address) -> None:
    """Write the address, and with it who is responsible: the place's team, or the office for accounts."""
    ticket.district, ticket.community = address.district, address.community
    ticket.building, ticket.unit, ticket.room = address.building, address.unit, address.room
    place = route(session, address.community, address.building)
    ticket.known = place is not None
    ticket.district = ticket.district or (place.district if place else None)
    ticket.team_id = _office_team(session, book) if ticket.fault == "account" else (place.team_id if place else None)


def _office_team(session: Session, book: RuleBook) -> int | None:
    return session.scalar(select(Team.id).where(Team.code == book.tickets["office_team"]))


def put_phone(ticket: Ticket, phone: str, typed: bool) -> None:
    """Write the phone to call, and the blind indexes it is found by; `typed`: the resident wrote it."""
    ticket.phone, ticket.phone_typed = phone, typed
    ticket.phone_hash = crypto.blind_index("phone", phone)
    ticket.phone_tail_hash = crypto.blind_index("phone tail", phone[-4:])


def rank(book: RuleBook, ticket: Ticket) -> None:
    """Priority, urgency and weight from what is known: 1 is an emergency, 4 can wait; heavier comes first within one.

    Danger, the reading, the hours of cold and a declared need decide; how often a resident presses does not.
    """
    rules = book.tickets
    intents = [ticket.intent, *ticket.also]
    ranks = [rules["priorities"].get(intent, 3) for intent in intents]
    if ticket.severity == "burst":
        ranks.append(rules["burst_priority"])
    if ticket.fault == "cold":
        ranks += _cold_ranks(rules, ticket)
    ticket.priority = min(ranks)
    ticket.weight = _weight(rules["weights"], ticket)
    ticket.urgent = ticket.severity == "burst" or any(intent in rules["urgent_intents"] for intent in intents)


def _cold_ranks(rules: dict[str, Any], ticket: Ticket) -> list[int]:
    reading, long = rules["cold_reading"], rules["long_cold"]
    hours = rules["cold_hours"][: ticket.cold_rungs or 0]
    return [
        *([rules["need_priority"]] if ticket.need else []),
        *([reading["priority"]] if ticket.temperature is not None and ticket.temperature < reading["below"] else []),
        *([long["priority"]] if hours and hours[-1] >= long["hours"] else []),
    ]


def _weight(weights: dict[str, Any], ticket: Ticket) -> int:
    """How much a cold home weighs; nothing for any other fault."""
    if ticket.fault != "cold":
        return 0
    short = max(0.0, weights["standard"] - ticket.temperature) if ticket.temperature is not None else 0.0
    need = weights["need"] if ticket.need else 0
    return int(round(short * weights["degree"]) + need + weights["cold_span"] * (ticket.cold_rungs or 0))


def split_off(book: RuleBook, ticket: Ticket, intent: str, fault: str, number: str, now: datetime) -> Ticket:
    """A new ticket for one problem of another, with its facts and its age; that one loses the problem."""
    part = Ticket(
        number=number,
        intent=intent,
        also=[],
        fault=fault,
        status="received",
        contact_id=ticket.contact_id,
        incomplete=ticket.incomplete,
        home_key=ticket.home_key,
        scope=ticket.scope,
        severity=ticket.severity if intent == "leak" else None,
        need=ticket.need,
        danger=ticket.danger if intent == "danger" else None,
        account_no=ticket.account_no,
        split_from_id=ticket.id,
        opened_at=ticket.opened_at,
        status_at=now,
        chases=0,
        reopened=0,
        cold_rungs=0,
    )
    if ticket.phone:
        put_phone(part, ticket.phone, ticket.phone_typed)
    ticket.also = [other for other in ticket.also if other != intent]
    if intent == "leak":
        ticket.severity = None
    rank(book, part)
    rank(book, ticket)
    return part


def add_facts(book: RuleBook, ticket: Ticket, into: Ticket) -> None:
    """What one report told is true of the other; whichever was more urgent decides."""
    if into.phone is None and ticket.phone is not None:
        put_phone(into, ticket.phone, ticket.phone_typed)
    if ticket.temperature is not None:
        into.temperature = ticket.temperature
    into.severity = "burst" if ticket.severity == "burst" else into.severity or ticket.severity
    into.need = into.need or ticket.need
    into.danger = into.danger or ticket.danger
    said = {*into.also, *ticket.also}
    into.also = [intent for intent in INTENTS if intent in said and intent != into.intent]
    rank(book, into)


def join_facts(book: RuleBook, ticket: Ticket, case: Case, own: bool) -> None:
    """Put what a further report tells on the ticket. From who has no say in it only what makes it more urgent counts."""
    ticket.severity = "burst" if case.severity == "burst" else ticket.severity
    ticket.danger = ticket.danger or case.danger
    ticket.need = ticket.need or case.need == "yes"
    if own:
        ticket.temperature = case.temperature if case.temperature is not None else ticket.temperature
        said = {*ticket.also, *case.also}  # the case's own intent is the same fault, told in other words
        ticket.also = [intent for intent in INTENTS if intent in said and intent != ticket.intent]
    rank(book, ticket)


def told_facts(case: Case) -> str | None:
    """What a further report tells, as a line of the ticket's history; None where it tells nothing new."""
    told = [
        f"室温{case.temperature:g}度" if case.temperature is not None else "",
        f"已{case.duration}" if case.duration else "",
        "大量漏水" if case.severity == "burst" else "",
        f"电话{case.phone}" if case.phone else "",
    ]
    return "，".join(part for part in told if part) or None
