"""The crew's pages in a real Chromium at 390 px: accessible, within the thumb's reach, and patient with bad networks."""

from __future__ import annotations

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect
from sqlalchemy import select

from bot.clock_models import Reading
from bot.models import Ticket
from bot.push_models import Media
from bot.services import Services
from tests.crew.conftest import Yard
from tests.desk.conftest import PASSWORD, Report
from tests.desk.test_browser import _faults as desk_faults
from tests.desk.test_browser import address, browser  # noqa: F401  fixtures

# ruff: noqa: F811  fixtures of the desk's own browser tests
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.parametrize("database_template", ["sqlite"], indirect=True),
]

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
THUMB = 48  # px


def _enrolled(browser: Browser, address: str, yard: Yard, **options: object) -> tuple[BrowserContext, Page]:
    """A phone's browser that has opened its link."""
    link = yard.link(yard.member())
    context = browser.new_context(viewport={"width": 390, "height": 844}, **options)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(address + link[link.index("/crew/") :])
    page.get_by_role("button", name="是我的，登记").click()
    page.get_by_role("heading", name="我的活").wait_for()
    return context, page


def _faults(page: Page) -> list[str]:
    """What axe finds, how far the page runs out of its window, and what a thumb would miss."""
    page.evaluate("document.querySelectorAll('details').forEach((part) => { part.open = true; })")
    found = Axe().run(page, options={"runOnly": {"type": "tag", "values": TAGS}}).response
    assert len(found["passes"]) > 8, "axe did not look at the page"
    faults = [f"{item['id']} {[node['target'] for node in item['nodes']][:3]}" for item in found["violations"]]
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    small = page.evaluate(
        """(least) => [...document.querySelectorAll("button, .button, summary, .job a, .choice, input:not([type=hidden],[type=radio])")]
        .filter((one) => one.getBoundingClientRect().height < least).map((one) => one.outerHTML.slice(0, 60))""",
        THUMB,
    )
    return [*faults, *([f"{over} px too wide"] if over > 0 else []), *[f"too small: {one}" for one in small]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_crew_view_at_390_px(browser: Browser, address: str, yard: Yard, report: Report, scheme: str) -> None:
    mine, urgent = report(), report("暖气管爆了", intent="leak", severity="burst")
    context, page = _enrolled(browser, address, yard, color_scheme=scheme, bypass_csp=True)
    problems = [f"list: {fault}" for fault in _faults(page)]
    page.goto(f"{address}/crew/jobs/{urgent}")
    problems += [f"not taken: {fault}" for fault in _faults(page)]
    page.goto(f"{address}/crew/jobs/{mine}")
    page.get_by_role("button", name="接单").click()
    page.get_by_role("button", name="到了").wait_for()
    problems += [f"taken: {fault}" for fault in _faults(page)]
    bar = page.get_by_role("navigation", name="常用").bounding_box()
    assert bar is not None
    assert bar["y"] + bar["height"] > 844 * 0.8, "the usual buttons are not where the thumb is"
    for where in ("/crew/offline", "/crew/strange", "/crew/jobs/N0"):
        page.goto(address + where)
        problems += [f"{where}: {fault}" for fault in _faults(page)]
    context.close()
    assert problems == []


def test_the_desk_s_page_of_phones_is_accessible(browser: Browser, address: str, yard: Yard) -> None:
    yard.member()
    context = browser.new_context(viewport={"width": 390, "height": 844}, bypass_csp=True)
    page = context.new_page()
    page.goto(f"{address}/desk/login")
    page.get_by_label("姓名").fill("调度dispatcher")
    page.get_by_label("密码").fill(PASSWORD)
    page.get_by_role("button", name="登录").click()
    page.get_by_role("heading", name="工单", exact=True).wait_for()
    page.goto(f"{address}/desk/phones")
    problems = desk_faults(page)
    page.get_by_role("button", name="登记一台手机").click()
    page.get_by_alt_text("登记手机的二维码").wait_for()
    assert page.get_by_alt_text("登记手机的二维码").evaluate("(picture) => picture.naturalWidth") > 100
    problems += desk_faults(page)
    context.close()
    assert problems == []


def test_pages_ask_only_their_own_origin_and_weigh_little(
    browser: Browser, address: str, yard: Yard, report: Report
) -> None:
    number = report()
    context, page = _enrolled(browser, address, yard)
    asked, complaints = list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text) if message.type != "log" else None)
    weight = 0
    for where in ("/crew/", f"/crew/jobs/{number}"):
        answer = page.goto(address + where)
        assert answer is not None
        weight = max(weight, len(answer.body()))
    context.close()
    assert weight < 50_000
    assert {url.split("/")[2] for url in asked} == {address.removeprefix("http://")}
    assert complaints == []


