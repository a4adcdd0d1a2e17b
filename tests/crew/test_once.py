"""What bad networks do to a crew's forms: each is done once and dated as it was done; and the photos that come with them."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest
from sqlalchemy import select

from bot import clock as service_clock
from bot import dispatch, schema, unlink
from bot.clock import VirtualClock
from bot.clock_models import Clock, Reading
from bot.crew import pages, photos
from bot.duty_models import Member
from bot.models import Contact, Ticket, Update
from bot.push_models import Media
from bot.services import Services
from bot.settings import Settings
from tests.crew.conftest import JPEG, Phone, Yard, photo
from tests.desk.conftest import Report

COOKIES = (("heatline_device", "/crew"), ("session", "/"))


def test_a_form_that_comes_again_is_done_once(yard: Yard, phone: Phone, report: Report) -> None:
    number = report()
    phone.take(number)
    action = f"/crew/jobs/{number}/reading"
    form = {**phone.form(f"/crew/jobs/{number}", action), "value": "16", "where": "客厅"}
    for _ in range(3):
        answer = phone.client.post(action, data={**form, "photo": photo()}, follow_redirects=True)
        assert answer.status_code == 200
    assert "没有重复办" in answer.text
    assert (yard.count(Reading), yard.count(Media)) == (1, 1)


def test_two_tries_at_once_are_done_once(yard: Yard, phone: Phone, report: Report) -> None:
    number = report()
    phone.take(number)
    action = f"/crew/jobs/{number}/reading"
    form = {**phone.form(f"/crew/jobs/{number}", action), "value": "16"}
    cookies = {name: phone.client.get_cookie(name, path=path) for name, path in COOKIES}

    def send(_: int) -> int:
        client = yard.app.test_client()
        for (name, path), cookie in zip(COOKIES, cookies.values(), strict=True):
            assert cookie is not None
            client.set_cookie(name, cookie.value, path=path)
        return client.post(action, data=form, headers={"Accept": "application/json"}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(send, range(4))) == [200] * 4
    assert yard.count(Reading) == 1


def test_a_repeated_move_is_answered_as_done(yard: Yard, phone: Phone, report: Report) -> None:
    number = report()
    phone.take(number)
    form = phone.form(f"/crew/jobs/{number}", f"/crew/jobs/{number}/move", to="not_home")
    answers = [
        phone.client.post(f"/crew/jobs/{number}/move", data=form, headers={"Accept": "application/json"})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 200]
    assert yard.steps(number).count("not_home") == 1
    assert len([text for text in yard.told(number) if "没见到人" in text]) == 1


def test_a_form_that_was_refused_may_come_again_corrected(yard: Yard, phone: Phone, report: Report) -> None:
    number = report()
    phone.take(number)
    action = f"/crew/jobs/{number}/reading"
    form = phone.form(f"/crew/jobs/{number}", action)
    refused = phone.client.post(action, data={**form, "value": "很冷"})
    assert refused.status_code == 422
    assert "室温要填数字" in refused.text
    assert 'value="很冷"' in refused.text
    assert phone.client.post(action, data={**form, "value": "12"}).status_code == 302
    assert yard.count(Reading) == 1


def test_a_form_without_a_key_changes_nothing(yard: Yard, phone: Phone, report: Report) -> None:
    number = report()
    form = {**phone.form(f"/crew/jobs/{number}", f"/crew/jobs/{number}/move", to="accept"), "key": "x"}
    assert phone.client.post(f"/crew/jobs/{number}/move", data=form).status_code == 422
    assert yard.ticket(number).status == "dispatched"


def test_what_was_done_without_a_network_counts_from_when_it_was_done(
    yard: Yard, phone: Phone, services: Services, report: Report, clock: VirtualClock
) -> None:
    number = report()
    phone.take(number)
    clock.advance(timedelta(minutes=30))
    form = phone.form(f"/crew/jobs/{number}", f"/crew/jobs/{number}/move", to="go")
    clock.advance(timedelta(minutes=40))
    arrived = service_clock.now() - timedelta(minutes=35)
    assert phone.client.post(f"/crew/jobs/{number}/move", data={**form, "age": "2100"}).status_code == 302
    with services.database.reading() as session:
        went = session.scalars(select(Update.at).where(Update.step == "go")).one()
        stopped = session.scalars(select(Clock.stopped_at).where(Clock.kind == "on_site")).one()
        notes = session.scalars(select(Update.note).where(Update.kind == "note")).all()
    assert went == stopped == arrived
    assert any(note and "当时没有网络，10:35 在手机上记下" in note for note in notes)


@pytest.mark.parametrize("age", ["999999", "-5", "soon"])
def test_an_age_that_cannot_be_counts_for_nothing(
    yard: Yard, phone: Phone, services: Services, report: Report, age: str, clock: VirtualClock
) -> None:
    number = report()
    phone.take(number)
    clock.advance(timedelta(minutes=30))
    form = {**phone.form(f"/crew/jobs/{number}", f"/crew/jobs/{number}/move", to="go"), "age": age}
    phone.client.post(f"/crew/jobs/{number}/move", data=form)
    assert yard.ticket(number).status_at == service_clock.now()


def test_nothing_is_dated_before_the_move_it_follows(
    yard: Yard, phone: Phone, report: Report, clock: VirtualClock
) -> None:
    number = report()
    clock.advance(timedelta(minutes=30))
    phone.take(number)
    taken: datetime = yard.ticket(number).status_at
    form = {**phone.form(f"/crew/jobs/{number}", f"/crew/jobs/{number}/move", to="go"), "age": "7200"}
    phone.client.post(f"/crew/jobs/{number}/move", data=form)
    assert yard.ticket(number).status_at == taken


# --- photos


def test_a_photo_is_judged_by_its_content_and_loses_where_it_was_taken(
    yard: Yard, phone: Phone, services: Services, report: Report
) -> None:
    number = report()
    phone.take(number)
    send = (f"/crew/jobs/{number}", f"/crew/jobs/{number}/note")
    refused = phone.send(*send, photo=photo(b"<svg onload=alert(1)>", "p.jpg"))
    assert refused.status_code == 422
    assert "不是照片" in refused.text
    assert "记下了" in phone.send(*send, photo=photo(JPEG, "p.exe")).text
    with services.database.reading() as session:
        kept = session.scalars(select(Media)).one()
        assert kept.content_type == "image/jpeg"
        assert b"Exif" not in (kept.content or b"")
        assert (kept.content or b"").endswith(b"picture\xff\xd9")


def test_a_photo_that_is_too_large_is_refused_in_words(
    yard: Yard, phone: Phone, report: Report, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(photos, "MOST_BYTES", 1000)
    monkeypatch.setattr(pages, "MOST_BYTES", 1000)
    number = report()
    phone.take(number)
    action = f"/crew/jobs/{number}/note"
    form = phone.form(f"/crew/jobs/{number}", action)
    for size, status in ((1001, 422), (100_000, 413)):
        large = photo(b"\xff\xd8\xff" + b"\0" * size)
        answer = phone.client.post(action, data={**form, "photo": large})
        assert answer.status_code == status
        assert "照片太大" in answer.text
    assert yard.count(Media) == 0


def test_a_crew_s_photo_is_seen_by_who_sees_the_ticket(yard: Yard, phone: Phone, report: Report) -> None:
    number, colleague = report(), yard.phone("王师傅", "M2")
    phone.take(number)
    phone.send(f"/crew/jobs/{number}", f"/crew/jobs/{number}/note", note="看这里", photo=photo())
    address = re.findall(r'src="(/crew/media/\d+)"', phone.get(f"/crew/jobs/{number}"))[0]
    shown = phone.client.get(address)
    assert (shown.status_code, shown.content_type) == (200, "image/jpeg")
    assert colleague.client.get(address).status_code == 404
    assert yard.desk.client.get(address.replace("/crew/", "/desk/")).status_code == 200
    yard.desk.send("/desk/", "/desk/logout")
    yard.log_in("reviewer")
    assert yard.desk.client.get(address.replace("/crew/", "/desk/")).status_code == 404


def test_a_crew_s_photo_goes_with_its_ticket_s_data(
    yard: Yard, phone: Phone, services: Services, report: Report
) -> None:
    number = report()
    phone.take(number)
    phone.send(f"/crew/jobs/{number}", f"/crew/jobs/{number}/note", photo=photo())
    with services.database.transaction() as session:
        contact = session.get_one(Contact, yard.ticket(number).contact_id)
        unlink.anonymise(session, contact, service_clock.now())
    assert yard.count(Media) == 0


def test_who_had_a_job_before_phones_came_has_it_on_the_phone(
    yard: Yard, services: Services, report: Report, settings: Settings
) -> None:
    number, phone = report(), yard.phone()
    with services.database.transaction() as session:
        context = services.context(session)
        job = dispatch.offer(context, session.scalars(select(Ticket).where(Ticket.number == number)).one())
        assert job is not None
        dispatch.accept(context, job, member=session.scalars(select(Member)).one())
    schema.revert(services.database, "0010")
    schema.upgrade(settings)
    assert yard.ticket(number).member_id is not None
    phone.get("/crew/", 401)  # the phones themselves are enrolled anew
