"""Promised calls that nobody made: the supervisor hears, the bot speaks again, the resident is told once, the call stays owed."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from bot import calls, staff, worker
from bot.clock import VirtualClock
from bot.duty_models import Alert
from bot.models import Callback, Contact, Ticket
from tests.bot.duty import heard, member, on_duty
from tests.bot.helpers import PHONE, Core, together

LATE = timedelta(minutes=31)


def pass_time(core: Core, clock: VirtualClock, delta: timedelta) -> None:
    clock.advance(delta)
    worker.drain(core.services)


def late_words(core: Core, sender: str = PHONE) -> list[str]:
    return [text for text in core.replies(sender) if "回电还没打" in text]


def test_a_late_call_is_told_to_the_supervisor_and_to_the_resident_once_and_stays_owed(
    core: Core, clock: VirtualClock
) -> None:
    supervisor = member(core, "管", role="supervisor")
    core.say("转人工")
    worker.drain(core.services)
    pass_time(core, clock, LATE)
    pass_time(core, clock, timedelta(hours=5))
    assert len(late_words(core)) == 1
    assert len([text for text in heard(core, supervisor) if "回电过时" in text]) == 1
    owed = core.one(Callback)
    assert owed.done_at is None
    assert owed.escalated_at is not None


@pytest.mark.parametrize("reason", ["question", "chased", "complaint"])
def test_whatever_the_call_was_promised_for_they_hear_that_it_is_late(
    core: Core, clock: VirtualClock, reason: str
) -> None:
    core.say("你好")
    with core.services.database.transaction() as session:
        calls.owe(core.services.context(session), core.one(Contact).id, reason)
    pass_time(core, clock, LATE)
    assert len(late_words(core)) == 1


def test_a_call_made_in_time_is_told_to_nobody(core: Core, clock: VirtualClock) -> None:
    supervisor = member(core, "管", role="supervisor")
    core.say("转人工")
    with core.services.database.transaction() as session:
        session.execute(update(Callback).values(done_at=clock()))
    pass_time(core, clock, LATE)
    assert late_words(core) == []
    assert heard(core, supervisor) == []


def test_many_late_calls_are_one_text_for_the_supervisor(core: Core, clock: VirtualClock) -> None:
    supervisor = member(core, "管", role="supervisor")
    for number in range(5):
        core.say("转人工", sender=f"+861990000{number:04d}")
    clock.advance(LATE)
    together([lambda: worker.run_tasks(core.services)] * 4)
    worker.drain(core.services)
    [text] = heard(core, supervisor)
    assert "5个" in text


def test_the_bot_speaks_again_when_the_person_who_took_over_did_not_call(core: Core, clock: VirtualClock) -> None:
    core.say("转人工")
    with core.services.database.transaction() as session:
        account = staff.add(session, "小王", "correct horse battery", "agent")
        session.execute(update(Contact).values(taken_over_by=account.id))
    pass_time(core, clock, LATE)
    assert core.say("你好") is not None


def test_a_danger_that_was_acknowledged_and_not_called_calls_people_again(core: Core, clock: VirtualClock) -> None:
    phone = member(core, "甲")
    on_duty(core, "甲")
    core.say("阳光花园3号楼2单元501 闻到很重的煤气味")
    worker.drain(core.services)
    core.say("收到", sender=phone)
    pass_time(core, clock, timedelta(minutes=16))
    assert [alert.kind for alert in core.rows(Alert)] == ["gas", "uncontacted"]
    assert len([text for text in heard(core, phone) if text.startswith("险情")]) == 2


def test_a_crew_on_its_way_has_reached_the_resident(core: Core, clock: VirtualClock) -> None:
    phone = member(core, "甲")
    on_duty(core, "甲")
    core.say("阳光花园3号楼2单元501 闻到很重的煤气味")
    worker.drain(core.services)
    core.say("收到", sender=phone)
    core.move(core.one(Ticket).number, "on_site")
    pass_time(core, clock, timedelta(minutes=16))
    assert len(core.rows(Alert)) == 1
