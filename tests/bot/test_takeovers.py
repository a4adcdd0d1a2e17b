"""A person in the bot's place: silence but for dangers, one of two who reach for it, and the bot again after ten minutes."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from bot import staff, takeovers, worker
from bot.clock import VirtualClock
from bot.desk_models import Takeover
from bot.models import Contact, Delivery, Message, Ticket, Update
from tests.bot.helpers import COLD_AT_HOME, PHONE, Core, together

MINUTE = timedelta(minutes=1)


def account(core: Core, name: str = "小王") -> int:
    with core.services.database.transaction() as session:
        row = staff.add(session, name, "correct horse battery", "agent", None)
        session.flush()
        return row.id


def take(core: Core, staff_id: int, *, with_ticket: bool = False) -> None:
    """The account takes the only contact's conversation."""
    with core.services.database.transaction() as session:
        contact = takeovers.locked(session, core.one(Contact).id)
        assert contact is not None
        ticket = session.get(Ticket, core.one(Ticket).id) if with_ticket else None
        takeovers.take(core.services.context(session), contact, staff_id, ticket)


def write(core: Core, staff_id: int, text: str, nonce: str = "a1") -> None:
    """The account answers everything that has been said so far."""
    heard = max(row.id for row in core.rows(Message))
    with core.services.database.transaction() as session:
        contact = takeovers.locked(session, core.one(Contact).id)
        assert contact is not None
        takeovers.write(core.services.context(session), contact, staff_id, text, nonce=nonce, heard=heard)


def pass_time(core: Core, clock: VirtualClock, delta: timedelta) -> None:
    clock.advance(delta)
    worker.drain(core.services)


def holder(core: Core) -> int | None:
    return core.one(Contact).taken_over_by


def test_while_a_person_talks_the_bot_says_nothing_and_the_words_are_kept(core: Core, clock: VirtualClock) -> None:
    core.say("你好")
    take(core, account(core))
    clock.advance(MINUTE)
    assert core.say("多少钱") is None
    assert [row.text for row in core.rows(Message)] == ["你好", "多少钱"]
    assert len(core.replies()) == 1


@pytest.mark.parametrize("understanding_is_down", [False, True])
def test_a_danger_is_answered_at_once_whoever_talks(
    core: Core, clock: VirtualClock, understanding_is_down: bool
) -> None:
    core.say("你好")
    take(core, account(core))
    clock.advance(MINUTE)
    core.interpreter.down = understanding_is_down
    answer = core.say("阳光花园3号楼2单元501 闻到很重的煤气味")
    assert answer is not None
    assert "119" in answer.text
    assert core.one(Ticket).urgent
    assert holder(core) is not None


def test_a_persons_words_go_out_once_however_often_the_form_comes(core: Core, clock: VirtualClock) -> None:
    core.say("你好")
    agent = account(core)
    take(core, agent)
    for _ in range(2):
        write(core, agent, "您好，我是小王。")
    worker.drain(core.services)
    assert core.provider.texts.count("您好，我是小王。") == 1
    written = [row for row in core.rows(Delivery) if row.staff_id is not None]
    assert [(row.staff_id, row.kind) for row in written] == [(agent, "reply")]


def test_after_ten_silent_minutes_the_bot_has_it_again_and_answers_what_nobody_answered(
    core: Core, clock: VirtualClock
) -> None:
    core.say("你好")
    take(core, account(core))
    clock.advance(MINUTE)
    core.say(COLD_AT_HOME)
    pass_time(core, clock, 8 * MINUTE)
    assert core.rows(Ticket) == []
    pass_time(core, clock, MINUTE)
    assert holder(core) is None
    assert core.one(Ticket).intent == "no_heat"
    assert len(core.replies()) == 2
    ended = core.one(Takeover)
    assert (ended.ending, ended.ended_by, ended.ended_at) == ("silent", None, clock())


