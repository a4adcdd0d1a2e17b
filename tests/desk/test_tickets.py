"""The list of tickets: what it shows, in which order, and what can be found in it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import event, select

from bot import clock as service_clock
from bot import tickets
from bot.clock import VirtualClock
from bot.models import Ticket
from bot.services import Services
from handlers.dialogue.types import Address
from tests.desk.conftest import HOME, Desk, Report

OTHER = Address("金水区", "国贸公馆", "2", "1", "1804")
THIRD = Address("二七区", "中铁苑", "3", "2", "302")


def shown(page: str) -> list[str]:
    """The numbers of the tickets on a page, in order."""
    return re.findall(r'class="strong" href="/desk/tickets/(N[\d-]+)"', page)


def test_open_tickets_stand_by_priority_and_then_the_longest_waiting_first(
    desk: Desk, report: Report, clock: VirtualClock
) -> None:
    early = report(address=OTHER)
    clock.advance(timedelta(hours=1))
    late, burst = report(address=THIRD), report(intent="leak", severity="burst")
    desk.enter("dispatcher")
    assert shown(desk.get("/desk/")) == [burst, early, late]


def test_finished_tickets_stand_newest_first(
    desk: Desk, services: Services, report: Report, clock: VirtualClock
) -> None:
    numbers = []
    for address in (HOME, OTHER):
        numbers.append(report(address=address))
        _close(services, numbers[-1])
        clock.advance(timedelta(hours=1))
    desk.enter("dispatcher")
    assert shown(desk.get("/desk/")) == []
    assert shown(desk.get("/desk/?group=finished")) == numbers[::-1]


def _close(services: Services, number: str) -> None:
    with services.database.transaction() as session:
        ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
        tickets.move(services.context(session), ticket, "closed", tickets.SYSTEM, resolution="unconfirmed")


def test_an_urgent_row_says_so_in_words(desk: Desk, report: Report) -> None:
    report(intent="leak", severity="burst")
    desk.enter("dispatcher")
    page = desk.get("/desk/")
    assert 'class="urgent"' in page
    assert "⚠ 险急" in page


FILTERS = {
    "kind=leak": ["leak"],
    "kind=no_heat": ["cold"],
    "priority=1": ["leak"],
    "community=国贸公馆": ["leak"],
    "community=没有这个小区": [],
    "group=waiting": ["leak", "cold"],
    "group=working": [],
    "group=all": ["cold", "leak"],
    "group=nonsense&priority=x&team=x&page=-3": ["leak", "cold"],
}


@pytest.mark.parametrize("query", FILTERS)
def test_a_filter_leaves_what_it_names(desk: Desk, report: Report, query: str, clock: VirtualClock) -> None:
    numbers = {"leak": report(address=OTHER, intent="leak", severity="burst")}
    clock.advance(timedelta(minutes=1))
    numbers["cold"] = report()
    desk.enter("dispatcher")
    assert shown(desk.get(f"/desk/?{query}")) == [numbers[name] for name in FILTERS[query]]


SEARCHES = [
    ("N20261123-0001", True),
    ("n20261123-1", True),
    ("20261123", True),
    ("0001", True),  # the number's last part, of today
    ("N20261122-0001", False),
    ("13800001234", True),
    ("+86 138-0000-1234", True),
    ("1234", True),  # the phone's last four digits
    ("14000000001", True),  # the number they wrote from
    ("0000", False),
    ("13800001235", False),
    ("阳光花园", True),
    ("阳光", True),
    ("光花", True),
    ("阳光花园3号楼", True),
    ("阳光花园三号楼2单元", True),
    ("阳光花园3号楼2单元501", True),
    ("阳光花园4号楼", False),
    ("光花3号楼", True),
    ("花园三号楼", True),
    ("花园4号楼", False),
    ("3号楼", True),
    ("二七", True),
    ("供暖", True),
    ("漏水", False),
    ("阳光 供暖", True),
    ("阳光 漏水", False),
    ("国贸公馆", False),
    ("%", False),
    ("_", False),
    ("' OR 1=1 --", False),
    ("１３８００００１２３４", True),
]


@pytest.mark.parametrize(("words", "found"), SEARCHES)
def test_the_search_finds_numbers_phones_and_places(desk: Desk, report: Report, words: str, found: bool) -> None:
    number = report(phone="13800001234")
    desk.enter("dispatcher")
    page = desk.client.get("/desk/", query_string={"q": words}).text
    assert shown(page) == ([number] if found else [])


def test_a_crew_sees_its_own_team_s_tickets_only(desk: Desk, report: Report) -> None:
    own, foreign = report(), report(address=OTHER)
    desk.enter("crew", team="T-eq-1")
    assert shown(desk.get("/desk/?group=all")) == [own]
    assert desk.client.get(f"/desk/tickets/{foreign}").status_code == 404
    assert desk.get(f"/desk/tickets/{own}")


def test_fifty_tickets_make_a_page_and_the_rest_the_next(desk: Desk, report: Report, services: Services) -> None:
    numbers = [report(address=Address("二七区", "阳光花园", "3", "2", str(room))) for room in range(101, 154)]
    desk.enter("dispatcher")
    first, second = desk.get("/desk/"), desk.get("/desk/?page=2")
    assert shown(first) == numbers[:50]
    assert shown(second) == numbers[50:]
    assert 'rel="next"' in first
    assert 'rel="next"' not in second


def test_a_longer_list_costs_no_more_queries(desk: Desk, report: Report, services: Services) -> None:
    desk.enter("dispatcher")
    counts = []
    for rooms in (range(101, 102), range(102, 122)):
        for room in rooms:
            report(address=Address("二七区", "阳光花园", "3", "2", str(room)))
        desk.get("/desk/")  # rules and places are read again now and then; not while we count
        statements: list[str] = []
        event.listen(services.database.engine, "before_cursor_execute", lambda *a, s=statements: s.append(a[2]))
        desk.get("/desk/")
        counts.append(len(statements))
    assert counts[0] == counts[1] > 0


def test_times_are_told_in_the_company_s_zone(desk: Desk, report: Report, clock: VirtualClock) -> None:
    report(at=service_clock.now() - timedelta(days=1))
    desk.enter("dispatcher")
    assert "昨天 10:00" in desk.get("/desk/")
