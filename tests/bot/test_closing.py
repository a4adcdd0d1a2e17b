"""After a repair: the resident is asked, a no reopens the same ticket, silence is never a yes, and readings are kept."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot import readings, tickets, worker
from bot.clock import VirtualClock
from bot.clock_models import Clock, Escalation, Reading
from bot.models import Callback, Delivery, Ticket
from bot.tickets import Actor
from tests.bot.helpers import COLD_AT_HOME, PHONE, Core

TWO_DAYS = timedelta(hours=48)
MINUTE = timedelta(minutes=1)


def told(core: Core) -> list[str]:
    """What residents were told without asking."""
    return [row.text for row in core.rows(Delivery, Delivery.kind == "notice")]


def pass_time(core: Core, clock: VirtualClock, span: timedelta) -> None:
    """Time passes and the worker does what falls due."""
    clock.advance(span)
    worker.run_tasks(core.services)


def reported(core: Core, text: str = COLD_AT_HOME) -> str:
    """A resident reports by SMS; the number of the ticket."""
    core.say(text)
    return core.one(Ticket).number


def say(core: Core, clock: VirtualClock, text: str) -> None:
    """The resident writes a minute later: messages that follow within seconds are read together."""
    clock.advance(MINUTE)
    core.say(text)


def measure(core: Core, number: str, value: float = 19.0) -> None:
    """A crew measures."""
    with core.services.database.transaction() as session:
        ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
        readings.measured(core.services.context(session), ticket, value, "主卧", Actor("staff"))


# --- the answer


def test_a_yes_closes_it_confirmed_and_asks_once_how_it_was(core: Core, clock: VirtualClock) -> None:
    number = reported(core)
    core.move(number, "done")
    say(core, clock, "1")
    assert (core.ticket(number).status, core.ticket(number).resolution) == ("closed", "confirmed")
    assert "回1到5" in core.replies()[-1]
    assert len(core.replies()[-1]) <= 70
    say(core, clock, "5")
    assert core.ticket(number).satisfaction == 5
    assert core.ticket(number).status == "closed"
    say(core, clock, "谢谢")
    assert sum("回1到5" in text for text in core.replies()) == 1


@pytest.mark.parametrize(("said", "stars"), [("4分", 4), ("５", 5), ("一", 1), ("3。", 3)])
def test_the_rating_is_understood_as_people_write_it(core: Core, clock: VirtualClock, said: str, stars: int) -> None:
    number = reported(core)
    core.move(number, "done")
    say(core, clock, "1")
    say(core, clock, said)
    assert core.ticket(number).satisfaction == stars


def test_a_bad_rating_is_not_thanked_cheerfully(core: Core, clock: VirtualClock) -> None:
    number = reported(core)
    core.move(number, "done")
    say(core, clock, "1")
    say(core, clock, "2")
    assert core.ticket(number).satisfaction == 2
    assert "对不起" in core.replies()[-1]
    assert core.ticket(number).status == "closed"


def test_nobody_is_asked_about_a_repair_that_was_not_ours(core: Core, clock: VirtualClock) -> None:
    reported(core)
    say(core, clock, "1")  # nothing was asked
    assert not any("回1到5" in text for text in core.replies())


def test_a_no_reopens_the_same_ticket_restarts_the_clock_and_tells_its_owner(core: Core, clock: VirtualClock) -> None:
    number = reported(core)
    worker.run_tasks(core.services)
    core.move(number, "done")
    clock.advance(timedelta(hours=3))
    say(core, clock, "2")
    ticket = core.one(Ticket)
    assert (ticket.number, ticket.status, ticket.reopened) == (number, "reopened", 1)
    running = core.rows(Clock, Clock.stopped_at.is_(None))
    assert {row.started_at for row in running} == {clock()}
    assert [row.kind for row in core.rows(Escalation, Escalation.settled_at.is_(None))] == ["reopened"]
    assert [line.step for line in core.history(number) if line.step][-1] == "reopen"


def test_after_a_reopening_the_satisfaction_is_asked_again(core: Core, clock: VirtualClock) -> None:
    number = reported(core)
    core.move(number, "done")
    say(core, clock, "1")
    say(core, clock, "4")
    core.move(number, "reopened", "done")
    assert core.ticket(number).satisfaction is None
    say(core, clock, "1")
    assert "回1到5" in core.replies()[-1]


# --- silence


def test_two_days_of_silence_close_it_unconfirmed_in_words_that_say_so(core: Core, clock: VirtualClock) -> None:
    number = reported(core)
    core.move(number, "done")
    pass_time(core, clock, TWO_DAYS - MINUTE)
    assert core.ticket(number).status == "done"
    pass_time(core, clock, MINUTE)
    ticket = core.ticket(number)
    assert (ticket.status, ticket.resolution) == ("closed", "unconfirmed")
    assert "未确认" in told(core)[-1]
    assert "修好" not in told(core)[-1]


def test_a_leak_is_never_closed_by_silence(core: Core, clock: VirtualClock) -> None:
    number = core.open(intent="leak")
    core.move(number, "done")
    pass_time(core, clock, TWO_DAYS)
    assert core.ticket(number).status == "confirming"
    assert core.one(Callback).reason == "confirm"
    pass_time(core, clock, 10 * TWO_DAYS)
    assert core.ticket(number).closed_at is None


def test_a_room_that_was_too_cold_needs_a_crews_reading_before_silence_closes_it(
    core: Core, clock: VirtualClock
) -> None:
    number = core.open(intent="low_temperature", temperature=15.0)
    core.move(number, "done")
    pass_time(core, clock, TWO_DAYS)
    assert core.ticket(number).status == "confirming"
    other = core.open("+8619900005555", intent="low_temperature", address=_other())
    measure(core, other)
    core.move(other, "done")
    pass_time(core, clock, TWO_DAYS)
    assert core.ticket(other).resolution == "unconfirmed"


def _other() -> Any:
    from tests.bot.helpers import OTHER_HOME

    return OTHER_HOME


def test_a_reading_from_before_the_reopening_proves_nothing(core: Core, clock: VirtualClock) -> None:
    number = core.open(intent="low_temperature", temperature=15.0)
    measure(core, number)
    clock.advance(MINUTE)
    core.move(number, "done", "reopened")
    clock.advance(MINUTE)
    core.move(number, "done")
    pass_time(core, clock, TWO_DAYS)
    assert core.ticket(number).status == "confirming"


def test_a_ticket_that_moved_on_is_left_alone_by_the_silence_before(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    core.move(number, "done", "reopened", "accepted")
    pass_time(core, clock, TWO_DAYS)
    assert core.ticket(number).status == "accepted"
    core.move(number, "done")
    pass_time(core, clock, TWO_DAYS - MINUTE)
    assert core.ticket(number).status == "done"


def test_zammad_2527_a_closing_notice_changes_no_ticket(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    core.move(number, "done")
    pass_time(core, clock, TWO_DAYS)
    closed = core.ticket(number)
    worker.drain(core.services)
    pass_time(core, clock, TWO_DAYS)
    assert core.ticket(number).version == closed.version


def test_fixmystreet_4007_the_same_move_twice_tells_nobody_twice(core: Core) -> None:
    number = core.open()
    core.move(number, "accepted")
    with pytest.raises(tickets.MoveRefused):
        core.move(number, "accepted")
    assert len(told(core)) == 1


# --- readings


def test_what_a_resident_measures_is_kept_with_time_and_room(core: Core, clock: VirtualClock) -> None:
    number = reported(core, "阳光花园3号楼2单元501，暖气不热，主卧只有14度")
    first = core.one(Reading)
    assert (first.value, first.room, first.by, first.at) == (14.0, "主卧", "resident", clock())
    clock.advance(timedelta(hours=2))
    say(core, clock, "暖气不热，客厅现在13度")
    rows = core.rows(Reading)
    assert [(row.value, row.room) for row in rows] == [(14.0, "主卧"), (13.0, "客厅")]
    assert rows[1].at == clock()
    assert core.ticket(number).temperature == 13.0
    assert PHONE not in str(vars(rows[1]))


@pytest.mark.parametrize(
    ("text", "room"),
    [("客厅15度", "客厅"), ("卧室和客厅都是15度", None), ("家里15度", None), ("主卧15度，主卧一直这样", "主卧")],
)
def test_a_room_is_kept_only_where_one_is_named(text: str, room: str | None) -> None:
    assert readings.room_in(text) == room
