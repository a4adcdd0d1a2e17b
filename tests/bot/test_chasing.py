"""催单: the first press is a line of the team's digest, the second one a call by a person; neither changes the order of work."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot import worker
from bot.clock import VirtualClock
from bot.duty_models import Alert
from bot.models import Callback, Ticket, Update
from tests.bot.duty import heard, member, on_duty, responsible
from tests.bot.helpers import COLD_AT_HOME, PHONE, Core, Provider

NEIGHBOUR = "+8619900005678"
MINUTE, PERIOD = timedelta(minutes=1), timedelta(minutes=30)


def pass_time(core: Core, clock: VirtualClock, span: timedelta) -> None:
    clock.advance(span)
    worker.drain(core.services)


def reported(core: Core, clock: VirtualClock, sender: str = PHONE, text: str = COLD_AT_HOME) -> str:
    core.say(text, sender)
    worker.drain(core.services)
    pass_time(core, clock, MINUTE)
    return core.rows(Ticket)[-1].number


def digests(core: Core, phone: str) -> list[str]:
    return [text for text in heard(core, phone) if text.startswith("催单")]


def test_first_presses_reach_whoever_has_the_job_as_one_digest(core: Core, clock: VirtualClock) -> None:
    phone = member(core, "责")
    responsible(core, "阳光花园", "责")
    first = reported(core, clock)
    second = reported(core, clock, NEIGHBOUR, "阳光花园5号楼1单元301，不热")
    core.say("催一下")
    core.say("催一下", NEIGHBOUR)
    pass_time(core, clock, MINUTE)
    assert digests(core, phone) == []
    pass_time(core, clock, PERIOD)
    [text] = digests(core, phone)
    assert "2单" in text
    assert f"{first}阳光花园3号楼1次" in text
    assert f"{second}阳光花园5号楼1次" in text
    pass_time(core, clock, 3 * PERIOD)
    assert len(digests(core, phone)) == 1


def test_a_digest_names_neither_doors_nor_phones(core: Core, clock: VirtualClock) -> None:
    phone = member(core, "责")
    responsible(core, "阳光花园", "责")
    reported(core, clock)
    core.say("催一下")
    pass_time(core, clock, PERIOD)
    [text] = digests(core, phone)
    assert "501" not in text
    assert "1990000" not in text


def test_the_group_reads_one_digest_of_its_team(core: Core, clock: VirtualClock) -> None:
    robot = Provider("wecom_robot", "wecom_robot")
    core.services.channels = {**core.services.channels, robot.name: robot}
    number = reported(core, clock)
    core.say("催一下")
    pass_time(core, clock, PERIOD)
    assert [text for text in robot.texts if text.startswith("催单") and number in text]


def test_pressed_again_in_the_next_while_is_told_with_how_often_in_all(core: Core, clock: VirtualClock) -> None:
    phone = member(core, "责")
    responsible(core, "阳光花园", "责")
    reported(core, clock)
    core.say("催一下")
    pass_time(core, clock, PERIOD)
    core.say("催一下")
    pass_time(core, clock, PERIOD)
    assert ["共2次" in text for text in digests(core, phone)] == [False, True]


def test_what_is_settled_meanwhile_is_in_no_digest(core: Core, clock: VirtualClock) -> None:
    phone = member(core, "责")
    responsible(core, "阳光花园", "责")
    number = reported(core, clock)
    core.say("催一下")
    core.move(number, "done", "closed")
    pass_time(core, clock, PERIOD)
    assert digests(core, phone) == []


def test_the_ticket_s_history_says_who_was_told(core: Core, clock: VirtualClock) -> None:
    member(core, "责")
    responsible(core, "阳光花园", "责")
    number = reported(core, clock)
    core.say("催一下")
    pass_time(core, clock, PERIOD)
    assert "催单已汇总告诉责" in [line.note for line in core.history(number)]


def test_the_second_press_is_a_call_by_a_person_at_a_promised_time(core: Core, clock: VirtualClock) -> None:
    number = reported(core, clock)
    core.say("催一下")
    assert core.rows(Callback) == []
    answer = core.say("催一下")
    assert answer is not None
    assert "30分钟内有人打电话给您" in answer.text
    owed = core.one(Callback)
    assert (owed.reason, owed.ticket_id) == ("chased", core.ticket(number).id)
    assert owed.due_at - clock() == timedelta(minutes=30)


def test_a_late_call_after_pressing_is_told_to_the_resident_and_is_no_emergency(
    core: Core, clock: VirtualClock
) -> None:
    phone = member(core, "甲")
    on_duty(core, "甲")
    reported(core, clock)
    core.say("催一下")
    core.say("催一下")
    pass_time(core, clock, timedelta(minutes=31))
    assert [text for text in core.replies() if "回电还没打" in text]
    assert core.rows(Alert) == []
    assert not [text for text in heard(core, phone) if text.startswith("险情")]


def test_pressing_changes_neither_priority_nor_weight(core: Core, clock: VirtualClock) -> None:
    number = reported(core, clock)
    before = core.ticket(number)
    for _ in range(3):
        core.say("催一下")
        pass_time(core, clock, MINUTE)
    after = core.ticket(number)
    assert (after.priority, after.weight, after.urgent) == (before.priority, before.weight, before.urgent)
    assert after.chases == 3


@pytest.mark.parametrize("again", [1, 3])
def test_one_digest_however_often_the_task_is_run(core: Core, clock: VirtualClock, again: int) -> None:
    phone = member(core, "责")
    responsible(core, "阳光花园", "责")
    reported(core, clock)
    for _ in range(again):
        core.say("催一下")
        pass_time(core, clock, MINUTE)
    pass_time(core, clock, PERIOD)
    pass_time(core, clock, PERIOD)
    assert len(digests(core, phone)) == 1
    assert len(core.rows(Update, Update.kind == "chased")) == again
