"""Dangers: the duty person is told again and again until somebody acknowledges, then the next; nothing holds it up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bot import alerts, worker
from bot.clock import VirtualClock
from bot.duty_models import Alert, AlertStep
from bot.models import Contact, Delivery, Ticket
from tests.bot.duty import heard, member, on_duty, responsible
from tests.bot.helpers import HOME, PHONE, Core, together

GAS = "阳光花园3号楼2单元501 闻到很重的煤气味"
BURST = "阳光花园3号楼2单元501 暖气管爆了一直喷水"
REPEAT = timedelta(seconds=120)
SOON = timedelta(seconds=4)


def work(core: Core) -> None:
    """Everything that is due now, as the worker does it."""
    worker.drain(core.services)


def alarms(core: Core, phone: str) -> list[str]:
    """The alerts that a phone has received."""
    return [text for text in heard(core, phone) if text.startswith("险情")]


def pass_time(core: Core, clock: VirtualClock, delta: timedelta) -> None:
    clock.advance(delta)
    work(core)


@pytest.mark.parametrize(("says", "what"), [(GAS, "燃气"), (BURST, "爆管")])
def test_the_person_on_duty_is_texted_where_to_go_and_whom_to_call(core: Core, says: str, what: str) -> None:
    phone = member(core, "甲")
    on_duty(core, "甲")
    core.say(says)
    work(core)
    [text] = heard(core, phone)
    assert what in text
    assert "阳光花园3号楼2单元501" in text
    assert PHONE.removeprefix("+86") in text
    assert core.one(Ticket).number in text


def test_until_somebody_answers_each_is_told_twice_and_then_the_next_in_line(core: Core, clock: VirtualClock) -> None:
    first, second = member(core, "甲"), member(core, "乙")
    on_duty(core, "甲", line=1)
    on_duty(core, "乙", line=2)
    core.say(GAS)
    work(core)
    counts = [(1, 0)]
    for _ in range(4):
        pass_time(core, clock, REPEAT)
        counts.append((len(heard(core, first)), len(heard(core, second))))
    assert counts == [(1, 0), (2, 0), (2, 1), (2, 2), (3, 2)]


def test_the_answer_of_the_phone_ends_it_and_is_kept_with_who_and_when(core: Core, clock: VirtualClock) -> None:
    phone = member(core, "甲")
    on_duty(core, "甲")
    core.say(GAS)
    work(core)
    clock.advance(timedelta(seconds=50))
    answer = core.say("收到", sender=phone)
    assert answer is not None
    assert core.one(Ticket).number in answer.text
    pass_time(core, clock, REPEAT)
    assert len(alarms(core, phone)) == 1
    alert = core.one(Alert)
    assert alert.acknowledged_member_id is not None
    assert alert.acknowledged_at == clock() - REPEAT
    assert any(
        line.kind == "alerted" and line.note and "甲回复收到" in line.note for line in core.history(_number(core))
    )


def _number(core: Core) -> str:
    return core.one(Ticket).number


def test_a_resident_who_writes_received_is_answered_as_a_resident(core: Core) -> None:
    core.say("收到")
    assert core.interpreter.heard == ["收到"]


def test_every_step_stands_in_the_tickets_history(core: Core, clock: VirtualClock) -> None:
    member(core, "甲")
    on_duty(core, "甲")
    core.say(GAS)
    work(core)
    pass_time(core, clock, REPEAT)
    lines = [line.note for line in core.history(_number(core)) if line.kind == "alerted"]
    assert lines == ["险情第1次通知：甲（值班）", "险情第2次通知：甲（值班）"]


def test_it_needs_no_understanding_no_daylight_and_no_free_contact(core: Core, clock: VirtualClock) -> None:
    """Gas at three in the morning, understanding down, a contact who opted out and whom a person has taken over."""
    clock.current = datetime(2026, 11, 23, 19, 0, tzinfo=UTC)
    phone = member(core, "甲")
    on_duty(core, "甲")
    core.receive("你好")
    with core.services.database.transaction() as session:
        contact = session.query(Contact).filter(Contact.medium == "sms").first()
        assert contact is not None
        contact.opted_out_at = clock()
    core.interpreter.down = True
    core.receive("闻到很重的煤气味")
    pass_time(core, clock, SOON)
    assert len(heard(core, phone)) == 1


def test_a_danger_whose_turn_never_comes_is_alerted_by_its_own_words(core: Core, clock: VirtualClock) -> None:
    phone = member(core, "甲")
    on_duty(core, "甲")
    core.receive(GAS)
    clock.advance(SOON)
    worker.run_alerts(core.services)
    worker.run_deliveries(core.services)
    [text] = heard(core, phone)
    assert "煤气味" in text


def test_two_workers_tell_nobody_twice_of_one_step(core: Core, clock: VirtualClock) -> None:
    member(core, "甲")
    on_duty(core, "甲")
    for number in range(6):
        core.receive(GAS, sender=f"+861990000{number:04d}")
    clock.advance(SOON)
    together([lambda: alerts.run(core.services)] * 4)
    steps = core.rows(AlertStep)
    assert len(steps) == 6
    assert {step.step for step in steps} == {1}
    assert len({(row.contact_id, row.occasion) for row in core.rows(Delivery)}) == len(core.rows(Delivery)) == 6


def test_more_words_of_one_contact_are_one_alert(core: Core) -> None:
    phone = member(core, "甲")
    on_duty(core, "甲")
    for _ in range(3):
        core.say(GAS)
    work(core)
    assert len(heard(core, phone)) == 1
    assert len(core.rows(Alert)) == 1


def test_words_just_after_the_answer_call_nobody_again(core: Core, clock: VirtualClock) -> None:
    phone = member(core, "甲")
    on_duty(core, "甲")
    core.say(GAS)
    work(core)
    core.say("收到", sender=phone)
    clock.advance(timedelta(minutes=1))
    core.say(GAS)
    work(core)
    pass_time(core, clock, SOON)
    assert len(alarms(core, phone)) == 1
    clock.advance(timedelta(minutes=20))
    core.say(GAS)
    pass_time(core, clock, SOON)
    assert len(alarms(core, phone)) == 2


def test_nobody_answers_so_the_supervisor_is_told_and_the_resident_hears_the_hotline_once(
    core: Core, clock: VirtualClock
) -> None:
    member(core, "甲")
    supervisor = member(core, "主管", role="supervisor")
    on_duty(core, "甲")
    core.say(GAS)
    work(core)
    for _ in range(20):
        pass_time(core, clock, REPEAT)
    assert heard(core, supervisor)
    assert len([text for text in core.replies() if "还没人回应" in text]) == 1
    assert core.one(Alert).escalated_at is not None


def test_work_on_the_ticket_ends_it(core: Core, clock: VirtualClock) -> None:
    phone = member(core, "甲")
    on_duty(core, "甲")
    core.say(GAS)
    work(core)
    core.move(_number(core), "accepted")
    pass_time(core, clock, REPEAT)
    assert core.one(Alert).acknowledged_at is not None
    assert len(alarms(core, phone)) == 1


def test_who_comes_on_duty_meanwhile_is_called(core: Core, clock: VirtualClock) -> None:
    early, late = member(core, "甲"), member(core, "乙")
    on_duty(core, "甲", length=timedelta(minutes=1))
    on_duty(core, "乙", start=clock() + timedelta(minutes=1))
    core.say(GAS)
    work(core)
    pass_time(core, clock, REPEAT)
    assert (len(heard(core, early)), len(heard(core, late))) == (1, 1)


def test_the_areas_own_worker_is_called_where_nobody_is_on_duty(core: Core) -> None:
    phone = member(core, "甲")
    responsible(core, "阳光花园", "甲")
    core.say(GAS)
    work(core)
    assert len(heard(core, phone)) == 1


def test_a_drip_that_turns_into_a_burst_calls_people_then(core: Core) -> None:
    phone = member(core, "甲")
    on_duty(core, "甲")
    core.say("阳光花园3号楼2单元501漏水")
    work(core)
    assert not alarms(core, phone)
    core.say("1")
    work(core)
    assert len(alarms(core, phone)) == 1


@pytest.mark.parametrize(
    ("text", "alone"),
    [
        ("我今年八岁 爸妈不在家 暖气喷水了怎么办", True),
        ("家里就我一个人，我10岁，暖气漏水了", True),
        ("孩子一个人在家，打电话说暖气管爆了喷水", True),
        ("爸妈家暖气漏水了", False),
        ("我一个人在家，暖气漏水", False),
        ("孩子在家，暖气不热", False),
        ("我白天上班不在家，暖气漏水别来人", False),
    ],
)
def test_a_child_alone_is_known_by_rule(text: str, alone: bool) -> None:
    assert alerts.child_alone(text) is alone


def test_a_child_alone_calls_people_without_understanding(core: Core, clock: VirtualClock) -> None:
    phone = member(core, "甲")
    on_duty(core, "甲")
    core.interpreter.down = True
    core.receive("我八岁，爸妈不在家，暖气漏水好多")
    pass_time(core, clock, SOON)
    [text] = heard(core, phone)
    assert "孩子独自在家" in text


def test_a_cold_home_alerts_nobody(core: Core) -> None:
    phone = member(core, "甲")
    on_duty(core, "甲")
    core.open(address=HOME)
    work(core)
    assert core.rows(Alert) == []
    assert not alarms(core, phone)
