"""Channels, inbox, outbox and stand-ins together: what a resident hears, and how far each delivery got."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot import outbox
from bot.clock import VirtualClock
from bot.models import ChannelState, Contact, Delivery
from tests.standins.service import Trial

OPENID = "oThroughTheService000000000x"
PHONE = "+8619900001234"
REPORT = "阳光花园3号楼2单元501，暖气不热"


def notify(trial: Trial, text: str = "您的工单已派单", occasion: str = "test:1", kind: str = "notice") -> int:
    """Queue a text to the only contact."""
    with trial.services.database.transaction() as session:
        contact = session.scalars(select(Contact)).one()
        now = trial.services.context(session).now
        made = outbox.queue(session, contact, text, occasion=occasion, kind=kind, now=now)
        assert made is not None
        return made


def delivery(trial: Trial, number: int) -> Delivery:
    return next(row for row in trial.deliveries() if row.id == number)


def state_of(trial: Trial, channel: str) -> ChannelState | None:
    with trial.services.database.reading() as session:
        found = session.get(ChannelState, channel)
        session.expunge_all()
        return found


def test_a_wechat_resident_hears_the_answer_and_later_the_push(trial: Trial) -> None:
    answer = trial.standins.wechat.push_text(OPENID, REPORT)
    assert answer
    notice = notify(trial)
    trial.drain()
    heard = trial.standins.heard("wechat", OPENID)
    assert heard[0] == answer
    assert "您的工单已派单" in heard
    assert delivery(trial, notice).state == "sent"


def test_an_sms_resident_hears_the_answer_and_every_text_is_reported_delivered(trial: Trial) -> None:
    answer = trial.standins.twilio.send_sms(PHONE, REPORT)
    assert answer
    notify(trial)
    trial.drain()
    trial.standins.twilio.report_all()
    heard = trial.standins.heard("sms", PHONE)
    assert heard[0] == answer
    assert heard[-1] == "您的工单已派单" or "您的工单已派单" in heard
    assert {row.state for row in trial.deliveries()} == {"delivered"}


def test_a_passive_sms_learns_its_sid_from_the_status_callback(trial: Trial) -> None:
    trial.standins.twilio.send_sms(PHONE, REPORT)
    [sid] = trial.standins.twilio.messages
    trial.standins.twilio.report(sid, "delivered")
    passive = next(row for row in trial.deliveries() if row.via == "passive")
    assert (passive.provider_ref, passive.state) == (sid, "delivered")


def test_late_and_repeated_reports_change_nothing(trial: Trial) -> None:
    trial.standins.twilio.send_sms(PHONE, REPORT)
    sid = next(iter(trial.standins.twilio.messages))
    for status in ("delivered", "sent", "queued", "delivered", "failed", "teleported"):
        trial.standins.twilio.report(sid, status)
    assert next(row for row in trial.deliveries() if row.provider_ref == sid).state == "delivered"


@pytest.mark.parametrize("code", [45015, 45047])
def test_a_closed_window_is_not_shown_as_sent(trial: Trial, code: int) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    trial.standins.wechat.fail(code)
    notice = notify(trial)
    trial.drain()
    held = delivery(trial, notice)
    assert held.state == "held"
    assert str(code) in (held.error or "")
    assert "您的工单已派单" not in trial.standins.heard("wechat", OPENID)


def test_the_window_that_really_closed_is_seen(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    trial.drain()
    clock.advance(timedelta(hours=49))
    notice = notify(trial)
    trial.drain()
    assert delivery(trial, notice).state == "held"


def test_a_revoked_token_is_renewed_without_anybody_noticing(trial: Trial) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    first = notify(trial, occasion="test:1")
    trial.drain()
    trial.standins.wechat.expire_tokens()
    second = notify(trial, occasion="test:2")
    trial.drain()
    assert {delivery(trial, first).state, delivery(trial, second).state} == {"sent"}
    assert trial.standins.wechat.token_calls == 2


def test_a_refused_secret_turns_the_channel_red_and_a_success_green(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    trial.standins.wechat.fail(40125, call="stable_token")
    notice = notify(trial)
    trial.drain()
    red = state_of(trial, "wechat")
    assert red is not None
    assert not red.ok
    assert delivery(trial, notice).state == "held"  # a wrong secret is not tried over and over
    clock.advance(timedelta(minutes=10))
    trial.drain()
    green = state_of(trial, "wechat")
    assert green is not None
    assert green.ok
    assert delivery(trial, notice).state == "sent"


@pytest.mark.parametrize("how", [{"status": 502, "body": "<html>"}, {"status": 502, "body": "<html>", "works": True}])
def test_an_ambiguous_send_of_a_notice_is_unknown_and_never_repeated(
    trial: Trial, clock: VirtualClock, how: dict[str, Any]
) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    trial.standins.wechat.fail(**how)
    notice = notify(trial)
    trial.drain()
    clock.advance(timedelta(minutes=10))
    trial.drain()
    assert delivery(trial, notice).state == "unknown"
    assert trial.standins.heard("wechat", OPENID).count("您的工单已派单") == (1 if how.get("works") else 0)


def test_a_busy_provider_is_asked_again(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    trial.standins.wechat.fail(-1, times=2)
    notice = notify(trial)
    for _ in range(3):
        trial.drain()
        clock.advance(timedelta(minutes=1))
    assert (delivery(trial, notice).state, delivery(trial, notice).attempts) == ("sent", 3)


def test_a_resident_who_opted_out_at_twilio_is_left_alone(trial: Trial) -> None:
    trial.standins.twilio.send_sms(PHONE, "你好")
    trial.standins.twilio.fail(21610)
    first = notify(trial, occasion="test:1")
    trial.drain()
    second = notify(trial, occasion="test:2")
    assert (delivery(trial, first).state, delivery(trial, second).state) == ("failed", "suppressed")


def test_with_understanding_down_danger_is_answered_and_the_rest_is_kept(trial: Trial, clock: VirtualClock) -> None:
    trial.interpreter.down = True
    assert trial.standins.wechat.push_text(OPENID, "楼道里有煤气味") not in (None, "")
    assert trial.standins.twilio.send_sms(PHONE, REPORT)
    trial.interpreter.down = False
    clock.advance(timedelta(seconds=10))
    trial.drain()
    assert all(message.handled_at for message in trial.messages())
    assert len(trial.standins.heard("sms", PHONE)) >= 2


def test_a_follow_is_greeted_and_a_parting_is_not(trial: Trial) -> None:
    assert trial.standins.wechat.push_event(OPENID, "subscribe", EventKey="")
    assert trial.standins.wechat.push_event(OPENID, "unsubscribe") is None


def test_a_photo_by_sms_is_answered(trial: Trial) -> None:
    photo = {"NumMedia": "1", "MediaUrl0": "https://m/0", "MediaContentType0": "image/jpeg"}
    assert trial.standins.twilio.send_sms(PHONE, "", **photo)


def test_a_throttling_provider_gets_every_text_later(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.twilio.send_sms(PHONE, "谢谢")
    trial.drain()
    trial.standins.twilio.messages.clear()
    trial.standins.twilio.per_second = 2
    for number in range(6):
        notify(trial, f"第{number}条", f"test:{number}")
    for _ in range(5):
        trial.drain()
        clock.advance(timedelta(seconds=31))
    assert sorted(message.text for message in trial.standins.twilio.messages.values()) == [
        f"第{number}条" for number in range(6)
    ]
