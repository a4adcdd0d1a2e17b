"""One message (or one burst): understand → respond → record. The network is asked while no transaction is open."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from nlu.facts import read_facts
from nlu.interpreter import NluError
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot import clock, inbox, outbox
from bot.inbox import BURST_WINDOW, Claim
from bot.models import Contact, Delivery, Message, Review
from bot.record import Recorder
from bot.services import Services
from bot.texts import exists, render
from bot.turns import build_turn
from bot.upsert import insert_ignoring
from handlers.dialogue.respond import respond
from nlu.entities import extract
from nlu.types import Understanding

log = logging.getLogger(__name__)

RETRY_NLU = timedelta(seconds=3)  # how soon a message is tried again while understanding is down
RETRY_FAILED = timedelta(seconds=2)
MAX_ATTEMPTS = 3


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
        understanding = _understand(services, messages)
    except NluError as error:
        log.warning("Understanding is not available: %s", type(error).__name__)
        return _keep_for_later(services, claim, messages, deadline)
    try:
        return _respond_and_record(services, claim, messages, understanding, deadline)
    except LostLease:
        return None
    except Exception as error:
        # Whatever a message provokes, the queue moves on: after three attempts a person looks at it.
        log.exception("A turn failed", extra={"message": messages[-1].id, "error": type(error).__name__})
        return _note_failure(services, claim, messages, deadline)


def _next_messages(services: Services, claim: Claim) -> list[Message]:
    """The messages of the next turn: one, or a burst of texts that came within seconds of one another."""
    with services.database.reading() as session:
        waiting = inbox.unhandled(session, claim.contact_id)
        session.expunge_all()
    if not waiting:
        _release(services, claim)
        return []
    first = waiting[0]
    if first.danger or first.kind not in ("text", "voice"):
        return [first]
    burst = [first]
    for message in waiting[1:]:
        close = message.received_at - burst[-1].received_at <= BURST_WINDOW
        if message.danger or message.kind != first.kind or not close:
            break
        burst.append(message)
    return burst


def _release(services: Services, claim: Claim) -> None:
    with services.database.transaction() as session:
        if (contact := inbox.still_ours(session, claim)) is not None:
            inbox.settle(session, contact)


def _understand(services: Services, messages: Sequence[Message]) -> Understanding:
    """Ask the NLU server; a message the danger rule caught is answered by rule when the server cannot be asked."""
    text = "\n".join(message.text for message in messages if message.text)
    gazetteer = services.gazetteer.current()
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


def _is_words(message: Message) -> bool:
    return message.kind == "text" or (message.kind == "voice" and bool(message.text.strip()))


def _respond_and_record(
    services: Services,
    claim: Claim,
    messages: Sequence[Message],
    understanding: Understanding,
    deadline: datetime | None,
) -> Answer | None:
    places = services.gazetteer.current()
    with services.database.transaction() as session:
        contact, fresh = _take(session, claim, messages)
        context = services.context(session)
        _note_understanding(fresh, understanding)
        if contact.taken_over_by is not None:
            inbox.settle(session, contact)  # a person is talking: the message waits on the desk, the bot is silent
            return None
        if _is_words(fresh[0]):
            turn = build_turn(context, contact, fresh, understanding, places)
            text, keys = Recorder(context, contact, fresh).apply(respond(turn))
        else:
            text, keys = _answer_to_kind(services, contact, fresh[0])
        answer = _reply(context.session, contact, fresh[-1], text, keys, deadline)
        inbox.settle(session, contact)
        return answer


def _take(session: Session, claim: Claim, messages: Sequence[Message]) -> tuple[Contact, list[Message]]:
    """The fences: the lease is still ours and every message is still unhandled, else nothing happens."""
    contact = inbox.still_ours(session, claim)
    if contact is None:
        raise LostLease
    ids = [message.id for message in messages]
    taken = session.execute(
        update(Message)
        .where(Message.id.in_(ids), Message.handled_at.is_(None))
        .values(handled_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    if taken.rowcount != len(ids):  # type: ignore[attr-defined]
        raise LostLease
    rows = session.scalars(select(Message).where(Message.id.in_(ids))).all()
    order = {message_id: place for place, message_id in enumerate(ids)}
    return contact, sorted(rows, key=lambda message: order[message.id])


def _note_understanding(messages: Sequence[Message], understanding: Understanding) -> None:
    kept = {
        "ranking": understanding.ranking[:5],
        "also": understanding.also,
        "entities": [asdict(entity) for entity in understanding.entities],
        "scope": understanding.scope,
        "severity": understanding.severity,
        "need": understanding.need,
    }
    for message in messages:
        message.intent, message.confidence = understanding.intent, understanding.confidence
        message.model = understanding.model
        message.understanding = json.dumps(kept, ensure_ascii=False)


def _answer_to_kind(services: Services, contact: Contact, message: Message) -> tuple[str, list[str]]:
    """What a message that has no words is answered with; events that want no answer get none."""
    if message.kind in ("unfollow", "report", "other_event"):
        return "", []
    book = services.rules.current()
    key = {"follow": "system.followed", "scan": "system.followed"}.get(message.kind, f"system.{message.kind}")
    if not exists(book, key):
        key = "system.unsupported"
    return render(book, key, contact.medium, {"company": services.settings.company}), [key]


def _reply(
    session: Session, contact: Contact, message: Message, text: str, keys: Sequence[str], deadline: datetime | None
) -> Answer | None:
    if not text:
        return None
    now = clock.now()
    passive = deadline is not None and now < deadline
    delivery_id = outbox.queue(
        session,
        contact,
        text,
        occasion=f"message:{message.id}",
        kind="urgent" if message.danger else "reply",
        now=now,
        message=message,
        keys=keys,
        passive=passive,
    )
    return Answer(text, delivery_id, passive)


def _keep_for_later(
    services: Services, claim: Claim, messages: Sequence[Message], deadline: datetime | None
) -> Answer | None:
    """Understanding is down: the messages stay unhandled, and the resident hears once that they have arrived."""
    book = services.rules.current()
    with services.database.transaction() as session:
        contact = inbox.still_ours(session, claim)
        if contact is None:
            return None
        waiting = inbox.unhandled(session, contact.id)
        answer = None
        if waiting and not any(message.told_waiting for message in waiting):
            waiting[-1].told_waiting = True
            text = render(book, "system.received", contact.medium, {})
            now = clock.now()
            passive = deadline is not None and now < deadline
            occasion = f"waiting:{waiting[-1].id}"
            delivery_id = outbox.queue(
                session, contact, text, occasion=occasion, kind="reply", now=now, message=waiting[-1], passive=passive
            )
            answer = Answer(text, delivery_id, passive)
        inbox.settle(session, contact, retry_after=RETRY_NLU)
        return answer


def _note_failure(
    services: Services, claim: Claim, messages: Sequence[Message], deadline: datetime | None
) -> Answer | None:
    """Count the failed attempt; after the third the message becomes a Review and the resident is told so."""
    with services.database.transaction() as session:
        try:
            contact, fresh = _take(session, claim, messages)
        except LostLease:
            return None
        answer = None
        for message in fresh:
            message.attempts += 1
        if all(message.attempts < MAX_ATTEMPTS for message in fresh):
            for message in fresh:
                message.handled_at = None
            session.flush()
            inbox.settle(session, contact, retry_after=RETRY_FAILED)
            return None
        for message in fresh:
            row = {"message_id": message.id, "reason": "failed", "created_at": clock.now()}
            insert_ignoring(session, Review, [row], ["message_id"])
        text = render(services.rules.current(), "system.person_will_look", contact.medium, {})
        answer = _reply(session, contact, fresh[-1], text, ["system.person_will_look"], deadline)
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
