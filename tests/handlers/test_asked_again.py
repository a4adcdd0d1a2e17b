"""What follows where the same is asked twice, where a neighbour answers 热了吗, and where a swindler asks for a code."""

from __future__ import annotations

from dataclasses import replace

import pytest

from handlers.dialogue.respond import respond
from handlers.dialogue.types import AskForPerson, Outcome
from tests.handlers.test_households import MINE, OTHERS, turn

DONE = replace(OTHERS, status="done")


def keys(outcome: Outcome) -> list[str]:
    return [reply.key for reply in outcome.replies]


def reasons(outcome: Outcome) -> list[str]:
    return [effect.reason for effect in outcome.effects if isinstance(effect, AskForPerson)]


def test_who_asks_the_same_once_more_is_promised_a_person_and_never_the_same_words() -> None:
    first = respond(turn("那到底能退多少", "billing", tickets=(MINE,)))
    again = respond(turn("能不能退一半", "billing", conversation=first.conversation, tickets=(MINE,)))
    third = respond(turn("给我全退", "billing", conversation=again.conversation, tickets=(MINE,)))
    assert [*keys(first), *keys(again), *keys(third)] == ["consult.answer", "consult.person", "consult.person_too"]
    assert (reasons(first), reasons(again)) == ([], ["question"])


def test_another_question_is_answered_in_its_own_words() -> None:
    first = respond(turn("那到底能退多少", "billing", tickets=(MINE,)))
    other = respond(turn("发票怎么开", "billing", conversation=first.conversation, tickets=(MINE,)))
    assert keys(other) == ["consult.answer"]
    assert other.replies != first.replies


@pytest.mark.parametrize("text", ["能不能退一半", "这样赔多少啊", "是不是该全退"])
def test_how_much_comes_back_is_a_question_of_money_whatever_it_was_taken_for(text: str) -> None:
    unsure = turn(text, "low_temperature", 0.49, tickets=(MINE,))
    unsure = replace(unsure, understanding=replace(unsure.understanding, threshold=0.6))
    assert keys(respond(unsure))[0] in ("consult.answer", "consult.person")


@pytest.mark.parametrize("text", ["他还要我把验证码发给他", "有人说能代缴，真的吗", "扫码交暖气费打折"])
def test_a_swindlers_wish_is_warned_of_whatever_it_was_taken_for(text: str) -> None:
    assert keys(respond(turn(text, "out_of_scope"))) == ["billing.fraud"]


@pytest.mark.parametrize("text", ["发个链接看看电影", "二维码贴电梯里了", "扫码加群领鸡蛋"])
def test_not_every_code_or_link_is_a_swindle(text: str) -> None:
    assert "billing.fraud" not in keys(respond(turn(text, "out_of_scope")))


def test_a_neighbour_who_was_asked_may_say_that_it_is_warm() -> None:
    assert keys(respond(turn("1", joined=(DONE,)))) == ["joined.told"]


@pytest.mark.parametrize(("text", "intent"), [("2", "out_of_scope"), ("我家还是不热", "no_heat")])
def test_a_neighbour_who_is_still_cold_after_the_repair_is_promised_a_person(text: str, intent: str) -> None:
    outcome = respond(turn(text, intent, joined=(DONE,)))
    assert keys(outcome) == ["joined.not_yet"]
    assert reasons(outcome) == ["chased"]


@pytest.mark.parametrize(("text", "intent"), [("好的", "affirm"), ("不用了", "deny")])
def test_a_bare_word_after_a_notice_answers_nothing_for_a_neighbour(text: str, intent: str) -> None:
    assert respond(turn(text, intent, joined=(DONE,))).effects == ()


def test_before_the_repair_a_number_of_a_neighbour_answers_nothing() -> None:
    assert keys(respond(turn("1", joined=(OTHERS,)))) != ["joined.told"]


@pytest.mark.parametrize("text", ["到底管不管", "有没有人管啊"])
def test_whether_anybody_cares_presses(text: str) -> None:
    assert keys(respond(turn(text, "deny", 0.4, tickets=(MINE,)))) == ["urge.noted"]


@pytest.mark.parametrize("text", ["骗人呢，根本没人来", "没来过人啊", "没见人上门"])
def test_nobody_came_after_it_was_said_to_be_repaired_sends_somebody(text: str) -> None:
    repaired = replace(MINE, status="done")
    assert keys(respond(turn(text, "out_of_scope", 0.4, tickets=(repaired,)))) == ["not_resolved.reopened"]
