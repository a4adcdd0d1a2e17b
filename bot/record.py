"""Apply an Outcome: its effects in order, then its text, then the conversation, all in the caller's transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import select

from bot import alerts, calls, crypto, handovers, listening, missed, proofs, readings, standing, tickets
from bot.channels import Entry
from bot.inbox import Pending
from bot.models import Contact, Review, Ticket
from bot.texts import exists, render
from bot.tickets import Actor, Context
from bot.turns import save_conversation
from bot.upsert import insert_ignoring
from handlers.dialogue import types as d
from nlu.types import Understanding

# How messages without words stand in a ticket's history.
WORDLESS = {"image": "［图片］", "video": "［视频］", "voice": "［语音］", "location": "［位置］"}


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
        self.openings: list[tickets.Opened] = []  # the tickets that this outcome opened or joined, in order

    @property
    def opened(self) -> tickets.Opened | None:
        """The ticket that this outcome opened or joined last."""
        return self.openings[-1] if self.openings else None

    def apply(self, outcome: d.Outcome) -> tuple[str, list[Entry]]:
        """Apply everything; returns the text for the resident and the catalogue's entries it was made of."""
        for effect in outcome.effects:
            APPLY[type(effect)](self, effect)
        conversation = outcome.conversation
        replies = outcome.replies
        if self.opened is not None and self.opened.joined == "other":
            replies = tuple(reply for reply in replies if not reply.own_only)
            asked = conversation.waiting_for if len(replies) == len(outcome.replies) else None
            # Nothing of theirs is spoken of.
            conversation = replace(conversation, case=None, ticket=None, waiting_for=asked, options=())
        elif self.opened is not None and conversation.ticket is None:
            conversation = replace(conversation, ticket=self.opened.ticket.number)
        save_conversation(self.context, self.contact, conversation)
        return self._text(replies)

    def _text(self, replies: tuple[d.Reply, ...]) -> tuple[str, list[Entry]]:
        entries = [Entry(self._key(reply), {**self._number(reply), **reply.params}) for reply in replies]
        lines = [render(self.context.book, entry.key, self.contact.medium, entry.params) for entry in entries]
        return "\n".join(line for line in lines if line), entries

    def _number(self, reply: d.Reply) -> dict[str, str]:
        """The number of the ticket that a reply tells of."""
        return {"number": self.openings[reply.nth].ticket.number} if self.openings else {}

    def _key(self, reply: d.Reply) -> str:
        """The reply's own key, or how it is said of a ticket that was joined rather than opened."""
        joined = self.openings[reply.nth].joined if self.openings and reply.about_ticket else None
        if joined is None:
            return reply.key
        ending = "joined" if joined == "own" else "joined_other"
        own = f"{reply.key.split('.')[0]}.{ending}"
        return own if exists(self.context.book, own) else f"report.{ending}"

    def ticket(self, number: str) -> Ticket | None:
        """The ticket of a number, if this contact has a say in it; nobody changes another's ticket by its number."""
        ticket = self.joined(number)
        if ticket is None or not standing.has_say(
            self.context.session, ticket, self.contact.id, self.context.proofs_since
        ):
            return None
        return ticket

    def joined(self, number: str) -> Ticket | None:
        """The ticket of a number, if this contact is a party to it: they may press, and add what they know."""
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
        if self.understanding is not None and self.messages and self.messages[0].kind == "click":
            return self.understanding.text
        return "\n".join(WORDLESS.get(message.kind, "") + message.text for message in self.messages)


def _open(r: Recorder, effect: d.OpenTicket) -> None:
    phone = r.contact.address if r.contact.medium == "sms" else r.contact.resident.phone
    opened = tickets.open_ticket(r.context, r.contact, effect.case, incomplete=effect.incomplete, phone=phone)
    r.openings.append(opened)
    r.link(opened.ticket)
    missed.reported(r.context, r.contact, opened.ticket)
    if effect.case.phone and not effect.case.phone_of_other:
        _remember_phone(r, effect.case.phone)
    if effect.incomplete:
        _owe_call(r, "incomplete", opened.ticket)
    _keep_reading(r, opened.ticket, effect.case.temperature)
    _alert(r, opened.ticket)
    if opened.ticket.urgent and opened.joined is None and opened.ticket.priority == 1:
        _owe_call(r, "urgent", opened.ticket)


