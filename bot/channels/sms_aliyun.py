"""SMS through Aliyun (阿里云短信服务): uplink messages (SmsUp), reports (SmsReport), sending by registered templates.

Aliyun signs no callback, so the address holds a secret, and waits 700 ms, so nothing is answered within the response.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping
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

NAME = "aliyun"
TIMEOUT = 10_000  # milliseconds, as the SDK counts
LONGEST_VALUE = 35  # characters of a template's variable
THANKS = '{"code": 0, "msg": "成功"}'

# Whether a report says that the message arrived → ours.
STATES = {"true": "delivered", "false": "failed"}

# Aliyun's error code → what to do next and why. A code that is not here is judged by its family, then the HTTP status.
ERRORS: dict[str, tuple[type[SendError], str]] = {
    "isv.BUSINESS_LIMIT_CONTROL": (Retry, "too many messages to this number"),
    "isv.DAY_LIMIT_CONTROL": (Misconfigured, "the account's own daily limit is reached"),
    "isv.MONTH_LIMIT_CONTROL": (Misconfigured, "the account's own monthly limit is reached"),
    "isv.CUSTOMER_REFUSED": (OptedOut, "has opted out"),
    "isv.MOBILE_NUMBER_ILLEGAL": (Unreachable, "not a mobile number"),
    "isv.MOBILE_COUNT_OVER_LIMIT": (GiveUp, "too many numbers"),
    "isv.BLACK_KEY_CONTROL_LIMIT": (Filtered, "a value holds a forbidden word"),
    "isv.SMS_CONTENT_ILLEGAL": (Filtered, "the text is forbidden"),
    "isv.PARAM_NOT_SUPPORT_URL": (GiveUp, "a value holds an address"),
    "isv.PARAM_LENGTH_LIMIT": (OtherWay, "a value is too long for the template"),
    "isv.TEMPLATE_PARAMS_ILLEGAL": (OtherWay, "a value is not what its template allows"),
    "isv.TEMPLATE_MISSING_PARAMETERS": (Misconfigured, "the template has other variables"),
    "isv.INVALID_JSON_PARAM": (Misconfigured, "the template has other variables"),
    "isv.INVALID_PARAMETERS": (Misconfigured, "the parameters are not what Aliyun expects"),
    "isv.SMS_TEMPLATE_ILLEGAL": (Misconfigured, "the template is not approved"),
    "isv.SMS_SIGNATURE_ILLEGAL": (Misconfigured, "the signature is not approved"),
    "isv.SMS_SIGN_ILLEGAL": (Misconfigured, "the signature may not be used"),
    "isv.SIGN_STATE_ILLEGAL": (Misconfigured, "the signature may not be used"),
    "isv.SMS_SIGNATURE_SCENE_ILLEGAL": (Misconfigured, "signature and template are of different kinds"),
    "isv.EXTEND_CODE_ERROR": (Misconfigured, "the extension code belongs to another signature"),
    "isv.DOMESTIC_NUMBER_NOT_SUPPORTED": (Misconfigured, "a template for abroad"),
    "isv.DENY_IP_RANGE": (Misconfigured, "our address is not in the mainland"),
    "isv.OUT_OF_SERVICE": (Misconfigured, "the account has no money left"),
    "isv.AMOUNT_NOT_ENOUGH": (Misconfigured, "the account has no money left"),
    "isv.PRODUCT_UN_SUBSCRIPT": (Misconfigured, "the SMS service is not open"),
    "isv.PRODUCT_UNSUBSCRIBE": (Misconfigured, "the SMS service is not open"),
    "isv.ACCOUNT_NOT_EXISTS": (Misconfigured, "the account does not exist"),
    "isv.ACCOUNT_ABNORMAL": (Misconfigured, "the account is not in order"),
    "isp.RAM_PERMISSION_DENY": (Misconfigured, "the RAM user may not send SMS"),
    "isp.SYSTEM_ERROR": (Unknown, "Aliyun's own error"),
    "isp.GATEWAY_ERROR": (Unknown, "Aliyun's own error"),
}
# The code of a report of failure → the same. The carriers' own words behind them are vague: a phone that is off and a
# number that is dead may have one code, so it is tried once more.
LATE: dict[str, tuple[type[SendError], str]] = {
    "MOBILE_IN_BLACK": (OptedOut, "has opted out, or is on a black list"),
    "USER_REJECT": (OptedOut, "has opted out"),
    "MOBILE_ACCOUNT_ABNORMAL": (Unreachable, "the number is out of service"),
    "MOBILE_NOT_ON_SERVICE": (Retry, "the handset is off, or the number out of service"),
    "INVALID_NUMBER": (Retry, "the handset is off, or the number does not exist"),
    "MOBILE_TERMINAL_ERROR": (Retry, "the handset takes no more"),
    "MOBLLE_TERMINAL_ERROR": (Retry, "the handset takes no more"),  # so spelled in Aliyun's own list
    "IS_CLOSE": (Retry, "the carrier's line is closed"),
    "SP_UNKNOWN_ERROR": (Unknown, "unknown error"),
    "MOBILE_SEND_LIMIT": (OtherWay, "no more messages to this number today"),
    "CONTENT_KEYWORD": (Filtered, "the carrier filtered the text"),
    "CONTENT_ERROR": (Filtered, "the text lacks what its kind must say"),
    "SIGNATURE_BLACKLIST": (Misconfigured, "the signature is on a black list"),
    "NO_ROUTE": (Misconfigured, "no carrier takes this kind of text"),
    "PARAMS_ILLEGAL": (Misconfigured, "the parameters are not what Aliyun expects"),
}
FAMILIES: dict[str, tuple[type[SendError], str]] = {  # beginning of a code of the API gateway
    "Throttling": (Retry, "too many requests"),
    "InvalidAccessKey": (Misconfigured, "the credentials are refused"),
    "SignatureDoesNotMatch": (Misconfigured, "the credentials are refused"),
    "SignatureNonceUsed": (Unknown, "the request was repeated on its way"),
    "InvalidTimeStamp": (Misconfigured, "our clock is wrong"),
    "Forbidden": (Misconfigured, "the RAM user may not send SMS"),
    "isp.": (Unknown, "Aliyun's own error"),
}
AFTER = {"isv.BUSINESS_LIMIT_CONTROL": 900.0, "Throttling": 30.0}  # seconds until a retry makes sense
_MOBILE = re.compile(r"\+86(1\d{10})")


class Api(Protocol):
    """Aliyun's SendSms: takes its parameters, gives the body of its answer. Raises SendError."""

    def __call__(self, parameters: Mapping[str, str]) -> Mapping[str, Any]: ...


