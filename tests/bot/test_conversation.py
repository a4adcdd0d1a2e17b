"""Every message is answered once, whatever understanding, handlers and other workers do meanwhile."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from bot import conversation, inbox, staff, worker
from bot.clock import VirtualClock
from bot.inbox import LEASE
from bot.models import Callback, Contact, Conversation, Delivery, Message, Review, Ticket
from handlers.dialogue import respond as dialogue
from handlers.dialogue.types import Outcome, Turn
from tests.bot.helpers import COLD_AT_HOME, PHONE, Core

SECOND = timedelta(seconds=1)
WORDLESS: dict[str, Any] = {"channel": "wechat", "medium": "wechat"}


def break_handlers(monkeypatch: pytest.MonkeyPatch, times: int = 1_000_000) -> list[str]:
    """Let the dialogue raise for the next messages; returns the list of the texts it was given."""
    seen: list[str] = []
    right = dialogue.respond

    def respond(turn: Turn) -> Outcome:
        seen.append(turn.text)
        if len(seen) <= times:
            raise ValueError("told to fail")
        return right(turn)

    monkeypatch.setattr(conversation, "respond", respond)
    return seen


def run_for(core: Core, clock: VirtualClock, seconds: int) -> None:
    """Let the worker work for a while, a look a second."""
    for _ in range(seconds):
        clock.advance(SECOND)
        core.work()


def take_over(core: Core) -> None:
    """A person of the desk talks with every contact from now on."""
    with core.services.database.transaction() as session:
        account = staff.add(session, "小王", "correct horse battery", "agent", None)
        session.flush()
        session.execute(update(Contact).values(taken_over_by=account.id))


# --- answers


def test_every_message_has_one_answer(core: Core, clock: VirtualClock) -> None:
    for text in ("你好", COLD_AT_HOME, "谢谢"):
        core.say(text)
        clock.advance(timedelta(minutes=1))
    messages, deliveries = core.rows(Message), core.rows(Delivery)
    assert [row.message_id for row in deliveries] == [row.id for row in messages]
    assert all(message.handled_at for message in messages)


def test_what_a_message_was_taken_for_is_kept_beside_it(core: Core) -> None:
    core.say(COLD_AT_HOME)
    message = core.one(Message)
    assert (message.intent, message.confidence, message.model) == ("no_heat", 0.97, "scripted")
    assert '"阳光花园"' in (message.understanding or "")
    assert message.ticket_id == core.one(Ticket).id


def test_an_answer_before_the_deadline_rides_in_the_response(core: Core, clock: VirtualClock) -> None:
    answer = core.say("你好", deadline=clock() + 4 * SECOND)
    assert answer is not None
    assert answer.passive
    delivery = core.one(Delivery)
    assert (delivery.id, delivery.state, delivery.via) == (answer.delivery_id, "sending", "passive")


def test_an_answer_after_the_deadline_goes_through_the_outbox(core: Core, clock: VirtualClock) -> None:
    core.interpreter.before = lambda text: clock.advance(5 * SECOND)
    answer = core.say("你好", deadline=clock() + 4 * SECOND)
    assert answer is not None
    assert not answer.passive
    assert core.one(Delivery).state == "queued"
    worker.run_deliveries(core.services)
    assert core.provider.texts == [answer.text]


def test_a_lost_lease_records_nothing(core: Core, clock: VirtualClock) -> None:
    def somebody_else(text: str) -> None:
        core.interpreter.before = None
        clock.advance(LEASE)
        core.work()

    core.interpreter.before = somebody_else
    assert core.say(COLD_AT_HOME) is None
    assert len(core.rows(Delivery)) == len(core.rows(Ticket)) == 1


def test_a_message_that_somebody_handled_meanwhile_is_not_handled_twice(core: Core) -> None:
    received = core.receive(COLD_AT_HOME, claim=True)
    assert received.claim is not None
    conversation.handle(core.services, received.claim)
    with core.services.database.transaction() as session:  # as if the lease had come back to the same token
        contact = session.get_one(Contact, received.contact_id)
        contact.lease_token, contact.lease_until = received.claim.token, received.claim.until
    assert conversation.handle(core.services, received.claim) is None
    assert len(core.rows(Delivery)) == 1


def test_while_a_person_talks_the_bot_is_silent_and_the_message_is_kept(core: Core, clock: VirtualClock) -> None:
    core.say("你好")
    take_over(core)
    clock.advance(timedelta(minutes=1))
    assert core.say(COLD_AT_HOME) is None
    assert len(core.rows(Delivery)) == 1
    assert core.rows(Ticket) == []
    assert core.rows(Message)[-1].handled_at is not None


def test_the_bot_is_silent_for_a_person_with_understanding_down_too(core: Core, clock: VirtualClock) -> None:
    core.say("你好")
    take_over(core)
    core.interpreter.down = True
    clock.advance(timedelta(minutes=1))
    assert core.say("在吗") is None
    assert len(core.rows(Delivery)) == 1


def test_the_bot_is_silent_for_a_person_when_a_turn_fails_too(core: Core, clock: VirtualClock) -> None:
    core.say("你好")
    take_over(core)
    core.interpreter.error = ValueError("told to fail")
    clock.advance(timedelta(minutes=1))
    core.receive("在吗")
    run_for(core, clock, 12)
    assert len(core.rows(Delivery)) == 1
    assert core.one(Review).reason == "failed"


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("image", "照片"),
        ("voice", "语音"),
        ("location", "位置"),
        ("link", "看不懂"),
        ("other", "看不懂"),
        ("follow", "您好"),
    ],
)
def test_what_has_no_words_is_answered_by_its_kind(core: Core, kind: str, words: str) -> None:
    answer = core.say("", kind=kind, **WORDLESS)
    assert answer is not None
    assert words in answer.text


@pytest.mark.parametrize("kind", ["unfollow", "report", "other_event"])
def test_events_that_want_no_answer_get_none(core: Core, kind: str) -> None:
    assert core.say("", kind=kind, **WORDLESS) is None
    assert core.one(Message).handled_at is not None


def test_a_transcribed_voice_message_is_understood(core: Core) -> None:
    core.say(COLD_AT_HOME, kind="voice", **WORDLESS)
    assert core.one(Ticket).room == "501"


@pytest.mark.parametrize("text", ["", " ", "\n", "\u3000", "\u200b"])
def test_a_blank_text_is_answered(core: Core, text: str) -> None:
    assert core.say(text)


# --- understanding is down


def test_with_understanding_down_a_resident_hears_once_that_it_has_arrived(core: Core, clock: VirtualClock) -> None:
    core.interpreter.down = True
    first = core.say(COLD_AT_HOME)
    assert first is not None
    assert "已收到" in first.text
    run_for(core, clock, 20)
    core.receive("在吗")
    run_for(core, clock, 20)
    assert len(core.rows(Delivery)) == 1


def test_a_message_is_answered_when_understanding_is_back(core: Core, clock: VirtualClock) -> None:
    core.interpreter.down = True
    core.say(COLD_AT_HOME)
    run_for(core, clock, 10)
    core.interpreter.down = False
    run_for(core, clock, 4)
    assert core.one(Message).handled_at is not None
    assert core.one(Ticket).number in core.replies()[-1]
    assert len(core.replies()) == 2


def test_an_outage_of_understanding_counts_as_no_failure(core: Core, clock: VirtualClock) -> None:
    core.interpreter.down = True
    core.say(COLD_AT_HOME)
    run_for(core, clock, 120)
    assert core.rows(Review) == []
    assert core.one(Message).attempts == 0


def test_the_next_outage_is_told_again(core: Core, clock: VirtualClock) -> None:
    for minute in range(2):
        core.interpreter.down = True
        core.say(f"不热{minute}")
        core.interpreter.down = False
        run_for(core, clock, 60)
    assert sum("已收到" in text for text in core.replies()) == 2


@pytest.mark.parametrize(
    ("text", "words", "intent"),
    [("楼道里有很大煤气味", "119", "danger"), ("暖气管爆了喷水，阳光花园3号楼2单元501", "别靠近", "leak")],
)
def test_danger_and_bursts_are_answered_by_rule_meanwhile(core: Core, text: str, words: str, intent: str) -> None:
    core.interpreter.down = True
    answer = core.say(text)
    assert answer is not None
    assert words in answer.text
    ticket = core.one(Ticket)
    assert (ticket.intent, ticket.urgent, ticket.priority) == (intent, True, 1)
    assert core.one(Message).model == "rules"
    assert core.one(Delivery).kind == "urgent"


def test_danger_overtakes_what_waits_for_understanding(core: Core, clock: VirtualClock) -> None:
    core.interpreter.down = True
    core.say("不热")
    clock.advance(SECOND)
    core.receive("家里有煤气味")
    core.work()
    assert "119" in core.replies()[-1]


# --- failures


def test_a_turn_that_fails_once_is_tried_again(
    core: Core, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_handlers(monkeypatch, times=1)
    assert core.say(COLD_AT_HOME) is None
    assert core.rows(Delivery) == []
    run_for(core, clock, 3)
    assert len(core.rows(Delivery)) == len(core.rows(Ticket)) == 1


def test_after_three_failures_a_person_will_look_and_the_queue_moves_on(
    core: Core, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = break_handlers(monkeypatch, times=3)
    core.receive("不热")
    core.work()
    run_for(core, clock, 10)
    assert len(seen) == 3
    assert core.one(Review).reason == "failed"
    assert core.one(Delivery).keys == ["system.person_will_look"]
    assert core.say("你好")


def test_what_understanding_itself_chokes_on_becomes_a_review_too(core: Core, clock: VirtualClock) -> None:
    core.interpreter.error = ValueError("told to fail")
    core.receive("不热")
    for _ in range(10):
        clock.advance(SECOND)
        worker.run_messages(core.services)
    assert core.one(Review).reason == "failed"
    assert core.one(Message).handled_at is not None
    core.interpreter.error = None
    assert core.say("你好")


def test_a_message_that_breaks_the_worker_does_not_hold_up_the_others(
    core: Core, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = conversation.handle

    def handle(services: Any, claim: inbox.Claim, *args: Any) -> Any:
        if claim.contact_id == bad.contact_id:
            raise OSError("told to fail")
        return right(services, claim, *args)

    bad = core.receive("不热")
    core.receive("你好", sender="+8619900005678")
    monkeypatch.setattr(conversation, "handle", handle)
    worker.run_messages(core.services)
    assert core.replies("+8619900005678")


def test_a_failed_turn_leaves_nothing_half_done(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    def settle(*_args: Any, **_how: Any) -> None:
        raise RuntimeError("told to fail")

    monkeypatch.setattr(conversation, "_mark_handled", settle)
    core.say(COLD_AT_HOME)
    for model in (Ticket, Delivery, Conversation, Callback):
        assert core.rows(model) == []


def test_failures_of_a_burst_are_one_failure_for_the_resident(
    core: Core, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_handlers(monkeypatch)
    for _ in range(3):
        core.receive("不热")
    run_for(core, clock, 20)
    assert len(core.rows(Review)) == 3
    assert len(core.rows(Delivery)) == 1


# --- the conversation


def test_a_report_in_pieces_opens_one_ticket(core: Core, clock: VirtualClock) -> None:
    for text in ("不热", "阳光花园", "3号楼2单元", "501"):
        core.say(text)
        clock.advance(timedelta(seconds=20))
    ticket = core.one(Ticket)
    assert (ticket.community, ticket.building, ticket.unit, ticket.room) == ("阳光花园", "3", "2", "501")
    assert ticket.phone == PHONE
    assert ticket.number in core.replies()[-1]


def test_after_half_an_hour_of_silence_a_conversation_begins_anew(core: Core, clock: VirtualClock) -> None:
    core.say("不热")
    clock.advance(timedelta(minutes=30))
    core.say("501")
    assert "501" not in str([ticket.room for ticket in core.rows(Ticket)])


def test_a_conversation_of_an_older_version_can_still_be_read(core: Core, clock: VirtualClock) -> None:
    core.say("不热")
    with core.services.database.transaction() as session:
        row = session.get_one(Conversation, core.one(Contact).id)
        row.state = row.state[:-1] + ',"forgotten":1}'
    clock.advance(timedelta(minutes=1))
    assert core.say("阳光花园3号楼2单元501")
    assert core.one(Ticket).room == "501"
