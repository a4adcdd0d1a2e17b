"""How a text reaches a WeChat resident: which way is open, which is taken next, and what waits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select

from bot import conversation, outbox
from bot.channels import Entry
from bot.clock import VirtualClock
from bot.models import ChannelState, Contact, Ticket
from bot.texts import render
from tests.standins.service import Trial
from tests.standins.wechat import ACCEPTED, LATER, OPENID, PHONE, by_sms, contact, delivery, heard, notify, register

pytestmark = pytest.mark.usefixtures("fresh_rules")


# --- the ledger


def test_five_texts_follow_a_message_and_the_sixth_is_never_tried(trial: Trial) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    made = [notify(trial, f"test:{number}") for number in range(6)]
    trial.drain()
    assert [delivery(trial, number).state for number in made] == ["sent"] * 5 + ["held"]
    assert trial.standins.wechat.refusals == []
    assert delivery(trial, made[5]).waits_for == "inbound"


def test_three_texts_follow_a_tap_within_a_minute(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.wechat.push_event(OPENID, "subscribe", EventKey="")
    made = [notify(trial, f"test:{number}") for number in range(4)]
    trial.drain()
    assert [delivery(trial, number).state for number in made] == ["sent"] * 3 + ["held"]
    trial.standins.wechat.tap(OPENID, "ask_progress")
    clock.advance(timedelta(seconds=61))
    late = notify(trial, "test:late")
    trial.drain()
    assert delivery(trial, late).state == "held"
    assert trial.standins.wechat.refusals == []


def test_a_passive_reply_uses_nothing_up(trial: Trial) -> None:
    for _ in range(8):
        trial.standins.wechat.push_text(OPENID, "你好")
    assert contact(trial).message_left == 5


def test_a_link_that_is_only_viewed_opens_nothing(trial: Trial) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    trial.standins.wechat.push_event(OPENID, "VIEW", EventKey="https://example.cn")
    assert contact(trial).action_until is None


def test_wechat_knows_better_than_the_ledger(trial: Trial) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    trial.standins.wechat.fail(45047)
    made = [notify(trial, f"test:{number}") for number in range(3)]
    trial.drain()
    assert [delivery(trial, number).state for number in made] == ["held"] * 3
    assert len(trial.standins.wechat.refusals) == 1


def test_what_surely_did_not_leave_is_not_counted(trial: Trial) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    trial.standins.wechat.fail(-1)
    notify(trial)
    trial.drain()
    assert contact(trial).message_left == 5


# --- what was held leaves with the next word


def test_what_was_held_leaves_after_the_answer_to_the_next_word(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    clock.advance(LATER)
    held = notify(trial)
    trial.drain()
    assert delivery(trial, held).state == "held"
    answer = trial.standins.wechat.push_text(OPENID, "在吗")
    clock.advance(timedelta(seconds=10))
    trial.drain()
    assert delivery(trial, held).state == "sent"
    assert heard(trial).index(answer or "") < heard(trial).index("有新消息（test:1）")
    assert not contact(trial).holding


def test_of_one_ticket_only_the_last_news_is_told_late(with_phone: Trial, clock: VirtualClock) -> None:
    trial = with_phone
    trial.services.channels = {"wechat": trial.services.channels["wechat"]}  # no SMS provider
    clock.advance(LATER)
    with trial.services.database.transaction() as session:
        person = session.scalars(select(Contact)).one()
        now = trial.services.context(session).now
        ticket = session.scalars(select(Ticket)).one()
        for number, text in enumerate(["有人接了", "师傅在路上", "处理好了"]):
            outbox.queue(session, person, text, occasion=f"n:{number}", kind="notice", now=now, ticket=ticket)
    trial.drain()
    trial.standins.wechat.push_text(OPENID, "你好")
    clock.advance(timedelta(seconds=10))
    trial.drain()
    assert "处理好了" in heard(trial)
    assert "有人接了" not in heard(trial)
    assert [row.state for row in trial.deliveries()[-4:-1]] == ["suppressed", "suppressed", "sent"]


def test_old_news_stays_on_the_desk(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    clock.advance(LATER)
    held = notify(trial)
    trial.drain()
    clock.advance(timedelta(days=4))
    trial.standins.wechat.push_text(OPENID, "在吗")
    clock.advance(timedelta(seconds=10))
    trial.drain()
    assert delivery(trial, held).state == "held"


# --- another way


def test_a_closed_window_goes_by_sms_in_the_words_of_sms(with_phone: Trial, clock: VirtualClock) -> None:
    clock.advance(LATER)
    told = notify(with_phone, entry=ACCEPTED)
    with_phone.drain()
    row = delivery(with_phone, told)
    assert (row.state, row.via, row.by) == ("sent", "twilio", "twilio")
    assert by_sms(with_phone) == [render(with_phone.services.rules.current(), ACCEPTED.key, "sms", ACCEPTED.params)]
    assert with_phone.standins.wechat.refusals == []


@pytest.mark.parametrize("code", [40003, 43004, 46004])
def test_who_is_gone_from_wechat_is_told_by_sms_until_they_are_back(
    with_phone: Trial, clock: VirtualClock, code: int
) -> None:
    with_phone.standins.wechat.fail(code)
    for number in range(3):
        told = notify(with_phone, f"test:{number}")
        with_phone.drain()
        assert delivery(with_phone, told).via == "twilio"
    assert len(with_phone.standins.wechat.refusals) == 1
    with_phone.standins.wechat.push_text(OPENID, "我又来了")
    back = notify(with_phone, "test:back")
    with_phone.drain()
    assert delivery(with_phone, back).via == "wechat"


@pytest.mark.parametrize("code", [43019, 48002, 45015, 45047, 45009, 48001, 40164, 99999])
def test_every_closed_way_leads_to_sms(with_phone: Trial, code: int) -> None:
    with_phone.standins.wechat.fail(code)
    told = notify(with_phone)
    with_phone.drain()
    assert (delivery(with_phone, told).state, delivery(with_phone, told).via) == ("sent", "twilio")
    assert contact(with_phone).unreachable_at is None


def test_a_notice_does_not_go_to_a_phone_that_has_opted_out(with_phone: Trial, clock: VirtualClock) -> None:
    with_phone.standins.twilio.send_sms(PHONE, "退订")
    with_phone.drain()
    with with_phone.services.database.transaction() as session:
        on_phone = session.scalars(select(Contact).where(Contact.medium == "sms")).one()
        on_phone.opted_out_at = with_phone.services.context(session).now
    clock.advance(LATER)
    told = notify(with_phone)
    with_phone.drain()
    assert delivery(with_phone, told).state == "held"


def test_at_night_what_can_wait_does_not_go_by_sms_in_place_of_wechat(with_phone: Trial, clock: VirtualClock) -> None:
    clock.advance(LATER + timedelta(hours=12))  # 23:00 in China
    closed = Entry("status.closed", {"number": "N20261123-0001", "problem": "暖气不热", "note": ""})
    told = notify(with_phone, entry=closed)
    with_phone.drain()
    assert (delivery(with_phone, told).state, by_sms(with_phone)) == ("queued", [])
    clock.advance(timedelta(hours=9, minutes=1))
    with_phone.drain()
    assert delivery(with_phone, told).via == "twilio"


def test_an_error_of_the_sms_says_nothing_about_wechat(with_phone: Trial, clock: VirtualClock) -> None:
    clock.advance(LATER)
    with_phone.standins.twilio.fail(21614)
    told = notify(with_phone)
    with_phone.drain()
    assert delivery(with_phone, told).state in ("held", "failed")
    assert contact(with_phone).unreachable_at is None


# --- quotas and alarms of the account


def test_a_used_up_day_is_not_asked_again_before_midnight(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    trial.standins.wechat.account.limits["custom/send"] = 0
    made = [notify(trial, f"test:{number}") for number in range(3)]
    trial.drain()
    assert {delivery(trial, number).state for number in made} == {"queued"}
    assert trial.standins.wechat.refusals == [45009]
    trial.standins.wechat.account.limits["custom/send"] = 500_000
    clock.advance(timedelta(hours=13, minutes=59))
    trial.drain()
    assert {delivery(trial, number).state for number in made} == {"queued"}
    clock.advance(timedelta(minutes=1, seconds=1))  # midnight in China
    trial.drain()
    assert {delivery(trial, number).state for number in made} == {"sent"}


def test_what_a_wrong_setting_stopped_is_tried_one_at_a_time_until_it_is_mended(
    trial: Trial, clock: VirtualClock
) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    trial.standins.wechat.account.on_ip_list = False
    made = [notify(trial, f"test:{number}") for number in range(3)]
    trial.drain()
    assert [delivery(trial, number).state for number in made] == ["held"] * 3
    assert "40164" in (delivery(trial, made[0]).error or "")
    calls = trial.standins.wechat.token_calls
    clock.advance(timedelta(minutes=11))
    trial.drain()
    assert trial.standins.wechat.token_calls == calls + 1
    trial.standins.wechat.account.on_ip_list = True
    clock.advance(timedelta(minutes=11))
    trial.drain()
    assert [delivery(trial, number).state for number in made] == ["sent"] * 3


def test_a_wrong_template_turns_its_part_red_and_not_the_channel(with_phone: Trial, clock: VirtualClock) -> None:
    register(with_phone)
    with_phone.standins.wechat.account.templates.clear()  # deleted in 公众平台
    clock.advance(LATER)
    told = notify(with_phone, entry=ACCEPTED)
    with_phone.drain()
    assert delivery(with_phone, told).via == "twilio"
    with with_phone.services.database.reading() as session:
        red = {row.channel: row.reason for row in session.scalars(select(ChannelState)) if not row.ok}
    assert set(red) == {"wechat:template"}
    answer = with_phone.app.test_client().get("/readyz").get_json()
    assert answer["channels"]["wechat:template"] == red["wechat:template"]


# --- long answers


def test_nothing_of_a_long_answer_is_lost(trial: Trial, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    long = "".join(f"第{number}条：暖气不热请先看看阀门开没开。" for number in range(120))
    monkeypatch.setattr(conversation, "render", lambda *_args: long)
    head = trial.standins.wechat.push(OPENID, "link", {"Title": "链接"})
    assert head
    assert len(head.encode()) <= 2047
    clock.advance(timedelta(seconds=20))
    trial.drain()
    assert "".join(heard(trial)) == long
    assert {row.state for row in trial.deliveries()} == {"sent"}
