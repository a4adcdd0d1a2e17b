"""Reviewing and learning in a real Chromium: by keyboard alone, and every page accessible."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from sqlalchemy import func, select

from bot import demo, staff
from bot.models import Delivery, Review, Ticket
from bot.services import Services
from tests.desk import test_browser
from tests.desk.conftest import PASSWORD, Report
from tests.desk.test_browser import _faults, address, browser  # noqa: F401  fixtures
from tests.desk.test_reviews import review_of_report

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("database_template", ["sqlite"], indirect=True)]
LINES = [
    "管子底下湿哒哒",
    "咋跟没开一样",
    "楼上半夜装修吵得很",
    "多交的钱咋退",
    "师傅到底几点到嘛",
]


@pytest.fixture
def page(browser: Browser, services: Services, address: str) -> Iterator[Page]:  # noqa: F811
    """A browser at the desk, logged in as a supervisor."""
    with services.database.transaction() as session:
        staff.add(session, "小主", PASSWORD, "supervisor")
    opened = browser.new_page()
    opened.goto(f"{address}/desk/login")
    opened.get_by_label("姓名").fill("小主")
    opened.get_by_label("密码").fill(PASSWORD)
    opened.get_by_role("button", name="登录").click()
    opened.get_by_role("heading", name="工单", exact=True).wait_for()
    yield opened
    opened.close()


def decided(services: Services) -> int:
    with services.database.reading() as session:
        return session.scalar(select(func.count()).select_from(Review).where(Review.verdict.is_not(None))) or 0


def test_twenty_messages_are_judged_by_keyboard_alone(
    page: Page,
    address: str,  # noqa: F811
    services: Services,
    misread: Callable[..., int],
) -> None:
    for number in range(20):
        misread(f"{LINES[number % 5]}{'一二三四'[number // 5]}", sender=f"+86140001{number:05d}")
    page.goto(f"{address}/desk/reviews")
    keys = ["Digit2", "Digit4", "KeyD", "Digit9", "Digit8"]
    for number in range(20):
        page.locator("#judge").wait_for()
        before = page.url
        page.keyboard.press("Enter" if number % 7 == 6 else keys[number % 5])
        page.wait_for_function("before => location.href !== before", arg=before)
    page.get_by_text("都看完了").wait_for()
    assert decided(services) == 20


def test_a_corrected_report_is_told_to_its_resident_and_can_be_undone(
    page: Page,
    address: str,  # noqa: F811
    services: Services,
    report: Report,
) -> None:
    number = report("不是不热，是漏水")
    review_id = review_of_report(services, number)
    page.goto(f"{address}/desk/reviews")
    page.keyboard.press("a")
    page.keyboard.press("9")
    page.get_by_text("还说了：收费").wait_for()
    page.keyboard.press("2")
    page.get_by_text("漏水、收费。 工单已改类型").wait_for()
    with services.database.reading() as session:
        told = session.scalars(select(Delivery.text).where(Delivery.occasion == f"review:{review_id}")).one()
        assert session.scalars(select(Ticket.intent).where(Ticket.number == number)).one() == "leak"
    assert number in told
    page.keyboard.press("ArrowLeft")
    page.locator("#judge").wait_for()
    with services.database.reading() as session:
        assert session.scalars(select(Ticket.intent).where(Ticket.number == number)).one() == "no_heat"
        assert session.scalar(select(Delivery.id).where(Delivery.occasion == f"review:{review_id}")) is None


def test_an_entity_is_marked_by_selecting_its_words(
    page: Page,
    address: str,  # noqa: F811
    services: Services,
    misread: Callable[..., int],
) -> None:
    review_id = misread("三号楼那边凉")
    page.goto(f"{address}/desk/reviews")
    page.get_by_text("改标注、写备注").click()
    page.locator("#said").evaluate("area => { area.focus(); area.setSelectionRange(0, 3); }")
    page.get_by_role("button", name="楼", exact=True).click()
    page.locator("#marked").get_by_text("楼：三号楼").wait_for()
    page.locator("button[value=no_heat]").last.click()
    page.get_by_text("都看完了").wait_for()
    with services.database.reading() as session:
        assert '"value": "3"' in (session.get_one(Review, review_id).verdict_entities or "")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_pages_of_review_and_learning_are_accessible(
    browser: Browser,  # noqa: F811
    address: str,  # noqa: F811
    services: Services,
    private_folder: Path,
    misread: Callable[..., int],
    scheme: str,
    width: int,
) -> None:
    login = demo.load_demo(services, private_folder)
    for line in LINES:
        misread(line, sender=f"+86140002{len(line):05d}")
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        bypass_csp=True,  # axe brings its script inline, which the page itself must not
    )
    opened, problems = context.new_page(), list[str]()
    opened.on("pageerror", lambda error: problems.append(str(error)))
    test_browser._enter(opened, address, login)
    for where in ("/desk/reviews", "/desk/reviews/second", "/desk/learning", "/desk/learning/health"):
        opened.goto(address + where)
        opened.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
        problems += [f"{where}: {fault}" for fault in _faults(opened)]
    context.close()
    assert problems == []