class Aliyun:
    """One Aliyun account; see bot.channels.Channel."""

    name = NAME
    medium = "sms"
    reply_deadline = 0.0  # Aliyun waits 700 ms: store and acknowledge
    max_bytes: int | None = None

    def __init__(self, settings: Settings, entrance: Door, templates: Choose, api: Api) -> None:
        self._settings = settings
        self._door = entrance
        self._templates = templates
        self._api = api

    # --- receiving

    def verify_url(self, request: Request) -> Response:
        """Aliyun does not check addresses by GET."""
        raise BadRequest("Aliyun posts")

    def read(self, request: Request) -> list[Inbound | Report]:
        """The messages of a SmsUp, or the reports of a SmsReport. Raises BadSignature for a false secret or address."""
        self._door.check(request)
        if request.path.endswith("/report"):
            return [report for item in objects(request) if (report := _report(item))]
        return [_inbound(item) for item in items(request)]

    def acknowledge(self, request: Request) -> Response:
        """Aliyun's own "received"."""
        return Response(THANKS, content_type="application/json; charset=utf-8")

    def answer(self, request: Request, inbound: Inbound, text: str, ref: str) -> Response:
        """Nothing rides in the response: answers go out by the API."""
        return self.acknowledge(request)

    # --- sending

    def send(self, outgoing: Outgoing) -> Sent:
        """Send what is to be said by registered templates. Raises SendError."""
        number = _MOBILE.fullmatch(outgoing.to)
        if number is None:
            raise OtherWay("not a mainland mobile number")
        return Sent(send_all(self._templates(outgoing), lambda template: self._send(number[1], template, outgoing.ref)))

    def _send(self, number: str, template: Template, ref: str) -> str | None:
        answer = self._api(
            {
                "phone_numbers": number,
                "sign_name": self._settings.aliyun_sign_name,
                "template_code": template.id,
                "template_param": json.dumps(dict(template.values), ensure_ascii=False),
                "out_id": ref,
            }
        )
        code = word(answer, "Code")
        if code != "OK":  # refusals come with HTTP 200
            raise _send_error(code, 200)
        return word(answer, "BizId") or None


def _inbound(item: Any) -> Inbound:
    if not isinstance(item, dict):
        return unreadable(NAME, item)
    sender, text = mobile(word(item, "phone_number")), word(item, "content")
    if sender is None:
        return unreadable(NAME, item)
    sent, dest = word(item, "send_time"), word(item, "dest_code")
    return Inbound(
        channel=NAME,
        medium="sms",
        provider_id=word(item, "sequence_id") or f"hash:{digest(sender, sent, text, dest)}",
        sender=sender,
        recipient=dest,
        kind="text" if text.strip() else "other",
        text=text,
        sent_at=china_time(sent),
    )


