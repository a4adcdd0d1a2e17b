"""What Twilio posts: who may post, and what each form becomes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest
from flask import Request
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.request_validator import RequestValidator
from werkzeug.test import EnvironBuilder

from bot.channels import (
    BadRequest,
    BadSignature,
    Filtered,
    GiveUp,
    Inbound,
    OptedOut,
    Report,
    Retry,
    SendError,
    Unknown,
    Unreachable,
)
from bot.channels.phone import normalise
from bot.channels.sms_twilio import STATES, Twilio
from tests.channels.conftest import twilio_channel
from tests.channels.helpers import TWILIO, request_for

FORM = {
    "ToCountry": "US",
    "SmsMessageSid": "SM" + "a" * 32,
    "NumMedia": "0",
    "SmsSid": "SM" + "a" * 32,
    "SmsStatus": "received",
    "Body": "家里暖气不热",
    "To": "+15005550006",
    "NumSegments": "1",
    "MessageSid": "SM" + "a" * 32,
    "AccountSid": TWILIO.twilio_account_sid,
    "From": "+8613800138000",
    "ApiVersion": "2010-04-01",
}
STATUS = {
    "SmsSid": "SM" + "b" * 32,
    "SmsStatus": "delivered",
    "MessageStatus": "delivered",
    "To": "+8613800138000",
    "MessageSid": "SM" + "b" * 32,
    "AccountSid": TWILIO.twilio_account_sid,
}


def post(
    form: Mapping[str, str],
    target: str = "/channels/twilio",
    signature: str | None = None,
    signed_url: str | None = None,
) -> Request:
    url = signed_url or f"https://heat.example.cn{target}"
    if signature is None:
        signature = RequestValidator(TWILIO.twilio_auth_token).compute_signature(url, dict(form))
    headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}
    return request_for("POST", target, urlencode(form).encode(), headers)


def read_one(form: Mapping[str, str], **how: Any) -> Inbound:
    [found] = twilio_channel(TWILIO).read(post(form, **how))
    assert isinstance(found, Inbound)
    return found


def channel() -> Twilio:
    return twilio_channel(TWILIO)


# --- who may post


def test_twilios_published_signature_passes() -> None:
    """The vector of Twilio's security page, through our own reading of URL and form."""
    known = replace(TWILIO, public_url="https://mycompany.com", twilio_auth_token="12345")
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    request = post(form, "/myapp.php?foo=1&bar=2", signature="RSOYDt4T1cUTdK1PDd93/VVr8B8=")
    [found] = twilio_channel(known).read(request)
    assert isinstance(found, Inbound)
    assert found.sender == "+14158675309"


def test_a_signed_text_is_read_whatever_the_host_header_says() -> None:
    assert read_one(FORM) == Inbound(
        channel="twilio",
        medium="sms",
        provider_id="SM" + "a" * 32,
        sender="+8613800138000",
        recipient="+15005550006",
        kind="text",
        text="家里暖气不热",
        payload={"NumSegments": "1"},
    )


@pytest.mark.parametrize("query", ["?a=%E4%B8%AD", "?a=%2Fb", "?x=1&x=2", "?a=b%20c+d"])
def test_the_url_is_checked_as_it_was_sent(query: str) -> None:
    """Werkzeug's own URL decodes %2F and %E4…, and true signatures would fail."""
    target = f"/channels/twilio{query}"
    builder = EnvironBuilder(
        path="/channels/twilio", method="POST", data=urlencode(FORM).encode(), base_url="http://10.0.0.7:8000"
    )
    environ = builder.get_environ()
    environ["CONTENT_TYPE"] = "application/x-www-form-urlencoded"
    environ["REQUEST_URI"] = environ["RAW_URI"] = target
    environ["QUERY_STRING"] = query[1:]
    environ["HTTP_X_TWILIO_SIGNATURE"] = RequestValidator(TWILIO.twilio_auth_token).compute_signature(
        f"https://heat.example.cn{target}", FORM
    )
    assert len(channel().read(Request(environ))) == 1


