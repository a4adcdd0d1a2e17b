"""One ticket: what its page tells, and what staff can do to it."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update

from bot import outbox
from bot.models import Contact, Delivery, Staff, Team, Ticket, Update
from bot.services import Services
from handlers.dialogue.types import Address
from tests.desk.conftest import HOME, Desk, Report, hidden_fields

OTHER = Address("金水区", "国贸公馆", "2", "1", "1804")


@pytest.fixture
def agent(desk: Desk) -> Staff:
    return desk.enter("agent")


def act(desk: Desk, number: str, what: str, **fields: str) -> str:
    """Send one of the ticket's forms as its page gives it; returns the page that follows."""
    return desk.send(f"/desk/tickets/{number}", f"/desk/tickets/{number}/{what}", **fields).text


def deliveries(services: Services) -> list[Delivery]:
    with services.database.reading() as session:
        rows = session.scalars(select(Delivery).order_by(Delivery.id)).all()
        session.expunge_all()
        return list(rows)


def history(services: Services, number: str) -> list[Update]:
    with services.database.reading() as session:
        query = select(Update).join(Ticket, Ticket.id == Update.ticket_id).where(Ticket.number == number)
        rows = session.scalars(query.order_by(Update.id)).all()
        session.expunge_all()
        return list(rows)


def test_the_page_tells_facts_history_and_conversation(desk: Desk, agent: Staff, report: Report) -> None:
    number = report("暖气冰凉，家里15度", temperature=15.0, phone="13800001234", duration="三天")
    page = desk.get(f"/desk/tickets/{number}")
    for words in (
        "阳光花园3号楼2单元501室",
        "138 0000 1234",
        "15℃",
        "三天",
        "二七班组",
        "暖气冰凉，家里15度",
        "已派单",
    ):
        assert words in page


def test_words_of_residents_are_shown_as_words(desk: Desk, agent: Staff, report: Report) -> None:
    number = report("<script>alert(1)</script>", duration="<b>")
    page = desk.get(f"/desk/tickets/{number}")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


@pytest.mark.parametrize(
    ("state", "words"),
    [("sent", "已发送"), ("delivered", "已送达"), ("failed", "发送失败"), ("unknown", "未知"), ("queued", "排队中")],
)
def test_each_text_says_how_far_it_got(
    desk: Desk, agent: Staff, report: Report, services: Services, state: str, words: str
) -> None:
    number = report()
    act(desk, number, "move", to="accepted")
    with services.database.transaction() as session:
        session.execute(update(Delivery).values(state=state))
    assert words in desk.get(f"/desk/tickets/{number}")


def test_a_new_status_is_told_to_the_resident_with_the_note(
    desk: Desk, agent: Staff, report: Report, services: Services
) -> None:
    number = report()
    page = act(desk, number, "move", to="on_site", note="师傅两点到")
    assert "状态已更新" in page
    assert desk.ticket(number).status == "on_site"
    (told,) = deliveries(services)
    assert told.state == "queued"
    assert "师傅两点到" in told.text
    last = history(services, number)[-1]
    assert (last.staff_id, last.to_status, last.told) == (agent.id, "on_site", told.text)


def test_a_move_the_table_does_not_have_changes_nothing(
    desk: Desk, agent: Staff, report: Report, services: Services
) -> None:
    number = report()
    response = desk.send(f"/desk/tickets/{number}", f"/desk/tickets/{number}/move", to="reopened")
    assert response.status_code == 422
    assert "已派单 不能改为 重新处理" in response.text
    assert desk.ticket(number).status == "dispatched"
    assert deliveries(services) == []


