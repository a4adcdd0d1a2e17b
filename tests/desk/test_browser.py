"""The desk in a real Chromium: accessible, never wider than its window, judged by keys, fresh by itself."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import waitress
from axe_playwright_python.sync_playwright import Axe
from flask import Flask
from playwright.sync_api import Page, sync_playwright
from sqlalchemy import select

from bot import demo
from bot.models import Review, Ticket
from bot.services import Services

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PAGES = ["/desk/", "/desk/?group=all", "/desk/reviews", "/desk/callbacks", "/desk/deliveries", "/desk/health"]


@pytest.fixture(params=["sqlite"])
def database_template(request: pytest.FixtureRequest) -> object:
    """What a browser shows does not depend on the engine."""
    return request.getfixturevalue(f"{request.param}_template")


@pytest.fixture
def address(app: Flask) -> Iterator[str]:
    """The desk, listening."""
    server = waitress.create_server(app, host="127.0.0.1", port=0, threads=4)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.effective_port}"
    server.close()
    thread.join(5)


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
    address: str, login: tuple[str, str], services: Services, scheme: str, width: int
) -> None:
    with services.database.reading() as session:
        number = session.scalars(select(Ticket.number).where(Ticket.urgent).limit(1)).one()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
        page, problems = context.new_page(), []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{address}/desk/login")
        problems += _faults(page)
        _enter(page, address, login)
        for where in [*PAGES, f"/desk/tickets/{number}"]:
            page.goto(address + where)
            page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
            problems += [f"{where}: {fault}" for fault in _faults(page)]
        browser.close()
    assert problems == []


def _faults(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 A and AA, and how far the page runs out of its window."""
    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": tags}}).response["violations"]
    faults = [f"{item['id']} {[node['target'] for node in item['nodes']][:3]}" for item in found]
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return [*faults, *([f"{over} px too wide"] if over > 0 else [])]


def test_one_key_judges_and_another_takes_it_back(address: str, login: tuple[str, str], services: Services) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
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
        browser.close()


def _verdict(services: Services, review_id: int) -> str | None:
    with services.database.reading() as session:
        return session.get_one(Review, review_id).verdict


def test_everything_can_be_done_without_scripts(address: str, login: tuple[str, str], services: Services) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_context(java_script_enabled=False).new_page()
        _enter(page, address, login)
        page.get_by_label("查找").fill("国贸公馆")
        page.get_by_role("button", name="筛选").click()
        page.get_by_role("link", name="N2026").first.click()
        page.get_by_label("已接单").check()
        page.get_by_label("给住户的话").fill("师傅两点到")
        page.get_by_role("button", name="更新状态").click()
        assert page.get_by_text("状态已更新。").is_visible()
        browser.close()
