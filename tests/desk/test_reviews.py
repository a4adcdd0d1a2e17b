"""Judging misread messages, the calls that are owed, and the state of the service."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot import clock as service_clock
from bot.clock import VirtualClock
from bot.desk.reviews import KEYS
from bot.models import Callback, ChannelState, Contact, Review, Update
from bot.services import Services
from nlu.types import INTENTS
from tests.desk.conftest import Desk, Report, hidden_fields

Misread = Callable[..., int]


def stored(services: Services, review_id: int) -> Review:
    with services.database.reading() as session:
        row = session.get_one(Review, review_id)
        session.expunge_all()
        return row


def judge(desk: Desk, review_id: int, verdict: str, **more: str | list[str]) -> str:
    address = f"/desk/reviews/{review_id}"
    return desk.send(address, address, verdict=verdict, **more).text


def test_a_review_shows_the_message_the_guess_and_the_runners_up(desk: Desk, misread: Misread) -> None:
    misread("那个管子底下湿哒哒的")
    desk.enter("agent")
    page = desk.get("/desk/reviews")
    for words in ("那个管子底下湿哒哒的", "咨询", "41%", "漏水 30%"):
        assert words in page


def test_every_intent_has_a_key_of_its_own() -> None:
    assert list(KEYS) == list(INTENTS)
    assert len(set(KEYS.values())) == len(INTENTS)
    assert not {"X", "Z"} & set(KEYS.values())


def test_a_verdict_is_kept_and_the_next_message_follows(
    desk: Desk, misread: Misread, services: Services, clock: VirtualClock
) -> None:
    first = misread("管子底下湿哒哒")
    clock.advance(timedelta(minutes=1))
    misread("咋跟没开一样", sender="+8614000007777")
    account = desk.enter("agent")
    page = judge(desk, first, "leak", also=["billing", "thanks", "leak", "nonsense"])
    assert "咋跟没开一样" in page
    row = stored(services, first)
    assert (row.verdict, row.verdict_also, row.decided_by) == ("leak", ["billing"], account.id)
    assert row.decided_at == service_clock.now()


def test_the_second_verdict_on_a_message_changes_nothing(desk: Desk, misread: Misread, services: Services) -> None:
    review_id = misread("管子底下湿哒哒")
    desk.enter("agent")
    stale = {"csrf_token": _token(desk, review_id), "verdict": "thanks"}
    judge(desk, review_id, "leak")
    page = desk.client.post(f"/desk/reviews/{review_id}", data=stale, follow_redirects=True).text
    assert "已经有人判过" in page
    assert stored(services, review_id).verdict == "leak"


def _token(desk: Desk, review_id: int) -> str:
    return hidden_fields(desk.get(f"/desk/reviews/{review_id}"), "/desk/logout")["csrf_token"]


@pytest.mark.parametrize("verdict", ["", "nonsense", "drop table"])
def test_only_an_intent_is_a_verdict(desk: Desk, misread: Misread, services: Services, verdict: str) -> None:
    review_id = misread("管子底下湿哒哒")
    desk.enter("agent")
    judge(desk, review_id, verdict)
    assert stored(services, review_id).decided_at is None


def test_a_verdict_can_be_taken_back_by_its_author_only(desk: Desk, misread: Misread, services: Services) -> None:
    review_id = misread("管子底下湿哒哒")
    desk.enter("agent")
    page = judge(desk, review_id, "leak")
    undo = f"/desk/reviews/{review_id}/undo"
    token = {"csrf_token": _token(desk, review_id)}
    desk.client.post("/desk/logout", data=token)
    desk.enter("reviewer")
    desk.client.post(undo, data={"csrf_token": _token(desk, review_id)})
    assert stored(services, review_id).verdict == "leak"
    assert undo in page
    desk.client.post("/desk/logout", data={"csrf_token": _token(desk, review_id)})
    desk.log_in("小王")
    desk.client.post(undo, data={"csrf_token": _token(desk, review_id)})
    row = stored(services, review_id)
    assert (row.verdict, row.decided_at, row.decided_by) == (None, None, None)


def test_a_skipped_message_comes_back_after_the_others(desk: Desk, misread: Misread, clock: VirtualClock) -> None:
    first = misread("第一条")
    clock.advance(timedelta(minutes=1))
    second = misread("第二条", sender="+8614000007777")
    desk.enter("agent")
    assert "第二条" in desk.get(f"/desk/reviews?after={first}")
    assert "第一条" in desk.get(f"/desk/reviews?after={second}")


def test_a_verdict_offers_to_mend_the_live_ticket(
    desk: Desk, misread: Misread, report: Report, services: Services
) -> None:
    number = report(sender="+8614000008888")
    review_id = misread("不是不热，是漏水", guess="no_heat", number=number)
    desk.enter("agent")
    page = judge(desk, review_id, "leak")
    retype = f"/desk/reviews/{review_id}/retype"
    assert retype in page
    assert f"把工单 {number}（无供暖）改为“漏水”" in page
    desk.client.post(retype, data={"csrf_token": _token(desk, review_id)})
    ticket = desk.ticket(number)
    assert (ticket.intent, ticket.urgent) == ("leak", True)
    with services.database.reading() as session:
        notes = session.scalars(select(Update.note).where(Update.ticket_id == ticket.id)).all()
    assert "类型：暖气不热 → 漏水" in notes


@pytest.mark.parametrize("verdict", ["no_heat", "thanks"])
def test_a_verdict_that_changes_no_ticket_offers_nothing(
    desk: Desk, misread: Misread, report: Report, verdict: str
) -> None:
    number = report(sender="+8614000008888")
    review_id = misread("还是那事", number=number)
    desk.enter("agent")
    assert "retype" not in judge(desk, review_id, verdict)


def test_a_misread_problem_without_a_ticket_becomes_a_call(desk: Desk, misread: Misread, services: Services) -> None:
    review_id = misread("管子底下湿哒哒")
    desk.enter("agent")
    call = f"/desk/reviews/{review_id}/call"
    assert call in judge(desk, review_id, "leak")
    for _ in range(2):
        desk.client.post(call, data={"csrf_token": _token(desk, review_id)})
    with services.database.reading() as session:
        (owed,) = session.scalars(select(Callback)).all()
        assert owed.reason == "review"
        assert owed.due_at == service_clock.now() + timedelta(minutes=15)


def owe(services: Services, contact_number: str, reason: str, minutes: int) -> int:
    """A call that is owed for the ticket's reporter."""
    with services.database.transaction() as session:
        contact = session.scalars(select(Contact).order_by(Contact.id)).first()
        assert contact is not None
        now = service_clock.now()
        row = Callback(contact_id=contact.id, reason=reason, created_at=now, due_at=now + timedelta(minutes=minutes))
        session.add(row)
        session.flush()
        return row.id


