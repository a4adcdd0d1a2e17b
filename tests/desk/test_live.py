"""News by server-sent events, colleagues on one ticket, and a save that comes too late."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from bot import staff
from bot.app import create_app
from bot.clock import VirtualClock
from bot.desk import live
from bot.models import Staff
from bot.services import Services
from tests.desk.conftest import PASSWORD, Desk, Report, hear, hidden_fields


@pytest.fixture
def agent(desk: Desk) -> Staff:
    return desk.enter("agent")


@pytest.fixture
def colleague(services: Services) -> Desk:
    """小李, at a desk of their own (and an application of their own, for a test's requests share what is about one)."""
    with services.database.transaction() as session:
        staff.add(session, "小李", PASSWORD, "dispatcher", None)
    other = Desk(create_app(services).test_client(), services)
    assert other.log_in("小李").status_code == 200
    return other


def news(desk: Desk, query: str = "", last: str | None = None) -> tuple[str | None, dict[str, Any]]:
    """What the stream says now, and its id; nothing where nothing is new."""
    headers = {"Last-Event-ID": last} if last else {}
    response = desk.client.get(f"/desk/live{query}", headers=headers)
    assert response.content_type.startswith("text/event-stream")
    lines = dict(line.split(": ", 1) for line in response.text.splitlines() if line)
    assert lines["retry"] == str(live.RETRY)
    return lines.get("id"), json.loads(lines.get("data", "{}"))


def writing(desk: Desk, number: str) -> None:
    page = desk.get(f"/desk/tickets/{number}")
    token = hidden_fields(page, f"/desk/tickets/{number}/note")["csrf_token"]
    assert desk.client.post(f"/desk/tickets/{number}/writing", data={"csrf_token": token}).status_code == 204


def test_the_count_of_waiting_tickets_comes_with_the_news(desk: Desk, agent: Staff, report: Report) -> None:
    assert news(desk)[1]["waiting"] == 0
    report()
    assert news(desk)[1]["waiting"] == 1


def test_who_knows_the_news_is_told_nothing_until_there_are_others(desk: Desk, agent: Staff, report: Report) -> None:
    last, _ = news(desk)
    assert news(desk, last=last) == (None, {})
    report()
    again, said = news(desk, last=last)
    assert again != last
    assert said["waiting"] == 1


def test_a_stream_ends_at_once_so_that_it_holds_no_thread_of_the_web_server(desk: Desk, agent: Staff) -> None:
    response = desk.client.get("/desk/live")
    assert int(response.headers["Content-Length"]) == len(response.data)
    assert response.headers["Cache-Control"] == "no-store"


def test_words_of_the_resident_and_changes_of_the_ticket_are_news_of_its_page(
    desk: Desk, agent: Staff, report: Report, services: Services
) -> None:
    number = report(sender="+8614000001111")
    query = f"?ticket={number}&contact=1"
    marks = [news(desk, query)[1]["ticket"]]
    hear(services, "喂？", sender="+8614000001111")
    marks.append(news(desk, query)[1]["ticket"])
    desk.send(f"/desk/tickets/{number}", f"/desk/tickets/{number}/note", remark="已联系")
    marks.append(news(desk, query)[1]["ticket"])
    assert len(set(marks)) == 3


def test_a_conversation_without_a_ticket_is_live_for_who_speaks_with_residents(
    desk: Desk, agent: Staff, services: Services
) -> None:
    contact = hear(services, "有人吗")
    before = news(desk, f"?contact={contact}")[1]["ticket"]
    hear(services, "喂？")
    assert news(desk, f"?contact={contact}")[1]["ticket"] != before


def test_a_crew_hears_nothing_of_other_teams_tickets(desk: Desk, report: Report) -> None:
    number = report()
    desk.enter("crew", team="T-js-1")
    assert desk.client.get(f"/desk/live?ticket={number}").status_code == 404
    assert news(desk)[1]["waiting"] == 0
    assert "ticket" not in news(desk, "?contact=1")[1]


def test_two_on_one_ticket_see_each_other(desk: Desk, agent: Staff, colleague: Desk, report: Report) -> None:
    number = report()
    assert "也在看" not in desk.get(f"/desk/tickets/{number}")
    assert "小王也在看" in colleague.get(f"/desk/tickets/{number}")
    assert news(desk, f"?ticket={number}")[1]["others"] == "小李也在看"


def test_who_writes_is_named_as_writing_and_who_has_gone_is_not_named(
    desk: Desk, agent: Staff, colleague: Desk, report: Report, clock: VirtualClock
) -> None:
    number = report()
    writing(colleague, number)
    assert news(desk, f"?ticket={number}")[1]["others"] == "小李正在写"
    clock.advance(timedelta(seconds=13))
    assert news(desk, f"?ticket={number}")[1]["others"] == "小李也在看"
    clock.advance(timedelta(seconds=30))
    assert news(desk, f"?ticket={number}")[1]["others"] == ""


def test_the_second_of_two_saves_is_refused_and_its_words_are_still_there(
    desk: Desk, agent: Staff, colleague: Desk, report: Report
) -> None:
    number = report()
    move = f"/desk/tickets/{number}/move"
    mine = hidden_fields(desk.get(f"/desk/tickets/{number}"), move)
    colleague.send(f"/desk/tickets/{number}", move, to="accepted")
    answer = desk.client.post(move, data={**mine, "to": "on_site", "note": "师傅两点到"})
    assert answer.status_code == 409
    assert "刚刚被别人改过" in answer.text
    assert "师傅两点到</textarea>" in answer.text
    assert desk.ticket(number).status == "accepted"
    again = {**hidden_fields(answer.text, move), "to": "on_site", "note": "师傅两点到"}
    assert desk.client.post(move, data=again, follow_redirects=True).status_code == 200
    assert desk.ticket(number).status == "on_site"
