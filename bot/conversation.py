"""One message (or one burst): understand → respond → record. The network is asked while no transaction is open."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from bot import calls, clock, inbox, outbox, receipts, wordless
from bot.channels import Entry
from bot.channels.wording import split_bytes
from bot.inbox import BURST_WINDOW, PILE, Claim, Pending
from bot.models import Contact, Delivery, Message, Review
from bot.record import Recorder
from bot.services import Services
from bot.texts import exists, render
from bot.tickets import Context
from bot.trace import trace
from bot.turns import build_turn
from bot.upsert import insert_ignoring
from handlers.dialogue.respond import respond
from nlu.entities import extract
from nlu.facts import read_facts
from nlu.interpreter import NluError
from nlu.places import Gazetteer
from nlu.types import INTENTS, Understanding

log = logging.getLogger(__name__)

RETRY_NLU = timedelta(seconds=3)  # how soon a message is tried again while understanding is down
RETRY_FAILED = timedelta(seconds=2)
MAX_ATTEMPTS = 3
PIECE = timedelta(seconds=1)  # between the pieces of a long answer, so that they arrive in order


# Built once, as it is in every turn; the values of the columns come with the execution.
_MARK_HANDLED = update(Message.__table__).where(  # type: ignore[arg-type]
    Message.id.in_(bindparam("ids", expanding=True)), Message.handled_at.is_(None)
)


class LostLease(Exception):
    """Another process has this contact now; nothing of ours may be recorded."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The text that answers a message, and its delivery; `passive` while the webhook still may carry it."""

    text: str
    delivery_id: int | None
    passive: bool


def handle(services: Services, claim: Claim, deadline: datetime | None = None) -> Answer | None:
    """Handle the contact's next messages under a lease.

    `deadline` is given by a webhook that waits: an answer recorded before it goes out as the webhook's response, a
    later one through the outbox. Returns the answer of this turn; None where there was nothing to answer.
    """
    messages = _next_messages(services, claim)
    if not messages:
        return None
    try:
        understanding = _understand(services, claim, messages)
        return _respond_and_record(services, claim, messages, understanding, deadline)
    except NluError as error:
        log.warning("Understanding is not available: %s", type(error).__name__)
        return _keep_for_later(services, claim, deadline)
    except LostLease:
        return None
    except Exception as error:
        # Whatever a message provokes, the queue moves on: after three attempts a person looks at it.
        log.error("The turn of message %s failed: %s", messages[-1].id, trace(error))
        return _note_failure(services, claim, messages, deadline)


def _next_messages(services: Services, claim: Claim) -> list[Pending]:
    """The messages of the next turn: one, or texts that came within seconds of one another or piled up."""
    if claim.only is not None:
        return [claim.only]
    with services.database.reading() as session:
        waiting = inbox.unhandled(session, claim.contact_id)
    if not waiting:
        _release(services, claim)
        return []
    first = waiting[0]
    if first.danger or first.kind not in ("text", "voice"):
        return [first]
    burst = [first]
    for message in waiting[1:]:
        close = message.received_at - burst[-1].received_at <= BURST_WINDOW or len(waiting) > PILE
        other = message.kind != first.kind or _is_words(message) != _is_words(first)
        if message.danger or other or not close:
            break
        burst.append(message)
    return burst


def _release(services: Services, claim: Claim) -> None:
    with services.database.transaction() as session:
        if (contact := inbox.still_ours(session, claim)) is not None:
            inbox.settle(session, contact)


def _understand(services: Services, claim: Claim, messages: Sequence[Pending]) -> Understanding:
    """Ask the NLU server; a message the danger rule caught is answered by rule when the server cannot be asked."""
    if messages[0].kind == "click" and _is_words(messages[0]):
        return _tapped(services, messages[0].text)
    text = "\n".join(message.text for message in messages if message.text)
    gazetteer = services.gazetteer.current()
    if receipts.is_from_member(services.database, claim.contact_id, messages):
        return Understanding(text=text, intent="out_of_scope", confidence=0.0, model="rules")
    if not _is_words(messages[0]) or not text.strip():
        return Understanding(text=text, intent="out_of_scope", confidence=0.0)
    try:
        return services.interpreter.understand(text, gazetteer)
    except NluError:
        danger = messages[0].danger
        if danger is None:
            raise
        intent = "leak" if danger == "burst" else "danger"
        facts = read_facts(text, intent)
        return Understanding(
            text=text,
            intent=intent,
            confidence=1.0,
            ranking=((intent, 1.0),),
            entities=tuple(extract(text, gazetteer)),
            scope=facts.scope,
            severity=facts.severity,
            need=facts.need,
            model="rules",
        )