def _keep_reading(r: Recorder, ticket: Ticket, value: float | None) -> None:
    """What the resident measured, with when and where they say it was (自测)."""
    if value is None or not r.messages:
        return
    last, text = r.messages[-1], r._said()
    readings.told(r.context, ticket, value, contact_id=r.contact.id, message_id=last.id, at=last.received_at, text=text)


def _alert(r: Recorder, ticket: Ticket) -> None:
    """An emergency calls the people on duty, whoever understood it to be one."""
    message_id = r.messages[-1].id if r.messages else None
    alerts.raise_for(r.context, ticket, r.contact, message_id, r._said())


def _edit(r: Recorder, effect: d.EditTicket) -> None:
    ticket = r.ticket(effect.number)
    if ticket is None:
        return
    known = alerts.is_emergency(ticket)
    ticket = tickets.edit(r.context, ticket, effect, r.actor)
    r.link(ticket)
    if r.understanding is not None and any(e.entity == "temperature" for e in r.understanding.entities):
        _keep_reading(r, ticket, effect.temperature)  # an edit may also repeat what was told before
    if not known:
        _alert(r, ticket)
    if effect.phone and not effect.phone_of_other:
        _remember_phone(r, effect.phone)
    if effect.address:
        mine = ticket.contact_id == r.contact.id  # it may have turned out to be another one's
        standing.bind(r.context.session, r.contact, effect.address, r.context.now, opened=mine)


def _note(r: Recorder, effect: d.AddNote) -> None:
    if (ticket := r.joined(effect.number)) is not None:
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
    if (ticket := r.joined(effect.number)) is not None:
        tickets.chase(r.context, ticket, r.actor)
        r.link(ticket)


def _rate(r: Recorder, effect: d.RateTicket) -> None:
    if (ticket := r.ticket(effect.number)) is not None:
        tickets.rate(r.context, ticket, effect.satisfaction, r.actor)
        r.link(ticket)


def _person(r: Recorder, effect: d.AskForPerson) -> None:
    about = r.context.session.get(Ticket, r.ticket_id) if r.ticket_id is not None else None
    _owe_call(r, effect.reason, r.opened.ticket if r.opened else about)


def _hand_over(r: Recorder, effect: d.HandOver) -> None:
    phone = r.contact.address if r.contact.medium == "sms" else r.contact.resident.phone
    handovers.keep(r.context, r.contact, effect.case, effect.case.phone or phone, r._said())


def _keep_phone(r: Recorder, effect: d.KeepPhone) -> None:
    _remember_phone(r, effect.phone)


def _owe_call(r: Recorder, reason: str, ticket: Ticket | None) -> None:
    calls.owe(
        r.context,
        r.contact.id,
        reason,
        ticket_id=ticket.id if ticket else None,
        message_id=r.messages[-1].id if r.messages else None,
        minutes=15 if reason == "urgent" else None,
    )


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
        if effect.reason == listening.VOICE:
            listening.expect(r.context, r.contact.id, message.id)


def _opt_out(r: Recorder, effect: d.OptOut) -> None:
    r.contact.opted_out_at = r.contact.opted_out_at or r.context.now


def _opt_in(r: Recorder, effect: d.OptIn) -> None:
    r.contact.opted_out_at = None


def _noticed(r: Recorder, effect: d.Noticed) -> None:
    r.contact.noticed_at = r.contact.noticed_at or r.context.now


def _prove(r: Recorder, effect: d.ProveHome) -> None:
    verdict = proofs.judge(r.context, r.contact.id, r._said())
    if verdict is not None and verdict.result == "right" and verdict.home_id is not None and verdict.by is not None:
        standing.prove(r.context.session, r.contact.id, verdict.home_id, verdict.by, r.context.now)
        proofs.use_up(r.context, r.contact.id)


def _wrong(r: Recorder, effect: d.WrongProof) -> None:
    proofs.count_wrong(r.context, r.contact.id)


def _send_code(r: Recorder, effect: d.SendCode) -> None:
    proofs.send_code(r.context, r.contact, effect.address)


def _bind(r: Recorder, effect: d.BindHome) -> None:
    standing.bind(r.context.session, r.contact, effect.address, r.context.now)


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
    d.RateTicket: _rate,
    d.AskForPerson: _person,
    d.KeepPhone: _keep_phone,
    d.HandOver: _hand_over,
    d.FileReview: _review,
    d.OptOut: _opt_out,
    d.OptIn: _opt_in,
    d.BindHome: _bind,
    d.Noticed: _noticed,
    d.ProveHome: _prove,
    d.WrongProof: _wrong,
    d.SendCode: _send_code,
}
