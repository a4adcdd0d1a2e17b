"""Outside the dated season: a cold report is answered with the date and opens when the resident insists."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

from bot.rules import _book, shipped
from handlers.dialogue.respond import respond
from handlers.dialogue.types import Address, Conversation, OpenTicket, Outcome, Turn
from nlu.places import default_gazetteer
from nlu.types import Understanding

HOME = Address("二七区", "阳光花园", "3", "2", "501", known=True)
BEFORE = date(2026, 10, 20)


def said(text: str, intent: str, conversation: Conversation, today: date = BEFORE) -> Outcome:
    """What follows from a text of a contact whose home is known, surely understood as `intent`."""
    understanding = Understanding(text, intent, 0.99, ((intent, 0.99),))
    return respond(
        Turn(
            understanding=understanding,
            channel="sms",
            received_at=datetime(today.year, today.month, today.day, 2, tzinfo=UTC),
            today=today,
            conversation=conversation,
            places=default_gazetteer(),
            rules=_book(shipped(), 1, "12345").dialogue,
            homes=(HOME,),
            phone="13812345678",
        )
    )


def keys(outcome: Outcome) -> list[str]:
    return [reply.key for reply in outcome.replies]


def opened(outcome: Outcome) -> list[str]:
    return [effect.case.intent for effect in outcome.effects if isinstance(effect, OpenTicket)]


def test_a_cold_report_before_the_season_is_answered_with_its_date() -> None:
    outcome = said("暖气不热", "no_heat", Conversation())
    assert keys(outcome) == ["cold.out_of_season"]
    assert outcome.replies[0].params == {"start": "11月15日", "end": "3月14日"}
    assert opened(outcome) == []


def test_a_one_opens_it_all_the_same() -> None:
    asked = said("暖气不热", "no_heat", Conversation()).conversation
    assert opened(said("1", "affirm", asked)) == ["no_heat"]


def test_insisting_in_words_opens_it() -> None:
    asked = said("屋里冷", "low_temperature", Conversation()).conversation
    for text, intent in (("还是要登记", "deny"), ("我就要报", "no_heat"), ("可是屋里真的冷", "low_temperature")):
        assert opened(said(text, intent, asked)) == ["low_temperature"], text


def test_a_no_drops_it() -> None:
    asked = said("暖气不热", "no_heat", Conversation()).conversation
    outcome = said("那算了", "deny", asked)
    assert keys(outcome) == ["collect.dropped"]
    assert opened(outcome) == []
    assert outcome.conversation.case is None


def test_a_leak_opens_in_any_season() -> None:
    assert opened(said("暖气管滴水", "leak", Conversation())) == ["leak"]
    asked = said("暖气不热", "no_heat", Conversation()).conversation
    assert opened(said("管子还漏水", "leak", asked)) == ["leak"]


def test_gas_is_answered_with_leaving_in_any_season() -> None:
    outcome = said("有煤气味", "danger", replace(Conversation(), waiting_for=None))
    assert keys(outcome)[0].startswith("danger.")
    assert opened(outcome) == ["danger"]


def test_within_the_season_nothing_is_said_of_it() -> None:
    outcome = said("暖气不热", "no_heat", Conversation(), date(2026, 11, 23))
    assert opened(outcome) == ["no_heat"]


def test_a_question_about_the_date_before_the_season_is_answered() -> None:
    outcome = said("今年几号供暖", "consult", Conversation())
    assert keys(outcome) == ["consult.season"]
