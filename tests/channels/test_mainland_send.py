"""Sending through the providers' own SDKs to their stand-ins: what each refusal leads to, and which template is sent."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from tencentcloud.sms.v20210111 import errorcodes

from bot.channels import (
    Channel,
    Entry,
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
    sms_aliyun,
    sms_tencent,
)
from bot.channels.mainland import Door, Template, choose
from bot.rules import RuleBook, _book, shipped
from bot.standins.aliyun import AliyunStandIn
from bot.standins.phones import Phones
from bot.standins.tencent import TencentStandIn
from bot.standins.transport import HttpTransport
from tests.channels.mainland import APPROVED, MAINLAND, TEMPLATES, served

PHONE = "+8619900001234"
OUT = Outgoing(PHONE, "您报的漏水有人接了", "7")
DOOR = Door("x" * 16)
ACCEPTED = Entry("status.accepted", {"problem": "漏水", "team": "二七班组", "note": "", "number": "N1"})


@pytest.fixture
def aliyun() -> Iterator[AliyunStandIn]:
    made = AliyunStandIn(MAINLAND, HttpTransport("http://127.0.0.1:1"), Phones())
    made.templates = dict(APPROVED["aliyun"])
    with served(made.app()) as address:
        made.settings = replace(MAINLAND, aliyun_api=address)
        yield made


@pytest.fixture
def tencent() -> Iterator[TencentStandIn]:
    made = TencentStandIn(MAINLAND, HttpTransport("http://127.0.0.1:1"), Phones())
    made.templates = dict(APPROVED["tencent"])
    with served(made.app()) as address:
        made.settings = replace(MAINLAND, tencent_api=address)
        yield made


def by_aliyun(standin: AliyunStandIn, **settings: str) -> Channel:
    chosen = Template("SMS_1", {"problem": "漏水", "team": "二七班组", "number": "N1"})
    known = replace(standin.settings, **settings)
    return sms_aliyun.Aliyun(known, DOOR, lambda outgoing: [chosen], sms_aliyun.Sdk(known))


def by_tencent(standin: TencentStandIn, **settings: str) -> Channel:
    chosen = Template("1001", {"problem": "漏水", "team": "二七班组", "number": "N1"})
    known = replace(standin.settings, **settings)
    return sms_tencent.Tencent(known, DOOR, lambda outgoing: [chosen], sms_tencent.Sdk(known))


def refusal(channel: Channel, outgoing: Outgoing = OUT) -> SendError:
    with pytest.raises(SendError) as caught:
        channel.send(outgoing)
    return caught.value


def no_server() -> str:
    """An address at which nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


# --- Aliyun


def test_aliyun_sends_signed_and_gives_its_own_id_and_ours(aliyun: AliyunStandIn) -> None:
    ref = by_aliyun(aliyun).send(OUT).provider_ref
    [message] = aliyun.messages.values()
    assert (message.biz_id, message.phone, message.out_id) == (ref, "19900001234", "7")
    assert message.text == "您报的漏水有人接了：二七班组，会先联系您。单号N1。"


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"aliyun_access_key_secret": "another"}, "SignatureDoesNotMatch"),
        ({"aliyun_sign_name": "别家"}, "isv.SMS_SIGNATURE_ILLEGAL"),
    ],
)
def test_aliyuns_stand_in_is_as_strict_as_aliyun(aliyun: AliyunStandIn, settings: dict[str, str], code: str) -> None:
    error = refusal(by_aliyun(aliyun, **settings))
    assert (type(error), error.code) == (Misconfigured, code)


@pytest.mark.parametrize("code", sorted(sms_aliyun.ERRORS))
def test_every_code_of_aliyun_in_a_200_is_a_failure(aliyun: AliyunStandIn, code: str) -> None:
    aliyun.fail(code)
    error = refusal(by_aliyun(aliyun))
    assert (type(error), error.code) == (sms_aliyun.ERRORS[code][0], code)


@pytest.mark.parametrize(
    ("code", "status", "kind", "after"),
    [
        ("isv.BUSINESS_LIMIT_CONTROL", 200, Retry, 900.0),
        ("Throttling.User", 400, Retry, 30.0),
        ("InvalidAccessKeyId.NotFound", 404, Misconfigured, None),
        ("Forbidden.RAM", 403, Misconfigured, None),
        ("SomethingElse", 403, Misconfigured, None),
        ("ServiceUnavailable", 503, Unknown, None),
        ("isp.SOMETHING_NEW", 200, Unknown, None),
        ("isv.SOMETHING_NEW", 200, GiveUp, None),
        ("", 200, Unknown, None),
    ],
)
def test_aliyuns_families_of_codes(
    aliyun: AliyunStandIn, code: str, status: int, kind: type[SendError], after: float | None
) -> None:
    aliyun.fail(code, status)
    error = refusal(by_aliyun(aliyun))
    assert (type(error), error.after) == (kind, after)


