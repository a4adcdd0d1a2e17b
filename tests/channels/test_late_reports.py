"""What providers say of a text after they have taken it: each code is acted on, through the real status callbacks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot import outbox
from bot.channels import Entry
from bot.clock import VirtualClock
from bot.database import Database
from bot.models import Callback, ChannelState, Contact, Delivery
from bot.settings import Settings
from tests.channels.mainland import Mainland, connected
from tests.standins.service import Trial

PHONE = "+8619900001234"
NUMBERS = iter(range(1, 1_000_000))


@pytest.fixture
def line(settings: Settings, database: Database, clock: VirtualClock) -> Iterator[Mainland]:
    with connected(settings, database) as made:
        made.trial.standins.twilio.send_sms(PHONE, "谢谢")
        made.trial.drain()
        made.trial.standins.twilio.messages.clear()
        yield made


def tell(trial: Trial, kind: str = "notice", key: str = "status.accepted") -> int:
    """Queue a text to the only contact and send it; returns the delivery's id."""
    params = {"problem": "漏水", "team": "二七班组", "note": "", "number": "N20261123-0001"}
    with trial.services.database.transaction() as session:
        contact = session.scalars(select(Contact)).one()
        now = trial.services.context(session).now
        made = outbox.queue(
            session,
            contact,
            "您报的漏水有人接了",
            occasion=f"test:{next(NUMBERS)}",
            kind=kind,
            now=now,
            entries=[Entry(key, params)],
        )
    assert made is not None
    trial.drain()
    return made


def row(trial: Trial, number: int) -> Delivery:
    return next(delivery for delivery in trial.deliveries() if delivery.id == number)


def contact(trial: Trial) -> Contact:
    return trial._all(select(Contact))[0]  # type: ignore[type-var]


def calls(trial: Trial) -> list[Callback]:
    """The calls that are owed."""
    return trial._all(select(Callback))  # type: ignore[type-var]


def undelivered(trial: Trial, code: str) -> None:
    """Twilio reports on the newest message."""
    newest = list(trial.standins.twilio.messages)[-1]
    trial.standins.twilio.report(newest, "undelivered", code)


# --- Twilio's table


@pytest.mark.parametrize("code", ["30003", "30008", "30017"])
def test_what_may_still_arrive_is_sent_once_more_and_only_once(line: Mainland, clock: VirtualClock, code: str) -> None:
    trial = line.trial
    made = tell(trial)
    undelivered(trial, code)
    assert row(trial, made).state == "queued"
    clock.advance(timedelta(minutes=31))
    trial.drain()
    assert (row(trial, made).state, len(trial.standins.twilio.messages)) == ("sent", 2)
    undelivered(trial, code)
    clock.advance(timedelta(hours=5))
    trial.drain()
    assert (row(trial, made).state, len(trial.standins.twilio.messages)) == ("failed", 2)
    assert code in str(row(trial, made).error)


def test_reports_of_the_first_attempt_do_not_touch_the_second(line: Mainland, clock: VirtualClock) -> None:
    trial = line.trial
    made = tell(trial)
    first = list(trial.standins.twilio.messages)[-1]
    for status in ("undelivered", "undelivered", "sent", "failed"):
        trial.standins.twilio.report(first, status, "30003" if status != "sent" else None)
        assert row(trial, made).state == "queued"
    clock.advance(timedelta(minutes=31))
    trial.drain()
    second = list(trial.standins.twilio.messages)[-1]
    trial.standins.twilio.report(first, "undelivered", "30003")
    assert (row(trial, made).state, row(trial, made).provider_ref) == ("sent", second)
    trial.standins.twilio.report(second, "delivered")
    trial.standins.twilio.report(first, "undelivered", "30003")
    assert row(trial, made).state == "delivered"


def test_a_first_attempt_that_arrived_after_all_is_not_repeated(line: Mainland, clock: VirtualClock) -> None:
    trial = line.trial
    made = tell(trial)
    undelivered(trial, "30003")
    trial.standins.twilio.report(list(trial.standins.twilio.messages)[-1], "delivered")
    clock.advance(timedelta(hours=1))
    trial.drain()
    assert (row(trial, made).state, len(trial.standins.twilio.messages)) == ("delivered", 1)


@pytest.mark.parametrize("code", ["21211", "21614", "30004", "30005", "30006"])
def test_a_number_that_takes_no_texts_is_marked_and_a_person_calls_with_the_answer(line: Mainland, code: str) -> None:
    trial = line.trial
    made = tell(trial, "reply")
    undelivered(trial, code)
    assert row(trial, made).state == "failed"
    assert contact(trial).unreachable_at is not None
    assert [call.reason for call in calls(trial)] == ["unreached"]


