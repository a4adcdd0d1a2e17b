"""A cold home weighs more with the hours, and one in need is called by a person."""

from __future__ import annotations

from datetime import timedelta

from bot import worker
from bot.bench.week_people import Labelled
from bot.clock import VirtualClock
from bot.models import Callback, Ticket
from tests.bot.helpers import OTHER_HOME, Core

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def pass_time(core: Core, clock: VirtualClock, span: timedelta) -> None:
    """Time passes and the worker does what falls due."""
    clock.advance(span)
    worker.run_tasks(core.services)


def test_a_cold_home_weighs_more_the_longer_it_is_cold(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    weights = []
    for hours in (0, 3, 3, 6, 12):
        pass_time(core, clock, timedelta(hours=hours))
        weights.append((core.ticket(number).priority, core.ticket(number).weight))
    assert weights == [(3, 0), (3, 15), (3, 30), (3, 45), (2, 60)]


def test_a_home_in_need_that_stays_cold_for_a_day_is_called_by_a_person(core: Core, clock: VirtualClock) -> None:
    in_need, other = core.open(need="yes"), core.open("+8619900004444", OTHER_HOME)
    pass_time(core, clock, DAY - MINUTE)
    assert core.rows(Callback) == []
    pass_time(core, clock, MINUTE)
    owed = core.one(Callback)
    assert (owed.reason, owed.ticket_id) == ("cold", core.ticket(in_need).id)
    assert core.ticket(other).closed_at is None


def test_nobody_is_called_about_a_home_that_is_warm_again(core: Core, clock: VirtualClock) -> None:
    number = core.open(need="yes")
    core.move(number, "done", "closed")
    pass_time(core, clock, 2 * DAY)
    assert core.rows(Callback) == []
    assert core.ticket(number).need is False


def test_reopened_tickets_are_cold_from_then_on(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    pass_time(core, clock, 12 * HOUR)
    core.move(number, "done", "closed", "reopened")
    assert core.ticket(number).cold_rungs == 0
    pass_time(core, clock, 3 * HOUR)
    assert core.ticket(number).cold_rungs == 1


def test_who_writes_that_an_old_person_lives_there_is_called_after_a_day_in_the_cold(
    core: Core, clock: VirtualClock
) -> None:
    core.services.interpreter = Labelled()
    core.say("阳光花园3号楼2单元501暖气不热，家里有八十岁的老人")
    worker.drain(core.services)
    assert core.one(Ticket).need
    pass_time(core, clock, DAY)
    assert [(owed.reason, owed.due_at - clock()) for owed in core.rows(Callback)] == [("cold", 30 * MINUTE)]
