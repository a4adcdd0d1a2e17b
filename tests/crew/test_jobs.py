"""What a crew does from the phone: its own jobs by building, each step a move of the table, each form done once."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot import clock as service_clock
from bot import dispatch
from bot.clock import VirtualClock
from bot.clock_models import Clock, Wait
from bot.duty_models import Job, JobStep, Member
from bot.models import Message, Team, Ticket
from bot.push_models import Media
from bot.services import Services
from handlers.dialogue.types import Address
from tests.crew.conftest import JPEG, Phone, Yard, photo
from tests.desk.conftest import Report, hear

NEXT_DOOR = Address("二七区", "阳光花园", "3", "2", "502")
OTHER_BUILDING = Address("二七区", "阳光花园", "5", "1", "101")


# --- what is seen


def test_the_team_s_jobs_wait_by_building_and_mine_stand_first(phone: Phone, report: Report) -> None:
    first, second, third = report(), report(address=NEXT_DOOR), report(address=OTHER_BUILDING)
    page = phone.get("/crew/")
    mine, _, waiting = page.partition('id="waiting"')
    assert "手上没有活" in mine
    assert [len(re.findall(number, waiting)) > 0 for number in (first, second, third)] == [True] * 3
    assert re.findall(r"<h2[^>]*>([^<]+)</h2>", waiting) == ["阳光花园3号楼", "阳光花园5号楼"]
    phone.take(first)
    mine, _, waiting = phone.get("/crew/").partition('id="waiting"')
    assert first in mine
    assert first not in waiting
    assert second in waiting


def test_the_most_urgent_place_comes_first(phone: Phone, report: Report) -> None:
    report()
    report("暖气管爆了", OTHER_BUILDING, intent="leak", severity="burst")
    places = re.findall(r"<h2[^>]*>([^<]+)</h2>", phone.get("/crew/"))
    assert places == ["阳光花园5号楼", "阳光花园3号楼"]


def test_within_a_building_the_nearer_limit_comes_first(
    phone: Phone, report: Report, services: Services, clock: VirtualClock
) -> None:
    first, second = report(), report(address=NEXT_DOOR)
    with services.database.transaction() as session:
        for number, hours in ((first, 5), (second, 1)):
            ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
            for row in session.scalars(select(Clock).where(Clock.ticket_id == ticket.id)):
                row.due_at = service_clock.now() + timedelta(hours=hours)
    assert re.findall(r'class="quiet">(N[\d-]+)<', phone.get("/crew/")) == [second, first]


def test_one_member_s_job_is_nobody_else_s(yard: Yard, phone: Phone, report: Report) -> None:
    number, colleague = report(), yard.phone("王师傅", "M2")
    phone.take(number)
    assert number not in colleague.get("/crew/")
    colleague.get(f"/crew/jobs/{number}", 404)


def test_another_team_s_jobs_are_not_there(yard: Yard, report: Report) -> None:
    number, stranger = report(), yard.phone("外人", "M9", "T-js-1")
    assert number not in stranger.get("/crew/")
    stranger.get(f"/crew/jobs/{number}", 404)


def test_who_was_asked_sees_the_job_whatever_their_team(
    yard: Yard, services: Services, report: Report, clock: VirtualClock
) -> None:
    number, helper = report(), yard.phone("机动", "M3", None)
    assert number not in helper.get("/crew/")
    with services.database.transaction() as session:
        context = services.context(session)
        ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
        job = dispatch.offer(context, ticket)
        assert job is not None
        member = session.scalars(select(Member.id).where(Member.code == "M3")).one()
        session.add(JobStep(job_id=job.id, step=1, round=job.round, member_id=member, why="值班", at=context.now))
    assert number in helper.get("/crew/")


def test_the_resident_s_phone_is_shown_on_one_s_own_job_only(phone: Phone, report: Report) -> None:
    number = report("暖气冰凉，打13812345678", sender="+8614000001234")
    before = phone.get(f"/crew/jobs/{number}")
    assert "tel:" not in before
    assert "13812345678" not in before
    assert "暖气冰凉" in before
    phone.take(number)
    mine = phone.get(f"/crew/jobs/{number}")
    assert 'href="tel:+8614000001234"' in mine
    assert "13812345678" in mine
    phone.move(number, "finish")
    phone.get(f"/crew/jobs/{number}", 404)


def test_the_words_with_which_it_began_are_there_too(
    phone: Phone, services: Services, report: Report, clock: VirtualClock
) -> None:
    sender = "+8614000001234"
    for text in ("上个月交过费了", "家里冰窖一样"):  # an older matter; and the report, before it had an address
        hear(services, text, sender=sender)
        clock.advance(timedelta(minutes=50))
    number = report("阳光花园3号楼2单元501", sender=sender)
    with services.database.transaction() as session:
        for message in session.scalars(select(Message).order_by(Message.id).limit(2)):
            message.ticket_id = None  # as the dialogue leaves them: it had no ticket yet
    page = phone.get(f"/crew/jobs/{number}")
    assert page.index("家里冰窖一样") < page.index("阳光花园3号楼2单元501</p>")
    assert "上个月交过费了" not in page


def test_a_resident_s_photo_is_seen_by_who_has_the_job(
    yard: Yard, phone: Phone, services: Services, report: Report
) -> None:
    number, colleague = report(), yard.phone("王师傅", "M2")
    with services.database.transaction() as session:
        row = Media(
            message_id=session.scalars(select(Message.id)).one(), number=0, channel="wechat", kind="image", ref="m"
        )
        row.state, row.content, row.content_type = "kept", JPEG, "image/jpeg"
        row.due_at = row.expires_at = service_clock.now()
        row.attempts = 0
        session.add(row)
    assert "<img class" not in phone.get(f"/crew/jobs/{number}")
    phone.take(number)
    address = re.findall(r'src="(/crew/media/\d+)"', phone.get(f"/crew/jobs/{number}"))[0]
    assert phone.client.get(address).data == JPEG
    assert colleague.client.get(address).status_code == 404


def test_the_map_is_told_the_building_and_never_the_home(phone: Phone, report: Report) -> None:
    number = report()
    link = re.findall(r'href="(https://[^"]+)"', phone.get(f"/crew/jobs/{number}"))
    assert len(link) == 1
    assert link[0].startswith("https://uri.amap.com/search?keyword=%E4%BA%8C%E4%B8%83%E5%8C%BA")
    assert "501" not in link[0]


def test_pages_stay_small_however_much_there_is(phone: Phone, report: Report) -> None:
    numbers = [report(address=Address("二七区", "阳光花园", "3", "2", str(room))) for room in range(100, 165)]
    assert len(phone.get("/crew/").encode()) < 50_000
    assert len(phone.get(f"/crew/jobs/{numbers[0]}").encode()) < 50_000


# --- what is done


def test_a_whole_visit(yard: Yard, phone: Phone, report: Report) -> None:
    number = report()
    phone.take(number)
    assert "办好了" in phone.move(number, "go").text
    answer = phone.send(
        f"/crew/jobs/{number}", f"/crew/jobs/{number}/reading", value="15.5", where="主卧", photo=photo()
    )
    assert "室温记下了" in answer.text
    assert "15.5℃" in answer.text
    assert "手上没有活" in phone.move(number, "finish", note="换了阀门").text
    assert yard.steps(number) == ["dispatch", "accept", "go", "finish"]
    assert yard.ticket(number).status == "done"
    assert any("换了阀门" in text for text in yard.told(number))
    page = yard.desk.get(f"/desk/tickets/{number}")
    assert page.count("李师傅") >= 4
    assert 'alt="现场照片"' in page


@pytest.mark.parametrize(
    ("key", "waits", "told"),
    [
        ("wait_resident", "resident", "等您这边方便"),
        ("wait_property", "property", "等物业"),
        ("wait_parts", "parts", "等配件"),
    ],
)
def test_waiting_says_for_whom_and_stops_the_clocks(
    yard: Yard, phone: Phone, services: Services, report: Report, key: str, waits: str, told: str
) -> None:
    number = report()
    phone.take(number)
    refused = phone.client.post(f"/crew/jobs/{number}/move", data={**_any_form(phone, number), "to": key})
    assert refused.status_code == 422
    assert "请写一句原因" in refused.text
    sent = phone.client.post(
        f"/crew/jobs/{number}/move", data={**_any_form(phone, number), "to": key, "note": "阀门没货"}
    )
    assert sent.status_code == 302
    assert yard.ticket(number).waits_for == waits
    assert any(told in text and "阀门没货" in text for text in yard.told(number))
    with services.database.reading() as session:
        assert session.scalars(select(Wait.reason).where(Wait.until.is_(None))).all() == [waits]
        running = select(Clock.due_at).where(Clock.stopped_at.is_(None))
        assert set(session.scalars(running)) <= {None}
    phone.move(number, "resume")
    assert yard.ticket(number).status == "accepted"


def _any_form(phone: Phone, number: str) -> dict[str, Any]:
    return phone.form(f"/crew/jobs/{number}", f"/crew/jobs/{number}/move")


def test_nobody_at_home_is_told_to_the_resident(yard: Yard, phone: Phone, report: Report) -> None:
    number = report()
    phone.take(number)
    phone.move(number, "not_home")
    assert yard.steps(number)[-1] == "not_home"
    assert any("没见到人" in text for text in yard.told(number))


def test_a_job_that_is_not_ours_goes_back_with_a_reason(yard: Yard, phone: Phone, report: Report) -> None:
    number = report()
    phone.take(number)
    answer = phone.move(number, "return", note="这是物业的管子")
    assert "手上没有活" in answer.text
    assert (yard.ticket(number).status, yard.ticket(number).member_id) == ("returned", None)
    assert "这是物业的管子" in yard.desk.get(f"/desk/tickets/{number}")


def test_a_job_can_be_given_back_before_it_is_taken(yard: Yard, phone: Phone, report: Report) -> None:
    number = report()
    phone.move(number, "return", note="不是我们片区")
    assert yard.ticket(number).status == "returned"


def test_taking_a_building_takes_what_was_shown_and_settles_its_job(
    yard: Yard, phone: Phone, services: Services, report: Report
) -> None:
    first, second, other = report(), report(address=NEXT_DOOR), report(address=OTHER_BUILDING)
    with services.database.transaction() as session:
        for ticket in session.scalars(select(Ticket).where(Ticket.number.in_([first, second]))):
            dispatch.offer(services.context(session), ticket)
    form = phone.form("/crew/", "/crew/take")
    assert sorted(form["number"]) == sorted([first, second])
    assert "接了 2 张单" in phone.client.post("/crew/take", data=form, follow_redirects=True).text
    assert [yard.ticket(number).status for number in (first, second, other)] == ["accepted", "accepted", "dispatched"]
    with services.database.reading() as session:
        job = session.scalars(select(Job)).one()
        assert (job.state, job.member.name if job.member else None, job.next_at) == ("accepted", "李师傅", None)


def test_of_two_who_take_the_same_job_one_has_it(yard: Yard, phone: Phone, report: Report) -> None:
    number, colleague = report(), yard.phone("王师傅", "M2")
    late = colleague.form(f"/crew/jobs/{number}", f"/crew/jobs/{number}/move", to="accept")
    phone.take(number)
    answer = colleague.client.post(f"/crew/jobs/{number}/move", data=late, follow_redirects=True)
    assert "不在您名下" in answer.text
    assert yard.steps(number).count("accept") == 1


@pytest.mark.parametrize("key", ["close", "cancel", "merge", "split", "confirm", "dispatch", "nonsense"])
def test_a_phone_makes_no_moves_but_its_buttons(yard: Yard, phone: Phone, report: Report, key: str) -> None:
    number = report()
    phone.take(number)
    form = {**_any_form(phone, number), "to": key, "note": "x"}
    assert phone.client.post(f"/crew/jobs/{number}/move", data=form).status_code == 422
    assert yard.ticket(number).status == "accepted"


def test_a_job_given_to_another_team_leaves_the_phone(
    yard: Yard, phone: Phone, services: Services, report: Report
) -> None:
    number = report()
    phone.take(number)
    with services.database.reading() as session:
        other = session.scalars(select(Team.id).where(Team.code == "T-js-1")).one()
    yard.desk.send(f"/desk/tickets/{number}", f"/desk/tickets/{number}/team", team=str(other))
    phone.get(f"/crew/jobs/{number}", 404)


def test_a_job_taken_by_text_message_is_on_the_phone(
    yard: Yard, phone: Phone, services: Services, report: Report
) -> None:
    number = report()
    with services.database.transaction() as session:
        context = services.context(session)
        job = dispatch.offer(context, session.scalars(select(Ticket).where(Ticket.number == number)).one())
        member = session.scalars(select(Member)).one()
        assert job is not None
        dispatch.accept(context, job, member=member)
    mine, _, _ = phone.get("/crew/").partition('id="waiting"')
    assert number in mine
