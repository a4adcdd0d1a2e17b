"""Children, several homes in a message, and the questions after a ticket: what words mean, without the model."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from bot.rules import _book, shipped
from handlers.dialogue import child, several, taps
from handlers.dialogue.facts import case_from, shop_in
from handlers.dialogue.respond import respond
from handlers.dialogue.types import (
    AddNote,
    Address,
    Case,
    ChaseTicket,
    Conversation,
    EditTicket,
    OpenTicket,
    TicketView,
    Turn,
)
from handlers.dialogue.wording import place_line
from nlu.entities import extract
from nlu.places import default_gazetteer
from nlu.types import Understanding

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
PLACES = default_gazetteer()
RULES = _book(shipped(), 1, "12345").dialogue
HOME = Address("二七区", "阳光花园", "3", "2", "501", known=True)
MINE = TicketView("N20261123-0001", ("no_heat",), "dispatched", HOME, NOW, NOW, has_phone=True)
OTHERS = replace(MINE, address=Address(), has_phone=False, mine=False)


def turn(text: str, intent: str = "out_of_scope", sure: float = 0.9, **fields: object) -> Turn:
    understood = Understanding(text, intent, sure, ((intent, sure),), entities=tuple(extract(text, PLACES)))
    base = Turn(understood, "wechat", NOW, date(2026, 11, 23), Conversation(), PLACES, RULES, phone="13812345678")
    return replace(base, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("我8岁，家里漏水了", "self"),
        ("我妈不在家", "self"),
        ("爸妈都上班去了，我妈还没回来", "self"),
        ("我爸妈都不在家，水喷出来了", "self"),
        ("我上三年级，爸妈不在家", "self"),
        ("家里就孩子一个人在家", "there"),
        ("孩子自己在家，漏水了", "there"),
        ("只有小孩在家", "there"),
        ("我家孩子才8个月", None),
        ("家里有孩子，冷得很", None),
        ("我80岁了，一个人在家", None),
        ("孩子在家写作业冷得不行", None),
        ("我不在家，家里漏水", None),
    ],
)
def test_a_child_alone_is_known_by_words(text: str, who: str | None) -> None:
    assert child.alone(text) == who


def test_a_child_alone_with_cold_radiators_is_no_emergency() -> None:
    replies = respond(turn("阳光花园3号楼2单元501不热，孩子一个人在家", "no_heat")).replies
    assert not [reply for reply in replies if reply.key.startswith("child.")]


@pytest.mark.parametrize(
    ("text", "rooms"),
    [
        ("阳光花园3号楼2单元501、阳光花园5号楼1单元302不热", ["501", "302"]),
        ("阳光花园3号楼2单元501和5号楼1单元302都不热", ["501", "302"]),
        ("阳光花园3号楼2单元501不热", []),
        ("阳光花园3号楼2单元301、401、501都不热", []),
        ("阳光花园3号楼和5号楼都不热", []),
    ],
)
def test_homes_of_one_message(text: str, rooms: list[str]) -> None:
    homes = several.homes_in(extract(text, PLACES), PLACES)
    assert [home.room for home in homes] == rooms
    assert {home.community for home in homes} <= {"阳光花园"}


def test_a_leak_in_two_homes_is_one_ticket_at_once() -> None:
    outcome = respond(turn("阳光花园3号楼2单元501、阳光花园5号楼1单元302漏水", "leak"))
    assert len([effect for effect in outcome.effects if isinstance(effect, OpenTicket)]) == 1


@pytest.mark.parametrize(("text", "door"), [("底商3号", "底商3号"), ("5号门面房", "5号门面房"), ("3号楼501", None)])
def test_the_door_of_a_shop(text: str, door: str | None) -> None:
    assert shop_in(text) == door


@pytest.mark.parametrize(
    ("text", "others"),
    [
        ("租客电话13812345678", True),
        ("我妈的手机13812345678", True),
        ("我电话13812345678", False),
        ("13812345678", False),
    ],
)
def test_whose_phone_it_is(text: str, others: bool) -> None:
    assert case_from(turn(text), "no_heat").phone_of_other is others


def test_a_whole_building_stays_whole_whichever_door_is_told() -> None:
    assert place_line(Case("no_heat", address=HOME, scope="building")) == "阳光花园3号楼整栋"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1", "warm"),
        ("2", "cold"),
        ("都热", "warm"),
        ("邻居家也不热", "cold"),
        ("不知道", "unknown"),
        ("楼上楼下都热", "warm"),
    ],
)
def test_answers_about_the_neighbours(text: str, said: str) -> None:
    asked = Conversation(case=Case("no_heat", address=HOME), waiting_for="neighbours", ticket=MINE.number)
    outcome = taps.neighbours(turn(text, conversation=asked, tickets=(MINE,)))
    assert outcome is not None
    assert outcome.effects == (EditTicket(MINE.number, neighbours=said),)


@pytest.mark.parametrize("text", ["还是不热", "热了", "催一下", "又漏水了", "3号楼"])
def test_what_is_no_answer_about_the_neighbours(text: str) -> None:
    asked = Conversation(case=Case("no_heat", address=HOME), waiting_for="neighbours", ticket=MINE.number)
    assert taps.neighbours(turn(text, "not_resolved", conversation=asked, tickets=(MINE,))) is None


def test_a_repair_that_is_asked_about_goes_before_the_taps() -> None:
    done = replace(MINE, status="done")
    asked = Conversation(case=Case("no_heat", address=HOME), waiting_for="neighbours", ticket=done.number)
    replies = respond(turn("2", conversation=asked, tickets=(done,))).replies
    assert [reply.key for reply in replies] == ["not_resolved.reopened"]


@pytest.mark.parametrize("channel", ["wechat", "sms"])
def test_by_text_message_nothing_is_asked_after_the_ticket(channel: str) -> None:
    replies = respond(turn("阳光花园3号楼2单元501不热", "no_heat", channel=channel)).replies
    assert ("ask.neighbours" in [reply.key for reply in replies]) is (channel == "wechat")


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("进度", "ask_progress"),
        ("催一下", "urge"),
        ("热了", "confirm_resolved"),
        ("撤销", "cancel"),
        ("还是不热", "not_resolved"),
        ("暖气不热", "no_heat"),
        ("地址不对，是3号楼", "provide_info"),
        ("13912345678", "provide_info"),
        ("谢谢", "thanks"),
        ("好的", "affirm"),
    ],
)
def test_a_ticket_that_was_only_joined_is_never_told_of_and_never_changed(text: str, intent: str) -> None:
    outcome = respond(turn(text, intent, homes=(HOME,), joined=(OTHERS,)))
    assert not [reply for reply in outcome.replies if OTHERS.number in "".join(reply.params.values())]
    touched = [effect for effect in outcome.effects if getattr(effect, "number", None) == OTHERS.number]
    assert all(isinstance(effect, AddNote | ChaseTicket) for effect in touched)


@pytest.mark.parametrize(("noticed", "times"), [(False, 1), (True, 0)])
def test_the_notice_is_given_to_who_has_not_had_it(noticed: bool, times: int) -> None:
    replies = respond(turn("暖气不热", "no_heat", noticed=noticed)).replies
    assert [reply.key for reply in replies].count("privacy.notice") == times


@pytest.mark.parametrize(("intent", "danger"), [("leak", None), ("leak", "burst"), ("danger", "gas")])
def test_help_comes_before_the_notice(intent: str, danger: str | None) -> None:
    replies = respond(turn("阳光花园3号楼2单元501漏水，煤气味", intent, danger=danger, noticed=False)).replies
    assert "privacy.notice" not in [reply.key for reply in replies]
