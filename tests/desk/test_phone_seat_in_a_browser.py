"""A call typed at the phone seat in a real Chromium: by keys alone, without scripts, accessible while it goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page, expect
from sqlalchemy import select

from bot.app import create_app
from bot.clock import VirtualClock
from bot.models import Ticket
from bot.services import Services
from tests.desk.test_browser import _enter, _faults, address, browser, login  # noqa: F401  fixtures
from tests.standins.service import WordInterpreter

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_template", ["sqlite"], indirect=True)]


@pytest.fixture
def services(services: Services) -> Services:
    return replace(services, interpreter=WordInterpreter())


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(services)


def _tickets(services: Services) -> list[str]:
    with services.database.reading() as session:
        return [ticket.number for ticket in session.scalars(select(Ticket)) if ticket.room == "9901"]


def _begin(page: Page, address: str, login: tuple[str, str]) -> None:  # noqa: F811
    _enter(page, address, login)
    page.get_by_role("link", name="电话", exact=True).click()


def test_a_call_typed_at_the_phone_seat(
    browser: Browser,  # noqa: F811
    address: str,  # noqa: F811
    login: tuple[str, str],  # noqa: F811
    services: Services,
    clock: VirtualClock,
) -> None:
    page = browser.new_page()
    _begin(page, address, login)
    expect(page.get_by_label("来电号码")).to_be_focused()
    page.keyboard.type("19900001234")
    page.keyboard.press("Enter")
    expect(page.get_by_label("一句话写下来")).to_be_focused()
    page.keyboard.type("家里暖气不热")
    page.keyboard.press("Enter")
    expect(page.locator(".speak")).to_contain_text("哪个小区")
    expect(page.get_by_label("来电人的回答")).to_be_focused()
    page.keyboard.type("阳光花园3号楼2单元9901")
    page.keyboard.press("Enter")
    number = page.locator(".ticket-number a")
    number.wait_for()
    assert [number.inner_text()] == _tickets(services)
    assert page.get_by_text("代录").count() == 2
    page.close()


@pytest.mark.parametrize("width", [1280, 320])
def test_a_call_needs_no_scripts_and_is_accessible_while_it_goes_on(
    browser: Browser,  # noqa: F811
    address: str,  # noqa: F811
    login: tuple[str, str],  # noqa: F811
    services: Services,
    clock: VirtualClock,
    width: int,
) -> None:
    plain = browser.new_context(java_script_enabled=False).new_page()
    _begin(plain, address, login)
    plain.get_by_label("来电号码").fill("19900001234")
    plain.get_by_role("button", name="查这个号码").click()
    plain.get_by_label("一句话写下来").fill("阳光花园3号楼2单元9901，暖气冰凉")
    plain.get_by_role("button", name="录入").click()
    assert plain.locator(".ticket-number").is_visible()
    where = plain.url
    plain.close()
    context = browser.new_context(viewport={"width": width, "height": 800}, bypass_csp=True)
    page = context.new_page()
    _enter(page, address, login)
    page.goto(where)
    assert _faults(page) == []
    context.close()
