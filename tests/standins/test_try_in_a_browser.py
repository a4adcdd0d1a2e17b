"""/try as a newcomer meets it: a real browser, a listening server, webhooks over the network."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from waitress.server import create_server

from bot.database import Database
from bot.serve import free_port
from bot.settings import Settings
from bot.standins.transport import HttpTransport
from tests.standins.service import build

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_template", ["sqlite"], indirect=True)]


@pytest.fixture
def address(settings: Settings, database: Database) -> Iterator[str]:
    """A listening service; its address."""
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    trial = build(settings, database, base=base)
    trial.standins.use(HttpTransport(base))
    server = create_server(trial.app, host="127.0.0.1", port=int(port), threads=8)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield base
    server.close()
    server.task_dispatcher.shutdown()
    thread.join(5)
    trial.drain()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; its absence is a failure, since nothing else shows that the page works."""
    path = shutil.which("chromium") or pytest.fail("Chromium is missing; `make test` installs it.")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield opened
        opened.close()


def open_page(browser: Browser, address: str, width: int, scheme: str = "light", bypass: bool = False) -> Page:
    """The page, once the resident has been greeted."""
    context = browser.new_context(
        viewport={"width": width, "height": 844},
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=bypass,  # axe brings its script inline, which the page itself must not
    )
    page = context.new_page()
    page.goto(f"{address}/try")
    page.locator("#wechat .phone-lines li").first.wait_for(timeout=10_000)
    return page


@pytest.mark.parametrize(("medium", "first"), [("wechat", 1), ("sms", 0)])
def test_a_newcomer_is_answered(browser: Browser, address: str, medium: str, first: int) -> None:
    page = open_page(browser, address, 1000)
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.fill(f"#{medium} textarea", "<b>家里不热</b>，阳光花园3号楼2单元501")
    page.press(f"#{medium} textarea", "Enter")
    lines = page.locator(f"#{medium} .phone-lines li")
    lines.nth(first + 1).wait_for(timeout=10_000)
    assert lines.nth(first).locator(".text").inner_text() == "<b>家里不热</b>，阳光花园3号楼2单元501"
    assert "阳光花园3号楼2单元501" in lines.nth(first + 1).locator(".text").inner_text()
    page.click(f"#{medium} [data-new]")
    page.wait_for_timeout(500)
    assert lines.count() == first  # a new resident starts with an empty phone, and a greeting on WeChat
    assert troubles == []
    page.context.close()


@pytest.mark.parametrize("width", [390, 1000, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_used_by_everybody(browser: Browser, address: str, width: int, scheme: str) -> None:
    page = open_page(browser, address, width, scheme, bypass=True)
    page.click("#sms [data-example]")
    page.click("#sms .send")
    page.locator("#sms .phone-lines li").nth(1).wait_for(timeout=10_000)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= width
    found = Axe().run(page, context="main")
    assert [violation["id"] for violation in found.response["violations"]] == []
    page.context.close()
