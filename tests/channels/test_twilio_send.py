"""Messages through Twilio's API: what each refusal leads to."""

from __future__ import annotations

import traceback
from base64 import b64decode
from dataclasses import replace
from typing import Any

import pytest
import requests
from urllib3.exceptions import NewConnectionError

from bot.channels import (
    Filtered,
    GiveUp,
    Misconfigured,
    OptedOut,
    OtherWay,
    Outgoing,
    Retry,
    SendError,
    Unknown,
    Unreachable,
)
from bot.channels.sms_twilio import MAX_MEDIA
from bot.settings import SettingsError
from tests.channels.conftest import twilio_channel
from tests.channels.helpers import TWILIO, Api, form_of

SID = "SM" + "d" * 32
CREATED = (201, {"sid": SID, "status": "queued"})
OUT = Outgoing(to="+85291234567", text="您的工单已派单", ref="7")


def refused(code: int, status: int = 400) -> tuple[int, dict[str, Any]]:
    return status, {"code": code, "message": "The 'To' number +85291234567 is no good", "status": status}


def script(api: Api, *answers: Any) -> None:
    api.answers = {"Messages.json": list(answers)}


def test_a_text_is_sent_and_its_statuses_come_back_to_it(api: Api) -> None:
    script(api, CREATED)
    assert twilio_channel(TWILIO, api).send(OUT).provider_ref == SID
    [call] = api.calls
    assert call.url == f"http://twilio.test/2010-04-01/Accounts/{TWILIO.twilio_account_sid}/Messages.json"
    assert form_of(call) == {
        "To": "+85291234567",
        "Body": "您的工单已派单",
        "From": "+15005550006",
        "StatusCallback": "https://heat.example.cn/channels/twilio/status/7",
    }
    assert call.headers["Authorization"].startswith("Basic ")
    assert api.timeouts == [10.0]


def test_it_is_sent_from_the_number_the_resident_wrote_to(api: Api) -> None:
    script(api, CREATED)
    twilio_channel(TWILIO, api).send(replace(OUT, sender="+85230000000"))
    assert form_of(api.calls[0])["From"] == "+85230000000"


def test_an_account_with_an_api_key_sends_by_it(api: Api) -> None:
    script(api, CREATED)
    by_key = replace(TWILIO, twilio_api_key_sid="SK" + "2" * 32, twilio_api_key_secret="of-the-key")
    assert twilio_channel(by_key, api).send(OUT).provider_ref == SID
    [call] = api.calls
    user, password = b64decode(call.headers["Authorization"].removeprefix("Basic ")).decode().split(":")
    assert (user, password) == ("SK" + "2" * 32, "of-the-key")
    assert f"/Accounts/{TWILIO.twilio_account_sid}/" in (call.url or "")


def test_half_an_api_key_is_a_settings_error() -> None:
    half = replace(TWILIO, twilio_api_key_sid="SK" + "2" * 32)
    with pytest.raises(SettingsError, match="HEATLINE_TWILIO_API_KEY_SECRET"):
        twilio_channel(half)


def test_a_messaging_service_chooses_the_number(api: Api) -> None:
    script(api, CREATED)
    service = replace(TWILIO, twilio_from="MG" + "e" * 32)
    twilio_channel(service, api).send(replace(OUT, sender="+85230000000"))
    form = form_of(api.calls[0])
    assert form["MessagingServiceSid"] == "MG" + "e" * 32
    assert "From" not in form


@pytest.mark.parametrize(
    ("code", "status", "error"),
    [
        (21211, 400, Unreachable),
        (21614, 400, Unreachable),
        (21617, 400, GiveUp),
        (30004, 400, Unreachable),
        (30005, 400, Unreachable),
        (30006, 400, Unreachable),
        (30007, 400, Filtered),
        (21610, 400, OptedOut),
        (21408, 403, Misconfigured),
        (21612, 400, Misconfigured),
        (21606, 400, Misconfigured),
        (20003, 401, Misconfigured),
        (99999, 401, Misconfigured),
        (30003, 400, Retry),
        (21611, 400, Retry),
        (30001, 400, Retry),
        (20429, 429, Retry),
        (99999, 429, Retry),
        (30008, 400, Unknown),
        (20500, 500, Unknown),
        (99999, 503, Unknown),
        (99999, 400, GiveUp),
    ],
)
def test_every_refusal_says_what_to_do_next(api: Api, code: int, status: int, error: type[SendError]) -> None:
    script(api, refused(code, status))
    with pytest.raises(error) as caught:
        twilio_channel(TWILIO, api).send(OUT)
    assert type(caught.value) is error
    assert caught.value.code == str(code)
    assert api.count("Messages.json") == 1


