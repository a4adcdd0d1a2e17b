"""SMS through Tencent Cloud (腾讯云短信): replies, status reports, sending by registered templates.

Tencent signs no callback and gives a reply no id: the address holds a secret, and what a reply says is its id.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests
from flask import Request, Response

from bot.channels import (
    BadRequest,
    Filtered,
    GiveUp,
    Inbound,
    Misconfigured,
    OptedOut,
    OtherWay,
    Outgoing,
    Report,
    Retry,
    SendError,
    Sent,
    Unknown,
    Unreachable,
)
from bot.channels.mainland import (
    Choose,
    Door,
    Template,
    china_time,
    chooser,
    digest,
    door,
    items,
    mobile,
    objects,
    send_all,
    unreadable,
    word,
)
from bot.channels.network import never_left
from bot.database import Database
from bot.settings import Settings, SettingsError

NAME = "tencent"
REGION = "ap-guangzhou"  # where the SMS API is served from
TIMEOUT = 10  # seconds
THANKS = '{"result": 0, "errmsg": "OK"}'

# Tencent's report status → ours.
STATES = {"SUCCESS": "delivered", "FAIL": "failed"}

# Beginning of Tencent's error code → what to do next and why; the longest that fits counts.
ERRORS: dict[str, tuple[type[SendError], str]] = {
    "FailedOperation": (GiveUp, "refused"),
    "FailedOperation.ContainSensitiveWord": (Filtered, "the text holds a forbidden word"),
    "FailedOperation.PhoneNumberInBlacklist": (OptedOut, "has opted out, or the carrier protects the number"),
    "FailedOperation.InsufficientBalanceInSmsPackage": (Misconfigured, "the SMS package is used up"),
    "FailedOperation.FailResolvePacket": (Misconfigured, "the request is not what Tencent expects"),
    "FailedOperation.JsonParseFail": (Misconfigured, "the request is not what Tencent expects"),
    "FailedOperation.MarketingSendTimeConstraint": (Misconfigured, "the template is registered as advertising"),
    "FailedOperation.MissingSignature": (Misconfigured, "the signature is missing"),
    "FailedOperation.NotEnterpriseCertification": (Misconfigured, "the account is not a company's"),
    "FailedOperation.ProhibitSubAccountUse": (Misconfigured, "the CAM user may not send SMS"),
    "FailedOperation.QualificationIdNotApproved": (Misconfigured, "the account's qualification is not approved"),
    "FailedOperation.Sign": (Misconfigured, "the signature is not approved"),
    "FailedOperation.Template": (Misconfigured, "the template is not approved, or has other variables"),
    "InternalError": (Unknown, "Tencent's own error"),
    "InternalError.RequestTimeException": (Misconfigured, "our clock is wrong"),
    "InternalError.RestApiInterfaceNotExist": (Misconfigured, "the API's address is wrong"),
    "InternalError.Sig": (Misconfigured, "the credentials are refused"),
    "InvalidParameter": (GiveUp, "a parameter is refused"),
    "InvalidParameterValue.ContentLengthLimit": (GiveUp, "the text is too long"),
    "InvalidParameterValue.IncorrectPhoneNumber": (Unreachable, "not a phone number"),
    "InvalidParameterValue.ProhibitedUseUrlInTemplateParameter": (GiveUp, "a value holds an address"),
    "InvalidParameterValue.SdkAppIdNotExist": (Misconfigured, "the SdkAppId does not exist"),
    "InvalidParameterValue.TemplateParameter": (OtherWay, "a value is not what its template allows"),
    "MissingParameter": (GiveUp, "a parameter is missing"),
    "LimitExceeded": (Misconfigured, "the account's own limit is reached"),
    "LimitExceeded.DeliveryFrequencyLimit": (Retry, "too many messages"),
    "LimitExceeded.GlobalSmsSendingRateLimit": (Retry, "too many messages"),
    "LimitExceeded.PhoneNumberCountLimit": (GiveUp, "too many numbers"),
    "LimitExceeded.PhoneNumberThirtySecondLimit": (Retry, "too many messages to this number"),
    "LimitExceeded.PhoneNumberOneHourLimit": (Retry, "too many messages to this number"),
    "LimitExceeded.PhoneNumberDailyLimit": (OtherWay, "no more messages to this number today"),
    "LimitExceeded.PhoneNumberSameContentDailyLimit": (OtherWay, "this number has had this text too often today"),
    "RequestLimitExceeded": (Retry, "too many requests"),
    "ResourceUnavailable": (Retry, "not available now"),
    "AuthFailure": (Misconfigured, "the credentials are refused"),
    "UnauthorizedOperation": (Misconfigured, "the account may not send this"),
    "UnsupportedOperation": (Misconfigured, "the template does not serve this region"),
    "IpInBlacklist": (Misconfigured, "our address is refused"),
    "IpNotInWhitelist": (Misconfigured, "our address is not on the list"),
}
# Beginning of the carrier's code in a report of failure → the same. Tencent hands them on as they come, and carriers use
# one code for a phone that is off and a number that is dead, so it is tried once more.
LATE: tuple[tuple[str, type[SendError], str], ...] = (
    ("UNDELIV", Retry, "the handset is off, or the number out of service"),
    ("EXPIRED", Retry, "the handset was off too long"),
    ("MK:", Retry, "the handset is off, or the number out of service"),
    ("BLACK", OptedOut, "is on a black list"),
    ("REJECT", Filtered, "the carrier refused the text"),
    ("KEYWORD", Filtered, "the carrier filtered the text"),
    ("NOROUTE", Misconfigured, "no carrier takes this kind of text"),
)
AFTER = {  # seconds until a retry makes sense
    "LimitExceeded.PhoneNumberThirtySecondLimit": 31.0,
    "LimitExceeded.PhoneNumberOneHourLimit": 3600.0,
    "LimitExceeded.DeliveryFrequencyLimit": 60.0,
}


class Api(Protocol):
    """Tencent's SendSms: takes its parameters, gives the status of the one message. Raises SendError."""

    def __call__(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]: ...