def test_a_stale_form_changes_nothing_and_keeps_what_was_typed(
    desk: Desk, agent: Staff, report: Report, services: Services
) -> None:
    number = report()
    act(desk, number, "move", to="accepted")
    for what, fields in {
        "move": {"to": "close", "note": "我刚写的话"},
        "retype": {"intent": "leak"},
        "facts": {"community": "国贸公馆"},
        "team": {"team": "1"},
        "merge": {"into": "N20261123-0002"},
    }.items():
        response = desk.send(f"/desk/tickets/{number}", f"/desk/tickets/{number}/{what}", version="1", **fields)
        assert response.status_code == 409
        assert "您的修改没有保存" in response.text
        assert all(value in response.text for value in fields.values())
    ticket = desk.ticket(number)
    assert (ticket.status, ticket.intent, ticket.community) == ("accepted", "no_heat", "阳光花园")
    assert len(deliveries(services)) == 1


def test_closing_says_whether_the_resident_confirmed(desk: Desk, agent: Staff, report: Report) -> None:
    first, second = report(), report(address=OTHER)
    act(desk, first, "move", to="closed", resolution="confirmed")
    act(desk, second, "move", to="closed", resolution="nonsense")
    assert [desk.ticket(number).resolution for number in (first, second)] == ["confirmed", "unconfirmed"]


def test_an_internal_note_reaches_no_resident(desk: Desk, agent: Staff, report: Report, services: Services) -> None:
    number = report()
    page = act(desk, number, "note", remark="住户脾气大")
    assert "住户脾气大" in page
    assert deliveries(services) == []
    assert desk.ticket(number).version == 1 + (desk.ticket(number).status == "dispatched")


@pytest.mark.parametrize("remark", ["", "  ", "长" * 501])
def test_a_note_must_have_words_and_an_end(desk: Desk, agent: Staff, report: Report, remark: str) -> None:
    number = report()
    response = desk.send(f"/desk/tickets/{number}", f"/desk/tickets/{number}/note", remark=remark)
    assert response.status_code == 422


def test_another_type_brings_another_rank(desk: Desk, agent: Staff, report: Report, services: Services) -> None:
    number = report()
    act(desk, number, "retype", intent="leak")
    ticket = desk.ticket(number)
    assert (ticket.intent, ticket.fault, ticket.priority, ticket.urgent) == ("leak", "leak", 2, True)
    assert history(services, number)[-1].note == "类型：暖气不热 → 漏水"


def test_a_type_that_makes_it_another_open_ticket_joins_the_two(desk: Desk, agent: Staff, report: Report) -> None:
    cold, leak = report(), report(intent="leak", severity="drip")
    page = act(desk, leak, "retype", intent="low_temperature")
    assert f"{leak} 已并入 {cold}" in page
    assert desk.ticket(leak).status == "merged"
    assert desk.ticket(leak).merged_into_id == desk.ticket(cold).id


def test_a_corrected_address_finds_its_team(desk: Desk, agent: Staff, report: Report, services: Services) -> None:
    number = report(address=Address(None, "没有的小区", "9", "1", "101"))
    assert desk.ticket(number).team_id is None
    act(
        desk,
        number,
        "facts",
        community="经五路二号院",
        building="3号楼",
        unit="2单元",
        room="501室",
        phone="138 0000 1234",
    )
    ticket = desk.ticket(number)
    assert (ticket.community, ticket.building, ticket.unit, ticket.room) == ("经五路2号院", "3", "2", "501")
    assert (ticket.district, ticket.phone, ticket.known) == ("金水区", "13800001234", True)
    with services.database.reading() as session:
        assert session.get_one(Team, ticket.team_id).name == "金水二班"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("phone", "abc", "电话号码不对"), ("building", "1" * 17, "楼太长了"), ("community", "长" * 65, "小区太长了")],
)
def test_a_field_that_makes_no_sense_is_sent_back(
    desk: Desk, agent: Staff, report: Report, field: str, value: str, words: str
) -> None:
    number = report()
    fields = {"community": "国贸公馆", "building": "2", "unit": "1", "room": "1804", field: value}
    response = desk.send(f"/desk/tickets/{number}", f"/desk/tickets/{number}/facts", **fields)
    assert response.status_code == 422
    assert words in response.text
    assert desk.ticket(number).community == "阳光花园"


