"""Apply an Outcome: its effects in order, then its text, then the conversation, all in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from bot import crypto, tickets
from bot.channels import Entry
from bot.inbox import Pending
from bot.models import Callback, Contact, ContactHome, Home, Review, Ticket
from bot.texts import exists, render
from bot.ticket_facts import home_key
from bot.tickets import Actor, Context
from bot.turns import save_conversation
from bot.upsert import insert_ignoring
from handlers.dialogue import types as d
from nlu.types import Understanding


class Recorder:
    """Applies one outcome for one contact; remembers the ticket it opened, for the reply's words."""

    def __init__(
        self,
        context: Context,
        contact: Contact,
        messages: Sequence[Pending] = (),
        understanding: Understanding | None = None,
    ) -> None:
        self.context = context
        self.contact = contact
        self.messages = messages
        self.understanding = understanding
        self.ticket_id: int | None = None  # the ticket that the messages were about
        self.actor = Actor("resident", contact.id)
        self.opened: tickets.Opened | None = None

    def apply(self, outcome: d.Outcome) -> tuple[str, list[Entry]]:
        """Apply everything; returns the text for the resident and the catalogue's entries it was made of."""
        for effect in outcome.effects:
            APPLY[type(effect)](self, effect)
        conversation = outcome.conversation
        if self.opened is not None and conversation.ticket is None:
            conversation = _with_ticket(conversation, self.opened.ticket.number)
        save_conversation(self.context, self.contact, conversation)
        return self._text(outcome.replies)

    def _text(self, replies: tuple[d.Reply, ...]) -> tuple[str, list[Entry]]:
        number = {"number": self.opened.ticket.number} if self.opened else {}
        entries = [Entry(self._key(reply), {**number, **reply.params}) for reply in replies]
        lines = [render(self.context.book, entry.key, self.contact.medium, entry.params) for entry in entries]
        return "\n".join(line for line in lines if line), entries

    def _key(self, reply: d.Reply) -> str:
        """The reply's own key, or how it is said of a ticket that was joined rather than opened."""
        joined = self.opened.joined if self.opened and reply.about_ticket else None
        if joined is None:
            return reply.key
        ending = "joined" if joined == "own" else "joined_other"
        own = f"{reply.key.split('.')[0]}.{ending}"
        return own if exists(self.context.book, own) else f"report.{ending}"

    def ticket(self, number: str) -> Ticket | None:
        """The ticket of a number, if this contact is a party to it; nobody changes another's ticket by its number."""
        ticket = self.context.session.scalar(select(Ticket).where(Ticket.number == number).with_for_update())
        if ticket is None or not tickets.is_party(self.context.session, ticket, self.contact.id):
            return None
        return ticket

    def link(self, ticket: Ticket) -> None:
        """Note on the messages which ticket they were about."""
        self.ticket_id = ticket.id

    def move(self, number: str, to: str, resolution: str | None = None) -> None:
        """Move a ticket where the table allows it; a move that does not apply any more is kept as a note."""
        ticket = self.ticket(number)
        if ticket is None:
            return
        self.link(ticket)
        try:
            tickets.move(self.context, ticket, to, self.actor, note=self._said(), resolution=resolution)
        except tickets.MoveRefused:
            tickets.add_note(self.context, ticket, self._said(), self.actor)

    def _said(self) -> str:
        return "\n".join(message.text for message in self.messages)


def _with_ticket(conversation: d.Conversation, number: str) -> d.Conversation:
    return replace(conversation, ticket=number)


def _open(r: Recorder, effect: d.OpenTicket) -> None:
    phone = r.contact.address if r.contact.medium == "sms" else r.contact.resident.phone
    r.opened = tickets.open_ticket(r.context, r.contact, effect.case, incomplete=effect.incomplete, phone=phone)
    r.link(r.opened.ticket)
    if effect.case.phone:
        _remember_phone(r, effect.case.phone)
    if home_key(effect.case.address):
        _bind(r, d.BindHome(effect.case.address))
    if effect.incomplete:
        _owe_call(r, "incomplete", r.opened.ticket)
    if r.opened.ticket.urgent and r.opened.joined is None and r.opened.ticket.priority == 1:
        _owe_call(r, "urgent", r.opened.ticket)


def _edit(r: Recorder, effect: d.EditTicket) -> None:
    ticket = r.ticket(effect.number)
    if ticket is None:
        return
    ticket = tickets.edit(r.context, ticket, effect, r.actor)
    r.link(ticket)
    if effect.phone:
        _remember_phone(r, effect.phone)
    if effect.address and home_key(effect.address):
        _bind(r, d.BindHome(effect.address))