def test_opted_out_in_a_report_is_opted_out_here(line: Mainland) -> None:
    trial = line.trial
    made = tell(trial)
    undelivered(trial, "21610")
    assert row(trial, made).state == "failed"
    assert contact(trial).opted_out_at is not None
    assert calls(trial) == []  # nobody waits for a notice
    assert row(trial, tell(trial)).state == "suppressed"


def test_a_filtered_wording_raises_an_alarm_and_is_not_repeated(
    line: Mainland, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    trial = line.trial
    made = tell(trial)
    undelivered(trial, "30007")
    assert "twilio refuses the wording of status.accepted (30007)" in caplog.text
    clock.advance(timedelta(hours=5))
    trial.drain()
    assert (row(trial, made).state, len(trial.standins.twilio.messages)) == ("failed", 1)
    assert row(trial, made).error == "30007: the carrier filtered the text"


def test_a_suspended_account_turns_the_channel_red(line: Mainland) -> None:
    trial = line.trial
    tell(trial)
    undelivered(trial, "30002")
    [state] = trial._all(select(ChannelState).where(ChannelState.channel == "twilio"))  # type: ignore[type-var]
    assert (state.ok, state.reason) == (False, "the account is suspended")


@pytest.mark.parametrize("code", [None, "0", "99999", "x", "٣", "9" * 30])
def test_a_failure_without_a_code_that_is_known_is_final(line: Mainland, clock: VirtualClock, code: str) -> None:
    trial = line.trial
    made = tell(trial, "reply")
    undelivered(trial, code)
    clock.advance(timedelta(hours=5))
    trial.drain()
    assert (row(trial, made).state, len(trial.standins.twilio.messages)) == ("failed", 1)
    assert [call.reason for call in calls(trial)] == ["unreached"]


def test_an_answer_that_the_provider_blocks_is_told_on_the_phone(line: Mainland, clock: VirtualClock) -> None:
    """Whoever sent STOP is blocked by Twilio itself; their next report is still answered, by a person."""
    trial = line.trial
    twilio = trial.standins.twilio
    twilio.handles_stop = True
    twilio.send_sms(PHONE, "STOP")
    trial.drain()
    tell(trial)
    assert contact(trial).opted_out_at is not None
    assert calls(trial) == []
    clock.advance(timedelta(minutes=1))
    assert twilio.send_sms(PHONE, "阳光花园3号楼2单元501，暖气不热") is None
    trial.drain()
    [call] = calls(trial)
    assert call.reason == "unreached"
    assert call.message_id == trial.messages()[-1].id
    assert row(trial, trial.deliveries()[-1].id).state == "failed"


def test_a_goodbye_that_is_blocked_is_nobodys_call(line: Mainland) -> None:
    trial = line.trial
    tell(trial, "reply", "unsubscribe.done")
    undelivered(trial, "21610")
    assert calls(trial) == []


def test_ten_blocked_answers_are_one_call(line: Mainland) -> None:
    trial = line.trial
    for _ in range(3):
        tell(trial, "reply")
        undelivered(trial, "21610")
    assert len(calls(trial)) == 1


# --- the mainland's


@pytest.mark.parametrize(
    ("name", "code", "state", "mark"),
    [
        ("aliyun", "MOBILE_NOT_ON_SERVICE", "queued", None),
        ("aliyun", "MOBILE_ACCOUNT_ABNORMAL", "failed", "unreachable_at"),
        ("aliyun", "MOBILE_IN_BLACK", "failed", "opted_out_at"),
        ("aliyun", "CONTENT_KEYWORD", "failed", None),
        ("aliyun", "SOMETHING_NEW", "failed", None),
        ("tencent", "UNDELIV", "queued", None),
        ("tencent", "BLACKLIST", "failed", "opted_out_at"),
        ("tencent", "ID:0076", "failed", None),
    ],
)
def test_a_mainland_report_is_acted_on_too(
    line: Mainland, clock: VirtualClock, name: str, code: str, state: str, mark: str | None
) -> None:
    trial = line.trial
    known: Any = getattr(line, name)
    clock.advance(timedelta(minutes=1))
    known.send_sms(PHONE, "谢谢")
    trial.drain()
    known.messages.clear()
    made = tell(trial)
    [ref] = known.messages
    for _ in range(2):  # a repeated report changes nothing more
        known.post([known.fate(ref, False, code)], {"aliyun": "report", "tencent": "status"}[name])
        assert row(trial, made).state == state
    marks = {field for field in ("opted_out_at", "unreachable_at") if getattr(contact(trial), field)}
    assert marks == ({mark} if mark else set())
    if state == "queued":
        clock.advance(timedelta(minutes=31))
        trial.drain()
        assert len(known.messages) == 2
