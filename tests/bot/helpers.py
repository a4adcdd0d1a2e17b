"""What the tests of the core share: an understanding that is told what to say, a provider that is told how to fail."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

from flask import Request, Response
from sqlalchemy import inspect, select

from bot import clock, conversation, inbox, intake, tickets
from bot.channels import BadRequest, Inbound, Outgoing, Report, SendError, Sent
from bot.conversation import Answer
from bot.inbox import Received
from bot.models import Base, Contact, Conversation, Delivery, Ticket, Update
from bot.services import Services
from handlers.dialogue.types import Address, Case
from nlu.entities import extract
from nlu.gazetteer import Gazetteer
from nlu.interpreter import NluUnavailable
from nlu.types import Understanding

HOME = Address("二七区", "阳光花园", "3", "2", "501", known=True)
OTHER_HOME = Address("二七区", "阳光花园", "3", "2", "502", known=True)
COLD_AT_HOME = "阳光花园3号楼2单元501，暖气不热"
MEANINGS = {
    "不热": "no_heat",
    "漏水": "leak",
    "谢谢": "thanks",
    "你好": "greet",
    "催": "urge",
    "撤销": "cancel",
    "人工": "human_agent",
    "多少钱": "billing",
    "退订": "unsubscribe",
}
PHONE = "+8619900001234"
SENDERS = itertools.count(1)
IDS = itertools.count(1)
Row = TypeVar("Row", bound=Base)


@dataclass
class Scripted:
    """Understands a few words. `down`: nobody answers; `error`: what understanding raises; `before` runs first."""

    down: bool = False
    error: Exception | None = None
    before: Callable[[str], None] | None = None
    heard: list[str] = field(default_factory=list)

    def understand(self, text: str, gazetteer: Gazetteer | None = None) -> Understanding:
        """The meaning of the first known word; entities as the real one finds them."""
        self.heard.append(text)
        if self.before is not None:
            self.before(text)
        if self.down:
            raise NluUnavailable("told to be down")
        if self.error is not None:
            raise self.error
        intent = next((intent for word, intent in MEANINGS.items() if word in text), "out_of_scope")
        found = tuple(extract(text, gazetteer))
        return Understanding(text, intent, 0.97, ((intent, 0.97),), entities=found, model="scripted")

    def model(self) -> str:
        """What /readyz asks."""
        if self.down:
            raise NluUnavailable("told to be down")
        return "scripted"


@dataclass
class Provider:
    """A channel whose sends are kept; `trouble` is raised by the next sends, in turn, None lets one pass."""

    name: str = "twilio"
    medium: str = "sms"
    reply_deadline: float = 4.0
    max_bytes: int | None = None
    trouble: list[Exception | None] = field(default_factory=list)
    before: Callable[[Outgoing], object] | None = None
    sent: list[Outgoing] = field(default_factory=list)

    def read(self, request: Request) -> list[Inbound | Report]:
        """Nothing is posted here."""
        raise BadRequest("nothing is posted here")

    def verify_url(self, request: Request) -> Response:
        """Nothing is asked here."""
        raise BadRequest("nothing is asked here")

    def acknowledge(self, request: Request) -> Response:
        """See Channel."""
        return Response(status=204)

    def answer(self, request: Request, inbound: Inbound, text: str, ref: str) -> Response:
        """See Channel."""
        return Response(text)

    def send(self, outgoing: Outgoing) -> Sent:
        """Send, or fail as told."""
        if self.before is not None:
            self.before(outgoing)
        error = self.trouble.pop(0) if self.trouble else None
        if error is not None:
            raise error
        self.sent.append(outgoing)
        return Sent(f"REF{len(self.sent)}")

    @property
    def texts(self) -> list[str]:
        """What residents received, in order."""
        return [outgoing.text for outgoing in self.sent]


def inbound(text: str = "暖气不热", sender: str = PHONE, **fields: Any) -> Inbound:
    """An SMS, or what `fields` make of it."""
    base = Inbound("twilio", "sms", f"SM{next(IDS)}", sender, "+15005550006", "text", text, None)
    return replace(base, **fields)


@dataclass
class Core:
    """A process's services with a scripted understanding and a provider that is watched."""

    services: Services
    interpreter: Scripted
    provider: Provider

    def receive(self, text: str = "暖气不热", sender: str = PHONE, *, claim: bool = False, **fields: Any) -> Received:
        """A message comes in and is stored."""
        return intake.receive(self.services.database, inbound(text, sender, **fields), claim=claim)

    def say(self, text: str, sender: str = PHONE, deadline: datetime | None = None, **fields: Any) -> Answer | None:
        """A message comes in and is handled at once, as by the webhook."""
        received = self.receive(text, sender, claim=True, **fields)
        assert received.claim is not None, "somebody else has this contact"
        return conversation.handle(self.services, received.claim, deadline)

    def work(self) -> None:
        """Handle every message that is due, once."""
        for claim in inbox.claim_next(self.services.database):
            conversation.handle(self.services, claim)

    def rows(self, model: type[Row], *where: Any) -> list[Row]:
        """Every row of a table that fits, oldest first; detached."""
        with self.services.database.reading() as session:
            found = list(session.scalars(select(model).where(*where).order_by(*inspect(model).primary_key)))
            session.expunge_all()
            return found

    def one(self, model: type[Row], *where: Any) -> Row:
        """The one row of a table that fits."""
        [row] = self.rows(model, *where)
        return row

    def replies(self, sender: str = PHONE) -> list[str]:
        """The texts for one contact, in the order they were made."""
        mine = next(c.id for c in self.rows(Contact) if c.address == sender)
        return [row.text for row in self.rows(Delivery, Delivery.contact_id == mine)]

    def open(self, sender: str = PHONE, address: Address = HOME, **case: Any) -> str:
        """A ticket that a contact reports; returns its number."""
        contact_id = self.receive(sender=sender).contact_id
        incomplete = bool(case.pop("incomplete", False))
        with self.services.database.transaction() as session:
            contact = session.get_one(Contact, contact_id)
            told = Case(**{"intent": "no_heat", "address": address, **case})
            context = self.services.context(session)
            return tickets.open_ticket(
                context, contact, told, incomplete=incomplete, phone=contact.address
            ).ticket.number

    def move(self, number: str, *path: str, note: str | None = None, actor: tickets.Actor | None = None) -> None:
        """Move a ticket along a path, by staff unless somebody else is named."""
        for to in path:
            with self.services.database.transaction() as session:
                ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
                tickets.move(self.services.context(session), ticket, to, actor or tickets.Actor("staff"), note=note)

    def ticket(self, number: str) -> Ticket:
        """A ticket as it now is."""
        return self.one(Ticket, Ticket.number == number)

    def history(self, number: str) -> list[Update]:
        """A ticket's lines, oldest first."""
        return self.rows(Update, Update.ticket_id == self.ticket(number).id)

    def conversation(self) -> Conversation:
        """The only conversation."""
        return self.one(Conversation)


def together(jobs: Sequence[Callable[[], Any]]) -> list[Any]:
    """Run all at the same moment, each in a thread; returns their results, or raises the first one's exception."""
    gate, results = threading.Barrier(len(jobs)), [None] * len(jobs)
    errors: list[BaseException] = []

    def run(place: int, job: Callable[[], Any]) -> None:
        gate.wait()
        try:
            results[place] = job()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=item) for item in enumerate(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    if errors:
        raise errors[0]
    return results


def failure(kind: type[SendError], **how: Any) -> SendError:
    """An error as a channel raises it."""
    return kind("told to fail", **how)


def seconds_until(moment: datetime | None) -> float:
    """How long from now."""
    assert moment is not None
    return (moment - clock.now()).total_seconds()
