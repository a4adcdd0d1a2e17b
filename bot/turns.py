"""From rows to a Turn: everything a handler may know about one message; and the conversation's state as JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.orm import Session, joinedload

from bot import clock
from bot.inbox import Pending
from bot.models import Contact, ContactHome, Ticket, TicketContact, Update
from bot.models import Conversation as ConversationRow
from bot.proofs import judge
from bot.standing import has_say, proofs_since, standings
from bot.ticket_facts import address_of
from bot.tickets import Context, is_party
from bot.upsert import put
from handlers.dialogue.types import Address, Case, Conversation, Option, TicketView, Turn
from nlu.places import Gazetteer
from nlu.types import Understanding

LAPSE = timedelta(minutes=30)
REMIND = timedelta(minutes=15)
_NUMBER = re.compile(r"[Nn]\s?(20\d{6})-?(\d{4,6})")
_VIEWS = 12  # tickets of one contact that a dialogue looks at
_NOTED = ("waiting", "done")  # the states in which residents are told why
_CONVERSATION = select(ConversationRow.state, ConversationRow.updated_at).where(
    ConversationRow.contact_id == bindparam("contact_id")
)
_HOMES = (
    select(ContactHome)
    .where(ContactHome.contact_id == bindparam("contact_id"))
    .order_by(ContactHome.used_at.desc())
    .limit(8)
)
_TICKETS = (
    select(Ticket)
    .join(TicketContact, TicketContact.ticket_id == Ticket.id)
    .where(
        TicketContact.contact_id == bindparam("contact_id"),
        Ticket.status != "merged",
        Ticket.closed_at.is_(None) | (Ticket.closed_at >= bindparam("since")),
    )
    .options(joinedload(Ticket.team))
    .order_by(Ticket.opened_at.desc(), Ticket.id.desc())
    .limit(_VIEWS)
)


def dump_conversation(conversation: Conversation) -> str:
    """The conversation's state as JSON."""
    return json.dumps(asdict(conversation), ensure_ascii=False, separators=(",", ":"))


def load_conversation(state: str) -> Conversation:
    """The conversation from `dump_conversation`; fields that an older version wrote and nobody knows are dropped."""
    raw = json.loads(state)
    case = raw.get("case")
    return Conversation(
        case=_load_case(case) if case else None,
        waiting_for=raw.get("waiting_for"),
        options=tuple(Option(**option) for option in raw.get("options", ())),
        ticket=raw.get("ticket"),
        asked=tuple(raw.get("asked", ())),
        misunderstood=int(raw.get("misunderstood", 0)),
        **_rest(Conversation, raw, {"case", "waiting_for", "options", "ticket", "asked", "misunderstood"}),
    )


def _load_case(raw: dict[str, Any]) -> Case:
    address = Address(**{k: v for k, v in raw["address"].items() if k in Address.__dataclass_fields__})
    rest: dict[str, Any] = {
        k: tuple(v) if isinstance(v, list) else v for k, v in raw.items() if k in Case.__dataclass_fields__
    }
    return Case(**{**rest, "address": address})


def _rest(cls: type, raw: dict[str, Any], done: set[str]) -> dict[str, Any]:
    return {
        k: tuple(v) if isinstance(v, list) else v
        for k, v in raw.items()
        if k in cls.__dataclass_fields__ and k not in done  # type: ignore[attr-defined]
    }


def current_conversation(session: Session, contact_id: int) -> Conversation:
    """The contact's conversation, or a new one when there was none or it has lapsed."""
    row = session.execute(_CONVERSATION, {"contact_id": contact_id}).one_or_none()
    if row is None or row.updated_at + LAPSE <= clock.now():
        return Conversation()
    return load_conversation(row.state)


def save_conversation(context: Context, contact: Contact, conversation: Conversation) -> None:
    """Keep the conversation; while a problem is told that has no ticket yet, a reminder is due."""
    open_case = conversation.case is not None and conversation.ticket is None
    row = {
        "contact_id": contact.id,
        "state": dump_conversation(conversation),
        "updated_at": context.now,
        "open_case": open_case,
        "reminded_at": None,
        "lapses_at": context.now + REMIND if open_case else None,
    }
    put(context.session, ConversationRow, row, ["contact_id"])