def _is_words(message: Pending) -> bool:
    """Whether the message has words, its own or those of the menu entry that was tapped."""
    if message.kind == "click":
        return message.text in INTENTS
    return message.kind == "text" or (message.kind == "voice" and bool(message.text.strip()))


def _tapped(services: Services, intent: str) -> Understanding:
    """An entry of the menu, as what the resident would have said."""
    menu = services.rules.current().raw.get("wechat_menu", {})
    rows = [row for column in menu.get("columns", []) for row in column.get("entries") or [column.get("entry") or {}]]
    says = next((str(row["says"]) for row in rows if row.get("intent") == intent and row.get("says")), "")
    return Understanding(text=says, intent=intent, confidence=1.0, ranking=((intent, 1.0),), model="menu")


def _respond_and_record(
    services: Services,
    claim: Claim,
    messages: Sequence[Pending],
    understanding: Understanding,
    deadline: datetime | None,
) -> Answer | None:
    places = services.gazetteer.current()
    with services.database.transaction() as session:
        contact = inbox.still_ours(session, claim)
        if contact is None:
            raise LostLease
        context = services.context(session)
        noted = _noted(understanding)
        answer = None
        if not _is_words(messages[0]):
            wordless.heed(context, contact, messages[0], places)
        if _speaks(contact, messages):
            text, entries, ticket_id = _decide(services, context, contact, messages, understanding, places)
            noted["ticket_id"] = ticket_id
            channel = services.channels.get(contact.channel)
            most = channel.max_bytes if channel is not None else None
            answer = _reply(session, contact, messages[-1], text, entries, deadline, most=most)
            _owe_answer(context, contact, messages[-1], answer, ticket_id)
        _mark_handled(session, messages, noted)
        inbox.settle(session, contact)
        return answer


def _speaks(contact: Contact, messages: Sequence[Pending]) -> bool:
    """Whether the bot answers. While a person talks, the message is on the desk and the bot is silent, but for dangers:
    what keeps people safe waits for nobody.
    """
    return contact.taken_over_by is None or any(message.danger for message in messages)


def _decide(
    services: Services,
    context: Context,
    contact: Contact,
    messages: Sequence[Pending],
    understanding: Understanding,
    places: Gazetteer,
) -> tuple[str, list[Entry], int | None]:
    """The text that answers, the catalogue's entries it was made of, and the ticket the messages were about."""
    if not _is_words(messages[0]):
        _heed(contact, messages[0])
        if (said := wordless.answer(services, context, contact, messages[0], places)) is not None:
            return said
        return *_answer_to_kind(services, contact, messages[0]), None
    if (taken := receipts.take(context, contact, messages)) is not None:
        return *taken, None
    turn = build_turn(context, contact, messages, understanding, places)
    recorder = Recorder(context, contact, messages, understanding)
    text, entries = recorder.apply(respond(turn))
    return text, entries, recorder.ticket_id


def _mark_handled(session: Session, messages: Sequence[Pending], noted: Mapping[str, Any]) -> None:
    """The fence: every message was still unhandled, else nothing of this turn happens."""
    ids = [message.id for message in messages]
    taken = session.execute(_MARK_HANDLED, {"ids": ids, "handled_at": clock.now(), "ticket_id": None, **noted})
    if taken.rowcount != len(ids):  # type: ignore[attr-defined]
        raise LostLease


def _noted(understanding: Understanding) -> dict[str, Any]:
    """What a message was taken for, as it is kept beside it."""
    kept = {
        "ranking": understanding.ranking[:5],
        "also": understanding.also,
        "entities": [asdict(entity) for entity in understanding.entities],
        "scope": understanding.scope,
        "severity": understanding.severity,
        "need": understanding.need,
    }
    return {
        "intent": understanding.intent,
        "confidence": understanding.confidence,
        "model": understanding.model,
        "understanding": json.dumps(kept, ensure_ascii=False),
    }


def _heed(contact: Contact, message: Pending) -> None:
    """STOP and START that the provider has recognised and answered itself; we keep the same list."""
    if message.kind == "stop":
        contact.opted_out_at = contact.opted_out_at or clock.now()
    elif message.kind == "start":
        contact.opted_out_at = None


def _answer_to_kind(services: Services, contact: Contact, message: Pending) -> tuple[str, list[Entry]]:
    """What a message that has no words is answered with; events that want no answer get none."""
    if message.kind in ("unfollow", "report", "subscription", "other_event", "stop", "start", "help"):
        return "", []
    book = services.rules.current()
    key = {"follow": "system.followed", "scan": "system.followed"}.get(message.kind, f"system.{message.kind}")
    if not exists(book, key):
        key = "system.unsupported"
    entry = Entry(key, {"company": services.settings.company})
    return render(book, key, contact.medium, entry.params), [entry]


