"""The worker: every task once, a failing one later, tickets to their teams, and silence in the middle of a report."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from bot import lapses, staff, worker
from bot.clock import VirtualClock
from bot.models import Callback, Contact, Conversation, Delivery, Task, Ticket
from bot.passive import PassiveMarker
from bot.worker import MAX_TASK_ATTEMPTS, TASK_LEASE, Worker
from handlers.dialogue.types import Address
from tests.bot.helpers import COLD_AT_HOME, HOME, Core, seconds_until, together

MINUTE = timedelta(minutes=1)
DISPATCH = Task.kind == "dispatch"


def tasks(core: Core) -> None:
    """One look at what is due."""
    worker.run_tasks(core.services)


# --- tasks


def test_a_ticket_is_given_to_the_team_of_its_address(core: Core) -> None:
    number = core.open()
    tasks(core)
    ticket = core.ticket(number)
    assert ticket.status == "dispatched"
    assert ticket.team_id is not None
    assert core.one(Task, DISPATCH).done_at is not None
    assert core.rows(Delivery) == []


def test_a_ticket_without_a_team_waits_for_a_person(core: Core) -> None:
    number = core.open(address=Address(community="谁也不知道的小区", building="1", room="101"))
    tasks(core)
    assert core.ticket(number).status == "received"


def test_tasks_run_once_however_many_workers_there_are(core: Core) -> None:
    for number in range(8):
        core.open(f"+861990000{number:04d}", home(number))
    together([lambda: tasks(core)] * 4)
    tasks(core)
    assert all(task.attempts == 1 and task.done_at for task in core.rows(Task, DISPATCH))
    moved = [line for ticket in core.rows(Ticket) for line in core.history(ticket.number) if line.kind == "moved"]
    assert len(moved) == 8


def home(number: int) -> Address:
    """The home of one of several residents."""
    return replace(HOME, room=f"{number + 1}01")


def test_urgent_tickets_are_dispatched_first(core: Core) -> None:
    core.open(address=home(1))
    core.open(address=home(2), intent="leak")
    assert [task.lane for task in core.rows(Task, DISPATCH)] == [1, 0]


def test_a_failing_task_is_tried_again_later_and_later(
    core: Core, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    core.open()

    def fail(*_args: Any) -> None:
        raise ValueError("told to fail")

    monkeypatch.setitem(worker.TASKS, "dispatch", fail)
    waits = []
    for _ in range(MAX_TASK_ATTEMPTS):
        tasks(core)
        task = core.one(Task, DISPATCH)
        waits.append(seconds_until(task.due_at))
        assert task.error == "ValueError"
        clock.advance(timedelta(seconds=waits[-1]))
    assert waits == sorted(set(waits))
    assert core.one(Task, DISPATCH).done_at is not None
    monkeypatch.undo()
    tasks(core)
    assert core.one(Task, DISPATCH).attempts == MAX_TASK_ATTEMPTS


def test_a_task_whose_worker_died_runs_again_after_its_lease(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    assert worker._claim_tasks(core.services)
    tasks(core)
    assert core.ticket(number).status == "received"
    clock.advance(TASK_LEASE)
    tasks(core)
    assert core.ticket(number).status == "dispatched"


def test_the_threads_do_what_comes_in_and_end(core: Core) -> None:
    received = core.receive("你好")
    running = Worker(core.services)
    running.start()
    done = threading.Event()
    for _ in range(100):
        if core.provider.sent:
            break
        done.wait(0.05)
    running.stop()
    assert core.one(Delivery).message_id == received.message_id
    assert len(core.provider.sent) == 1
    assert not any(thread.name.startswith("worker-") for thread in threading.enumerate())


# --- silence


def test_a_report_that_falls_silent_is_reminded_once_and_then_opened_for_a_call(
    core: Core, clock: VirtualClock
) -> None:
    core.say("不热")
    clock.advance(14 * MINUTE)
    tasks(core)
    assert len(core.replies()) == 1
    clock.advance(MINUTE)
    tasks(core)
    tasks(core)
    assert len(core.replies()) == 2
    assert "还差一点" in core.replies()[-1]
    clock.advance(14 * MINUTE)
    tasks(core)
    assert core.rows(Ticket) == []
    clock.advance(MINUTE)
    tasks(core)
    tasks(core)
    ticket = core.one(Ticket)
    assert ticket.incomplete
    assert ticket.number in core.replies()[-1]
    assert len(core.replies()) == 3
    assert {call.reason for call in core.rows(Callback)} == {"incomplete"}
    clock.advance(timedelta(hours=2))
    tasks(core)
    later = core.replies()[3:]  # nothing but that the promised call is late
    assert [text for text in later if "回电还没打" not in text] == []
    assert len(later) <= 1


def test_an_answer_after_the_reminder_goes_on_with_the_report(core: Core, clock: VirtualClock) -> None:
    core.say("不热")
    clock.advance(16 * MINUTE)
    tasks(core)
    core.say("阳光花园3号楼2单元501")
    assert core.one(Ticket).room == "501"
    clock.advance(timedelta(hours=1))
    tasks(core)
    assert not core.one(Ticket).incomplete


def test_the_next_silence_is_reminded_anew(core: Core, clock: VirtualClock) -> None:
    core.say("不热")
    clock.advance(15 * MINUTE)
    tasks(core)
    core.say("阳光花园")
    clock.advance(15 * MINUTE)
    tasks(core)
    assert sum("还差一点" in text for text in core.replies()) == 2


def test_a_finished_report_is_not_reminded(core: Core, clock: VirtualClock) -> None:
    core.say(COLD_AT_HOME)
    clock.advance(timedelta(hours=1))
    tasks(core)
    assert not any("还差一点" in text for text in core.replies())


def test_nobody_is_reminded_while_their_answer_waits_for_understanding(core: Core, clock: VirtualClock) -> None:
    core.say("不热")
    clock.advance(10 * MINUTE)
    core.interpreter.down = True
    core.say("阳光花园3号楼2单元501")
    clock.advance(25 * MINUTE)
    tasks(core)
    assert core.rows(Ticket) == []
    assert not any("还差一点" in text for text in core.replies())


def test_nobody_is_reminded_while_a_person_talks_with_them(core: Core, clock: VirtualClock) -> None:
    core.say("不热")
    with core.services.database.transaction() as session:
        account = staff.add(session, "小王", "correct horse battery", "agent", None)
        session.flush()
        session.execute(update(Contact).values(taken_over_by=account.id))
    clock.advance(timedelta(hours=1))
    worker.drain(core.services)
    assert len(core.replies()) == 1
    assert core.rows(Ticket) == []


def test_two_workers_remind_once(core: Core, clock: VirtualClock) -> None:
    core.say("不热")
    clock.advance(15 * MINUTE)
    together([lambda: tasks(core)] * 3)
    assert len(core.replies()) == 2


def test_a_conversation_that_cannot_be_read_holds_nothing_up(core: Core, clock: VirtualClock) -> None:
    core.say("不热")
    with core.services.database.transaction() as session:
        session.execute(update(Conversation).values(state="{"))
    number = core.open("+8619900004444")
    clock.advance(15 * MINUTE)
    tasks(core)
    assert core.ticket(number).status == "dispatched"
    assert core.conversation().lapses_at == clock() + lapses.LATER


# --- passive replies


def test_passive_replies_that_could_not_be_noted_are_noted_later(
    core: Core, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = core.say("你好", deadline=clock() + timedelta(seconds=4))
    assert answer is not None
    assert answer.delivery_id is not None
    marker = PassiveMarker(core.services.database)
    marker._ids = [answer.delivery_id]
    with monkeypatch.context() as away:
        away.setattr(core.services.database, "transaction", None)
        with pytest.raises(TypeError):
            marker.flush()
    assert core.one(Delivery).state == "sending"
    marker.flush()
    assert core.one(Delivery).state == "sent"
