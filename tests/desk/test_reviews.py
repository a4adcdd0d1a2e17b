"""Judging misread messages, the calls that are owed, and the state of the service."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot import clock as service_clock
from bot.clock import VirtualClock
from bot.desk.reviews import KEYS
from bot.models import Callback, ChannelState, Contact, Delivery, Message, Review, Ticket, Update
from bot.review_models import Opinion
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
    assert not {"A", "B", "F", "N", "X", "Z"} & set(KEYS.values())


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
    page = judge(desk, review_id, "thanks")
    undo = f"/desk/reviews/{review_id}/undo"
    token = {"csrf_token": _token(desk, review_id)}
    desk.client.post("/desk/logout", data=token)
    desk.enter("reviewer")
    desk.client.post(undo, data={"csrf_token": _token(desk, review_id)})
    assert stored(services, review_id).verdict == "thanks"
    assert undo in page
    desk.client.post("/desk/logout", data={"csrf_token": _token(desk, review_id)})
    desk.log_in("小王")
    desk.client.post(undo, data={"csrf_token": _token(desk, review_id)})
    row = stored(services, review_id)
    assert (row.verdict, row.decided_at, row.decided_by) == (None, None, None)


def test_a_skipped_message_is_not_offered_again_to_the_same_person(desk: Desk, misread: Misread) -> None:
    review_id = misread("说不清的一句")
    desk.enter("agent")
    address = f"/desk/reviews/{review_id}"
    desk.client.post(f"{address}/skip", data=hidden_fields(desk.get(address), address))
    assert "都看完了" in desk.get("/desk/reviews")
    desk.client.post("/desk/logout", data=hidden_fields(desk.get("/desk/reviews"), "/desk/logout"))
    desk.enter("reviewer")
    assert "说不清的一句" in desk.get("/desk/reviews")


def test_a_flagged_message_waits_for_a_colleague_with_its_note(desk: Desk, misread: Misread) -> None:
    review_id = misread("说不清的一句")
    desk.enter("agent")
    address = f"/desk/reviews/{review_id}"
    fields = hidden_fields(desk.get(address), address)
    desk.client.post(f"{address}/flag", data={**fields, "note": "像是方言"})
    assert "都看完了" in desk.get("/desk/reviews")
    desk.client.post("/desk/logout", data=hidden_fields(desk.get("/desk/reviews"), "/desk/logout"))
    desk.enter("reviewer")
    assert "看同事标记的 1 条" in desk.get("/desk/reviews")
    assert "像是方言" in desk.get("/desk/reviews?queue=flagged")


def test_a_verdict_mends_the_live_ticket_and_the_resident_is_told(
    desk: Desk, misread: Misread, report: Report, services: Services
) -> None:
    number = report("不是不热，是漏水", sender="+8614000008888")
    review_id = review_of_report(services, number)
    desk.enter("agent")
    page = judge(desk, review_id, "leak")
    assert "工单已改类型" in page
    ticket = desk.ticket(number)
    assert (ticket.intent, ticket.urgent) == ("leak", True)
    with services.database.reading() as session:
        notes = session.scalars(select(Update.note).where(Update.ticket_id == ticket.id)).all()
        (told,) = session.scalars(select(Delivery.text).where(Delivery.occasion == f"review:{review_id}"))
    assert "类型：暖气不热 → 漏水" in notes
    assert "漏水" in told
    assert number in told


def review_of_report(services: Services, number: str, guess: str = "no_heat") -> int:
    """A review of the message that a ticket came of."""
    with services.database.transaction() as session:
        ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
        message = session.scalars(select(Message).where(Message.ticket_id == ticket.id)).one()
        message.intent, message.confidence = guess, 0.5
        message.understanding = json.dumps({"ranking": [[guess, 0.5], ["leak", 0.3]], "entities": []})
        row = Review(
            message_id=message.id, reason="unsure", guess=guess, confidence=0.5, created_at=service_clock.now()
        )
        session.add(row)
        session.flush()
        return row.id


@pytest.mark.parametrize("verdict", ["no_heat", "urge"])
def test_a_verdict_that_changes_no_ticket_tells_nobody(
    desk: Desk, report: Report, services: Services, verdict: str
) -> None:
    number = report(sender="+8614000008888")
    review_id = review_of_report(services, number)
    desk.enter("agent")
    judge(desk, review_id, verdict)
    assert desk.ticket(number).intent == "no_heat"
    assert stored(services, review_id).repair is None


def test_look_alikes_are_judged_together(desk: Desk, misread: Misread, services: Services) -> None:
    first = misread("楼上那家半夜装修吵得很")
    twin = misread("楼上那家半夜装修吵得慌", sender="+8614000007777")
    other = misread("多交的钱咋退", sender="+8614000006666")
    desk.enter("agent")
    assert "相似的 1 条一起判" in desk.get(f"/desk/reviews/{first}")
    judge(desk, first, "out_of_scope", twin=[str(twin), str(other)])
    assert stored(services, twin).verdict == "out_of_scope"
    assert stored(services, other).verdict is None  # the page did not offer it


def test_a_reviewer_sees_stand_ins_and_an_agent_the_words(desk: Desk, misread: Misread) -> None:
    review_id = misread("我是张伟民，阳光花园3号楼2单元501不热，电话13812345678")
    desk.enter("reviewer")
    page = desk.get(f"/desk/reviews/{review_id}")
    for private in ("张伟民", "阳光花园3号楼2单元", "501不热", "13812345678", "8888"):
        assert private not in page
    desk.client.post("/desk/logout", data=hidden_fields(page, "/desk/logout"))
    desk.enter("agent")
    assert "13812345678" in desk.get(f"/desk/reviews/{review_id}")


def test_marked_words_are_kept_with_their_meaning(desk: Desk, misread: Misread, services: Services) -> None:
    review_id = misread("三号楼那边凉")
    desk.enter("agent")
    judge(desk, review_id, "no_heat", entities=json.dumps([{"entity": "building", "start": 0, "end": 3}]))
    kept = json.loads(stored(services, review_id).verdict_entities or "[]")
    assert kept == [{"entity": "building", "value": "3", "start": 0, "end": 3}]


@pytest.mark.parametrize(
    "marks", ["nonsense", '[{"entity": "planet", "start": 0, "end": 2}]', "[1]", '[{"entity":"unit"}]']
)
def test_marks_that_no_page_sends_are_refused(desk: Desk, misread: Misread, services: Services, marks: str) -> None:
    review_id = misread("三号楼那边凉")
    desk.enter("agent")
    assert "标注没有看懂" in judge(desk, review_id, "no_heat", entities=marks)
    assert stored(services, review_id).decided_at is None


def test_a_second_person_judges_without_seeing_the_first_verdict(
    desk: Desk, misread: Misread, services: Services
) -> None:
    review_id = misread("楼上那家半夜装修吵得很")
    desk.enter("agent")
    judge(desk, review_id, "out_of_scope")
    assert "没有可以再看的消息" in desk.get("/desk/reviews/second")
    desk.client.post("/desk/logout", data=hidden_fields(desk.get("/desk/reviews"), "/desk/logout"))
    desk.enter("reviewer")
    second = f"/desk/reviews/{review_id}/second"
    page = desk.send("/desk/reviews/second", second, verdict="out_of_scope").text
    assert "κ 1.00" in page
    with services.database.reading() as session:
        assert session.scalars(select(Opinion.verdict)).all() == ["out_of_scope"]


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
