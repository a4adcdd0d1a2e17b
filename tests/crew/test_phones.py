"""A phone is let in by a link that works once, shows its own member's jobs, and is out the moment it is revoked."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from flask import Flask
from sqlalchemy import select, update

from bot import devices
from bot.app import create_app
from bot.clock import VirtualClock
from bot.crew_models import Device, Enrolment
from bot.desk import throttle
from bot.duty_models import Member
from bot.services import Services
from tests.crew.conftest import Phone, Yard


def path_of(link: str) -> str:
    return link[link.index("/crew/") :]


def test_a_link_makes_a_phone_the_member_s_own(yard: Yard) -> None:
    phone = yard.browser()
    assert "这台手机没有登记" in phone.get("/crew/", 401)
    assert "我的活" in phone.enrol(yard.link(yard.member())).text
    assert "李师傅" in phone.get("/crew/")


def test_looking_at_a_link_does_not_use_it_up(yard: Yard) -> None:
    link = yard.link(yard.member())
    for _ in range(3):
        assert "李师傅师傅的手机" in yard.browser().get(path_of(link))
    assert yard.browser().enrol(link).status_code == 200


def test_a_link_works_once(yard: Yard) -> None:
    link, second = yard.link(yard.member()), yard.browser()
    form = second.form(path_of(link), path_of(link))
    yard.browser().enrol(link)
    assert second.client.post(path_of(link), data=form).status_code == 404
    assert "这个链接不能用了" in second.get(path_of(link), 404)
    assert second.client.get("/crew/").location == "/crew/strange"


def test_a_link_lasts_fifteen_minutes(yard: Yard, clock: VirtualClock) -> None:
    link = yard.link(yard.member())
    clock.advance(timedelta(minutes=15))
    yard.browser().get(path_of(link), 404)


def test_a_new_link_ends_the_one_before(yard: Yard) -> None:
    member = yard.member()
    old, new = yard.link(member), yard.link(member)
    yard.browser().get(path_of(old), 404)
    assert yard.browser().enrol(new).status_code == 200


def test_a_link_of_who_has_left_opens_nothing(yard: Yard, services: Services) -> None:
    member = yard.member()
    link = yard.link(member)
    with services.database.transaction() as session:
        session.execute(update(Member).values(active=False))
    yard.browser().get(path_of(link), 404)


def test_guessing_links_is_slowed_down(yard: Yard, clock: VirtualClock) -> None:
    link, phone = yard.link(yard.member()), yard.browser()
    for number in range(throttle.TRIES_HERE):
        phone.get(f"/crew/enrol/guess{number}", 404)
    phone.get(path_of(link), 429)
    clock.advance(timedelta(seconds=throttle.WINDOW))
    phone.get("/crew/enrol/guess", 404)


def test_somebody_else_s_guesses_keep_no_phone_out(yard: Yard) -> None:
    link, guesser = yard.link(yard.member()), yard.browser()
    for number in range(throttle.TRIES + 2):
        guesser.client.get(f"/crew/enrol/guess{number}", environ_base={"REMOTE_ADDR": "198.51.100.7"})
    assert yard.browser().enrol(link).status_code == 200


def test_neither_link_nor_cookie_is_stored(yard: Yard, services: Services) -> None:
    link, phone = yard.link(yard.member()), yard.browser()
    phone.enrol(link)
    cookie = phone.client.get_cookie("heatline_device", path="/crew")
    assert cookie is not None
    with services.database.reading() as session:
        kept = [str(vars(row)) for model in (Enrolment, Device) for row in session.scalars(select(model))]
    assert not any(link.rpartition("/")[2] in row or cookie.value in row for row in kept)


@pytest.mark.parametrize(("address", "secure"), [("https://heat.example", True), ("", False)])
def test_the_cookie_is_kept_from_scripts_and_other_sites(
    yard: Yard, services: Services, address: str, secure: bool
) -> None:
    link = yard.link(yard.member())
    services.settings = replace(services.settings, public_url=address)
    phone = Phone(create_app(services).test_client(), services)
    base = address or "http://localhost"
    page = phone.client.get(path_of(link), base_url=base).text
    token = re.findall(r'name="csrf_token" value="([^"]*)"', page)[0]
    answer = phone.client.post(
        path_of(link), data={"csrf_token": token}, base_url=base, headers={"Referer": f"{base}/crew/"}
    )
    cookie = next(line for line in answer.headers.getlist("Set-Cookie") if line.startswith("heatline_device"))
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/crew" in cookie
    assert ("Secure" in cookie) is secure


def test_a_revoked_phone_is_out_at_once(yard: Yard, phone: Phone, services: Services) -> None:
    with services.database.reading() as session:
        device = session.scalars(select(Device.id)).one()
    assert "已停用" in yard.desk.send("/desk/phones", f"/desk/phones/revoke/{device}").text
    assert "这台手机没有登记" in phone.get("/crew/", 401)
    assert "没有登记手机" in yard.desk.get("/desk/phones")


def test_a_member_who_has_left_is_out_at_once(phone: Phone, services: Services) -> None:
    with services.database.transaction() as session:
        session.execute(update(Member).values(active=False))
    phone.get("/crew/", 401)


def test_a_phone_that_lay_idle_is_enrolled_anew(phone: Phone, clock: VirtualClock) -> None:
    clock.advance(devices.IDLE_LASTS - timedelta(days=1))
    phone.get("/crew/")
    clock.advance(devices.IDLE_LASTS - timedelta(days=1))
    phone.get("/crew/")
    clock.advance(devices.IDLE_LASTS)
    phone.get("/crew/", 401)


def test_logging_out_ends_the_phone_s_log_in(yard: Yard, phone: Phone, services: Services) -> None:
    cookie = phone.client.get_cookie("heatline_device", path="/crew")
    assert cookie is not None
    assert "这台手机没有登记" in phone.send("/crew/", "/crew/logout").text
    again = yard.browser()  # with a copy of the cookie
    again.client.set_cookie("heatline_device", cookie.value, path="/crew")
    again.get("/crew/", 401)


def test_the_desk_shows_when_a_phone_was_last_used(yard: Yard, phone: Phone, clock: VirtualClock) -> None:
    clock.advance(timedelta(minutes=20))
    phone.get("/crew/")
    assert "上次使用 <time" in yard.desk.get("/desk/phones")
    assert "今天 10:20" in yard.desk.get("/desk/phones")


@pytest.mark.parametrize(
    ("role", "status"),
    [("agent", 403), ("crew", 403), ("reviewer", 403), ("supervisor", 200), ("administrator", 200)],
)
def test_only_who_dispatches_enrols_phones(yard: Yard, role: str, status: int) -> None:
    member = yard.member()
    form = {"csrf_token": re.findall(r'csrf_token" value="([^"]*)"', yard.desk.get("/desk/phones"))[0]}
    assert yard.desk.client.post(f"/desk/phones/{member}", data=form).status_code == 200
    yard.desk.send("/desk/", "/desk/logout")
    yard.log_in(role)
    assert yard.desk.client.get("/desk/phones").status_code == status


def test_every_page_and_change_needs_an_enrolled_phone(app: Flask, yard: Yard) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("crew.")]
    assert len(rules) >= 10
    for rule in rules:
        if rule.endpoint.split(".")[1] in ("enrol", "do_enrol", "strange", "offline", "service_worker"):
            continue
        address = rule.build(dict.fromkeys(rule.arguments, 1), append_unknown=False)[1]  # type: ignore[index]
        for method in {"GET", "POST"} & (rule.methods or set()):
            answer = yard.app.test_client().open(address, method=method)
            assert (answer.status_code, answer.location) == (302, "/crew/strange"), address
            told = yard.app.test_client().open(address, method=method, headers={"Accept": "application/json"})
            assert told.status_code == 401, address


def test_every_change_without_the_form_s_token_is_refused(app: Flask, phone: Phone) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("crew.")]
    addresses = [
        rule.build(dict.fromkeys(rule.arguments, 1), append_unknown=False)[1]  # type: ignore[index]
        for rule in rules
        if "POST" in (rule.methods or ())
    ]
    assert len(addresses) >= 6
    for address in addresses:
        assert phone.client.post(address, data={"key": "0" * 32}).status_code == 400, address


def test_pages_are_kept_by_no_cache_and_bring_nothing_from_elsewhere(phone: Phone) -> None:
    for address in ("/crew/", "/crew/offline", "/crew/strange"):
        answer = phone.client.get(address)
        assert answer.headers["Cache-Control"] == "no-store"
        assert not re.search(r'(?:src|href)="https?:', answer.text)


def test_the_shell_for_no_network_names_nobody(yard: Yard, phone: Phone) -> None:
    shell = yard.browser().get("/crew/offline")
    assert "李师傅" not in shell
    assert "现在没有网络" in shell


def test_what_the_service_worker_keeps_is_there(yard: Yard) -> None:
    with yard.browser().client.get("/crew/worker.js") as worker:
        assert "javascript" in (worker.content_type or "")
        kept = re.findall(r'"(/static/[^"]+)"', worker.get_data(as_text=True))
    assert len(kept) >= 3
    for address in kept:
        with yard.browser().client.get(address) as answer:
            assert answer.status_code == 200
