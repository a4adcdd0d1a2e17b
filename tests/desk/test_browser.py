"""The desk in a real Chromium: accessible, never wider than its window, judged by keys, fresh by itself."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import select
from waitress.server import create_server

from bot import demo
from bot.models import Review, Ticket
from bot.serve import free_port
from bot.services import Services
from tests.desk.conftest import Report

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_template", ["sqlite"], indirect=True)]

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PAGES = [
    "/desk/",
    "/desk/?group=all",
    "/desk/?priority=1",
    "/desk/talks",
    "/desk/talks/1",
    "/desk/reviews",
    "/desk/callbacks",
    "/desk/deliveries",
    "/desk/audit",
    "/desk/health",
    "/desk/phone",
    "/desk/phone?phone=19900001234",
    "/desk/missed",
]


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """The desk, listening."""
    port = free_port()
    server = create_server(app, host="127.0.0.1", port=int(port), threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{port}"
    server.close()
    server.task_dispatcher.shutdown()
    thread.join(5)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    path = shutil.which("chromium") or pytest.fail("Chromium is missing; `make test` installs it.")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def login(services: Services, private_folder: Path) -> tuple[str, str]:
    return demo.load_demo(services, private_folder)


def _enter(page: Page, address: str, login: tuple[str, str]) -> None:
    page.goto(f"{address}/desk/")
    page.get_by_label("姓名").fill(login[0])
    page.get_by_label("密码").fill(login[1])
    page.get_by_role("button", name="登录").click()
    page.get_by_role("heading", name="工单", exact=True).wait_for()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390, 320])  # 320 is 1280 at 400 %
def test_pages_are_accessible_and_fit_their_window(
    browser: Browser, address: str, login: tuple[str, str], services: Services, scheme: str, width: int
) -> None:
    with services.database.reading() as session:
        number = session.scalars(select(Ticket.number).where(Ticket.urgent).limit(1)).one()
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=True,  # axe brings its script inline, which the page itself must not
    )
    page, problems = context.new_page(), list[str]()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"{address}/desk/login")
    problems += _faults(page)
    _enter(page, address, login)
    for where in [*PAGES, f"/desk/tickets/{number}"]:
        page.goto(address + where)
        page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        problems += [f"{where}: {fault}" for fault in _faults(page)]
    context.close()
    assert problems == []


def _faults(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 A and AA, and how far the page runs out of its window."""
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": tags}}).response
    assert len(found["passes"]) > 10, "axe did not look at the page"
    faults = [f"{item['id']} {[node['target'] for node in item['nodes']][:3]}" for item in found["violations"]]
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [*faults, *([f"{over} px too wide"] if over > 0 else [])]


def test_one_key_judges_and_another_takes_it_back(
    browser: Browser, address: str, login: tuple[str, str], services: Services
) -> None:
    page = browser.new_page()
    _enter(page, address, login)
    page.goto(f"{address}/desk/reviews")
    first = int(page.url.rpartition("/")[2].partition("?")[0])
    page.keyboard.press("Shift+Digit9")
    page.keyboard.press("Digit2")
    page.get_by_text("刚才那条判为 漏水、收费").wait_for()
    assert _verdict(services, first) == "leak"
    page.keyboard.press("z")
    page.wait_for_url(f"**/desk/reviews/{first}")
    assert _verdict(services, first) is None
    page.get_by_label("用按键判断").uncheck()
    page.keyboard.press("Digit2")
    page.wait_for_timeout(200)
    assert _verdict(services, first) is None
    page.close()


def _verdict(services: Services, review_id: int) -> str | None:
    with services.database.reading() as session:
        return session.get_one(Review, review_id).verdict


def test_everything_can_be_done_without_scripts(
    browser: Browser, address: str, login: tuple[str, str], services: Services
) -> None:
    page = browser.new_context(java_script_enabled=False).new_page()
    _enter(page, address, login)
    page.get_by_label("查找").fill("国贸公馆")
    page.get_by_role("button", name="筛选").click()
    page.get_by_role("link", name="N2026").first.click()
    page.get_by_role("radio", name="接单").check()
    page.get_by_label("给住户的话").fill("师傅两点到")
    page.get_by_role("button", name="更新状态").click()
    assert page.get_by_text("状态已更新。").is_visible()
    page.close()


def test_the_page_s_own_rules_forbid_none_of_its_own_parts(
    browser: Browser, address: str, login: tuple[str, str]
) -> None:
    page, complaints = browser.new_page(), list[str]()
    page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    _enter(page, address, login)
    for where in PAGES:
        page.goto(address + where)
    page.close()
    assert complaints == []


def test_a_new_ticket_appears_by_itself(browser: Browser, address: str, login: tuple[str, str], report: Report) -> None:
    page = browser.new_page()
    _enter(page, address, login)
    page.clock.install()
    page.goto(f"{address}/desk/")
    number = report()
    page.clock.fast_forward(21_000)
    page.get_by_role("link", name=number).wait_for(timeout=5_000)
    assert page.get_by_text("新到 1 张工单。").is_visible()
    page.close()
