"""The Twilio stand-in keeps Twilio's rules."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qs

import pytest

from bot.standins import StandIns
from bot.standins.transport import Answer, NoAnswer
from bot.standins.twilio import STOPPED, TwilioRefused, read_twiml
from tests.standins.test_wechat_standin import SETTINGS, Service

PHONE = "+8619900001234"
AUTH = (SETTINGS.twilio_account_sid, SETTINGS.twilio_auth_token)
EMPTY = Answer(200, "<Response/>", "text/xml")
TWIML = '<Response><Message action="http://127.0.0.1:8000/channels/twilio/status/7">收到</Message></Response>'

pytestmark = pytest.mark.usefixtures("clock")


def standins(*answers: Answer | NoAnswer) -> tuple[StandIns, Service]:
    service = Service(*(answers or (EMPTY,)))
    return StandIns(SETTINGS, service), service


def create(made: StandIns, form: Mapping[str, str] | None = None, auth: tuple[str, str] | None = AUTH) -> str:
    full = {"To": PHONE, "From": SETTINGS.twilio_from, "Body": "您好", **(form or {})}
    return str(made.twilio.create_message(AUTH[0], auth, full)["sid"])


def test_an_answer_in_twiml_is_heard_and_its_statuses_are_reported() -> None:
    made, service = standins(Answer(200, TWIML, "text/xml; charset=utf-8"))
    assert made.twilio.send_sms(PHONE, "不热") == "收到"
    assert made.heard("sms", PHONE) == ["收到"]
    made.twilio.report_all()
    targets = [target for target, _ in service.posts]
    assert targets == ["/channels/twilio", "/channels/twilio/status/7", "/channels/twilio/status/7"]
    assert [parse_qs(body.decode())["MessageStatus"][0] for _, body in service.posts[1:]] == ["sent", "delivered"]


@pytest.mark.parametrize(
    "answer", [EMPTY, Answer(500, "oops"), Answer(200, TWIML, "text/html"), Answer(200, "<Response>", "text/xml")]
)
def test_what_is_no_twiml_says_nothing(answer: Answer) -> None:
    made, _ = standins(answer)
    assert made.twilio.send_sms(PHONE, "不热") is None
    assert read_twiml(answer) == []


def test_a_failed_connection_is_tried_once_more_and_a_slow_answer_is_not() -> None:
    made, service = standins(NoAnswer("refused", connected=False))
    assert made.twilio.send_sms(PHONE, "不热") is None
    assert len(service.posts) == 2
    made, service = standins(NoAnswer("slow", connected=True))
    assert made.twilio.send_sms(PHONE, "不热") is None
    assert len(service.posts) == 1


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "12345"}, 21211),
        ({"Body": ""}, 21602),
        ({"Body": "暖" * 1601}, 21617),
        ({"From": "+15005550001"}, 21606),
    ],
)
def test_a_bad_call_is_refused_with_twilios_code(form: dict[str, str], code: int) -> None:
    made, _ = standins()
    with pytest.raises(TwilioRefused) as caught:
        create(made, form)
    assert caught.value.code == code


@pytest.mark.parametrize("auth", [None, ("AC", "x"), (AUTH[0], "wrong")])
def test_wrong_credentials_are_refused(auth: tuple[str, str] | None) -> None:
    made, _ = standins()
    with pytest.raises(TwilioRefused) as caught:
        create(made, auth=auth)
    assert (caught.value.code, caught.value.status) == (20003, 401)


def test_who_said_stop_hears_nothing_until_start() -> None:
    made, _ = standins(Answer(200, TWIML, "text/xml"))
    made.twilio.handles_stop = True
    assert made.twilio.send_sms(PHONE, " stop ") is None
    assert made.heard("sms", PHONE) == [STOPPED]
    with pytest.raises(TwilioRefused) as caught:
        create(made)
    assert caught.value.code == 21610
    made.twilio.send_sms(PHONE, "START")
    assert create(made) in made.twilio.messages


def test_a_message_ends_as_it_was_told_to() -> None:
    made, service = standins()
    made.twilio.endings[PHONE] = ("undelivered", "30003")
    create(made, {"StatusCallback": "http://127.0.0.1:8000/channels/twilio/status/9"})
    made.twilio.report_all()
    assert parse_qs(service.posts[-1][1].decode())["ErrorCode"] == ["30003"]