def test_what_is_done_without_a_network_is_sent_when_it_is_back(
    browser: Browser, address: str, yard: Yard, services: Services, report: Report
) -> None:
    number = report()
    context, page = _enrolled(browser, address, yard)
    page.goto(f"{address}/crew/jobs/{number}")
    page.get_by_role("button", name="接单").click()
    page.get_by_role("button", name="到了").wait_for()
    picture = page.screenshot(type="png")
    context.set_offline(True)
    page.get_by_text("记室温").first.click()
    page.get_by_label("室温（℃）").fill("15.5")
    page.get_by_label("房间").fill("主卧")
    page.locator("#photo1").set_input_files({"name": "p.png", "mimeType": "image/png", "buffer": picture})
    page.get_by_role("button", name="记下室温").click()
    page.get_by_text("已保存，等网络：室温").wait_for()
    page.get_by_label("室温（℃）").fill("17")
    page.get_by_role("button", name="记下室温").click()
    page.get_by_role("button", name="到了").click()
    expect(page.locator("#kept .kept")).to_have_count(3)
    assert (yard.count(Reading), yard.ticket(number).status) == (0, "accepted")
    context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('online'))")
    expect(page.locator("#kept .kept")).to_have_count(0)
    assert (yard.count(Reading), yard.count(Media), yard.ticket(number).status) == (2, 1, "on_site")
    with services.database.reading() as session:
        assert session.scalars(select(Media.content_type)).one() == "image/jpeg"  # made small on the phone
    assert page.evaluate("kept.all().then((forms) => forms.length)") == 0
    context.close()


def test_without_a_network_the_shell_opens_and_holds_nobody_s_data(
    browser: Browser, address: str, yard: Yard, report: Report
) -> None:
    number = report()
    context, page = _enrolled(browser, address, yard)
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    page.goto(f"{address}/crew/jobs/{number}")
    context.set_offline(True)
    page.goto(f"{address}/crew/")
    page.get_by_role("heading", name="现在没有网络").wait_for()
    stored = page.evaluate(
        """async () => { let all = ""; for (const name of await caches.keys()) { const one = await caches.open(name);
        for (const request of await one.keys()) all += request.url + await (await one.match(request)).text(); } return all; }"""
    )
    context.close()
    assert "/crew/offline" in stored
    assert not any(told in stored for told in ("李师傅", "阳光花园", number, 'name="csrf_token"'))


def test_what_the_service_refuses_is_said_and_can_be_put_away(
    browser: Browser, address: str, yard: Yard, services: Services, report: Report
) -> None:
    number = report()
    context, page = _enrolled(browser, address, yard)
    page.goto(f"{address}/crew/jobs/{number}")
    page.get_by_role("button", name="接单").click()
    page.get_by_role("button", name="到了").wait_for()
    context.set_offline(True)
    page.get_by_role("button", name="到了").click()
    page.get_by_text("已保存，等网络：到了").wait_for()
    with services.database.transaction() as session:
        ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
        ticket.member_id = None  # given to somebody else meanwhile
    context.set_offline(False)
    page.evaluate("dispatchEvent(new Event('online'))")
    page.get_by_text("没有办成：到了").wait_for()
    page.get_by_role("button", name="知道了").click()
    expect(page.locator("#kept p")).to_have_count(0)
    context.close()


def test_logging_out_empties_the_phone(browser: Browser, address: str, yard: Yard, report: Report) -> None:
    number = report()
    context, page = _enrolled(browser, address, yard)
    page.goto(f"{address}/crew/jobs/{number}")
    page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    context.set_offline(True)
    page.get_by_role("button", name="接单").click()
    page.get_by_text("已保存，等网络").first.wait_for()
    # What is kept is not sent before the log-out: the way to the token is closed.
    context.route("**/crew/token", lambda route: route.abort())
    context.set_offline(False)
    page.goto(f"{address}/crew/")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="退出这台手机").click()
    page.get_by_role("heading", name="这台手机没有登记").wait_for()
    assert page.evaluate("kept.all().then((forms) => forms.length)") == 0
    assert yard.ticket(number).status == "dispatched"
    context.close()


def test_everything_can_be_done_without_scripts(browser: Browser, address: str, yard: Yard, report: Report) -> None:
    number = report()
    context, page = _enrolled(browser, address, yard, java_script_enabled=False)
    page.get_by_role("button", name="接这里的 1 张").click()
    page.get_by_role("link", name="2单元501室").click()
    page.get_by_role("button", name="到了").click()
    page.get_by_text("记室温").first.click()
    page.get_by_label("室温（℃）").fill("15")
    page.get_by_role("button", name="记下室温").click()
    page.get_by_text("室温记下了").wait_for()
    page.locator("#finish summary").click()
    page.get_by_role("button", name="处理好了，告诉住户").click()
    page.get_by_text("办好了").wait_for()
    assert yard.ticket(number).status == "done"
    context.close()
