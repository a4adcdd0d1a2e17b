"""Who saw and changed what is written down; and a desk that nobody touches closes itself."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from bot.clock import VirtualClock
from bot.desk import audit, words
from bot.desk_models import Audit
from bot.services import Services
from handlers.dialogue.types import Address
from tests.desk.conftest import Desk, Report


def lines(services: Services) -> list[tuple[str, str, str, int]]:
    with services.database.reading() as session:
        rows = session.scalars(select(Audit).order_by(Audit.id))
        return [(row.kind, row.page, row.subject, row.status) for row in rows]


def test_every_look_at_a_ticket_and_every_change_is_written_down(
    desk: Desk, report: Report, services: Services
) -> None:
    number = report()
    account = desk.enter("agent")
    desk.get(f"/desk/tickets/{number}")
    desk.send(f"/desk/tickets/{number}", f"/desk/tickets/{number}/move", to="accepted")
    found = lines(services)
    assert ("viewed", "ticket", number, 200) in found
    assert ("changed", "move_ticket", number, 302) in found
    with services.database.reading() as session:
        assert {row.staff_id for row in session.scalars(select(Audit))} == {account.id}


def test_a_change_that_was_refused_is_written_down_as_refused(desk: Desk, report: Report, services: Services) -> None:
    number = report()
    desk.enter("agent")
    desk.send(f"/desk/tickets/{number}", f"/desk/tickets/{number}/move", to="accepted", version="0")
    assert ("changed", "move_ticket", number, 409) in lines(services)


def test_a_page_that_renews_itself_is_one_look_and_a_later_look_is_another(
    desk: Desk, report: Report, services: Services, clock: VirtualClock
) -> None:
    number = report()
    desk.enter("agent")
    looks = ("viewed", "ticket", number, 200)
    for _ in range(3):
        desk.get(f"/desk/tickets/{number}")
    assert lines(services).count(looks) == 1
    clock.advance(timedelta(minutes=6))
    desk.get(f"/desk/tickets/{number}")
    assert lines(services).count(looks) == 2


def test_searches_are_told_apart_without_keeping_what_was_searched(desk: Desk, services: Services) -> None:
    desk.enter("agent")
    for q in ("13800001234", "13800001235", "13800001234"):
        desk.get(f"/desk/?q={q}")
    searched = [subject for _, page, subject, _ in lines(services) if page == "tickets" and subject]
    assert len(searched) == len(set(searched)) == 2
    assert not any("1380" in subject for subject in searched)


def test_what_was_not_shown_is_no_look(desk: Desk, report: Report, services: Services) -> None:
    number = report()
    desk.enter("crew", team="T-js-1")
    assert desk.client.get(f"/desk/tickets/{number}").status_code == 404
    assert not [line for line in lines(services) if line[1] == "ticket"]


def test_what_cannot_be_written_down_is_not_shown(
    desk: Desk, report: Report, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = report()
    desk.enter("agent")
    app.config["PROPAGATE_EXCEPTIONS"] = False

    def broken() -> str:
        raise RuntimeError("told to fail")

    monkeypatch.setattr(audit, "_subject", broken)
    answer = desk.client.get(f"/desk/tickets/{number}")
    assert answer.status_code == 500
    assert "阳光花园" not in answer.text


@pytest.mark.parametrize(("role", "status"), [("agent", 403), ("dispatcher", 403), ("supervisor", 200)])
def test_only_supervisors_and_administrators_read_the_record(desk: Desk, role: str, status: int) -> None:
    desk.enter(role)
    assert desk.client.get("/desk/audit").status_code == status


def test_the_record_of_one_ticket_is_found(desk: Desk, report: Report) -> None:
    first, second = report(), report(address=Address("金水区", "国贸公馆", "2", "1", "1804"))
    desk.enter("supervisor")
    desk.get(f"/desk/tickets/{first}")
    desk.get(f"/desk/tickets/{second}")
    page = desk.get(f"/desk/audit?subject={first.lower()}")
    assert first in page
    assert second not in page
    assert "看：工单" in page


def test_every_page_and_form_of_the_desk_is_recorded_by_a_name_or_known_to_be_quiet(app: Flask) -> None:
    ours = {rule.endpoint.removeprefix("desk.") for rule in app.url_map.iter_rules() if rule.endpoint[:5] == "desk."}
    assert ours - audit.QUIET - set(words.AUDITED) == set(), "give them a name in words.AUDITED"
    assert audit.QUIET | set(words.AUDITED) <= ours


# --- idle


def test_a_desk_that_nobody_touches_closes_itself(desk: Desk, report: Report, clock: VirtualClock) -> None:
    number = report()
    desk.enter("agent")
    clock.advance(timedelta(minutes=29))
    assert desk.client.get(f"/desk/tickets/{number}").status_code == 200
    clock.advance(timedelta(minutes=31))
    answer = desk.client.get(f"/desk/tickets/{number}", follow_redirects=True)
    assert answer.request.path == "/desk/login"
    assert "太久没有操作" in answer.text
    assert "阳光花园" not in answer.text


def test_pages_that_renew_themselves_keep_nobody_logged_in(desk: Desk, clock: VirtualClock) -> None:
    desk.enter("agent")
    for _ in range(4):
        clock.advance(timedelta(minutes=9))
        desk.client.get("/desk/live")
        desk.client.get("/desk/", headers={"X-Refresh": "1"})
    assert desk.client.get("/desk/").status_code == 302