def test_a_ticket_of_an_unknown_place_is_given_to_a_team_by_hand(
    desk: Desk, agent: Staff, report: Report, services: Services
) -> None:
    number = report(address=Address(None, "没有的小区", "9", "1", "101"))
    with services.database.reading() as session:
        team_id = session.scalars(select(Team.id).where(Team.code == "T-eq-1")).one()
    act(desk, number, "team", team=str(team_id))
    ticket = desk.ticket(number)
    assert (ticket.team_id, ticket.status) == (team_id, "dispatched")


def test_merging_by_hand_tells_everybody_of_the_other_ticket(
    desk: Desk, agent: Staff, report: Report, services: Services
) -> None:
    first, second = report(), report(address=OTHER)
    page = act(desk, second, "merge", into=first.lower())
    assert f"现在显示的是 {first}" in page
    act(desk, first, "move", to="accepted")
    assert f"以后看{first}" in deliveries(services)[0].text
    assert len(deliveries(services)) == 3


@pytest.mark.parametrize("into", ["N20261123-9999", "N20261123-0001", "", "没有"])
def test_merging_into_nothing_or_itself_is_refused(desk: Desk, agent: Staff, report: Report, into: str) -> None:
    number = report()
    assert number == "N20261123-0001"
    response = desk.send(f"/desk/tickets/{number}", f"/desk/tickets/{number}/merge", into=into)
    assert response.status_code == 422
    assert desk.ticket(number).status == "dispatched"


def test_the_conversation_of_each_reporter_can_be_read(
    desk: Desk, agent: Staff, report: Report, services: Services
) -> None:
    number = report("头一个人说的", sender="+8614000000071")
    assert report("第二个人说的", address=HOME, sender="+8614000000072") == number
    page = desk.get(f"/desk/tickets/{number}")
    assert "头一个人说的" in page
    assert "第二个人说的" not in page
    with services.database.reading() as session:
        party = session.scalars(select(Delivery.contact_id)).all() or [2]
    assert "第二个人说的" in desk.get(f"/desk/tickets/{number}?contact={party[-1]}")


def test_a_number_that_does_not_exist_is_not_found_in_plain_words(desk: Desk, agent: Staff) -> None:
    response = desk.client.get("/desk/tickets/N20261123-9999")
    assert response.status_code == 404
    assert "没有找到" in response.text


def test_texts_in_trouble_are_sent_again_once(desk: Desk, agent: Staff, report: Report, services: Services) -> None:
    number = report()
    act(desk, number, "move", to="accepted")
    with services.database.transaction() as session:
        session.execute(update(Delivery).values(state="failed", attempts=7, error="45015: closed"))
    (failed,) = deliveries(services)
    assert "45015: closed" in desk.get("/desk/deliveries")
    again = f"/desk/deliveries/{failed.id}/again"
    assert "已重新排队" in desk.send("/desk/deliveries", again).text
    (queued,) = deliveries(services)
    assert (queued.state, queued.attempts, queued.error) == ("queued", 0, None)
    claimed = outbox.claim(services.database)
    assert [item.id for item in claimed] == [failed.id]
    token = {"csrf_token": _token(desk)}
    assert "没有重复发送" in desk.client.post(again, data=token, follow_redirects=True).text
    assert deliveries(services)[0].state == "sending"


def _token(desk: Desk) -> str:
    return hidden_fields(desk.get("/desk/deliveries"), "/desk/logout")["csrf_token"]


def test_nothing_is_sent_again_to_somebody_who_opted_out(
    desk: Desk, agent: Staff, report: Report, services: Services
) -> None:
    number = report()
    act(desk, number, "move", to="accepted")
    with services.database.transaction() as session:
        session.execute(update(Delivery).values(state="failed"))
        session.execute(update(Contact).values(opted_out_at=desk.ticket(number).opened_at))
    (failed,) = deliveries(services)
    assert "已退订" in desk.send("/desk/deliveries", f"/desk/deliveries/{failed.id}/again").text
    assert deliveries(services)[0].state == "failed"