@pytest.mark.parametrize("number", ["+85291234567", "unknown", "+862112345678", "+8619900001234;rm"])
def test_aliyun_sends_to_mainland_mobiles_only(aliyun: AliyunStandIn, number: str) -> None:
    assert isinstance(refusal(by_aliyun(aliyun), replace(OUT, to=number)), OtherWay)
    assert aliyun.messages == {}


@pytest.mark.parametrize("body", ["<html>bad gateway</html>", "[]", "null", "", '{"Code": {}}'])
@pytest.mark.parametrize("status", [200, 502])
def test_an_answer_that_is_not_aliyuns_is_ambiguous(aliyun: AliyunStandIn, body: str, status: int) -> None:
    aliyun.fail("", status, body=body or " ")
    assert isinstance(refusal(by_aliyun(aliyun)), Unknown)


def test_aliyun_out_of_reach_is_retried_and_a_late_answer_is_not(
    aliyun: AliyunStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(refusal(by_aliyun(aliyun, aliyun_api=no_server())), Retry)
    monkeypatch.setattr(sms_aliyun, "TIMEOUT", 200)
    aliyun.fail("x", delay=1.0, works=True)
    error = refusal(by_aliyun(aliyun))
    assert isinstance(error, Unknown)
    assert PHONE[3:] not in "".join(traceback.format_exception(error))


# --- Tencent Cloud


def test_tencent_sends_signed_and_gives_its_serial(tencent: TencentStandIn) -> None:
    ref = by_tencent(tencent).send(OUT).provider_ref
    [message] = tencent.messages.values()
    assert (message.serial, message.phone) == (ref, PHONE)
    assert message.text == "您报的漏水有人接了：二七班组，会先联系您。单号N1。"


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"tencent_secret_key": "another"}, "AuthFailure.SignatureFailure"),
        ({"tencent_sdk_app_id": "1"}, "InvalidParameterValue.SdkAppIdNotExist"),
        ({"tencent_sign_name": "别家"}, "FailedOperation.SignatureIncorrectOrUnapproved"),
    ],
)
def test_tencents_stand_in_is_as_strict_as_tencent(
    tencent: TencentStandIn, settings: dict[str, str], code: str
) -> None:
    error = refusal(by_tencent(tencent, **settings))
    assert (type(error), error.code) == (Misconfigured, code)


@pytest.mark.parametrize(
    ("code", "kind", "after"),
    [
        ("FailedOperation.PhoneNumberInBlacklist", OptedOut, None),
        ("FailedOperation.ContainSensitiveWord", Filtered, None),
        ("FailedOperation.TemplateParamSetNotMatchApprovedTemplate", Misconfigured, None),
        ("FailedOperation.InsufficientBalanceInSmsPackage", Misconfigured, None),
        ("LimitExceeded.PhoneNumberThirtySecondLimit", Retry, 31.0),
        ("LimitExceeded.PhoneNumberOneHourLimit", Retry, 3600.0),
        ("LimitExceeded.PhoneNumberDailyLimit", OtherWay, None),
        ("LimitExceeded.AppDailyLimit", Misconfigured, None),
        ("RequestLimitExceeded.UinLimitExceeded", Retry, None),
        ("InvalidParameterValue.TemplateParameterLengthLimit", OtherWay, None),
        ("InvalidParameterValue.IncorrectPhoneNumber", Unreachable, None),
        ("UnauthorizedOperation.ServiceSuspendDueToArrears", Misconfigured, None),
        ("AuthFailure.SecretIdNotFound", Misconfigured, None),
        ("InternalError.SigVerificationFail", Misconfigured, None),
        ("InternalError.Timeout", Unknown, None),
        ("SomethingNew", Unknown, None),
    ],
)
def test_what_tencents_codes_lead_to(
    tencent: TencentStandIn, code: str, kind: type[SendError], after: float | None
) -> None:
    tencent.fail(code)
    error = refusal(by_tencent(tencent))
    assert (type(error), error.code, error.after) == (kind, code, after)


