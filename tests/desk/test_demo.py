"""The demonstration: one log-in, tickets in every state, loaded once."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import func, select

from bot import demo, outbox
from bot.models import TICKET_STATUSES, Callback, Contact, Delivery, Review, Ticket
from bot.services import Services
from tests.desk.conftest import Desk

pytestmark = pytest.mark.usefixtures("clock")


def test_loading_twice_is_loading_once(services: Services, private_folder: Path) -> None:
    first = demo.load_demo(services, private_folder)
    before = _counts(services)
    assert demo.load_demo(services, private_folder) == first
    assert _counts(services) == before


def _counts(services: Services) -> list[int]:
    with services.database.reading() as session:
        tables = (Ticket, Contact, Delivery, Review, Callback)
        return [session.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


def test_the_printed_log_in_opens_the_desk(desk: Desk, services: Services, private_folder: Path) -> None:
    name, password = demo.load_demo(services, private_folder)
    assert desk.log_in(name, password).request.path == "/desk/"
    assert (private_folder / "demo-login.txt").stat().st_mode & 0o777 == 0o600


def test_a_lost_password_file_makes_a_new_password_that_works(
    desk: Desk, services: Services, private_folder: Path
) -> None:
    _, lost = demo.load_demo(services, private_folder)
    (private_folder / "demo-login.txt").unlink()
    name, password = demo.load_demo(services, private_folder)
    assert password != lost
    assert desk.log_in(name, lost).status_code == 401
    assert desk.log_in(name, password).request.path == "/desk/"


def test_forty_tickets_show_every_state_but_those_that_a_desk_makes(services: Services, private_folder: Path) -> None:
    demo.load_demo(services, private_folder)
    with services.database.reading() as session:
        found = set(session.scalars(select(Ticket.status)))
        assert session.scalar(select(func.count()).select_from(Ticket)) == 40
    assert found >= set(TICKET_STATUSES) - {"merged"}


def test_nothing_of_the_invented_past_is_sent(services: Services, private_folder: Path) -> None:
    demo.load_demo(services, private_folder)
    assert outbox.claim(services.database) == []
    with services.database.reading() as session:
        assert set(session.scalars(select(Delivery.state))) == {"sent", "delivered", "failed", "unknown", "held"}


def test_every_page_of_the_demonstration_opens(desk: Desk, services: Services, private_folder: Path) -> None:
    desk.log_in(*demo.load_demo(services, private_folder))
    with services.database.reading() as session:
        addresses = [f"/desk/tickets/{number}" for number in session.scalars(select(Ticket.number))]
        addresses += [f"/desk/reviews/{key}" for key in session.scalars(select(Review.id))]
    for address in [*addresses, "/desk/?group=all", "/desk/callbacks", "/desk/deliveries", "/desk/health"]:
        desk.get(address)