def test_every_word_of_the_person_gives_ten_minutes_more(core: Core, clock: VirtualClock) -> None:
    core.say("你好")
    agent = account(core)
    take(core, agent)
    pass_time(core, clock, 9 * MINUTE)
    write(core, agent, "我查一下。")
    pass_time(core, clock, 9 * MINUTE)
    assert holder(core) == agent
    pass_time(core, clock, MINUTE)
    assert holder(core) is None


def test_what_the_person_answered_is_not_answered_again(core: Core, clock: VirtualClock) -> None:
    core.say("你好")
    agent = account(core)
    take(core, agent)
    clock.advance(MINUTE)
    core.say("多少钱")
    write(core, agent, "一平米五块七。")
    before = len(core.rows(Delivery))
    pass_time(core, clock, 11 * MINUTE)
    assert holder(core) is None
    assert len(core.rows(Delivery)) == before


def test_a_danger_is_not_answered_a_second_time_when_the_bot_has_it_again(core: Core, clock: VirtualClock) -> None:
    core.say("你好")
    take(core, account(core))
    clock.advance(MINUTE)
    core.say("阳光花园3号楼2单元501 闻到很重的煤气味")
    first = [row.occasion for row in core.rows(Delivery) if row.occasion.startswith("message:")]
    pass_time(core, clock, 10 * MINUTE)
    assert [row.occasion for row in core.rows(Delivery) if row.occasion.startswith("message:")] == first


def test_the_ticket_tells_who_had_the_conversation_from_when_until_when(core: Core, clock: VirtualClock) -> None:
    core.say(COLD_AT_HOME)
    agent = account(core)
    clock.advance(MINUTE)
    take(core, agent, with_ticket=True)
    write(core, agent, "师傅马上到。")
    pass_time(core, clock, 10 * MINUTE)
    lines = [(row.kind, row.staff_id) for row in core.rows(Update) if row.kind in ("taken", "replied", "gave_back")]
    assert lines == [("taken", agent), ("replied", agent), ("gave_back", None)]


def test_of_two_who_reach_for_a_conversation_one_has_it_and_the_other_cannot_write(
    core: Core, clock: VirtualClock
) -> None:
    core.say("你好")
    first, second = account(core), account(core, "小李")
    together([lambda: take(core, first), lambda: take(core, second)])
    has = holder(core)
    other = ({first, second} - {has}).pop()
    assert len([row for row in core.rows(Takeover) if row.ended_at is None]) == 1
    with pytest.raises(takeovers.NotYours):
        write(core, other, "我来。")


def test_whoever_takes_over_from_a_colleague_has_what_was_unanswered(core: Core, clock: VirtualClock) -> None:
    core.say("你好")
    take(core, account(core))
    clock.advance(MINUTE)
    core.say("多少钱")
    take(core, account(core, "小李"))
    pass_time(core, clock, 10 * MINUTE)
    assert [row.ending for row in core.rows(Takeover)] == ["passed", "silent"]
    assert len(core.replies()) == 2


def test_a_call_that_nobody_made_ends_a_persons_turn_by_the_same_door(core: Core, clock: VirtualClock) -> None:
    core.say("转人工")
    agent = account(core)
    take(core, agent)
    for number in range(4):
        write(core, agent, "请稍等。", nonce=f"b{number}")
        pass_time(core, clock, 8 * MINUTE)
    assert [row.ending for row in core.rows(Takeover)] == ["late"]
    assert holder(core) is None


def test_ten_minutes_are_a_rule(core: Core) -> None:
    assert core.services.rules.current().raw["desk"]["silent_minutes"] == 10


def test_an_account_that_is_named_without_a_turn_is_forgotten_by_giving_back(core: Core) -> None:
    core.say("你好", sender=PHONE)
    agent = account(core)
    with core.services.database.transaction() as session:
        session.execute(update(Contact).values(taken_over_by=agent))
        contact = takeovers.locked(session, core.one(Contact).id)
        assert contact is not None
        assert not takeovers.give_back(core.services.context(session), contact, "returned", agent)
    assert holder(core) is None