def _reply(
    session: Session,
    contact: Contact,
    message: Pending,
    text: str,
    entries: Sequence[Entry],
    deadline: datetime | None,
    occasion: str | None = None,
    most: int | None = None,
) -> Answer | None:
    """Queue the answer, or have the response carry it; what is longer than `most` bytes follows in pieces of its own."""
    head, *rest = split_bytes(text, most) if most and len(text.encode()) > most else [text]
    if not head:
        return None
    now = clock.now()
    occasion, kind = occasion or f"message:{message.id}", "urgent" if message.danger else "reply"
    # A provider may block who has opted out; only its API then says so, and a person calls instead.
    may_be_blocked = contact.medium == "sms" and contact.opted_out_at is not None
    passive = deadline is not None and now < deadline and not may_be_blocked
    delivery_id = outbox.queue(
        session,
        contact,
        head,
        occasion=occasion,
        kind=kind,
        now=now,
        message_id=message.id,
        entries=() if rest else entries,
        passive=passive,
    )
    for number, piece in enumerate(rest, 2):
        due = now + PIECE * (number - 1)
        outbox.queue(
            session, contact, piece, occasion=f"{occasion}:{number}", kind=kind, now=due, message_id=message.id
        )
    return Answer(head, delivery_id, passive)


def _owe_answer(
    context: Context, contact: Contact, message: Pending, answer: Answer | None, ticket_id: int | None
) -> None:
    """What a caller could not be told while they were on the line, they are told by a call."""
    if contact.medium == "phone" and answer is not None and not answer.passive:
        calls.owe(context, contact.id, "seat", ticket_id=ticket_id, message_id=message.id)


def _keep_for_later(services: Services, claim: Claim, deadline: datetime | None) -> Answer | None:
    """Understanding is down: the messages stay unhandled, and the resident hears once that they have arrived."""
    with services.database.transaction() as session:
        contact = inbox.still_ours(session, claim)
        if contact is None:
            return None
        waiting = inbox.unhandled(session, contact.id)
        told = any(message.told_waiting for message in waiting)
        answer = None
        if waiting and not told and contact.taken_over_by is None:
            answer = _say_received(services, session, contact, waiting[-1], deadline)
        inbox.settle(session, contact, retry_after=RETRY_NLU)
        return answer


def _say_received(
    services: Services, session: Session, contact: Contact, message: Pending, deadline: datetime | None
) -> Answer | None:
    session.execute(update(Message).where(Message.id == message.id).values(told_waiting=True))
    text = render(services.rules.current(), "system.received", contact.medium, {})
    return _reply(
        session, contact, message, text, [Entry("system.received")], deadline, occasion=f"waiting:{message.id}"
    )


def _note_failure(
    services: Services, claim: Claim, messages: Sequence[Pending], deadline: datetime | None
) -> Answer | None:
    """Count the failed attempt; after the third the message becomes a Review and the resident is told so."""
    ids = [message.id for message in messages]
    with services.database.transaction() as session:
        contact = inbox.still_ours(session, claim)
        if contact is None:
            return None
        unhandled = update(Message).where(Message.id.in_(ids), Message.handled_at.is_(None))
        session.execute(unhandled.values(attempts=Message.attempts + 1))
        attempts = session.scalar(select(func.max(Message.attempts)).where(Message.id.in_(ids))) or 0
        if attempts < MAX_ATTEMPTS:
            inbox.settle(session, contact, retry_after=RETRY_FAILED)
            return None
        session.execute(unhandled.values(handled_at=clock.now()))
        for message_id in ids:
            row = {"message_id": message_id, "reason": "failed", "created_at": clock.now()}
            insert_ignoring(session, Review, [row], ["message_id"])
        answer = None
        if _speaks(contact, messages):
            text = render(services.rules.current(), "system.person_will_look", contact.medium, {})
            answer = _reply(session, contact, messages[-1], text, [Entry("system.person_will_look")], deadline)
            _owe_answer(services.context(session), contact, messages[-1], answer, None)
        inbox.settle(session, contact)
        return answer


def stored_answer(session: Session, message_id: int) -> Answer | None:
    """The answer that a message got through a webhook's response; a repeated webhook gets the same."""
    delivery = session.scalar(
        select(Delivery)
        .where(Delivery.message_id == message_id, Delivery.via == "passive", Delivery.kind != "notice")
        .order_by(Delivery.id.desc())
        .limit(1)
    )
    if delivery is None or delivery.state not in ("sending", "sent"):
        return None
    return Answer(delivery.text, delivery.id, passive=True)