def test_a_whole_url_in_the_request_line_does_not_choose_the_host() -> None:
    builder = EnvironBuilder(path="/channels/twilio", method="POST", data=urlencode(FORM).encode())
    environ = builder.get_environ()
    environ["CONTENT_TYPE"] = "application/x-www-form-urlencoded"
    environ["REQUEST_URI"] = environ["RAW_URI"] = "https://evil.example/channels/twilio"
    validator = RequestValidator(TWILIO.twilio_auth_token)
    environ["HTTP_X_TWILIO_SIGNATURE"] = validator.compute_signature("https://evil.example/channels/twilio", FORM)
    with pytest.raises(BadSignature):
        channel().read(Request(environ))


def test_a_true_signature_passes_with_a_messaging_service_and_with_new_fields() -> None:
    form = FORM | {"MessagingServiceSid": "MG" + "c" * 32, "AField OfTomorrow": " with spaces ", "Empty": ""}
    assert read_one(form).payload["MessagingServiceSid"] == "MG" + "c" * 32


@pytest.mark.parametrize("signature", ["", "x", "信", "A" * 28])
def test_a_false_signature_is_refused(signature: str) -> None:
    with pytest.raises(BadSignature):
        channel().read(post(FORM, signature=signature.encode().decode("latin-1")))


def test_a_missing_signature_is_refused() -> None:
    with pytest.raises(BadSignature):
        channel().read(request_for("POST", "/channels/twilio", urlencode(FORM).encode()))


def test_a_changed_form_is_refused() -> None:
    true = post(FORM).headers["X-Twilio-Signature"]
    with pytest.raises(BadSignature):
        channel().read(post(FORM | {"Body": "别的话"}, signature=true))


def test_another_accounts_message_is_refused() -> None:
    with pytest.raises(BadSignature):
        channel().read(post(FORM | {"AccountSid": "AC" + "9" * 32}))


def test_a_url_check_by_get_is_refused() -> None:
    with pytest.raises(BadRequest):
        channel().verify_url(request_for("GET", "/channels/twilio"))


# --- what a form becomes


@pytest.mark.parametrize(
    ("given", "normal"),
    [
        ("+8613800138000", "+8613800138000"),
        ("13800138000", "+8613800138000"),
        ("8613800138000", "+8613800138000"),
        ("008613800138000", "+8613800138000"),
        ("138 0013 8000", "+8613800138000"),
        ("+85291234567", "+85291234567"),
        ("HEATING", "HEATING"),
        ("", "unknown"),
        ("\x00\ud800", "unknown"),
    ],
)
def test_numbers_are_one_contact_however_written(given: str, normal: str) -> None:
    assert normalise(given) == normal


def test_a_photo_without_text_is_a_message() -> None:
    form = {k: v for k, v in FORM.items() if k != "Body"} | {
        "NumMedia": "1",
        "MediaUrl0": "https://api.twilio.com/m/0",
        "MediaContentType0": "image/jpeg",
    }
    found = read_one(form)
    assert (found.kind, found.text) == ("image", "")
    assert found.payload["media"] == [{"url": "https://api.twilio.com/m/0", "type": "image/jpeg"}]
    assert [(media.kind, media.ref) for media in found.media] == [("image", "https://api.twilio.com/m/0")]


@pytest.mark.parametrize(("kind", "word"), [("stop", "STOP"), ("start", "START"), ("help", "HELP")])
def test_what_advanced_opt_out_has_answered_is_told_apart(kind: str, word: str) -> None:
    assert read_one(FORM | {"Body": "退订", "OptOutType": word}).kind == kind
    assert read_one(FORM | {"Body": "退订", "OptOutType": "SOMETHING"}).kind == "text"


def test_a_text_beside_a_photo_is_a_text() -> None:
    found = read_one(FORM | {"MediaUrl0": "https://m", "MediaContentType0": "image/png", "NumMedia": "1"})
    assert (found.kind, found.text) == ("text", "家里暖气不热")
    assert found.payload["media"]


def test_a_message_without_an_id_gets_one_of_its_own() -> None:
    bare = {k: v for k, v in FORM.items() if not k.endswith("Sid")}
    assert read_one(bare).provider_id == read_one(bare).provider_id
    assert read_one(bare).provider_id != read_one(bare | {"Body": "别的"}).provider_id


def test_an_empty_text_and_a_sender_that_is_no_phone_are_kept() -> None:
    found = read_one(FORM | {"Body": "", "From": "HEATING"})
    assert (found.kind, found.sender) == ("other", "HEATING")