def _note(r: Recorder, effect: d.AddNote) -> None:
    if (ticket := r.ticket(effect.number)) is not None:
        tickets.add_note(r.context, ticket, r._said(), r.actor)
        r.link(ticket)


def _cancel(r: Recorder, effect: d.CancelTicket) -> None:
    r.move(effect.number, "cancelled", "withdrawn")


def _resolve(r: Recorder, effect: d.ResolveTicket) -> None:
    ticket = r.ticket(effect.number)
    if ticket is None:
        return
    # A leak that "has stopped" may only have stopped for now, so a person confirms it.
    to = "confirming" if ticket.fault in ("leak", "danger") else "closed"
    r.move(effect.number, to, "confirmed" if to == "closed" else None)
    if to == "confirming":
        _owe_call(r, "confirm", ticket)


def _reopen(r: Recorder, effect: d.ReopenTicket) -> None:
    r.move(effect.number, "reopened")


def _chase(r: Recorder, effect: d.ChaseTicket) -> None:
    if (ticket := r.ticket(effect.number)) is not None:
        tickets.chase(r.context, ticket, r.actor)
        r.link(ticket)


def _person(r: Recorder, effect: d.AskForPerson) -> None:
    _owe_call(r, effect.reason, r.opened.ticket if r.opened else None)


def _keep_phone(r: Recorder, effect: d.KeepPhone) -> None:
    _remember_phone(r, effect.phone)


def _owe_call(r: Recorder, reason: str, ticket: Ticket | None) -> None:
    minutes = 15 if reason == "urgent" else r.context.book.dialogue.callback_minutes
    row: dict[str, Any] = {
        "contact_id": r.contact.id,
        "ticket_id": ticket.id if ticket else None,
        "message_id": r.messages[-1].id if r.messages else None,
        "reason": reason,
        "created_at": r.context.now,
        "due_at": r.context.now + timedelta(minutes=minutes),
    }
    open_one = select(Callback.id).where(
        Callback.contact_id == r.contact.id, Callback.reason == reason, Callback.done_at.is_(None)
    )
    if r.context.session.scalar(open_one) is None:
        r.context.session.add(Callback(**row))
        r.context.session.flush()


def _review(r: Recorder, effect: d.FileReview) -> None:
    for message in r.messages:
        row = {
            "message_id": message.id,
            "reason": effect.reason,
            "guess": r.understanding.intent if r.understanding else None,
            "confidence": r.understanding.confidence if r.understanding else None,
            "created_at": r.context.now,
        }
        insert_ignoring(r.context.session, Review, [row], ["message_id"])


def _opt_out(r: Recorder, effect: d.OptOut) -> None:
    r.contact.opted_out_at = r.contact.opted_out_at or r.context.now


def _opt_in(r: Recorder, effect: d.OptIn) -> None:
    r.contact.opted_out_at = None


def _bind(r: Recorder, effect: d.BindHome) -> None:
    key = home_key(effect.address)
    if key is None:
        return
    a = effect.address
    row = {
        "key": key,
        "district": a.district,
        "community": a.community,
        "building": a.building,
        "unit": a.unit,
        "room": a.room,
    }
    insert_ignoring(r.context.session, Home, [row], ["key"])
    home_id = r.context.session.scalars(select(Home.id).where(Home.key == key)).one()
    link = r.context.session.get(ContactHome, (r.contact.id, home_id))
    if link is None:
        r.context.session.add(ContactHome(contact_id=r.contact.id, home_id=home_id, used_at=r.context.now))
    else:
        link.used_at = r.context.now


def _remember_phone(r: Recorder, phone: str) -> None:
    resident = r.contact.resident
    if r.contact.medium == "wechat":
        resident.phone, resident.phone_hash = phone, crypto.blind_index("phone", phone)


APPLY: dict[type[d.Effect], Callable[[Recorder, Any], None]] = {
    d.OpenTicket: _open,
    d.EditTicket: _edit,
    d.AddNote: _note,
    d.CancelTicket: _cancel,
    d.ResolveTicket: _resolve,
    d.ReopenTicket: _reopen,
    d.ChaseTicket: _chase,
    d.AskForPerson: _person,
    d.KeepPhone: _keep_phone,
    d.FileReview: _review,
    d.OptOut: _opt_out,
    d.OptIn: _opt_in,
    d.BindHome: _bind,
}