def _report(item: Mapping[str, Any]) -> Report | None:
    success, ref = item.get("success"), word(item, "biz_id")
    state = STATES.get(str(success).lower()) if isinstance(success, bool | str) else None
    if state is None or not ref:
        return None
    code = word(item, "err_code") if state == "failed" else ""
    at, ours = china_time(word(item, "report_time")), word(item, "out_id")
    failure = None
    if state == "failed":
        kind, reason = LATE.get(code, (GiveUp, "undelivered"))
        failure = kind(reason, code[:64] or None)
    return Report(NAME, ref[:64], state, code=code[:64] or None, at=at, ref=ours or None, failure=failure)


def _send_error(code: str, status: int) -> SendError:
    """The provider's own words are left out: they may hold the phone number."""
    if code in ERRORS:
        kind, reason = ERRORS[code]
        return kind(reason, code, AFTER.get(code))
    for family, (kind, reason) in FAMILIES.items():
        if code.startswith(family):
            return kind(reason, code[:64], AFTER.get(family))
    if status in (401, 403):
        return Misconfigured(f"HTTP {status}", code[:64] or None)
    ambiguous = status >= 500 or not code
    return (Unknown if ambiguous else GiveUp)(f"HTTP {status}", code[:64] or None)


class Sdk:
    """Aliyun's own client. It repeats nothing by itself, which suits sends that must not happen twice."""

    def __init__(self, settings: Settings) -> None:
        # Here, because importing it takes most of a second, which only those who use Aliyun should wait.
        from alibabacloud_dysmsapi20170525 import models
        from alibabacloud_dysmsapi20170525.client import Client
        from alibabacloud_tea_openapi.exceptions import AlibabaCloudException
        from alibabacloud_tea_openapi.utils_models import Config
        from darabonba.exceptions import UnretryableException
        from darabonba.runtime import RuntimeOptions

        address = urlsplit(settings.aliyun_api)
        self._client = Client(
            Config(
                access_key_id=settings.aliyun_access_key_id,
                access_key_secret=settings.aliyun_access_key_secret,
                endpoint=address.netloc,
                protocol=address.scheme,
            )
        )
        self._runtime = RuntimeOptions(autoretry=False, connect_timeout=TIMEOUT, read_timeout=TIMEOUT)
        self._request, self._refused, self._failed = models.SendSmsRequest, AlibabaCloudException, UnretryableException
        for name in ("darabonba-core", "urllib3"):  # the SDK puts numbers into the query, which these would log
            logging.getLogger(name).setLevel(logging.WARNING)

    def __call__(self, parameters: Mapping[str, str]) -> Mapping[str, Any]:
        """See Api."""
        try:
            response = self._client.send_sms_with_options(self._request(**parameters), self._runtime)
            return dict(response.body.to_map())
        except self._refused as error:
            raise _send_error(str(error.code or ""), error.status_code or 500) from None
        except self._failed as error:
            raise _network_error(error.inner_exception) from None
        except (AttributeError, KeyError, TypeError, ValueError) as error:  # an answer that is not the API's
            raise Unknown(type(error).__name__) from None


def _network_error(error: BaseException | None) -> SendError:
    """The SDK wraps whatever went wrong; only a connection that was never made is safe to repeat."""
    cause = error.__context__ if error is not None else None
    if isinstance(cause, requests.RequestException):
        return (Retry if never_left(cause) else Unknown)(type(cause).__name__)
    return Unknown(type(error).__name__)


def create(settings: Settings, database: Database) -> Aliyun | None:
    """The channel, or None where its settings are not given. Raises SettingsError where they are given in part."""
    given = [
        settings.aliyun_access_key_id,
        settings.aliyun_access_key_secret,
        settings.aliyun_sign_name,
        settings.aliyun_callback_secret,
    ]
    if not any(given):
        return None
    if not all(given):
        raise SettingsError(
            "Aliyun needs HEATLINE_ALIYUN_ACCESS_KEY_ID, HEATLINE_ALIYUN_ACCESS_KEY_SECRET, HEATLINE_ALIYUN_SIGN_NAME "
            "and HEATLINE_ALIYUN_CALLBACK_SECRET."
        )
    entrance = door("HEATLINE_ALIYUN", settings.aliyun_callback_secret, settings.aliyun_allowed_ips)
    return Aliyun(settings, entrance, chooser(database, NAME, LONGEST_VALUE), Sdk(settings))
