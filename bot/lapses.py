"""Conversations that fall silent in the middle of a report: reminded once, then opened as they are."""

from __future__ import annotations

import logging
from datetime import timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot import clock, outbox
from bot.models import Contact, Conversation
from bot.record import Recorder
from bot.services import Services
from bot.tickets import Context
from bot.trace import trace
from bot.turns import LAPSE, load_conversation
from handlers.dialogue import lapse
from handlers.dialogue.types import Outcome

log = logging.getLogger(__name__)

LATER = timedelta(minutes=5)  # when one that cannot be reminded now is looked at again
_BATCH = 50


def run(services: Services) -> int:
    """Remind or lapse the conversations that are due; returns how many."""
    due = select(Conversation.contact_id).where(Conversation.open_case, Conversation.lapses_at <= clock.now())
    with services.database.reading() as session:
        ids = session.scalars(due.order_by(Conversation.lapses_at).limit(_BATCH)).all()
    for contact_id in ids:
        try:
            _advance(services, contact_id)
        except Exception as error:
            # One conversation that cannot be read must not keep the others, and every other task, waiting.
            log.error("The silence of contact %s could not be handled: %s", contact_id, trace(error))
            with services.database.transaction() as session:
                _put_off(session, contact_id)
    return len(ids)


def _put_off(session: Session, contact_id: int) -> None:
    _keep(session, contact_id, lapses_at=clock.now() + LATER)


def _keep(session: Session, contact_id: int, **values: object) -> None:
    session.execute(update(Conversation).where(Conversation.contact_id == contact_id).values(**values))


def _advance(services: Services, contact_id: int) -> None:
    with services.database.transaction() as session:
        contact = session.scalars(select(Contact).where(Contact.id == contact_id).with_for_update(of=Contact)).one()
        row = session.get_one(Conversation, contact_id, with_for_update=True)
        context = services.context(session)
        if not row.open_case or row.lapses_at is None or row.lapses_at > context.now:
            return  # they wrote meanwhile
        if contact.pending_since is not None or contact.taken_over_by is not None:
            _put_off(session, contact_id)  # what they wrote has not been read yet, or a person is talking with them
            return
        conversation = load_conversation(row.state)
        started = row.updated_at
        if row.reminded_at is None:
            _say(context, contact, lapse.remind(conversation, contact.medium), f"remind:{started.timestamp():.0f}")
            # Recording the reminder must not make the silence look shorter than it is.
            values = {
                "updated_at": started,
                "reminded_at": context.now,
                "open_case": True,
                "lapses_at": started + LAPSE,
            }
            _keep(session, contact_id, **values)
        else:
            _say(context, contact, lapse.lapse(conversation, contact.medium), f"lapse:{started.timestamp():.0f}")
            _keep(session, contact_id, open_case=False, lapses_at=None)


def _say(context: Context, contact: Contact, outcome: Outcome, occasion: str) -> None:
    text, entries = Recorder(context, contact).apply(outcome)
    if text:
        outbox.queue(context.session, contact, text, occasion=occasion, kind="reply", now=context.now, entries=entries)