# --- status callbacks


@pytest.mark.parametrize("status", sorted(STATES))
def test_every_status_has_a_meaning(status: str) -> None:
    found = channel().read(post(STATUS | {"MessageStatus": status}, "/channels/twilio/status"))
    state = STATES[status]
    assert found == ([] if state is None else [Report("twilio", "SM" + "b" * 32, state)])


@pytest.mark.parametrize("status", ["", "teleported", "DELIVERED\x00"])
def test_an_unknown_status_is_ignored(status: str) -> None:
    form = STATUS | {"MessageStatus": status, "SmsStatus": status}
    assert channel().read(post(form, "/channels/twilio/status")) == []


def test_a_failure_keeps_its_code() -> None:
    form = STATUS | {"MessageStatus": "undelivered", "ErrorCode": "30003"}
    assert channel().read(post(form, "/channels/twilio/status")) == [
        Report("twilio", "SM" + "b" * 32, "failed", code="30003")
    ]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("30003", Retry),
        ("30005", Unreachable),
        ("30007", Filtered),
        ("30008", Unknown),
        ("21610", OptedOut),
        ("", GiveUp),
    ],
)
def test_a_failure_says_what_it_leads_to(code: str, kind: type[SendError]) -> None:
    form = STATUS | {"MessageStatus": "undelivered", "ErrorCode": code}
    [found] = channel().read(post(form, "/channels/twilio/status"))
    assert isinstance(found, Report)
    assert type(found.failure) is kind


def test_a_false_status_callback_is_refused() -> None:
    with pytest.raises(BadSignature):
        channel().read(post(STATUS, "/channels/twilio/status/7", signature="x"))


# --- answers


def test_an_answer_names_the_delivery_in_its_status_callback() -> None:
    request = post(FORM)
    [inbound] = channel().read(request)
    assert isinstance(inbound, Inbound)
    response = channel().answer(request, inbound, "收到 <b>&", "42")
    message = ElementTree.fromstring(response.get_data(as_text=True)).find("Message")
    assert message is not None
    assert message.text == "收到 <b>&"
    assert message.get("statusCallback") == message.get("action")
    assert message.get("action") == "https://heat.example.cn/channels/twilio/status/42"
    assert response.content_type.startswith("text/xml")


def test_nobody_is_answered_twice_after_twilio_has_answered() -> None:
    request = post(FORM | {"Body": "STOP", "OptOutType": "STOP"})
    [inbound] = channel().read(request)
    assert isinstance(inbound, Inbound)
    assert "<Message" not in channel().answer(request, inbound, "已退订", "42").get_data(as_text=True)


def test_the_thank_you_is_an_empty_document() -> None:
    response = channel().acknowledge(post(FORM))
    assert ElementTree.fromstring(response.get_data(as_text=True)).tag == "Response"
    assert (response.status_code, len(ElementTree.fromstring(response.get_data(as_text=True)))) == (200, 0)


def test_an_answer_keeps_to_twilios_limit() -> None:
    request = post(FORM)
    [inbound] = channel().read(request)
    assert isinstance(inbound, Inbound)
    document = ElementTree.fromstring(channel().answer(request, inbound, "暖" * 2000, "1").get_data(as_text=True))
    assert len(document.findtext("Message") or "") == 1600


@settings(max_examples=150, deadline=None)
@given(
    form=st.dictionaries(st.sampled_from([*FORM, "MediaUrl0", "OptOutType"]), st.text(max_size=30), max_size=8),
    target=st.sampled_from(["/channels/twilio", "/channels/twilio/status", "/channels/twilio/status/9"]),
)
def test_no_form_breaks_the_door(form: dict[str, str], target: str) -> None:
    body = urlencode({k: v.encode("utf-8", "replace").decode() for k, v in form.items()}).encode()
    request = request_for("POST", target, body, {"Content-Type": "application/x-www-form-urlencoded"})
    validator = RequestValidator(TWILIO.twilio_auth_token)
    url = f"https://heat.example.cn{target}"
    request.environ["HTTP_X_TWILIO_SIGNATURE"] = validator.compute_signature(url, request.form)
    try:
        assert len(channel().read(request)) <= 1
    except BadSignature:
        assert request.form.get("AccountSid") not in (None, TWILIO.twilio_account_sid)
