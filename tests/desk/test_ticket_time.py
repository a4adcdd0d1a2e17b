"""Clocks, moves and readings at the desk: what staff see of them, and what their forms do."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from bot import worker
from bot.clock import VirtualClock
from bot.clock_models import Escalation, Reading
from bot.models import Delivery, Staff, Ticket, Update
from bot.services import Services
from handlers.dialogue.types import Address
from tests.desk.conftest import Desk, Report, without_tokens

OTHER = Address("金水区", "国贸公馆", "2", "1", "1804")


@pytest.fixture
def agent(desk: Desk) -> Staff:
    return desk.enter("agent")


def act(desk: Desk, number: str, what: str, **fields: str) -> str:
    """Send one of the ticket's forms as its page gives it; returns the page that follows."""
    return desk.send(f"/desk/tickets/{number}", f"/desk/tickets/{number}/{what}", **fields).text


def told(services: Services) -> list[str]:
    with services.database.reading() as session:
        return [row.text for row in session.scalars(select(Delivery).order_by(Delivery.id))]


def test_the_page_shows_each_clock_and_when_it_is_due(desk: Desk, agent: Staff, report: Report) -> None:
    page = desk.get(f"/desk/tickets/{report()}")
    for words in ("首次联系", "到场", "室温达标", "今天 12:00", "今天 16:00", "明天 10:00", "计时中"):
        assert words in page


def test_a_wait_stops_the_clocks_and_tells_the_resident_why(
    desk: Desk, agent: Staff, report: Report, services: Services
) -> None:
    number = report()
    assert "要写一句原因" in act(desk, number, "move", to="wait_parts")
    assert desk.ticket(number).status == "dispatched"
    page = act(desk, number, "move", to="wait_parts", note="阀门明天到")
    assert "等配件，停表" in page
    assert "停表" in page
    assert told(services) == ["您报的暖气不热，要等配件到了再修。阀门明天到。我们会接着跟，单号" + number + "。"]


def test_nobody_at_home_is_a_move_of_its_own(desk: Desk, agent: Staff, report: Report, services: Services) -> None:
    number = report()
    page = act(desk, number, "move", to="not_home")
    assert "等待中</strong>（无人在家）" in page
    assert "没见到人" in told(services)[0]


def test_a_wrongly_sent_ticket_goes_back_with_the_reason_and_without_a_word_to_the_resident(
    desk: Desk, agent: Staff, report: Report, services: Services
) -> None:
    number = report()
    page = act(desk, number, "move", to="return", note="不归我们，是高新热力的")
    assert "是高新热力的" in page
    assert desk.ticket(number).status == "returned"
    assert told(services) == []


def test_a_ticket_of_two_problems_is_split(desk: Desk, agent: Staff, report: Report, services: Services) -> None:
    number = report("不热，阀门也坏了", also=("other_repair",))
    act(desk, number, "split", intent="other_repair")
    with services.database.reading() as session:
        first, second = session.scalars(select(Ticket).order_by(Ticket.id)).all()
        session.expunge_all()
    assert (first.also, second.intent, second.split_from_id) == ([], "other_repair", first.id)
    assert (second.community, second.room, second.phone, second.opened_at) == (
        first.community,
        first.room,
        first.phone,
        first.opened_at,
    )
    assert second.number in told(services)[0]
    assert first.number in desk.get(f"/desk/tickets/{second.number}")


def test_what_is_not_on_the_ticket_cannot_be_split_off(desk: Desk, agent: Staff, report: Report) -> None:
    number = report("不热，阀门也坏了", also=("other_repair",))
    response = desk.send(f"/desk/tickets/{number}", f"/desk/tickets/{number}/split", intent="leak")
    assert response.status_code == 422


def test_another_type_is_told_to_the_resident_in_one_sentence_once(
    desk: Desk, agent: Staff, report: Report, services: Services
) -> None:
    number = report()
    act(desk, number, "retype", intent="leak")
    act(desk, number, "retype", intent="leak")
    assert told(services) == [f"单号{number}改按“漏水”处理，您不用再报。"]