@pytest.mark.parametrize(
    "answer",
    [
        requests.ReadTimeout("slow"),
        requests.ConnectionError("Connection aborted."),
        (500, "<html>oops</html>"),
        (201, "<html>a proxy's page</html>"),
        (201, "[]"),
        (201, {}),
    ],
)
def test_an_ambiguous_end_is_unknown_and_not_repeated(api: Api, answer: Any) -> None:
    script(api, answer)
    with pytest.raises(Unknown):
        twilio_channel(TWILIO, api).send(OUT)
    assert api.count("Messages.json") == 1


def test_what_surely_did_not_leave_is_tried_again(api: Api) -> None:
    for answer in (requests.ConnectTimeout("slow"), requests.ConnectionError(NewConnectionError(None, "no"))):  # type: ignore[arg-type]
        script(api, answer)
        with pytest.raises(Retry):
            twilio_channel(TWILIO, api).send(OUT)


def test_no_error_tells_the_phone_or_the_auth_token(api: Api) -> None:
    channel = twilio_channel(replace(TWILIO, twilio_auth_token="auth-t0ken"), api)
    for answer in (refused(21211), refused(20003, 401), requests.ReadTimeout("To=+85291234567")):
        script(api, answer)
        with pytest.raises(SendError) as caught:
            channel.send(OUT)
        told = "".join(traceback.format_exception(caught.value))
        assert "85291234567" not in told
        assert "auth-t0ken" not in told


def test_nothing_of_a_call_is_logged(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    script(api, CREATED)
    twilio_channel(TWILIO, api).send(OUT)
    assert "twilio.test" not in caplog.text
    assert "85291234567" not in caplog.text


def test_the_mainland_is_refused_unless_the_operator_decided_so(api: Api) -> None:
    script(api, CREATED)
    home = replace(OUT, to="+8613800138000")
    with pytest.raises(OtherWay):
        twilio_channel(TWILIO, api).send(home)
    assert api.calls == []
    for decided in (replace(TWILIO, twilio_allow_mainland="1"), replace(TWILIO, demo="1")):
        assert twilio_channel(decided, api).send(home).provider_ref == SID


def test_a_long_text_goes_out_in_pieces(api: Api) -> None:
    script(api, CREATED)
    text = "一二三四五六七八九十。" * 200
    twilio_channel(TWILIO, api).send(replace(OUT, text=text))
    pieces = [form_of(call)["Body"] for call in api.calls]
    assert "".join(pieces) == text
    assert all(len(piece) <= 1600 for piece in pieces)


def test_an_empty_text_is_not_sent(api: Api) -> None:
    with pytest.raises(GiveUp):
        twilio_channel(TWILIO, api).send(replace(OUT, text=" \x00"))


# --- photos

PHOTO = "http://twilio.test/2010-04-01/Accounts/AC1/Messages/MM1/Media/ME1"


def test_a_photo_is_fetched_with_our_credentials(api: Api) -> None:
    api.answers = {"ME1": [(200, "the photo")]}
    found = twilio_channel(TWILIO, api).fetch(PHOTO)
    assert found.content == b"the photo"
    assert api.calls[0].headers["Authorization"].startswith("Basic ")
    assert api.timeouts == [10.0]


@pytest.mark.parametrize(
    "ref", ["http://evil.example/ME1", "http://twilio.test.evil.example/ME1", "file:///etc/passwd", ""]
)
def test_our_credentials_go_to_twilio_alone(api: Api, ref: str) -> None:
    with pytest.raises(GiveUp):
        twilio_channel(TWILIO, api).fetch(ref)
    assert api.calls == []


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, "gone"), GiveUp),
        ((401, "no"), Misconfigured),
        ((503, "busy"), Retry),
        (requests.ReadTimeout("slow"), Retry),
        ((200, "x" * (MAX_MEDIA + 1)), GiveUp),
    ],
)
def test_a_photo_that_cannot_be_had_says_what_to_do(api: Api, answer: Any, error: type[SendError]) -> None:
    api.answers = {"ME1": [answer]}
    with pytest.raises(error) as caught:
        twilio_channel(TWILIO, api).fetch(PHOTO)
    assert type(caught.value) is error
