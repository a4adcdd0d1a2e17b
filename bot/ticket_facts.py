"""What is known on a ticket: its address, its phone, its rank; and the key of the home that they make.

Written only through bot/tickets.py, which keeps the history beside every change.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import crypto
from bot.gazetteer import route
from bot.models import Team, Ticket
from bot.rules import RuleBook
from handlers.dialogue.types import Address
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
    """Priority and urgency from what is known: 1 is an emergency, 4 can wait."""
    rules = book.tickets
    intents = [ticket.intent, *ticket.also]
    ranks = [rules["priorities"].get(intent, 3) for intent in intents]
    if ticket.severity == "burst":
        ranks.append(rules["burst_priority"])
    if ticket.need and ticket.fault == "cold":
        ranks.append(rules["need_priority"])
    cold = rules["cold_reading"]
    if ticket.temperature is not None and ticket.temperature < cold["below"] and ticket.fault == "cold":
        ranks.append(cold["priority"])
    ticket.priority = min(ranks)
    ticket.urgent = ticket.severity == "burst" or any(intent in rules["urgent_intents"] for intent in intents)


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