class Tencent:
    """One SMS application at Tencent Cloud; see bot.channels.Channel."""

    name = NAME
    medium = "sms"
    reply_deadline = 0.0  # a response has no room for an answer: store and acknowledge
    max_bytes: int | None = None

    def __init__(self, settings: Settings, entrance: Door, templates: Choose, api: Api) -> None:
        self._settings = settings
        self._door = entrance
        self._templates = templates
        self._api = api

    # --- receiving

    def verify_url(self, request: Request) -> Response:
        """Tencent does not check addresses by GET."""
        raise BadRequest("Tencent posts")

    def read(self, request: Request) -> list[Inbound | Report]:
        """A reply (one object), or status reports. Raises BadSignature for a false secret or address."""
        self._door.check(request)
        if request.path.endswith("/status"):
            return [report for item in objects(request) if (report := _report(item))]
        return [_inbound(item) for item in items(request)]

    def acknowledge(self, request: Request) -> Response:
        """Tencent's own "received"."""
        return Response(THANKS, content_type="application/json; charset=utf-8")

    def answer(self, request: Request, inbound: Inbound, text: str, ref: str) -> Response:
        """Nothing rides in the response: answers go out by the API."""
        return self.acknowledge(request)

    # --- sending

    def send(self, outgoing: Outgoing) -> Sent:
        """Send what is to be said by registered templates. Raises SendError."""
        if not outgoing.to.startswith("+86"):
            raise OtherWay("not a mainland mobile number")
        return Sent(send_all(self._templates(outgoing), lambda template: self._send(outgoing, template)))

    def _send(self, outgoing: Outgoing, template: Template) -> str | None:
        status = self._api(
            {
                "PhoneNumberSet": [outgoing.to],
                "SmsSdkAppId": self._settings.tencent_sdk_app_id,
                "SignName": self._settings.tencent_sign_name,
                "TemplateId": template.id,
                "TemplateParamSet": list(template.values.values()),
                "SessionContext": outgoing.ref,
            }
        )
        code = word(status, "Code")
        if code != "Ok":  # refusals of a number come in an answer that is none
            raise _send_error(code)
        return word(status, "SerialNo") or None


def _inbound(item: Any) -> Inbound:
    if not isinstance(item, dict):
        return unreadable(NAME, item)
    sender, text, told = _sender(item), word(item, "text"), word(item, "time")
    if sender is None:
        return unreadable(NAME, item)
    extend = word(item, "extend")
    return Inbound(
        channel=NAME,
        medium="sms",
        provider_id=f"hash:{digest(sender, told, text, extend)}",
        sender=sender,
        recipient=extend,
        kind="text" if text.strip() else "other",
        text=text,
        sent_at=_moment(told),
        payload={"sign": word(item, "sign")} if word(item, "sign") else {},
    )