def build_turn(
    context: Context, contact: Contact, messages: Sequence[Pending], understanding: Understanding, places: Gazetteer
) -> Turn:
    """Everything a handler may know about these messages (one, or a burst) of one contact."""
    session, received = context.session, messages[-1].received_at
    phone = contact.address if contact.medium == "sms" else contact.resident.phone
    tickets, joined = _tickets(context, contact.id)
    conversation = current_conversation(session, contact.id)
    proof = judge(context, contact.id, understanding.text) if conversation.waiting_for == "proof" else None
    return Turn(
        understanding=understanding,
        channel=contact.medium,
        received_at=received,
        today=clock.local_day(received, context.zone),
        conversation=conversation,
        places=places,
        rules=context.book.dialogue,
        homes=_homes(session, contact.id) or _scanned(contact),
        tickets=tickets,
        joined=joined,
        mentioned=_mentioned(context, contact.id, understanding.text),
        danger=next((message.danger for message in messages if message.danger), None),
        phone=phone,
        first_contact=contact.created_at >= messages[0].received_at,
        noticed=contact.noticed_at is not None,
        proof=proof.result if proof is not None else None,
    )


def _homes(session: Session, contact_id: int) -> tuple[Address, ...]:
    rows = session.scalars(_HOMES, {"contact_id": contact_id})
    return tuple(
        Address(row.home.district, row.home.community, row.home.building, row.home.unit, row.home.room, known=True)
        for row in rows
    )


def _scanned(contact: Contact) -> tuple[Address, ...]:
    """The building whose QR code they scanned, where no home is known yet."""
    return (Address(**json.loads(contact.place)),) if contact.place else ()


def _tickets(context: Context, contact_id: int) -> tuple[tuple[TicketView, ...], tuple[TicketView, ...]]:
    """The tickets that this contact may speak of, and the open ones they may only know to be there."""
    since = context.now - timedelta(days=context.book.dialogue.reopen_days)
    rows = context.session.scalars(_TICKETS, {"contact_id": contact_id, "since": since}).all()
    proofs = proofs_since(context.book.dialogue.proof_days, context.now)
    found = standings(context.session, contact_id, [row.id for row in rows], proofs)
    own = [row for row in rows if found[row.id].has_say]
    others = [row for row in rows if not found[row.id].has_say and row.closed_at is None]
    return (
        tuple(_view(context.session, ticket, mine=True) for ticket in own),
        tuple(_view(context.session, ticket, mine=False) for ticket in others),
    )


def _mentioned(context: Context, contact_id: int, text: str) -> tuple[TicketView, ...]:
    numbers = [f"N{day}-{serial}" for day, serial in _NUMBER.findall(text)]
    if not numbers:
        return ()
    session, proofs = context.session, proofs_since(context.book.dialogue.proof_days, context.now)
    rows = session.scalars(select(Ticket).where(Ticket.number.in_(numbers))).all()
    return tuple(
        _view(
            session, ticket, mine=is_party(session, ticket, contact_id) and has_say(session, ticket, contact_id, proofs)
        )
        for ticket in rows
    )


def _view(session: Session, ticket: Ticket, mine: bool) -> TicketView:
    """A ticket as the dialogue may speak of it; to who has no say in it, it is its number, its fault and its state."""
    return TicketView(
        number=ticket.number,
        intents=(ticket.intent, *ticket.also) if mine else (ticket.intent,),
        status=ticket.status,
        address=address_of(ticket) if mine else Address(),
        opened_at=ticket.opened_at,
        status_at=ticket.status_at,
        closed_at=ticket.closed_at,
        urgent=ticket.severity == "burst" or ticket.intent == "danger",
        responsible=ticket.team.name if mine and ticket.team else None,
        note=_last_note(session, ticket.id) if mine and ticket.status in _NOTED else None,
        chases=ticket.chases,
        reopened=ticket.reopened,
        has_phone=mine and ticket.phone is not None,
        scope=ticket.scope,
        mine=mine,
    )


def _last_note(session: Session, ticket_id: int) -> str | None:
    return session.scalar(
        select(Update.note)
        .where(Update.ticket_id == ticket_id, Update.kind == "moved", Update.actor == "staff")
        .order_by(Update.id.desc())
        .limit(1)
    )
