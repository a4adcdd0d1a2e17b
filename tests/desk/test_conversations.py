"""Talking with residents from the desk: taking over, writing, giving back; and the texts that need not be typed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from bot import rules, staff, takeovers
from bot.clock import VirtualClock
from bot.desk import canned
from bot.models import Contact, Delivery, Resident, Staff
from bot.services import Services
from tests.desk.conftest import PASSWORD, Desk, Report, hear

ANYWHERE = {"number", "problem", "team", "address", "hotline"}


@pytest.fixture
def agent(desk: Desk) -> Staff:
    return desk.enter("agent")


def contact_of(services: Services) -> int:
    with services.database.reading() as session:
        return session.scalars(select(Contact.id)).one()


def form(desk: Desk, number: str | None, contact: int, what: str, **fields: str) -> str:
    """Send one of the panel's forms as the page gives it; returns the page that follows."""
    page = f"/desk/tickets/{number}" if number else f"/desk/talks/{contact}"
    return desk.send(page, f"/desk/talks/{contact}/{what}", **fields).text


def sent(services: Services) -> list[tuple[str, int | None]]:
    with services.database.reading() as session:
        rows = session.scalars(select(Delivery).where(Delivery.staff_id.is_not(None)).order_by(Delivery.id))
        return [(row.text, row.staff_id) for row in rows]


def give_to_colleague(services: Services, contact: int) -> None:
    with services.database.transaction() as session:
        other = staff.add(session, "小李", PASSWORD, "agent", None)
        row = takeovers.locked(session, contact)
        assert row is not None
        takeovers.take(services.context(session), row, other.id)


def test_a_conversation_is_taken_answered_and_given_back_from_the_tickets_page(
    desk: Desk, agent: Staff, report: Report, services: Services
) -> None:
    number = report()
    contact = contact_of(services)
    assert "您正在和住户说话" in form(desk, number, contact, "take")
    page = form(desk, number, contact, "reply", reply="您好，我是小王。")
    assert "已交给渠道发送" in page
    assert sent(services) == [("您好，我是小王。", agent.id)]
    page = form(desk, number, contact, "return")
    assert "现在由机器人回复" in page
    for words in ("接手对话", "人工回复", "交还对话", "· 小王"):
        assert words in page


def test_a_conversation_without_a_ticket_is_found_and_answered(desk: Desk, agent: Staff, services: Services) -> None:
    contact = hear(services, "有人吗")
    assert "有人吗" in desk.get("/desk/talks")
    form(desk, None, contact, "take")
    assert "小王" in desk.get("/desk/talks")
    form(desk, None, contact, "reply", reply="在的。")
    assert sent(services) == [("在的。", agent.id)]
    assert "交还给机器人" in form(desk, None, contact, "return")


def test_a_form_that_is_sent_twice_is_one_reply(desk: Desk, agent: Staff, services: Services) -> None:
    contact = hear(services, "有人吗")
    form(desk, None, contact, "take")
    for _ in range(2):
        form(desk, None, contact, "reply", reply="在的。", nonce="abc123")
    assert len(sent(services)) == 1


def test_who_lost_the_conversation_meanwhile_is_told_so_and_loses_no_word(
    desk: Desk, agent: Staff, report: Report, services: Services
) -> None:
    number = report()
    contact = contact_of(services)
    page = form(desk, number, contact, "take")
    give_to_colleague(services, contact)
    token = desk.client.get(f"/desk/tickets/{number}").text
    assert "小李正在和住户说话" in token
    fields = {"csrf_token": _token(page), "ticket": number, "nonce": "abc", "heard": "1", "reply": "师傅两点到"}
    answer = desk.client.post(f"/desk/talks/{contact}/reply", data=fields)
    assert answer.status_code == 409
    assert "不在您手里" in answer.text
    assert "师傅两点到</textarea>" in answer.text
    assert sent(services) == []
    taken = desk.client.post(f"/desk/talks/{contact}/take", data=fields)
    assert "已接手" in taken.text
    assert "师傅两点到</textarea>" in taken.text


