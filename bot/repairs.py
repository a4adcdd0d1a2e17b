"""A verdict repairs the live case: a ticket is re-typed, withdrawn or opened, and its resident hears one sentence, once.

`mend` finds out what the misread message led to and changes that; `take_back` undoes it while nothing has gone out.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from bot import clock, outbox, tickets
from bot.change import Actor, Context
from bot.channels import Entry
from bot.inbox import Pending
from bot.models import Callback, Contact, Delivery, Message, Review, Ticket, TicketContact
from bot.record import Recorder
from bot.reviews import TELLING
from bot.texts import render
from bot.turns import build_turn, current_conversation, dump_conversation, load_conversation, save_conversation
from handlers.dialogue.registry import handler
from handlers.dialogue.report import FAULTS
from handlers.dialogue.types import Conversation
from nlu.entities import extract
from nlu.facts import read_facts
from nlu.places import Gazetteer
from nlu.types import Entity, Understanding

URGENT_CALL = timedelta(minutes=15)
URGENT = frozenset({"danger", "leak"})
# A message that means one of these was never a report, so a report that it led to is withdrawn.
_NO_REPORT = frozenset(
    {"cancel", "confirm_resolved", "consult", "deny", "greet", "out_of_scope", "privacy", "thanks", "unsubscribe"}
)
# What a person has to hear about when it was missed for long.
_CALLED_FOR = FAULTS | {"not_resolved", "human_agent", "privacy"}
# What can still be acted on while nothing else has been said: each has its handler.
_ACTED_ON = _CALLED_FOR | {"billing", "cancel", "confirm_resolved", "consult", "urge"}


@dataclass(frozen=True, slots=True)
class Repair:
    """What was done: retyped | withdrawn | opened | answered | asked | dropped | called | noted; the ticket; and `before`,
    which `take_back` needs."""

    kind: str
    ticket_id: int | None = None
    told_id: int | None = None
    before: dict[str, Any] | None = None


def mend(
    context: Context, review: Review, actor: Actor, places: Gazetteer, entities: Sequence[Entity] | None = None
) -> Repair | None:
    """Repair what the message of a judged review led to. Returns None where nothing is wrong with it.

    `entities` are those that the reviewer has marked; those of the text where nothing is given.
    """
    message = review.message
    contact = context.session.get_one(Contact, message.contact_id, with_for_update={"of": Contact})
    mending = _Mending(context, review, message, contact, actor, places, entities)
    ticket = mending.ticket()
    if ticket is not None:
        return mending.correct(ticket)
    if review.verdict == review.guess and review.reason not in ("unsure", "misunderstood", "failed"):
        return None
    return mending.catch_up()


class _Mending:
    """One repair, with what it needs at hand."""

    def __init__(
        self,
        context: Context,
        review: Review,
        message: Message,
        contact: Contact,
        actor: Actor,
        places: Gazetteer,
        entities: Sequence[Entity] | None,
    ) -> None:
        self.context = context
        self.review = review
        self.message = message
        self.contact = contact
        self.actor = actor
        self.places = places
        self.entities = entities
        self.rules = context.book.raw["reviews"]

    @property
    def meant(self) -> str:
        return str(self.review.verdict)

    # --- a ticket that the message led to

    def ticket(self) -> Ticket | None:
        """The ticket that came of this message: the one it opened, or one that its later answers opened."""
        session, message = self.context.session, self.message
        faults = self.context.book.tickets["faults"]
        if message.intent not in faults and self.review.guess not in faults:
            return None
        after = (Ticket.opened_at >= message.received_at, Ticket.opened_at <= message.received_at + TELLING)
        found = session.scalar(
            select(Ticket)
            .where(Ticket.contact_id == message.contact_id, *after)
            .where((Ticket.id == message.ticket_id) if message.ticket_id else (Ticket.intent == self.review.guess))
            .order_by(Ticket.opened_at, Ticket.id)
            .limit(1)
            .with_for_update(of=Ticket)
        )
        if found is not None and found.merged_into_id is not None:
            return session.get(Ticket, found.merged_into_id, with_for_update={"of": Ticket})
        return found

    def correct(self, ticket: Ticket) -> Repair | None:
        """Make the ticket what the message meant."""
        if ticket.closed_at is not None or self.meant in (ticket.intent, *ticket.also):
            return self._add_further(ticket)
        if self.meant == "danger" and not self._is_late():
            # Its safety text goes out at once, and the other ticket stays what it is.
            return self._respond(current_conversation(self.context.session, self.contact.id))
        if self.meant in self.context.book.tickets["faults"]:
            return self._retype(ticket)
        return self._withdraw(ticket) if self.meant in _NO_REPORT else None

    def _add_further(self, ticket: Ticket) -> Repair | None:
        """Further problems that the message told are noted, for whoever goes there."""
        missing = [
            intent
            for intent in self.review.verdict_also or ()
            if intent in self.context.book.tickets["faults"] and intent not in (ticket.intent, *ticket.also)
        ]
        if not missing or ticket.closed_at is not None:
            return None
        names = "、".join(map(self.context.book.intent_name, missing))
        tickets.add_note(self.context, ticket, f"复核：住户还说了{names}", self.actor)
        return Repair("noted", ticket.id)

    def _retype(self, ticket: Ticket) -> Repair:
        before: dict[str, Any] = {"intent": ticket.intent, "severity": ticket.severity}
        stands = tickets.retype(self.context, ticket, self.meant, self.actor, tell=False)
        if stands is not ticket:
            before = {"merged": True}
        problem = self.context.book.intent_name(stands.intent)
        told = self._tell("review.retyped", {"problem": problem, "number": stands.number}, stands)
        return Repair("retyped", stands.id, told, before)

    def _withdraw(self, ticket: Ticket) -> Repair | None:
        """Withdraw a report that nobody made, unless somebody else hears of it too, it is urgent, or work has begun."""
        parties = select(func.count()).select_from(TicketContact).where(TicketContact.ticket_id == ticket.id)
        alone = self.context.session.scalar(parties) == 1
        if ticket.urgent or not alone or ticket.status not in self.rules["withdraw_from"]:
            return self._owe_call(ticket)
        before = {"status": ticket.status}
        tickets.move(
            self.context, ticket, "cancelled", self.actor, note="复核：住户没有报修", tell=False, resolution="withdrawn"
        )
        conversation = current_conversation(self.context.session, self.contact.id)
        if conversation.ticket == ticket.number:
            before["conversation"] = dump_conversation(conversation)
            save_conversation(self.context, self.contact, Conversation())
        told = self._tell("review.withdrawn", {"number": ticket.number}, ticket)
        return Repair("withdrawn", ticket.id, told, before)

    # --- a message that led to nothing

    def catch_up(self) -> Repair | None:
        """Do what should have been done, if it is not too late; then a person calls."""
        conversation = current_conversation(self.context.session, self.contact.id)
        if (
            conversation.case is not None
            and conversation.ticket is None
            and conversation.case.intent == self.review.guess
        ):
            return self._redirect(conversation)
        if self.meant not in _ACTED_ON or self._taken_since():
            return None
        if self._is_late() or conversation.waiting_for or self._said_since() or self.contact.taken_over_by is not None:
            return self._owe_call(None) if self.meant in _CALLED_FOR else None
        return self._respond(conversation)

    def _is_late(self) -> bool:
        return self.context.now - self.message.received_at > timedelta(hours=float(self.rules["late_hours"]))

    def _taken_since(self) -> bool:
        """Whether the resident has since reported the same, so that the case is taken care of."""
        fault = self.context.book.tickets["faults"].get(self.meant)
        query = (
            select(Ticket.id)
            .join(TicketContact, TicketContact.ticket_id == Ticket.id)
            .where(TicketContact.contact_id == self.contact.id, Ticket.fault == fault)
            .where(Ticket.closed_at.is_(None) | (Ticket.opened_at >= self.message.received_at))
        )
        return fault is not None and self.context.session.scalar(query.limit(1)) is not None

    def _said_since(self) -> bool:
        later = select(Message.id).where(
            Message.contact_id == self.contact.id, Message.id > self.message.id, Message.kind.in_(("text", "voice"))
        )
        return self.context.session.scalar(later.limit(1)) is not None

    def _redirect(self, conversation: Conversation) -> Repair | None:
        """The case is being told right now: it goes on as what it is, or not at all."""
        assert conversation.case is not None
        before = {"conversation": dump_conversation(conversation)}
        if self.meant in URGENT:
            return self._respond(conversation)
        if self.meant in FAULTS:
            case = replace(conversation.case, intent=self.meant)
            save_conversation(self.context, self.contact, replace(conversation, case=case))
            return Repair("asked", None, None, before)
        if self.meant not in _NO_REPORT:
            return None
        save_conversation(self.context, self.contact, Conversation())
        return Repair("dropped", None, self._tell("review.dropped", {}, None), before)

    def _respond(self, conversation: Conversation) -> Repair | None:
        """What the dialogue would have done had it understood, in the conversation as it stands."""
        pending = _pending(self.message)
        understanding = self._understanding()
        turn = build_turn(self.context, self.contact, [pending], understanding, self.places)
        recorder = Recorder(self.context, self.contact, [pending], understanding)
        before = {"conversation": dump_conversation(conversation)}
        text, entries = recorder.apply(handler(self.meant)(turn))
        self.message.ticket_id = recorder.ticket_id or self.message.ticket_id
        opened = recorder.opened
        ticket = opened.ticket if opened is not None else None
        if opened is not None and opened.joined == "own":
            return Repair("noted", opened.ticket.id, None, before)
        waits = current_conversation(self.context.session, self.contact.id).waiting_for
        if ticket is not None and self.meant != "danger" and waits is None:
            problem = self.context.book.intent_name(ticket.intent)
            told = self._tell("review.opened", {"problem": problem, "number": ticket.number}, ticket)
        else:
            told = self._tell("review.sorry", {}, ticket, text, entries)
        if opened is None:
            return Repair("answered", None, told, before)
        return Repair("opened" if opened.joined is None else "noted", opened.ticket.id, told, before)

    def _understanding(self) -> Understanding:
        text = self.message.text
        facts = read_facts(text, self.meant, tuple(self.review.verdict_also or ()))
        return Understanding(
            text=text,
            intent=self.meant,
            confidence=1.0,
            ranking=((self.meant, 1.0),),
            also=tuple(self.review.verdict_also or ()),
            entities=tuple(extract(text, self.places) if self.entities is None else self.entities),
            scope=facts.scope,
            severity=facts.severity,
            need=facts.need,
            model="review",
        )

    # --- what people hear of it

    def _owe_call(self, ticket: Ticket | None) -> Repair:
        """A person calls: a message that has turned would come too late, or would only confuse."""
        book, session = self.context.book, self.context.session
        urgent = self.meant in URGENT or (ticket is not None and ticket.urgent)
        wait = URGENT_CALL if urgent else timedelta(minutes=book.dialogue.callback_minutes)
        owed = session.scalar(
            select(Callback).where(
                Callback.contact_id == self.contact.id, Callback.reason == "review", Callback.done_at.is_(None)
            )
        )
        if owed is not None:
            owed.due_at = min(owed.due_at, self.context.now + wait)
            return Repair("called", owed.ticket_id)
        row = Callback(
            contact_id=self.contact.id,
            ticket_id=ticket.id if ticket else None,
            message_id=self.message.id,
            reason="review",
            created_at=self.context.now,
            due_at=self.context.now + wait,
        )
        session.add(row)
        session.flush()
        return Repair("called", ticket.id if ticket else None, None, {"callback": row.id})

    def _tell(
        self,
        key: str,
        params: dict[str, str],
        ticket: Ticket | None,
        more: str = "",
        entries: Sequence[Entry] = (),
    ) -> int | None:
        """One sentence about this review, ever; it waits a moment, so that the verdict can be taken back."""
        first = Entry(key, params)
        text = "\n".join(filter(None, [render(self.context.book, key, self.contact.medium, params), more]))
        # What nobody waits for is a notice, which the night may hold back; safety is not.
        kind = "urgent" if self.meant == "danger" else "reply" if more else "notice"
        told = outbox.queue(
            self.context.session,
            self.contact,
            text,
            occasion=f"review:{self.review.id}",
            kind=kind,
            now=self.context.now,
            ticket=ticket,
            entries=[first, *entries],
        )
        if told is not None and self.meant != "danger":
            wait = timedelta(seconds=self.rules["undo_seconds"])
            later = update(Delivery).where(Delivery.id == told, Delivery.state == "queued")
            self.context.session.execute(later.values(due_at=self.context.now + wait))
        return told


def _pending(message: Message) -> Pending:
    return Pending(
        message.id, message.kind, message.text, message.received_at, message.sent_at, message.lane, message.danger
    )


def take_back(context: Context, review: Review, actor: Actor) -> bool:
    """Undo the repair of a verdict; False, and nothing changes, where the resident has heard of it or work has begun."""
    if review.repair is None:
        return True
    before = json.loads(review.repair_before) if review.repair_before else {}
    ticket = _locked_ticket(context.session, review.repair_ticket_id)
    if not _undoable(context, review, ticket, before) or not _unsay(context.session, review):
        return False
    _undo_ticket(context, review, ticket, before, actor)
    if "conversation" in before:
        contact = context.session.get_one(Contact, review.message.contact_id)
        save_conversation(context, contact, load_conversation(before["conversation"]))
    if "callback" in before:
        context.session.execute(delete(Callback).where(Callback.id == before["callback"], Callback.done_at.is_(None)))
    review.repair = review.repair_ticket_id = review.repair_before = None
    return True


def _locked_ticket(session: Session, ticket_id: int | None) -> Ticket | None:
    return session.get(Ticket, ticket_id, with_for_update={"of": Ticket}) if ticket_id else None


def _undoable(context: Context, review: Review, ticket: Ticket | None, before: dict[str, Any]) -> bool:
    if before.get("merged") or review.repair == "noted":
        return False
    if ticket is None:
        return True
    fresh = ticket.status in context.book.raw["reviews"]["withdraw_from"] or review.repair in ("withdrawn", "called")
    return fresh and (review.repair != "retyped" or ticket.intent == review.verdict)


def _unsay(session: Session, review: Review) -> bool:
    """Whether what was to be told had not gone out yet; it never will now, and a later verdict may say another."""
    if review.told_id is None:
        return True
    told, review.told_id = review.told_id, None
    session.flush()
    gone = delete(Delivery).where(Delivery.id == told, Delivery.state == "queued", Delivery.attempts == 0)
    if session.execute(gone).rowcount:  # type: ignore[attr-defined]
        return True
    review.told_id = told
    return False


def _undo_ticket(context: Context, review: Review, ticket: Ticket | None, before: dict[str, Any], actor: Actor) -> None:
    if ticket is None:
        return
    if review.repair == "retyped":
        tickets.retype(context, ticket, before["intent"], actor, tell=False)
        ticket.severity = before.get("severity")
    elif review.repair == "withdrawn" and ticket.status == "cancelled":
        tickets.move(context, ticket, "reopened", actor, note="撤销复核判断", tell=False)
    elif review.repair == "opened":
        tickets.move(context, ticket, "cancelled", actor, note="撤销复核判断", tell=False, resolution="withdrawn")
        context.session.execute(delete(Callback).where(Callback.ticket_id == ticket.id, Callback.done_at.is_(None)))
        review.message.ticket_id = None


def tells_at(session: Session, review: Review) -> datetime | None:
    """Until when the verdict can be taken back: when its sentence goes out; None where it has, or there is none."""
    row = session.get(Delivery, review.told_id) if review.told_id else None
    return row.due_at if row is not None and row.state == "queued" and row.due_at > clock.now() else None
