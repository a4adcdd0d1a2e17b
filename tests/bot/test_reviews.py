"""Which messages become reviews and in which order, and what a verdict does to the live case."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from bot import clock, reviews, tickets, verdicts
from bot.change import Actor
from bot.clock import VirtualClock
from bot.models import Callback, Delivery, Message, Review, Staff, Ticket
from bot.verdicts import Judgement, kappa
from bot.worker import run_deliveries
from tests.bot.helpers import COLD_AT_HOME, Core


def gather(core: Core) -> None:
    clock_before = clock.now()
    reviews.run(core.services)
    assert clock.now() == clock_before


def reviewer(core: Core, name: str = "小核") -> int:
    with core.services.database.transaction() as session:
        row = Staff(name=name, password_hash="x", role="reviewer", active=True, created_at=clock.now())
        session.add(row)
        session.flush()
        return row.id


def file(core: Core, text: str, reason: str = "unsure") -> int:
    """A review of the message with this text."""
    message = next(m for m in core.rows(Message) if m.text == text)
    with core.services.database.transaction() as session:
        row = Review(
            message_id=message.id,
            reason=reason,
            guess=message.intent,
            confidence=message.confidence,
            created_at=clock.now(),
        )
        session.add(row)
        session.flush()
        return row.id


def judge(core: Core, review_id: int, intent: str, staff_id: int, also: tuple[str, ...] = ()) -> Review:
    with core.services.database.transaction() as session:
        context = core.services.context(session)
        places = core.services.gazetteer.current()
        done = verdicts.decide(context, review_id, staff_id, Judgement.of(intent, also), places)
        assert done is not None
        session.flush()
        session.expunge_all()
        return done


def take_back(core: Core, review_id: int, staff_id: int) -> bool:
    with core.services.database.transaction() as session:
        return verdicts.withdraw(core.services.context(session), review_id, staff_id)


def told(core: Core, review_id: int) -> list[str]:
    return [row.text for row in core.rows(Delivery, Delivery.occasion == f"review:{review_id}")]


# --- what becomes a review


def test_the_message_before_a_contradiction_is_reviewed(core: Core) -> None:
    core.say("暖气片有点响")
    core.say("你理解错了吧")
    gather(core)
    review = core.one(Review, Review.reason == "contradicted")
    assert review.message.text == "暖气片有点响"
    assert review.worth is not None


def test_a_contradiction_is_found_once(core: Core, clock: VirtualClock) -> None:
    core.say("暖气片有点响")
    core.say("你理解错了吧")
    gather(core)
    clock.advance(timedelta(minutes=2))
    gather(core)
    assert len(core.rows(Review, Review.reason == "contradicted")) == 1


def test_a_day_has_one_sample_of_sure_predictions(core: Core, clock: VirtualClock) -> None:
    for tail in range(3):
        core.say("谢谢", sender=f"+861990000123{tail}")
    gather(core)
    assert {row.reason for row in core.rows(Review)} == {"sample"}
    count = len(core.rows(Review))
    core.say("你好")
    clock.advance(timedelta(minutes=2))
    gather(core)
    assert len(core.rows(Review)) == count
    clock.advance(timedelta(hours=20))
    gather(core)
    assert len(core.rows(Review)) == count + 1


def test_what_staff_retype_becomes_a_candidate(core: Core) -> None:
    core.say(COLD_AT_HOME)
    number = core.one(Ticket).number
    with core.services.database.transaction() as session:
        ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
        tickets.retype(core.services.context(session), ticket, "leak", Actor("staff"))
    gather(core)
    review = core.one(Review, Review.reason == "desk")
    assert (review.guess, review.candidate, review.verdict) == ("no_heat", "leak", None)


def test_a_judged_message_is_never_filed_again(core: Core, clock: VirtualClock) -> None:
    core.say("暖气片有点响")
    review_id = file(core, "暖气片有点响")
    judge(core, review_id, "out_of_scope", reviewer(core))
    core.say("你理解错了吧")
    gather(core)
    assert core.one(Review, Review.id == review_id).reason == "unsure"
    with core.services.database.reading() as session:
        assert reviews.following(session, 0) != review_id


def test_the_worthiest_comes_first() -> None:
    rules = {
        "uncertainty": 10.0,
        "cost": 0.3,
        "costs": {"leak": 8, "*": 1},
        "novelty": 2.0,
        "alike": 0.5,
        "alike_most": 6,
        "reasons": {"contradicted": 5.0},
    }
    unsure = Review(guess="consult", reason="unsure")
    contradicted = Review(guess="consult", reason="contradicted")
    near_leak = reviews.worth(rules, unsure, [("consult", 0.5), ("leak", 0.5)], 0.5, 0)
    near_thanks = reviews.worth(rules, unsure, [("consult", 0.5), ("thanks", 0.5)], 0.5, 0)
    sure = reviews.worth(rules, unsure, [("consult", 0.99), ("leak", 0.01)], 0.5, 0)
    strange = reviews.worth(rules, unsure, [("consult", 0.99), ("leak", 0.01)], 1.0, 0)
    many = reviews.worth(rules, unsure, [("consult", 0.99), ("leak", 0.01)], 0.5, 4)
    said_so = reviews.worth(rules, contradicted, [("consult", 0.99), ("leak", 0.01)], 0.5, 0)
    assert near_leak > near_thanks > sure
    assert min(strange, many, said_so) > sure


# --- what a verdict does


def test_a_verdict_retypes_the_ticket_and_the_resident_hears_it_once(core: Core, clock: VirtualClock) -> None:
    core.say(COLD_AT_HOME)
    staff_id, review_id = reviewer(core), file(core, COLD_AT_HOME)
    done = judge(core, review_id, "leak", staff_id)
    ticket = core.one(Ticket)
    assert (done.repair, ticket.intent, ticket.urgent) == ("retyped", "leak", True)
    before = len(core.provider.sent)
    clock.advance(timedelta(minutes=2))
    run_deliveries(core.services)
    run_deliveries(core.services)
    (text,) = [t for t in core.provider.texts[before:] if "弄错" in t]
    assert "漏水" in text
    assert ticket.number in text


def test_the_telling_waits_so_that_a_verdict_can_be_taken_back(core: Core, clock: VirtualClock) -> None:
    core.say(COLD_AT_HOME)
    staff_id, review_id = reviewer(core), file(core, COLD_AT_HOME)
    judge(core, review_id, "leak", staff_id)
    run_deliveries(core.services)
    assert take_back(core, review_id, staff_id)
    ticket = core.one(Ticket)
    assert (ticket.intent, ticket.urgent) == ("no_heat", False)
    assert told(core, review_id) == []
    judge(core, review_id, "other_repair", staff_id)
    assert len(told(core, review_id)) == 1


def test_what_the_resident_has_heard_is_not_taken_back(core: Core, clock: VirtualClock) -> None:
    core.say(COLD_AT_HOME)
    staff_id, review_id = reviewer(core), file(core, COLD_AT_HOME)
    judge(core, review_id, "leak", staff_id)
    clock.advance(timedelta(minutes=2))
    run_deliveries(core.services)
    assert not take_back(core, review_id, staff_id)
    assert core.one(Ticket).intent == "leak"
    assert core.one(Review, Review.id == review_id).verdict == "leak"


def test_a_report_nobody_made_is_withdrawn(core: Core) -> None:
    core.say(COLD_AT_HOME)
    staff_id, review_id = reviewer(core), file(core, COLD_AT_HOME)
    assert judge(core, review_id, "out_of_scope", staff_id).repair == "withdrawn"
    ticket = core.one(Ticket)
    assert (ticket.status, ticket.resolution) == ("cancelled", "withdrawn")
    (text,) = told(core, review_id)
    assert ticket.number in text
    assert take_back(core, review_id, staff_id)
    assert core.one(Ticket).closed_at is None


def test_an_urgent_report_is_never_withdrawn_by_a_verdict_but_called_about(core: Core) -> None:
    core.say("阳光花园3号楼2单元501，漏水")
    review_id = file(core, "阳光花园3号楼2单元501，漏水")
    assert judge(core, review_id, "out_of_scope", reviewer(core)).repair == "called"
    assert core.one(Ticket).closed_at is None
    assert core.rows(Callback, Callback.reason == "review")


def test_a_report_whose_work_has_begun_is_not_withdrawn(core: Core) -> None:
    core.say(COLD_AT_HOME)
    core.move(core.one(Ticket).number, "dispatched", "accepted")
    review_id = file(core, COLD_AT_HOME)
    assert judge(core, review_id, "out_of_scope", reviewer(core)).repair == "called"
    assert core.one(Ticket).status == "accepted"


def test_a_missed_leak_opens_a_ticket_and_its_resident_is_told(core: Core) -> None:
    text = "阳光花园3号楼2单元501，管子底下湿哒哒"
    core.say(text)
    assert core.rows(Ticket) == []
    staff_id, review_id = reviewer(core), file(core, text)
    assert judge(core, review_id, "leak", staff_id).repair == "opened"
    ticket = core.one(Ticket)
    assert (ticket.intent, ticket.community, ticket.room) == ("leak", "阳光花园", "501")
    (said,) = told(core, review_id)
    assert "没听懂" in said
    assert ticket.number in said
    assert core.one(Message).ticket_id == ticket.id


def test_a_ticket_that_a_verdict_opened_is_cancelled_when_it_is_taken_back(core: Core) -> None:
    text = "阳光花园3号楼2单元501，管子底下湿哒哒"
    core.say(text)
    staff_id, review_id = reviewer(core), file(core, text)
    judge(core, review_id, "leak", staff_id)
    assert take_back(core, review_id, staff_id)
    assert core.one(Ticket).status == "cancelled"
    assert told(core, review_id) == []


def test_a_report_missed_for_more_than_a_day_becomes_a_call(core: Core, clock: VirtualClock) -> None:
    text = "阳光花园3号楼2单元501，摸着跟冰似的"
    core.say(text)
    review_id = file(core, text)
    clock.advance(timedelta(hours=25))
    assert judge(core, review_id, "no_heat", reviewer(core)).repair == "called"
    assert core.rows(Ticket) == []
    assert told(core, review_id) == []
    owed = core.one(Callback, Callback.reason == "review")
    assert owed.message_id == core.one(Message).id


def test_a_missed_report_that_was_made_again_since_is_left_alone(core: Core) -> None:
    core.say("摸着跟冰似的")
    core.say(COLD_AT_HOME)
    review_id = file(core, "摸着跟冰似的")
    assert judge(core, review_id, "no_heat", reviewer(core)).repair is None
    assert len(core.rows(Ticket)) == 1
    assert told(core, review_id) == []


def test_a_correct_guess_changes_nothing(core: Core) -> None:
    core.say(COLD_AT_HOME)
    review_id = file(core, COLD_AT_HOME, "sample")
    assert judge(core, review_id, "no_heat", reviewer(core)).repair is None
    assert told(core, review_id) == []


def test_a_further_problem_is_noted_on_the_ticket(core: Core) -> None:
    core.say(COLD_AT_HOME)
    review_id = file(core, COLD_AT_HOME)
    assert judge(core, review_id, "no_heat", reviewer(core), ("leak",)).repair == "noted"
    assert any("漏水" in (row.note or "") for row in core.history(core.one(Ticket).number))


def test_the_question_about_a_misread_message_is_taken_back(core: Core) -> None:
    core.say("楼上半夜装修不热闹")  # "不热" is taken for a report, and the address asked for
    review_id = file(core, "楼上半夜装修不热闹")
    assert judge(core, review_id, "out_of_scope", reviewer(core)).repair == "dropped"
    assert len(told(core, review_id)) == 1
    assert '"case":null' in core.conversation().state


def test_a_slower_reviewer_changes_nothing(core: Core) -> None:
    core.say(COLD_AT_HOME)
    review_id = file(core, COLD_AT_HOME)
    judge(core, review_id, "leak", reviewer(core))
    with core.services.database.transaction() as session:
        context, places = core.services.context(session), core.services.gazetteer.current()
        assert verdicts.decide(context, review_id, 0, Judgement.of("thanks"), places) is None
    assert core.one(Review).verdict == "leak"


# --- agreement


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], None),
        ([("leak", "leak"), ("thanks", "thanks")], 1.0),
        # The worked example of two raters and 50 proposals: 35 alike, κ = 0.4.
        ([("y", "y")] * 20 + [("y", "n")] * 5 + [("n", "y")] * 10 + [("n", "n")] * 15, 0.4),
    ],
)
def test_kappa_is_agreement_beyond_chance(pairs: list[tuple[str, str]], expected: float | None) -> None:
    assert kappa(pairs) == (expected if expected is None else pytest.approx(expected))