def _sender(item: Mapping[str, Any]) -> str | None:
    number, nation = word(item, "mobile"), word(item, "nationcode").lstrip("+")
    return mobile(f"+{nation}{number}" if nation and not number.startswith(("+", "00")) else number)


def _moment(told: str) -> datetime | None:
    """UNIX seconds as a moment; None where they are none."""
    try:
        return datetime.fromtimestamp(int(told), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _report(item: Mapping[str, Any]) -> Report | None:
    state, ref = STATES.get(word(item, "report_status").upper()), word(item, "sid")
    if state is None or not ref:
        return None
    code = word(item, "errmsg") if state == "failed" else ""
    at, failure = china_time(word(item, "user_receive_time")), _late(code) if state == "failed" else None
    return Report(NAME, ref[:64], state, code=code[:64] or None, at=at, failure=failure)


def _late(code: str) -> SendError:
    for beginning, kind, reason in LATE:
        if code.upper().startswith(beginning):
            return kind(reason, code[:64])
    return GiveUp("undelivered", code[:64] or None)


def _send_error(code: str) -> SendError:
    """The provider's own words are left out: they may hold the phone number."""
    family = max((known for known in ERRORS if code.startswith(known)), key=len, default="")
    if not family:
        return Unknown("an error that Tencent does not list", code[:64] or None)
    kind, reason = ERRORS[family]
    return kind(reason, code[:64], AFTER.get(family))


class Sdk:
    """Tencent's own client. It repeats nothing by itself, which suits sends that must not happen twice."""

    def __init__(self, settings: Settings) -> None:
        # Here, so that only those who use Tencent Cloud load it.
        from tencentcloud.common import credential
        from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
        from tencentcloud.common.profile.client_profile import ClientProfile
        from tencentcloud.common.profile.http_profile import HttpProfile
        from tencentcloud.sms.v20210111 import models, sms_client

        logging.getLogger("tencentcloud_sdk_common").setLevel(logging.WARNING)  # its DEBUG lines hold numbers
        address = urlsplit(settings.tencent_api)
        http = HttpProfile(protocol=address.scheme, endpoint=address.netloc, reqTimeout=TIMEOUT)
        keys = credential.Credential(settings.tencent_secret_id, settings.tencent_secret_key)
        self._client = sms_client.SmsClient(keys, REGION, ClientProfile(httpProfile=http))
        self._request, self._failed = models.SendSmsRequest, TencentCloudSDKException

    def __call__(self, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
        """See Api."""
        request = self._request()
        for name, value in parameters.items():
            setattr(request, name, value)
        try:
            [status] = self._client.SendSms(request).SendStatusSet
        except self._failed as error:
            raise _sdk_error(error.get_code() or "", error.__context__) from None
        except (TypeError, ValueError) as error:  # an answer that is not the API's
            raise Unknown(type(error).__name__) from None
        return {"Code": status.Code, "SerialNo": status.SerialNo}


def _sdk_error(code: str, cause: BaseException | None) -> SendError:
    """The SDK gives its own codes to what went wrong on the way; only an unmade connection is safe to repeat."""
    if isinstance(cause, requests.RequestException):
        return (Retry if never_left(cause) else Unknown)(type(cause).__name__)
    return _send_error(code)


def create(settings: Settings, database: Database) -> Tencent | None:
    """The channel, or None where its settings are not given. Raises SettingsError where they are given in part."""
    given = [
        settings.tencent_secret_id,
        settings.tencent_secret_key,
        settings.tencent_sdk_app_id,
        settings.tencent_sign_name,
        settings.tencent_callback_secret,
    ]
    if not any(given):
        return None
    if not all(given):
        raise SettingsError(
            "Tencent Cloud needs HEATLINE_TENCENT_SECRET_ID, HEATLINE_TENCENT_SECRET_KEY, HEATLINE_TENCENT_SDK_APP_ID, "
            "HEATLINE_TENCENT_SIGN_NAME and HEATLINE_TENCENT_CALLBACK_SECRET."
        )
    entrance = door("HEATLINE_TENCENT", settings.tencent_callback_secret, settings.tencent_allowed_ips)
    return Tencent(settings, entrance, chooser(database, NAME), Sdk(settings))
