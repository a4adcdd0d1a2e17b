"""Clocks of tickets: what starts, stops, rests and raises them. The failures published for other help desks are named.

Time is virtual: 10:00 in China on Monday 23 November 2026, in the heating season, unless a test moves it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from bot import clocks, escalations, rules, tickets, worker
from bot.clock import VirtualClock
from bot.clock_models import Clock, Escalation, Wait
from bot.models import Delivery, Rule, Ticket
from bot.tickets import Actor
from handlers.dialogue.types import EditTicket
from tests.bot.helpers import HOME, OTHER_HOME, Core

STAFF = Actor("staff")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
CONTACT = timedelta(hours=2)  # what a cold home has until its first contact, in the season


def running(core: Core, number: str) -> dict[str, Clock]:
    """The clocks of a ticket that have not stopped, by kind."""
    ticket = core.ticket(number)
    return {row.kind: row for row in core.rows(Clock, Clock.ticket_id == ticket.id, Clock.stopped_at.is_(None))}


def stopped(core: Core, number: str) -> dict[str, str | None]:
    """How the clocks that have stopped ended."""
    ticket = core.ticket(number)
    rows = core.rows(Clock, Clock.ticket_id == ticket.id, Clock.stopped_at.is_not(None))
    return {row.kind: row.outcome for row in rows}


def left(core: Core, number: str, kind: str, clock: VirtualClock) -> timedelta:
    """How long until a clock is due."""
    due = running(core, number)[kind].due_at
    assert due is not None, "it rests"
    return due - clock()


def change(core: Core, number: str, act: Any) -> Any:
    """Do something to a ticket in a transaction of its own."""
    with core.services.database.transaction() as session:
        ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
        return act(core.services.context(session), ticket)


def raised(core: Core, number: str) -> list[tuple[str, int, str]]:
    """Who has been told of what, in order."""
    ticket = core.ticket(number)
    return [(row.kind, row.rung, row.role) for row in core.rows(Escalation, Escalation.ticket_id == ticket.id)]


def pass_time(core: Core, clock: VirtualClock, span: timedelta) -> None:
    """Time passes and the worker does what falls due."""
    clock.advance(span)
    worker.run_tasks(core.services)


# --- plans


@pytest.mark.parametrize(
    ("case", "minutes"),
    [
        ({"intent": "danger"}, {"contact": 15, "on_site": 60}),
        ({"intent": "leak"}, {"contact": 15, "on_site": 60}),
        ({"intent": "leak", "severity": "burst"}, {"contact": 15, "on_site": 60}),
        ({"intent": "leak", "severity": "drip"}, {"contact": 120, "on_site": 480}),
        ({"intent": "no_heat"}, {"contact": 120, "on_site": 360, "warm": 1440}),
        ({"intent": "low_temperature"}, {"contact": 120, "on_site": 720, "warm": 1440}),
        ({"intent": "no_heat", "also": ("leak",)}, {"contact": 15, "on_site": 60, "warm": 1440}),
    ],
)
def test_limits_follow_from_what_it_is_and_how_bad(core: Core, case: dict[str, Any], minutes: dict[str, int]) -> None:
    number = core.open(**case)
    assert {kind: row.seconds // 60 for kind, row in running(core, number).items()} == minutes
    opened = core.ticket(number).opened_at
    assert all(row.due_at == opened + timedelta(seconds=row.seconds) for row in running(core, number).values())


def test_outside_the_season_the_office_hours_count(core: Core, clock: VirtualClock) -> None:
    clock.advance(
        datetime.fromisoformat("2027-04-09T17:00:00+08:00") - clock()
    )  # a Friday, half an hour before closing
    number = core.open()
    assert set(running(core, number)) == {"contact", "on_site"}
    due = running(core, number)["contact"].due_at
    assert due == datetime.fromisoformat("2027-04-12T10:00:00+08:00")


def test_a_danger_is_counted_day_and_night_all_year(core: Core, clock: VirtualClock) -> None:
    clock.advance(datetime.fromisoformat("2027-06-13T03:00:00+08:00") - clock())  # three on a Sunday morning in June
    assert left(core, core.open(intent="danger"), "contact", clock) == 15 * MINUTE


def test_a_clock_over_midnight_on_a_make_up_saturday(core: Core, clock: VirtualClock) -> None:
    """The operator enters the notice of 2027 as data; from then on the Saturday is worked."""
    friday = datetime.fromisoformat("2027-05-07T17:00:00+08:00")
    clock.advance(friday - clock())
    number = core.open(intent="billing")
    assert running(core, number)["contact"].due_at == datetime.fromisoformat("2027-05-10T17:00:00+08:00")
    with core.services.database.transaction() as session:
        body = session.scalars(select(Rule.body).where(Rule.name == "calendar")).one()
        years = {**body["years"], "2027": {"arranged": True, "holidays": [], "workdays": ["2027-05-08"]}}
        row = Rule(name="calendar", digest="own", body={**body, "years": years}, valid_from=date(2027, 1, 1))
        row.created_at, row.shipped = clock(), False
        session.add(row)
    try:
        core.services.rules._checked = 0.0
        number = core.open(address=OTHER_HOME, intent="billing")
        assert running(core, number)["contact"].due_at == datetime.fromisoformat("2027-05-08T17:00:00+08:00")
    finally:
        with core.services.database.transaction() as session:
            session.query(Rule).where(Rule.digest == "own").delete()
        core.services.rules._checked = 0.0


# --- the bugs of others


def test_zammad_5177_each_clock_stands_alone_and_the_earliest_comes_first(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    core.move(number, "accepted")  # stops the first contact only
    assert set(running(core, number)) == {"on_site", "warm"}
    assert left(core, number, "on_site", clock) == 6 * HOUR
    pass_time(core, clock, 3 * HOUR)
    assert raised(core, number) == [("on_site", 1, "crew")]


def test_zammad_3551_an_answer_counts_whatever_else_changes(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    core.move(number, "accepted")
    change(core, number, lambda c, t: tickets.chase(c, t, Actor("resident", t.contact_id)))
    assert "answer" in running(core, number)
    core.move(number, "wait_parts", note="配件明天到")  # a reply and a change of state in one step
    assert stopped(core, number)["answer"] == "met"
    pass_time(core, clock, 2 * DAY)
    assert ("answer", 1, "crew") not in raised(core, number)


def test_zammad_1322_any_word_of_the_resident_wants_an_answer_again(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    resident = Actor("resident", core.ticket(number).contact_id)
    core.move(number, "accepted")
    for _ in range(2):
        assert "answer" not in running(core, number)
        clock.advance(HOUR)
        change(core, number, lambda c, t: tickets.add_note(c, t, "到底几点来", resident))
        assert left(core, number, "answer", clock) == CONTACT
        change(core, number, lambda c, t: tickets.add_note(c, t, "回电：下午三点到", STAFF, "called"))
    # A second word before the answer does not put the limit off.
    change(core, number, lambda c, t: tickets.add_note(c, t, "还没人来", resident))
    clock.advance(HOUR)
    change(core, number, lambda c, t: tickets.add_note(c, t, "喂", resident))
    assert left(core, number, "answer", clock) == HOUR


def test_zammad_3180_a_clock_of_day_and_night_loses_no_minute_at_midnight(core: Core, clock: VirtualClock) -> None:
    clock.advance(13 * HOUR + 30 * MINUTE)  # 23:30
    number = core.open()
    clock.advance(HOUR)
    assert change(core, number, lambda c, t: clocks.used(c, t, clocks.running(c.session, t.id)[0])) == HOUR
    assert left(core, number, "contact", clock) == HOUR


def test_glpi_22678_a_warning_falls_at_its_share_of_the_limit_and_not_at_midnight(
    core: Core, clock: VirtualClock
) -> None:
    clock.advance(13 * HOUR)  # 23:00
    number = core.open()
    pass_time(core, clock, HOUR - MINUTE)
    assert raised(core, number) == []
    pass_time(core, clock, MINUTE)
    assert raised(core, number) == [("contact", 1, "crew")]


def test_osticket_3034_a_clock_rests_while_the_ticket_waits(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    core.move(number, "accepted")
    clock.advance(HOUR)
    core.move(number, "wait_parts")
    assert running(core, number)["on_site"].due_at is None
    pass_time(core, clock, 3 * DAY)
    assert raised(core, number) == []
    core.move(number, "resume")
    assert left(core, number, "on_site", clock) == 5 * HOUR


def test_frappe_1554_a_wait_still_counts_after_the_plan_has_changed(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    clock.advance(HOUR)
    core.move(number, "wait_property")
    clock.advance(DAY)
    change(core, number, lambda c, t: tickets.retype(c, t, "low_temperature", STAFF))
    core.move(number, "resume")
    assert left(core, number, "on_site", clock) == 11 * HOUR


def test_zammad_5624_a_transfer_reckons_anew_as_if_it_had_always_been_so(core: Core, clock: VirtualClock) -> None:
    number = core.open(intent="leak", severity="drip")
    clock.advance(30 * MINUTE)
    change(core, number, lambda c, t: tickets.edit(c, t, EditTicket(number, severity="burst"), STAFF))
    assert left(core, number, "contact", clock) == -15 * MINUTE
    worker.run_tasks(core.services)
    assert ("contact", 3, "supervisor") in raised(core, number)  # twice the limit has passed
    change(core, number, lambda c, t: tickets.retype(c, t, "billing", STAFF))
    assert set(running(core, number)) == {"contact", "answer"}
    assert left(core, number, "contact", clock) > HOUR


def test_what_was_done_before_a_transfer_stays_done(core: Core) -> None:
    number = core.open(intent="billing")
    core.move(number, "accepted", "on_site")
    change(core, number, lambda c, t: tickets.retype(c, t, "no_heat", STAFF))
    assert set(running(core, number)) == {"warm"}


@pytest.mark.parametrize("end", ["closed", "cancelled", "merged"])
def test_zammad_904_tickets_that_have_ended_are_silent(core: Core, clock: VirtualClock, end: str) -> None:
    number = core.open()
    if end == "merged":
        into = core.open(address=OTHER_HOME)
        with core.services.database.transaction() as session:
            rows = {row.number: row for row in session.scalars(select(Ticket))}
            tickets.merge(core.services.context(session), rows[number], rows[into], STAFF)
        core.move(into, "closed")
    else:
        core.move(number, end)
    before = len(raised(core, number))
    pass_time(core, clock, 30 * DAY)
    assert len(raised(core, number)) == before == 0
    assert running(core, number) == {}


def test_correcting_the_kind_of_a_ticket_that_has_ended_starts_no_clock(core: Core) -> None:
    number = core.open()
    core.move(number, "cancelled")
    change(core, number, lambda c, t: tickets.retype(c, t, "low_temperature", STAFF))
    assert running(core, number) == {}


def test_a_merged_tickets_age_is_not_lost(core: Core, clock: VirtualClock) -> None:
    first = core.open()
    clock.advance(HOUR)
    second = core.open(address=OTHER_HOME)
    with core.services.database.transaction() as session:
        rows = {row.number: row for row in session.scalars(select(Ticket))}
        tickets.merge(core.services.context(session), rows[first], rows[second], STAFF)
    assert left(core, second, "contact", clock) == HOUR


def test_libredesk_70_a_ticket_that_was_settled_raises_no_late_alarm(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    pass_time(core, clock, HOUR)
    assert raised(core, number) == [("contact", 1, "crew")]
    core.move(number, "accepted")
    settled = core.one(Escalation)
    assert settled.settled_at is not None


def test_zammad_4432_reminders_of_office_matters_keep_office_hours(core: Core, clock: VirtualClock) -> None:
    clock.advance(datetime.fromisoformat("2026-11-27T16:00:00+08:00") - clock())  # Friday afternoon
    number = core.open(intent="billing")
    seen = []
    for _ in range(24 * 5):
        before = len(raised(core, number))
        pass_time(core, clock, HOUR)
        if len(raised(core, number)) > before:
            seen.append(clock().astimezone(core.services.settings.zone))
    assert seen
    assert all(moment.isoweekday() <= 5 and 8 <= moment.hour <= 18 for moment in seen), seen


def test_fixmystreet_897_a_repair_that_did_not_help_restarts_the_clocks_and_tells_the_owner(
    core: Core, clock: VirtualClock
) -> None:
    number = core.open()
    clock.advance(5 * HOUR)
    core.move(number, "done")
    assert stopped(core, number) == {"contact": "late", "on_site": "met", "warm": "met"}
    clock.advance(HOUR)
    core.move(number, "reopened")
    assert {kind: row.started_at for kind, row in running(core, number).items()} == dict.fromkeys(
        ("contact", "on_site", "warm"), clock()
    )
    assert raised(core, number)[-1] == ("reopened", 1, "crew")


# --- the ladder


def test_the_ladder_goes_from_the_team_to_the_dispatcher_to_the_supervisor(core: Core, clock: VirtualClock) -> None:
    number = core.open(intent="leak")
    for _ in range(40):
        pass_time(core, clock, MINUTE)
    of_contact = [(rung, role) for kind, rung, role in raised(core, number) if kind == "contact"]
    assert of_contact == [(1, "crew"), (2, "dispatcher"), (3, "supervisor")]
    lines = [row.note or "" for row in core.history(number) if row.kind == "escalated"]
    assert lines[0].startswith("催办")
    assert any(line.startswith("督办") and "首次联系超过时限" in line for line in lines)


def test_after_a_time_without_a_worker_only_the_highest_step_is_taken(core: Core, clock: VirtualClock) -> None:
    number = core.open(intent="leak")
    pass_time(core, clock, 35 * MINUTE)
    assert [row for row in raised(core, number) if row[0] == "contact"] == [("contact", 3, "supervisor")]
    assert escalations.run(core.services) == 0


def test_nobody_is_told_twice_of_one_step(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    for _ in range(3):
        pass_time(core, clock, 20 * MINUTE)
        change(core, number, lambda c, t: clocks.reckon(c, t))
        worker.run_tasks(core.services)
    assert raised(core, number) == [("contact", 1, "crew")]


def test_residents_never_hear_of_a_limit(core: Core, clock: VirtualClock) -> None:
    number = core.open(intent="leak")
    pass_time(core, clock, 3 * HOUR)
    assert raised(core, number)
    assert core.rows(Delivery, Delivery.kind == "notice") == []


def test_the_pass_finds_what_is_due_by_an_index(core: Core) -> None:
    with core.services.database.reading() as session:
        connection, explain = session.connection(), "EXPLAIN QUERY PLAN"
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")  # it reads a table of a few rows whole
            explain = "EXPLAIN"
        plan = connection.exec_driver_sql(
            f"{explain} SELECT ticket_id FROM clock WHERE next_at <= '2026-11-23' ORDER BY next_at LIMIT 200"
        )
        assert "ix_clock_next" in str(plan.all())


# --- waits


def test_a_word_of_the_resident_ends_the_wait_for_them(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    core.move(number, "not_home")
    assert (core.ticket(number).status, core.ticket(number).waits_for) == ("waiting", "resident")
    clock.advance(5 * HOUR)
    resident = Actor("resident", core.ticket(number).contact_id)
    change(core, number, lambda c, t: tickets.add_note(c, t, "下午三点在家", resident))
    assert (core.ticket(number).status, core.ticket(number).waits_for) == ("accepted", None)
    assert core.one(Wait).until == clock()
    assert left(core, number, "warm", clock) == DAY


def test_a_word_of_the_resident_brings_no_parts(core: Core) -> None:
    number = core.open()
    core.move(number, "wait_parts")
    resident = Actor("resident", core.ticket(number).contact_id)
    change(core, number, lambda c, t: tickets.add_note(c, t, "好的", resident))
    assert core.ticket(number).waits_for == "parts"


def test_a_wait_for_our_own_reasons_stops_no_clock(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    core.move(number, "waiting")
    assert left(core, number, "contact", clock) == CONTACT


def test_from_one_wait_into_another_the_clock_keeps_resting(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    core.move(number, "accepted", "wait_property")
    clock.advance(DAY)
    core.move(number, "wait_parts")
    clock.advance(DAY)
    core.move(number, "resume")
    assert left(core, number, "on_site", clock) == 6 * HOUR
    assert [row.reason for row in core.rows(Wait)] == ["property", "parts"]


PATHS = st.lists(
    st.sampled_from(["accept", "go", "wait_resident", "wait_property", "wait_parts", "not_home", "resume", "wait"]),
    max_size=6,
)


def test_whatever_the_staff_do_no_clock_runs_backwards_or_is_lost(core: Core, clock: VirtualClock) -> None:
    """Properties over paths of moves: what is used never falls, a wait never brings a limit nearer."""
    start, zone = clock(), core.services.settings.zone

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(PATHS, st.lists(st.integers(0, 300), min_size=6, max_size=6), st.integers(0, 10**6))
    def play(path: list[str], minutes: list[int], room: int) -> None:
        clock.current = start
        number = core.open(address=replace(HOME, room=str(room)))
        book = core.services.rules.current()
        before: dict[str, timedelta] = {}
        for step, gap in zip(path, minutes, strict=False):
            clock.advance(timedelta(minutes=gap))
            with core.services.database.transaction() as session:
                ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
                context = tickets.Context(session, book, clock(), zone)
                try:
                    tickets.move(context, ticket, step, STAFF)
                except tickets.MoveRefused:
                    continue
                for row in session.scalars(select(Clock).where(Clock.ticket_id == ticket.id)):
                    spent = clocks.used(context, ticket, row)
                    assert before.get(row.kind, timedelta(0)) <= spent <= clock() - row.started_at
                    before[row.kind] = spent
                    assert row.due_at is None or row.due_at >= row.started_at + timedelta(seconds=row.seconds)
        with core.services.database.transaction() as session:
            ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
            tickets.move(tickets.Context(session, book, clock(), zone), ticket, "cancelled", STAFF)
            open_waits = select(func.count()).select_from(Wait).where(Wait.until.is_(None))
            assert session.scalar(open_waits) == 0

    play()


@pytest.mark.parametrize("name", ["clocks", "calendar", "moves"])
def test_every_rule_of_time_is_data_with_a_source(name: str) -> None:
    assert rules.shipped()[name]["source"]
