"""A resident's data deleted as they asked: by a supervisor, settled cases at once, an open one when it is settled."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from bot import tickets, worker
from bot.clock import VirtualClock
from bot.models import Callback, Contact, Message, Ticket
from bot.services import Services
from handlers.dialogue.types import Address
from tests.desk.conftest import Desk, Report, hidden_fields

OTHER_HOME = Address("二七区", "阳光花园", "5", "1", "301")
SENDER = "+8614000000777"


def move(services: Services, number: str, *path: str) -> None:
    with services.database.transaction() as session:
        ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
        for to in path:
            tickets.move(services.context(session), ticket, to, tickets.Actor("staff"))


def read_everything(services: Services) -> None:
    """As if the dialogue had answered all that came in."""
    with services.database.transaction() as session:
        session.execute(update(Message).values(handled_at=services.context(session).now))
        session.execute(update(Contact).values(pending_since=None, due_at=None))


def erase(desk: Desk, services: Services, number: str, **fields: str) -> str:
    page = f"/desk/tickets/{number}"
    return desk.send(page, f"{page}/erase", **{"called": "yes", **fields}).text


def contact(services: Services) -> Contact:
    with services.database.reading() as session:
        row = session.scalars(select(Contact)).one()
        session.expunge_all()
        return row


def texts(services: Services) -> list[str]:
    with services.database.reading() as session:
        return list(session.scalars(select(Message.text).order_by(Message.id)))


def test_a_settled_case_goes_at_once_and_the_ticket_stays_for_the_figures(
    desk: Desk, services: Services, report: Report
) -> None:
    number = report(sender=SENDER)
    move(services, number, "accepted", "done", "closed")
    read_everything(services)
    desk.enter("supervisor")
    assert "资料已删除" in erase(desk, services, number)
    ticket = desk.ticket(number)
    assert (ticket.room, ticket.phone, ticket.home_key) == (None, None, None)
    assert (ticket.intent, ticket.community, ticket.building) == ("no_heat", "阳光花园", "3")
    assert contact(services).address is None
    assert texts(services) == [""]
    page = desk.get(f"/desk/tickets/{number}")
    assert "删除此人资料" not in page
    assert "暖气冰凉" not in page


def test_an_open_case_is_finished_first_and_the_rest_goes_with_it(
    desk: Desk, services: Services, report: Report, clock: VirtualClock
) -> None:
    old = report(text="漏水", sender=SENDER, intent="leak")
    move(services, old, "accepted", "done", "closed")
    clock.advance(timedelta(days=3))
    number = report(sender=SENDER, address=OTHER_HOME)
    read_everything(services)
    desk.enter("supervisor")
    assert "还有没办完的报修" in erase(desk, services, number)
    assert desk.ticket(old).room is None
    assert (desk.ticket(number).room, desk.ticket(number).phone) == ("301", SENDER)
    assert "" in texts(services)
    assert "暖气冰凉" in texts(services)
    assert "办完后自动删除" in desk.get(f"/desk/tickets/{number}")
    clock.advance(timedelta(hours=2))
    worker.run_tasks(services)
    assert contact(services).address == SENDER
    move(services, number, "accepted", "done", "closed")
    clock.advance(timedelta(hours=2))
    worker.run_tasks(services)
    assert desk.ticket(number).room is None
    assert contact(services).address is None
    assert set(texts(services)) == {""}


def test_the_resident_must_have_been_called(desk: Desk, services: Services, report: Report) -> None:
    number = report(sender=SENDER)
    move(services, number, "accepted", "done", "closed")
    read_everything(services)
    desk.enter("supervisor")
    assert "请先核实" in erase(desk, services, number, called="")
    assert contact(services).address == SENDER


def test_the_call_about_it_is_owed_no_more(desk: Desk, services: Services, report: Report, clock: VirtualClock) -> None:
    number = report(sender=SENDER)
    with services.database.transaction() as session:
        row = Callback(contact_id=contact(services).id, reason="privacy", created_at=clock(), due_at=clock())
        session.add(row)
    desk.enter("supervisor")
    erase(desk, services, number)
    with services.database.reading() as session:
        assert session.scalars(select(Callback)).one().done_at is not None


@pytest.mark.parametrize("role", ["agent", "dispatcher", "crew"])
def test_others_neither_see_nor_may_do_it(desk: Desk, services: Services, report: Report, role: str) -> None:
    number = report(sender=SENDER)
    desk.enter(role, team="T-eq-1" if role == "crew" else None)
    page = desk.get(f"/desk/tickets/{number}")
    assert "删除此人资料" not in page
    form = {**hidden_fields(page, "/desk/logout"), "contact": "1", "called": "yes"}
    assert desk.client.post(f"/desk/tickets/{number}/erase", data=form).status_code == 403
    assert contact(services).address == SENDER


def test_only_a_reporter_of_the_ticket_can_be_named(desk: Desk, services: Services, report: Report) -> None:
    number = report(sender=SENDER)
    desk.enter("supervisor")
    page = f"/desk/tickets/{number}"
    assert desk.send(page, f"{page}/erase", called="yes", contact="99999").status_code == 404
