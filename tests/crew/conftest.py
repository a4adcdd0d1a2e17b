"""A phone of the crew: enrolled at the desk by its link, then pages and forms as its browser sends them."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select
from werkzeug.test import TestResponse

from bot import staff
from bot.clock_models import Reading
from bot.duty_models import Member
from bot.models import Delivery, Team, Ticket, Update
from bot.push_models import Media
from bot.services import Services
from tests.desk.conftest import PASSWORD, Desk, app, private_folder, report, services

__all__ = ["app", "private_folder", "report", "services"]  # the desk's own ground

TEAM = "T-eq-1"  # whose 阳光花园 is
JPEG = b"\xff\xd8\xff\xe1\x00\x08Exif\x00\x00" + b"\xff\xdb\x00\x04ab" + b"\xff\xda\x00\x02" + b"picture" + b"\xff\xd9"


def photo(content: bytes = JPEG, name: str = "p.jpg") -> tuple[io.BytesIO, str]:
    """A photo as a form sends it."""
    return io.BytesIO(content), name


@dataclass
class Phone:
    """One phone's browser."""

    client: FlaskClient
    services: Services

    def get(self, address: str, status: int = 200) -> str:
        response = self.client.get(address, follow_redirects=True)
        assert response.status_code == status, (address, response.status_code)
        return response.text

    def form(self, page: str, action: str, **fields: str) -> dict[str, Any]:
        """The hidden fields of the first form with this action whose given hidden fields fit, with the others added."""
        forms = re.findall(r'<form[^>]*action="([^"]*)"[^>]*>(.*?)</form>', self.get(page), re.DOTALL)
        for address, body in forms:
            hidden: dict[str, Any] = {}
            for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', body):
                hidden.setdefault(name, []).append(unescape(value))
            if address == action and all(hidden.get(name, [value]) == [value] for name, value in fields.items()):
                return {**hidden, **fields}
        raise AssertionError(f"{page} has no form to {action} with {fields}")

    def send(self, page: str, action: str, **fields: Any) -> TestResponse:
        plain = {name: value for name, value in fields.items() if isinstance(value, str)}
        data = {**self.form(page, action, **plain), **fields}
        return self.client.post(action, data=data, follow_redirects=True)

    def move(self, number: str, to: str, **fields: Any) -> TestResponse:
        """Press a button of a job's page."""
        return self.send(f"/crew/jobs/{number}", f"/crew/jobs/{number}/move", to=to, **fields)

    def take(self, number: str) -> None:
        assert self.move(number, "accept").status_code == 200

    def enrol(self, link: str) -> TestResponse:
        path = link[link.index("/crew/") :]
        return self.send(path, path)


@dataclass
class Yard:
    """The office side of a test: members, links, and what the database says."""

    app: Flask
    services: Services
    desk: Desk

    def member(self, name: str = "李师傅", code: str = "M1", team: str | None = TEAM) -> int:
        with self.services.database.transaction() as session:
            team_id = session.scalars(select(Team.id).where(Team.code == team)).one() if team else None
            row = Member(code=code, name=name, role="worker", active=True, team_id=team_id)
            session.add(row)
            session.flush()
            return row.id

    def log_in(self, role: str = "dispatcher") -> None:
        with self.services.database.transaction() as session:
            staff.add(session, f"调度{role}", PASSWORD, role, TEAM if role == "crew" else None)
        assert self.desk.log_in(f"调度{role}").status_code == 200

    def link(self, member_id: int) -> str:
        """A one-time link, as the desk shows it."""
        page = self.desk.send("/desk/phones", f"/desk/phones/{member_id}").text
        found = re.search(r'id="link" readonly value="([^"]+)"', page)
        assert found
        return found[1]

    def browser(self) -> Phone:
        return Phone(self.app.test_client(), self.services)

    def phone(self, name: str = "李师傅", code: str = "M1", team: str | None = TEAM) -> Phone:
        """A member's enrolled phone."""
        phone = self.browser()
        assert phone.enrol(self.link(self.member(name, code, team))).status_code == 200
        return phone

    def ticket(self, number: str) -> Ticket:
        return self.desk.ticket(number)

    def steps(self, number: str) -> list[str]:
        """The moves of a ticket's history, in their order."""
        with self.services.database.reading() as session:
            query = select(Update.step).join(Ticket, Ticket.id == Update.ticket_id).where(Ticket.number == number)
            return [step for step in session.scalars(query.order_by(Update.id)) if step]

    def told(self, number: str) -> list[str]:
        """What the residents of a ticket are sent."""
        with self.services.database.reading() as session:
            query = select(Delivery).join(Ticket, Ticket.id == Delivery.ticket_id).where(Ticket.number == number)
            return [row.text for row in session.scalars(query.order_by(Delivery.id))]

    def count(self, model: type[Reading] | type[Media] | type[Update]) -> int:
        with self.services.database.reading() as session:
            return len(session.scalars(select(model.id)).all())


@pytest.fixture
def yard(app: Flask, services: Services) -> Yard:
    """Two browsers at once, the desk's and the phone's: neither is kept open, or they would share what Flask calls g."""
    made = Yard(app, services, Desk(app.test_client(), services))
    made.log_in()
    return made


@pytest.fixture
def phone(yard: Yard) -> Phone:
    """李师傅's phone."""
    return yard.phone()
