"""News that nothing else may carry: template messages and subscription notices."""

from __future__ import annotations

from datetime import timedelta

import pytest

from bot.channels import Entry
from bot.clock import VirtualClock
from tests.standins.service import Trial
from tests.standins.wechat import ACCEPTED, LATER, OPENID, by_sms, delivery, heard, notify, register

pytestmark = pytest.mark.usefixtures("fresh_rules")


def test_after_two_days_a_template_message_tells_the_news(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    register(trial)
    clock.advance(LATER)
    told = notify(trial, entry=ACCEPTED)
    trial.drain()
    row = delivery(trial, told)
    assert (row.state, row.via) == ("sent", "wechat:template")
    assert heard(trial)[-1] == "暖气不热\n二七班组\nN20261123-0001"
    trial.standins.wechat.report_jobs()
    assert delivery(trial, told).state == "delivered"


def test_within_the_window_the_cheaper_message_is_taken(trial: Trial) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    register(trial)
    told = notify(trial, entry=ACCEPTED)
    trial.drain()
    assert delivery(trial, told).via == "wechat"


def test_a_template_that_would_leave_something_out_is_not_taken(with_phone: Trial, clock: VirtualClock) -> None:
    register(with_phone)
    clock.advance(LATER)
    noted = Entry("status.accepted", {**ACCEPTED.params, "note": "下午两点到。"})
    told = notify(with_phone, entry=noted)
    with_phone.drain()
    assert delivery(with_phone, told).via == "twilio"
    assert "下午两点到" in by_sms(with_phone)[-1]


@pytest.mark.parametrize(
    ("team", "shown"),
    [("二七班组", "二七班组"), ("二七区大学路街道联合抢修第一班组值班师傅王", "二七区大学路街道联合抢修第一班组值…")],
)
def test_a_typed_field_holds_twenty_characters(trial: Trial, clock: VirtualClock, team: str, shown: str) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    register(trial)
    clock.advance(LATER)
    told = notify(trial, entry=Entry("status.accepted", {**ACCEPTED.params, "team": team}))
    trial.drain()
    assert delivery(trial, told).state == "sent"
    line = heard(trial)[-1].split("\n")[1]
    assert len(line) <= 20
    assert line[:10] == shown[:10]


def test_a_template_that_the_resident_has_blocked_goes_by_sms(with_phone: Trial, clock: VirtualClock) -> None:
    register(with_phone)
    clock.advance(LATER)
    told = notify(with_phone, entry=ACCEPTED)
    with_phone.drain()
    for _ in range(2):  # reports are repeated
        with_phone.standins.wechat.report_jobs("failed:user block")
        with_phone.drain()
    row = delivery(with_phone, told)
    assert (row.state, row.via) == ("sent", "twilio")
    assert len(by_sms(with_phone)) == 1


def test_a_long_term_subscription_is_used_where_it_was_given(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    register(trial, "notices")
    clock.advance(LATER)
    before = notify(trial, "test:1", entry=ACCEPTED)
    trial.drain()
    assert delivery(trial, before).state == "held"
    trial.standins.wechat.subscribe(OPENID, "other", "tpl-accepted")
    for number in (2, 3):
        told = notify(trial, f"test:{number}", entry=ACCEPTED)
        trial.drain()
        assert (delivery(trial, told).state, delivery(trial, told).via) == ("sent", "wechat:notice")
    trial.standins.wechat.report_jobs()
    assert delivery(trial, told).state == "delivered"


def test_a_one_time_subscription_is_one_notice_and_a_refusal_none(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    register(trial, "notices", long_term=False)
    clock.advance(LATER)
    states = []
    for number, accept in enumerate([True, None, False]):
        clock.advance(timedelta(seconds=1))
        if accept is not None:
            trial.standins.wechat.subscribe(OPENID, "tpl-accepted", accept=accept)
        told = notify(trial, f"test:{number}", entry=ACCEPTED)
        trial.drain()
        states.append(delivery(trial, told).state)
    assert states == ["sent", "held", "held"]


def test_a_subscription_that_is_used_up_is_not_tried_again(with_phone: Trial, clock: VirtualClock) -> None:
    register(with_phone, "notices")
    with_phone.standins.wechat.subscribe(OPENID, "tpl-accepted")
    with_phone.standins.wechat.account.allowed.clear()  # withdrawn where we do not hear of it
    clock.advance(LATER)
    made = [notify(with_phone, f"test:{number}", entry=ACCEPTED) for number in range(2)]
    with_phone.drain()
    assert [delivery(with_phone, number).via for number in made] == ["twilio", "twilio"]
    assert with_phone.standins.wechat.refusals == [43101]