def test_a_call_that_was_made_is_kept_with_what_came_of_it(desk: Desk, report: Report, services: Services) -> None:
    number = report()
    call_id = owe(services, number, "asked", -5)
    with services.database.transaction() as session:
        session.get_one(Callback, call_id).ticket_id = desk.ticket(number).id
    account = desk.enter("agent")
    page = desk.get("/desk/callbacks")
    for words in ("住户要求人工", "140 0000 0001", "已超 5 分钟", number):
        assert words in page
    done = f"/desk/callbacks/{call_id}"
    assert "请写一句通话结果" in desk.send("/desk/callbacks", done, note=" ").text
    assert "已记下这次回电" in desk.send("/desk/callbacks", done, note="约了明早九点").text
    with services.database.reading() as session:
        row = session.get_one(Callback, call_id)
        assert (row.done_by, row.note, row.done_at) == (account.id, "约了明早九点", service_clock.now())
    assert "回电：约了明早九点" in desk.get(f"/desk/tickets/{number}")


def test_danger_is_called_before_everybody_else(desk: Desk, report: Report, services: Services) -> None:
    number = report()
    owe(services, number, "asked", -30)
    owe(services, number, "urgent", 10)
    desk.enter("agent")
    page = desk.get("/desk/callbacks")
    assert page.index("险情，须立即回电") < page.index("住户要求人工")


def test_the_health_page_names_what_is_red(desk: Desk, services: Services) -> None:
    with services.database.transaction() as session:
        row = ChannelState(
            channel="wechat", ok=False, reason="40001: invalid credential", changed_at=service_clock.now()
        )
        session.add(row)
    desk.enter("supervisor")
    page = desk.get("/desk/health")
    assert "20261123-model" in page
    assert "有地方不正常" in page