def _token(page: str) -> str:
    return page.split('name="csrf_token" value="')[1].split('"')[0]


def test_what_the_resident_says_while_a_person_writes_is_still_unanswered(
    desk: Desk, agent: Staff, services: Services
) -> None:
    contact = hear(services, "有人吗")
    form(desk, None, contact, "take")
    page = desk.get(f"/desk/talks/{contact}")
    hear(services, "喂？")
    desk.client.post(
        f"/desk/talks/{contact}/reply",
        data={"csrf_token": _token(page), "nonce": "abc", "heard": _value(page, "heard"), "reply": "在的。"},
    )
    with services.database.reading() as session:
        row = takeovers.current(session, contact)
        assert row is not None
        assert str(row.heard_id) == _value(page, "heard")


def _value(page: str, name: str) -> str:
    return page.split(f'name="{name}" value="')[1].split('"')[0]


@pytest.mark.parametrize(
    ("left", "phone", "words"),
    [(3, None, "还能发 3 条"), (0, "+8613800001234", "会改发短信"), (0, None, "会先留着")],
)
def test_the_page_says_how_much_may_still_be_sent(
    desk: Desk, agent: Staff, services: Services, clock: VirtualClock, left: int, phone: str | None, words: str
) -> None:
    contact = hear(services, "有人吗", medium="wechat", sender="o-resident")
    with services.database.transaction() as session:
        until = clock() + timedelta(hours=1)
        session.execute(update(Contact).values(message_left=left, message_until=until))
        session.execute(update(Resident).values(phone=phone))
    assert words in form(desk, None, contact, "take")


def test_an_empty_reply_is_refused_and_sends_nothing(desk: Desk, agent: Staff, services: Services) -> None:
    contact = hear(services, "有人吗")
    form(desk, None, contact, "take")
    assert "要写一点内容" in form(desk, None, contact, "reply", reply="  ")
    assert sent(services) == []


@pytest.mark.parametrize("role", ["crew", "reviewer"])
def test_only_who_speaks_with_residents_takes_a_conversation(
    desk: Desk, report: Report, services: Services, role: str
) -> None:
    number = report()
    desk.enter(role, team="T-eq-1" if role == "crew" else None)
    assert desk.client.get("/desk/talks").status_code == 403
    if role == "crew":
        assert "接手对话" not in desk.get(f"/desk/tickets/{number}")


# --- canned texts


def test_a_canned_text_is_offered_with_its_variables_filled_in(desk: Desk, agent: Staff, report: Report) -> None:
    page = desk.get(f"/desk/tickets/{report()}")
    assert "二七班组的师傅两小时内到，请留意电话。" in page
    assert "{team}" not in page


def test_a_chosen_text_goes_out_with_the_new_status_even_without_scripts(
    desk: Desk, agent: Staff, report: Report, services: Services
) -> None:
    number = report()
    page = desk.get(f"/desk/tickets/{number}")
    text = next(row for row in page.split('<option value="') if row.startswith("今天上门") or "今天上门" in row)
    chosen = text.split('"')[0]
    desk.send(f"/desk/tickets/{number}", f"/desk/tickets/{number}/move", to="on_site", canned=chosen)
    with services.database.reading() as session:
        assert chosen in session.scalars(select(Delivery.text).order_by(Delivery.id.desc())).first()  # type: ignore[operator]


def test_a_text_whose_variables_nobody_knows_is_not_offered(desk: Desk, agent: Staff, services: Services) -> None:
    contact = hear(services, "有人吗")
    page = form(desk, None, contact, "take")
    assert "打热线" in page
    assert "单子在办" not in page


def test_every_shipped_text_names_known_variables_and_uses_and_fits_a_message() -> None:
    rows = rules.shipped()["canned"]["texts"]
    assert len({row["name"] for row in rows}) == len(rows) >= 8
    for row in rows:
        assert canned.variables(row["text"]) <= ANYWHERE, row["name"]
        assert set(row.get("use", [canned.REPLY])) <= {canned.REPLY, canned.NOTE}
        assert len(row["text"]) <= 70