@pytest.mark.parametrize("code", sorted(v for k, v in vars(errorcodes).items() if k.isupper()))
def test_every_code_that_the_sdk_lists_has_a_meaning(code: str) -> None:
    assert "does not list" not in sms_tencent._send_error(code).reason


@pytest.mark.parametrize(("body", "status"), [("<html>", 502), ("<html>", 200), ("{}", 200), ('{"Response": {}}', 200)])
def test_an_answer_that_is_not_tencents_is_ambiguous(tencent: TencentStandIn, body: str, status: int) -> None:
    tencent.fail("", body=body, status=status)
    assert isinstance(refusal(by_tencent(tencent)), Unknown)


def test_tencent_out_of_reach_is_retried_and_a_late_answer_is_not(
    tencent: TencentStandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(refusal(by_tencent(tencent, tencent_api=no_server())), Retry)
    monkeypatch.setattr(sms_tencent, "TIMEOUT", 0.2)
    tencent.fail("x", delay=1.0, works=True)
    assert isinstance(refusal(by_tencent(tencent)), Unknown)


# --- which template


@pytest.fixture(scope="module")
def book() -> RuleBook:
    """The shipped rules with TEMPLATES registered."""
    return replace(_book(shipped(), 1, "12345"), raw={"sms_templates": TEMPLATES})


def chosen(book: RuleBook, provider: str, *entries: Entry, text: str = "短", longest: int | None = 35) -> Any:
    try:
        found = choose(book, provider, Outgoing(PHONE, text, "7", entries=entries), longest)
    except OtherWay as error:
        return error.reason
    parts = [(part.id, list(part.values.values())) for part in found]
    return parts[0] if len(parts) == 1 else parts


def test_the_first_template_that_tells_everything_is_sent(book: RuleBook) -> None:
    noted = replace(ACCEPTED, params={**ACCEPTED.params, "note": "明天来。"})
    assert chosen(book, "aliyun", ACCEPTED) == ("SMS_1", ["漏水", "二七班组", "N1"])
    assert chosen(book, "aliyun", noted) == ("SMS_2", ["漏水", "二七班组", "明天来。", "N1"])


def test_a_template_that_would_leave_something_unsaid_is_not_sent(book: RuleBook) -> None:
    noted = replace(ACCEPTED, params={**ACCEPTED.params, "note": "明天来。"})
    assert chosen(book, "tencent", noted, text="全文") == ("1009", ["全文"])
    assert chosen(book, "tencent", noted, text="") == "no registered template at tencent for status.accepted"


def test_several_entries_take_the_general_template_where_it_fits(book: RuleBook) -> None:
    both = (Entry("greet.here"), Entry("ask.room"))
    assert chosen(book, "aliyun", *both, text="我在。\n门牌号是多少？") == ("SMS_9", ["我在。 门牌号是多少？"])
    assert chosen(book, "aliyun", *both, text="字" * 35)[0] == "SMS_9"
    assert chosen(book, "aliyun", *both, text="字" * 36) == "no registered template at aliyun for greet.here+ask.room"
    assert chosen(book, "tencent", *both, text="字" * 99, longest=None)[0] == "1009"


def test_a_combination_may_have_a_template_of_its_own(book: RuleBook) -> None:
    rule = {
        "templates": {"aliyun": {"ask.room+status.accepted": {"id": "SMS_5", "params": ["problem", "team", "number"]}}}
    }
    both = replace(book, raw={"sms_templates": rule})
    assert chosen(both, "aliyun", Entry("ask.room"), ACCEPTED) == ("SMS_5", ["漏水", "二七班组", "N1"])
    conflicting = Entry("ask.room", {"number": "N2"})
    assert chosen(both, "aliyun", conflicting, ACCEPTED).startswith("no registered template")


def test_a_value_that_is_too_long_is_never_cut(book: RuleBook) -> None:
    long = replace(ACCEPTED, params={**ACCEPTED.params, "team": "班" * 36})
    assert chosen(book, "aliyun", long, text="字" * 36) == "no registered template at aliyun for status.accepted"


def test_nothing_is_registered_as_shipped() -> None:
    bare = _book(shipped(), 1, "12345")
    assert chosen(bare, "aliyun", ACCEPTED) == "no registered template at aliyun for status.accepted"
    assert chosen(bare, "tencent", text="您好") == "no registered template at tencent for a typed text"
