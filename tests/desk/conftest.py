"""A desk over a fresh database, and the few things a desk test arranges before it acts through a page."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from bot import clock as service_clock
from bot import intake, staff, tickets
from bot.app import create_app
from bot.channels import Inbound
from bot.clock import VirtualClock
from bot.database import Database
from bot.gazetteer import GazetteerSource
from bot.models import Contact, Message, Review, Staff, Ticket
from bot.rules import RuleSource
from bot.services import Services
from bot.settings import Settings
from handlers.dialogue.types import Address, Case
from nlu.gazetteer import Gazetteer
from nlu.types import Understanding

PASSWORD = "correct horse battery"
HOME = Address("二七区", "阳光花园", "3", "2", "501")


class DeafInterpreter:
    """The desk understands nothing itself; its health page only asks whether understanding is there."""

    def understand(self, text: str, gazetteer: Gazetteer | None = None) -> Understanding:
        return Understanding(text=text, intent="out_of_scope", confidence=0.0)

    def model(self) -> str:
        return "20261123-model"


@pytest.fixture
def services(database: Database, settings: Settings, clock: VirtualClock) -> Services:
    return Services(
        settings=settings,
        database=database,
        rules=RuleSource(database, "12345"),
        gazetteer=GazetteerSource(database),
        interpreter=DeafInterpreter(),
        channels={},
    )


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(services)


class Desk:
    """A browser at the desk: pages, and forms that are sent as the page gave them."""

    def __init__(self, client: FlaskClient, services: Services) -> None:
        self.client = client
        self.services = services

    def get(self, address: str) -> str:
        """A page that must be there; redirects are followed."""
        response = self.client.get(address, follow_redirects=True)
        assert response.status_code == 200, (address, response.status_code)
        return response.text

    def send(self, page: str, action: str, **fields: str | list[str]) -> TestResponse:
        """Send the form with this action from a page, its hidden fields and the given ones; redirects are followed."""
        return self.client.post(action, data={**hidden_fields(self.get(page), action), **fields}, follow_redirects=True)

    def log_in(self, name: str, password: str = PASSWORD) -> TestResponse:
        return self.send("/desk/login", "/desk/login", name=name, password=password)

    def enter(self, role: str, team: str | None = None) -> Staff:
        """Make an account of a role and log in with it."""
        name = {"crew": "小班", "reviewer": "小核"}.get(role, "小王")
        with self.services.database.transaction() as session:
            account = staff.add(session, name, PASSWORD, role, team)
        assert self.log_in(name).status_code == 200
        return account

    def ticket(self, number: str) -> Ticket:
        with self.services.database.reading() as session:
            row = session.scalars(select(Ticket).where(Ticket.number == number)).one()
            session.expunge_all()
            return row


def without_tokens(html: str) -> str:
    """A page without what differs at every look."""
    return re.sub(r'name="csrf_token" value="[^"]*"', "", html)


def hidden_fields(html: str, action: str) -> dict[str, str]:
    """The hidden fields of the form with this action."""
    forms = re.findall(r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', html, re.DOTALL)
    body = next(body for address, body in forms if address == action)
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', body))


@pytest.fixture
def desk(app: Flask, services: Services) -> Iterator[Desk]:
    with app.test_client() as client:
        yield Desk(client, services)


Report = Callable[..., str]


@pytest.fixture
def report(services: Services) -> Report:
    """Open a ticket as a resident's message does; returns its number."""
    serial = iter(range(1, 1_000_000))

    def open_ticket(
        text: str = "暖气冰凉",
        address: Address = HOME,
        medium: str = "sms",
        sender: str | None = None,
        at: datetime | None = None,
        **facts: object,
    ) -> str:
        contact_id = hear(services, text, medium, sender or f"+86140{next(serial):08d}")
        with services.database.transaction() as session:
            contact = session.get_one(Contact, contact_id)
            context = tickets.Context(
                session, services.rules.current(), at or service_clock.now(), services.settings.zone
            )
            case = Case(intent=str(facts.pop("intent", "no_heat")), address=address, **facts)  # type: ignore[arg-type]
            phone = contact.address if medium == "sms" else None
            ticket = tickets.open_ticket(context, contact, case, incomplete=False, phone=phone).ticket
            for message in session.scalars(select(Message).where(Message.contact_id == contact_id)):
                message.ticket_id = message.ticket_id or ticket.id
            tickets.dispatch(context, ticket)
            return ticket.number

    return open_ticket


def hear(services: Services, text: str, medium: str = "sms", sender: str = "+8614000009999") -> int:
    """A resident's message comes in; returns the contact's id."""
    with services.database.reading() as session:
        count = len(session.scalars(select(Message.id)).all())
    channel = {"sms": "twilio", "wechat": "wechat"}[medium]
    inbound = Inbound(channel, medium, f"m{count + 1}", sender, "us", "text", text, service_clock.now())
    return intake.receive(services.database, inbound, claim=False).contact_id


@pytest.fixture
def misread(services: Services) -> Callable[..., int]:
    """File a message for review; returns the review's id."""

    def file(text: str, guess: str = "consult", number: str | None = None, sender: str = "+8614000008888") -> int:
        contact_id = hear(services, text, sender=sender)
        with services.database.transaction() as session:
            newest = select(Message).where(Message.contact_id == contact_id).order_by(Message.id.desc()).limit(1)
            message = session.scalars(newest).one()
            message.intent, message.confidence = guess, 0.41
            message.understanding = json.dumps({"ranking": [[guess, 0.41], ["leak", 0.3]], "entities": []})
            if number:
                message.ticket_id = session.scalars(select(Ticket.id).where(Ticket.number == number)).one()
            row = Review(
                message_id=message.id, reason="unsure", guess=guess, confidence=0.41, created_at=service_clock.now()
            )
            session.add(row)
            session.flush()
            return row.id

    return file


@pytest.fixture
def private_folder(tmp_path: Path) -> Path:
    """Where the demonstration keeps its log-in."""
    return tmp_path / "var"