def test_a_crews_reading_is_kept_with_its_room(desk: Desk, agent: Staff, report: Report, services: Services) -> None:
    number = report(temperature=15.0)
    page = act(desk, number, "reading", value="13.5", where="主卧", instrument="T-07")
    for words in ("主卧", "13.5℃", "现场测温 小王", "仪器 T-07"):
        assert words in page
    with services.database.reading() as session:
        row = session.scalars(select(Reading)).one()
        session.expunge_all()
    assert (row.by, row.staff_id, row.value) == ("crew", agent.id, 13.5)
    ticket = desk.ticket(number)
    assert (ticket.temperature, ticket.priority) == (13.5, 2)


@pytest.mark.parametrize("value", ["", "很冷", "99", "-40", "1e5"])
def test_a_reading_that_no_room_can_have_is_refused(
    desk: Desk, agent: Staff, report: Report, services: Services, value: str
) -> None:
    number = report()
    response = desk.send(f"/desk/tickets/{number}", f"/desk/tickets/{number}/reading", value=value)
    assert response.status_code == 422
    with services.database.reading() as session:
        assert session.scalars(select(Reading)).all() == []


def test_a_late_ticket_stands_out_until_somebody_says_that_they_are_at_it(
    desk: Desk, agent: Staff, report: Report, services: Services, clock: VirtualClock
) -> None:
    number = report()
    clock.advance(timedelta(hours=2, minutes=1))
    worker.run_tasks(services)
    desk.log_in(agent.name)  # a desk that nobody touches for so long has closed itself
    assert "超时限" in desk.get("/desk/")
    assert "督办：首次联系" in desk.get(f"/desk/tickets/{number}")
    page = act(desk, number, "seen")
    assert "督办：首次联系，" not in page
    with services.database.reading() as session:
        assert session.scalars(select(Escalation)).one().seen_by == agent.id


def test_a_call_counts_as_the_first_contact(desk: Desk, agent: Staff, report: Report, services: Services) -> None:
    from bot import calls

    number = report()
    with services.database.transaction() as session:
        ticket = session.scalars(select(Ticket)).one()
        calls.owe(services.context(session), ticket.contact_id, "asked", ticket_id=ticket.id)
    desk.send("/desk/callbacks", "/desk/callbacks/1", note="说下午去")
    page = desk.get(f"/desk/tickets/{number}")
    assert "按时" in page
    with services.database.reading() as session:
        assert session.scalars(select(Update.kind).order_by(Update.id.desc()).limit(1)).one() == "called"


def test_the_list_puts_colder_homes_first_and_chasing_only_breaks_ties(
    desk: Desk, agent: Staff, report: Report, services: Services, clock: VirtualClock
) -> None:
    def order() -> list[str]:
        page = desk.get("/desk/")
        return sorted(numbers, key=lambda number: page.index(f">{number}<"))

    numbers = [report(address=Address("二七区", "阳光花园", "3", "2", str(room))) for room in (601, 602)]
    numbers.append(report(address=OTHER, temperature=15.0))
    with services.database.transaction() as session:
        pressed = session.scalars(select(Ticket).where(Ticket.number == numbers[1])).one()
        pressed.chases = 9
    assert order() == [numbers[2], numbers[1], numbers[0]]


def test_the_table_of_moves_is_there_to_read(desk: Desk, agent: Staff) -> None:
    page = desk.get("/desk/moves")
    for words in (
        "无人在家",
        "等配件",
        "退单（派错）",
        "拆单",
        "并单",
        "重新打开",
        "停表（等住户）",
        "15 分钟",
        "昼夜不停",
    ):
        assert words in page
    assert "<form" not in without_tokens(page).split("<main", 1)[1]


def test_the_health_page_says_which_years_calendar_is_missing(desk: Desk, clock: VirtualClock) -> None:
    desk.enter("supervisor")
    page = desk.get("/desk/health")
    assert "2027 年的放假调休通知还没录入" in page
    assert "2026 年的放假调休" not in page
