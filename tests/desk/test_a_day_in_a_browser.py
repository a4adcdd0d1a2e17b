"""A day at the desk in a real browser: a ticket worked to its end with its resident, and two members of staff on one ticket."""

from __future__ import annotations

import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from waitress.server import create_server

from bot import staff
from bot.database import Database
from bot.serve import free_port
from bot.services import Services
from bot.settings import Settings
from bot.standins.transport import HttpTransport
from bot.worker import Worker
from tests.desk.conftest import PASSWORD
from tests.standins.service import build

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.parametrize("database_template", ["sqlite"], indirect=True),
]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
PATIENCE = 15_000  # milliseconds; the stream comes every three seconds


@dataclass(frozen=True)
class Place:
    """A running service: web, worker, stand-ins, on the system's clock."""

    base: str
    services: Services


@pytest.fixture
def place(settings: Settings, database: Database) -> Iterator[Place]:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    trial = build(settings, database, base=base)
    trial.standins.use(HttpTransport(base))
    with database.transaction() as session:
        for name in ("小王", "小李"):
            staff.add(session, name, PASSWORD, "agent", None)
    server = create_server(trial.app, host="127.0.0.1", port=int(port), threads=8)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    worker = Worker(trial.services)
    worker.start()
    yield Place(base, trial.services)
    worker.stop()
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


def desk_of(browser: Browser, place: Place, name: str) -> Page:
    """A member of staff at a browser of their own, logged in."""
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{place.base}/desk/")
    page.get_by_label("姓名").fill(name)
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    page.get_by_role("heading", name="工单", exact=True).wait_for()
    return page


class Resident:
    """A resident at the chat page."""

    def __init__(self, browser: Browser, place: Place) -> None:
        self.page = browser.new_context(viewport={"width": 1000, "height": 844}).new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.goto(f"{place.base}/try")
        self.page.locator("#wechat .phone-lines li").first.wait_for()

    def say(self, text: str) -> None:
        self.page.fill("#wechat textarea", text)
        self.page.press("#wechat textarea", "Enter")

    def hears(self, words: str) -> None:
        self.page.locator("#wechat .phone-lines li .text", has_text=words).last.wait_for()


def set_status(page: Page, name: str) -> None:
    page.locator("#work").get_by_role("radio", name=re.compile(f"^\\s*{name}")).check()
    page.get_by_role("button", name="更新状态").click()
    page.get_by_text("状态已更新。").wait_for()


def test_a_ticket_is_worked_to_its_end_with_its_resident(browser: Browser, place: Place) -> None:
    agent = desk_of(browser, place, "小王")
    resident = Resident(browser, place)
    resident.say("家里不热，阳光花园3号楼2单元501")
    link = agent.get_by_role("link", name=re.compile("^N20"))
    link.wait_for()  # the list brings itself up to date
    expect(agent).to_have_title(re.compile(r"\(1\) 工单"), timeout=PATIENCE)
    link.click()
    agent.get_by_role("button", name="接手对话").click()
    agent.get_by_text("您正在和住户说话").wait_for()
    resident.say("有人吗")
    agent.locator("#live-talk").get_by_text("有人吗").wait_for()  # so does the ticket
    agent.select_option("#canned-reply", index=1)
    expect(agent.locator("#reply")).to_have_value(re.compile("我是值班的工作人员"))
    agent.get_by_role("button", name="发送").click()
    resident.hears("我是值班的工作人员")
    agent.get_by_role("button", name="交还给机器人").click()
    agent.get_by_text("现在由机器人回复").wait_for()
    resident.say("谢谢")
    agent.locator("#live-talk .us").nth(2).wait_for()  # the bot has answered again
    for name in ("接单", "上门", "处理好了", "办结"):
        set_status(agent, name)
    expect(agent.locator(".tag.state")).to_have_text("已办结")
    expect(agent.locator("#live-history")).to_contain_text("接手对话")
    agent.context.close()
    resident.page.context.close()


def test_two_on_one_ticket_see_each_other_and_the_second_save_loses_no_word(browser: Browser, place: Place) -> None:
    resident = Resident(browser, place)
    resident.say("家里不热，阳光花园3号楼2单元501")
    first, second = desk_of(browser, place, "小王"), desk_of(browser, place, "小李")
    for page in (first, second):
        page.get_by_role("link", name=re.compile("^N20")).click()
    expect(first.locator("#others")).to_have_text("小李也在看", timeout=PATIENCE)
    second.get_by_label("给住户的话").fill("师傅两点到")
    second.get_by_label("给住户的话").press("End")
    expect(first.locator("#others")).to_have_text("小李正在写", timeout=PATIENCE)
    first.get_by_label("给住户的话").fill("我先打个电话")
    set_status(second, "接单")
    first.get_by_text("您正在填的没有动").wait_for()
    expect(first.locator("#live-history")).to_contain_text("小李")
    first.locator("#work").get_by_role("radio").first.check()
    first.get_by_role("button", name="更新状态").click()
    first.get_by_text("这张工单刚刚被别人改过").wait_for()
    expect(first.get_by_label("给住户的话")).to_have_value("我先打个电话")
    for page in (first, second, resident.page):
        page.context.close()
