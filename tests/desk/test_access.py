"""Who gets in, how far, and that nothing changes without a form of ours."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask import Flask

from bot import staff
from bot.clock import VirtualClock
from bot.database import Database
from bot.desk import throttle
from bot.services import Services
from tests.desk.conftest import PASSWORD, Desk, hidden_fields, without_tokens

PAGES = ["/desk/", "/desk/reviews", "/desk/callbacks", "/desk/deliveries", "/desk/health"]
OPENS = {
    "reviewer": {"/desk/reviews"},
    "agent": {"/desk/", "/desk/reviews", "/desk/callbacks", "/desk/deliveries"},
    "dispatcher": {"/desk/", "/desk/callbacks", "/desk/deliveries", "/desk/health"},
    "crew": {"/desk/"},
    "supervisor": set(PAGES),
    "administrator": set(PAGES),
}


def _desk_addresses(app: Flask, method: str) -> list[str]:
    """Every address of the desk that takes a method, with 1 for each of its parts."""
    rules = [rule for rule in app.url_map.iter_rules() if rule.endpoint.startswith("desk.")]
    return [
        rule.build(dict.fromkeys(rule.arguments, 1), append_unknown=False)[1]  # type: ignore[index]
        for rule in rules
        if method in (rule.methods or ())
    ]


def test_every_page_but_the_log_in_asks_for_one(app: Flask, desk: Desk) -> None:
    addresses = _desk_addresses(app, "GET")
    assert len(addresses) >= 8
    for address in addresses:
        response = desk.client.get(address)
        if address != "/desk/login":
            assert response.status_code == 302, address
            assert response.location.startswith("/desk/login?next="), address


def test_every_change_without_the_form_s_token_is_refused(app: Flask, desk: Desk) -> None:
    desk.enter("administrator")
    addresses = _desk_addresses(app, "POST")
    assert len(addresses) >= 12
    for address in addresses:
        response = desk.client.post(address, data={"name": "小王", "password": PASSWORD})
        assert response.status_code == 400, address
        assert "这次提交没有通过检查" in response.text


def test_webhooks_need_no_token_of_the_desk(app: Flask, desk: Desk) -> None:
    assert desk.client.post("/channels/nobody", data="x").status_code != 400


@pytest.mark.parametrize("role", OPENS)
def test_each_role_opens_its_own_pages(desk: Desk, role: str) -> None:
    desk.enter(role, team="T-eq-1" if role == "crew" else None)
    opened = {page for page in PAGES if desk.client.get(page, follow_redirects=False).status_code == 200}
    if role in ("reviewer", "agent", "supervisor", "administrator"):
        opened.add("/desk/reviews") if "都看完了" in desk.get("/desk/reviews") else None
    assert opened == OPENS[role]


def test_the_log_in_leads_to_the_page_that_was_asked_for(desk: Desk, services: Services) -> None:
    _account(services)
    asked = desk.client.get("/desk/callbacks?x=1").location
    response = desk.send(asked, "/desk/login", name="小王", password=PASSWORD)
    assert response.request.path == "/desk/callbacks"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example", "/desk/\\evil", "/desk//evil.example"]
)
def test_the_log_in_never_leads_away_from_the_desk(desk: Desk, services: Services, elsewhere: str) -> None:
    _account(services)
    response = desk.client.post(
        "/desk/login", data={**_token(desk), "name": "小王", "password": PASSWORD, "next": elsewhere}
    )
    assert response.location == "/desk/"


def _account(services: Services, name: str = "小王") -> None:
    with services.database.transaction() as session:
        staff.add(session, name, PASSWORD, "administrator")


def _token(desk: Desk) -> dict[str, str]:
    return hidden_fields(desk.get("/desk/login"), "/desk/login")


def test_a_wrong_password_and_an_unknown_name_are_answered_alike(desk: Desk, services: Services) -> None:
    _account(services)
    known, unknown = desk.log_in("小王", "wrong password"), desk.log_in("小李", "wrong password")
    assert known.status_code == unknown.status_code == 401
    assert without_tokens(known.text).replace("小王", "") == without_tokens(unknown.text).replace("小李", "")


def test_after_six_failures_even_the_right_password_waits_fifteen_minutes(
    desk: Desk, services: Services, clock: VirtualClock
) -> None:
    _account(services)
    for _ in range(throttle.TRIES_HERE):
        assert desk.log_in("小王", "wrong password").status_code == 401
    assert desk.log_in("小王").status_code == 429
    clock.advance(timedelta(seconds=throttle.WINDOW))
    assert desk.log_in("小王").request.path == "/desk/"


def test_somebody_else_s_failures_keep_nobody_out(desk: Desk, services: Services) -> None:
    _account(services)
    for _ in range(throttle.TRIES_HERE + 1):
        desk.log_in("小李", "wrong password")
    assert desk.log_in("小王").request.path == "/desk/"


def test_a_new_password_ends_the_sessions_of_the_old_one(desk: Desk, services: Services) -> None:
    account = desk.enter("agent")
    with services.database.transaction() as session:
        staff.set_password(session.merge(account), "another long one 9")
    assert desk.client.get("/desk/").status_code == 302


def test_an_account_that_was_switched_off_is_out_at_once(desk: Desk, services: Services) -> None:
    account = desk.enter("agent")
    with services.database.transaction() as session:
        session.merge(account).active = False
    assert desk.client.get("/desk/").status_code == 302
    assert desk.log_in("小王").status_code == 401


def test_logging_out_ends_the_session(desk: Desk) -> None:
    desk.enter("agent")
    assert "已退出登录" in desk.send("/desk/", "/desk/logout").text
    assert desk.client.get("/desk/").status_code == 302


def test_the_session_cookie_is_kept_from_scripts_and_other_sites(desk: Desk, services: Services) -> None:
    _account(services)
    response = desk.client.post("/desk/login", data={**_token(desk), "name": "小王", "password": PASSWORD})
    cookie = response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert response.headers["Cache-Control"] == "no-store"


WEAK = {"short1": "too short", "aaaabbbbaaaa": "too simple", "小王123456789": "contain the name"}


@pytest.mark.parametrize("password", WEAK)
def test_a_weak_password_is_refused_with_its_reason(database: Database, password: str) -> None:
    with database.transaction() as session, pytest.raises(staff.StaffError, match=WEAK[password]):
        staff.add(session, "小王", password, "agent")


WRONG: list[tuple[dict[str, str], str]] = [
    ({"role": "king"}, "Unknown role 'king'"),
    ({"name": "  "}, "1 to 64 characters"),
    ({"name": "小王"}, "already"),
    ({"role": "crew"}, "needs its team"),
    ({"role": "crew", "team": "T-none"}, "Unknown team"),
]


@pytest.mark.parametrize(("changes", "reason"), WRONG)
def test_an_account_that_makes_no_sense_is_refused(database: Database, changes: dict[str, str], reason: str) -> None:
    with database.transaction() as session:
        staff.add(session, "小王", PASSWORD, "agent")
        with pytest.raises(staff.StaffError, match=reason):
            staff.add(session, **{"name": "小李", "password": PASSWORD, "role": "agent", **changes})


Misread = Callable[..., int]


def test_a_reviewer_sees_no_phone_number(desk: Desk, misread: Misread) -> None:
    review_id = misread("打我电话 139 7731 5846 暖气咋回事")
    desk.enter("reviewer")
    page = desk.get(f"/desk/reviews/{review_id}")
    assert "7731" not in page
    assert "暖气咋回事" in page
