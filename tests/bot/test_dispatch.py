"""Jobs: one building, one line, one person after another until somebody takes it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from bot import dispatch, worker
from bot.clock import VirtualClock
from bot.duty_models import Job, JobStep
from bot.models import Ticket
from handlers.dialogue.types import Address
from tests.bot.duty import heard, member, on_duty, responsible, team_of
from tests.bot.helpers import HOME, Core, together

GROUP = timedelta(seconds=20)
LIMIT = timedelta(minutes=30)
NEXT_DOOR = replace(HOME, room="502")


def pass_time(core: Core, clock: VirtualClock, delta: timedelta) -> None:
    clock.advance(delta)
    worker.drain(core.services)


def report(core: Core, clock: VirtualClock, *addresses: Address, **case: str) -> list[str]:
    """Reports that come at the same time, and what the worker makes of them within half a minute."""
    numbers = [core.open(f"+86199{core_serial():08d}", address, **case) for address in addresses]
    worker.drain(core.services)
    pass_time(core, clock, GROUP)
    return numbers


_serial = iter(range(1, 10_000))


def core_serial() -> int:
    """A number that no other reporter of these tests has."""
    return next(_serial)


def test_the_responsible_worker_hears_of_it_within_a_minute(core: Core, clock: VirtualClock) -> None:
    phone, other = member(core, "责"), member(core, "乙")
    responsible(core, "阳光花园", "责", "乙")
    [number] = report(core, clock, HOME)
    [text] = heard(core, phone)
    assert "阳光花园3号楼" in text
    assert "501" in text
    assert heard(core, other) == []
    assert any(line.note == "派给责（责任人）" for line in core.history(number))


def test_several_homes_of_one_building_are_one_line(core: Core, clock: VirtualClock) -> None:
    phone = member(core, "责")
    responsible(core, "阳光花园", "责")
    report(core, clock, HOME, NEXT_DOOR, replace(HOME, room="601"))
    [text] = heard(core, phone)
    assert "3户" in text
    report(core, clock, replace(HOME, building="5"))
    assert len(heard(core, phone)) == 2


def test_the_stand_in_is_asked_while_the_responsible_worker_is_off_duty(core: Core, clock: VirtualClock) -> None:
    worker_phone, stand_in = member(core, "责"), member(core, "替")
    number = core.open()
    team = team_of(core, number)
    responsible(core, "阳光花园", "责", "替")
    on_duty(core, "替", team)
    worker.drain(core.services)
    pass_time(core, clock, GROUP)
    assert len(heard(core, stand_in)) == 1
    assert heard(core, worker_phone) == []


def test_who_does_not_take_it_in_time_is_followed_by_the_next_on_duty(core: Core, clock: VirtualClock) -> None:
    first, second, last = member(core, "责"), member(core, "班"), member(core, "管", role="supervisor")
    responsible(core, "阳光花园", "责")
    on_duty(core, "班")
    report(core, clock, HOME)
    assert [len(heard(core, phone)) for phone in (first, second, last)] == [1, 0, 0]
    pass_time(core, clock, LIMIT)
    assert [len(heard(core, phone)) for phone in (first, second, last)] == [1, 1, 0]
    pass_time(core, clock, LIMIT)
    assert [len(heard(core, phone)) for phone in (first, second, last)] == [1, 1, 1]
    pass_time(core, clock, LIMIT)
    assert core.one(Job).state == "unanswered"
    pass_time(core, clock, LIMIT / 2)  # later on the clock of the first contact calls people: tests/bot/test_clocks.py
    assert [len(heard(core, phone)) for phone in (first, second, last)] == [1, 1, 1]
    notes = [line.note for line in core.history(core.one(Ticket).number) if line.kind == "dispatched"]
    assert notes == ["派给责（责任人）", "派给班（值班）", "派给管（主管）", "没有人接单，请调度员处理"]


def test_received_from_the_phone_takes_every_home_of_the_job(core: Core, clock: VirtualClock) -> None:
    phone = member(core, "责")
    responsible(core, "阳光花园", "责")
    numbers = report(core, clock, HOME, NEXT_DOOR)
    answer = core.say("收到", sender=phone)
    assert answer is not None
    assert all(number in answer.text for number in numbers)
    assert {core.ticket(number).status for number in numbers} == {"accepted"}
    pass_time(core, clock, LIMIT)
    assert len([text for text in heard(core, phone) if "派工" in text]) == 1


def test_a_home_that_comes_later_is_told_to_whoever_has_the_building(core: Core, clock: VirtualClock) -> None:
    phone, other = member(core, "责"), member(core, "班")
    responsible(core, "阳光花园", "责")
    on_duty(core, "班")
    report(core, clock, HOME)
    core.say("收到", sender=phone)
    [late] = report(core, clock, NEXT_DOOR)
    told = [text for text in heard(core, phone) if "派工" in text]
    assert len(told) == 2
    assert "502" in told[1]
    assert "501" not in told[1]
    assert heard(core, other) == []
    core.say("收到", sender=phone)
    assert core.ticket(late).status == "accepted"
    assert len(core.rows(Job)) == 1


def test_a_building_whose_work_is_over_gets_a_new_job(core: Core, clock: VirtualClock) -> None:
    member(core, "责")
    responsible(core, "阳光花园", "责")
    [number] = report(core, clock, HOME)
    core.move(number, "accepted", "on_site", "done")
    report(core, clock, NEXT_DOOR)
    assert len(core.rows(Job)) == 2
    assert len(core.rows(Job, Job.closed_at.is_(None))) == 1


def test_a_ticket_taken_at_the_desk_asks_nobody_else(core: Core, clock: VirtualClock) -> None:
    member(core, "责")
    second = member(core, "班")
    responsible(core, "阳光花园", "责")
    on_duty(core, "班")
    [number] = report(core, clock, HOME)
    core.move(number, "accepted")
    pass_time(core, clock, LIMIT)
    assert heard(core, second) == []


def test_two_workers_ask_nobody_twice_and_open_one_job(core: Core, clock: VirtualClock) -> None:
    phone = member(core, "责")
    responsible(core, "阳光花园", "责")
    for room in range(101, 107):
        core.open(f"+86198{room:08d}", replace(HOME, room=str(room)))
    together([lambda: worker.run_tasks(core.services)] * 4)
    worker.run_tasks(core.services)
    clock.advance(GROUP)
    together([lambda: dispatch.run(core.services)] * 4)
    worker.drain(core.services)
    assert len(core.rows(Job)) == 1
    assert len(core.rows(JobStep)) == 1
    [text] = heard(core, phone)
    assert "6户" in text


def test_a_leak_is_offered_at_once_and_passed_on_after_minutes(core: Core, clock: VirtualClock) -> None:
    first, second = member(core, "责"), member(core, "班")
    responsible(core, "阳光花园", "责")
    on_duty(core, "班")
    core.open(address=HOME, intent="leak", severity="drip")
    worker.drain(core.services)
    assert len(heard(core, first)) == 1
    pass_time(core, clock, timedelta(minutes=5))
    assert len(heard(core, second)) == 1


def test_without_anybody_to_ask_the_desk_is_told_so(core: Core, clock: VirtualClock) -> None:
    [number] = report(core, clock, HOME)
    assert core.one(Job).state == "unanswered"
    assert core.ticket(number).status == "dispatched"
