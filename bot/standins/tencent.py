"""A stand-in of Tencent Cloud SMS: posts replies and how messages fared, and takes SendSms.

Duties it has from the real one: the TC3 signature, approved templates and signatures, refusals inside a success,
replies without an id, reports in batches, a limit for each number.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import re
import threading
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from flask import Flask, Request, Response, jsonify, request

from bot import clock
from bot.settings import Settings
from bot.standins.faults import Fault, Faults, response
from bot.standins.phones import PUSHED, SAID, Phones
from bot.standins.transport import Answer, Transport

PATIENCE = 3.0  # seconds
CHINA = ZoneInfo("Asia/Shanghai")
Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outbound:
    """A message that Tencent took."""

    serial: str
    phone: str
    text: str


class TencentStandIn:
    """One SMS application. `templates` are the approved ones: id → wording with {1}, {2} …"""

    def __init__(self, settings: Settings, transport: Transport, phones: Phones) -> None:
        self.settings = settings
        self.transport = transport
        self.phones = phones
        self.faults = Faults()
        self.templates: dict[str, str] = {}
        self.opted_out: set[str] = set()
        self.hourly = 0  # messages to one number in an hour, beyond which it refuses; 0: any number
        self.unacknowledged: list[tuple[Any, str]] = []  # callbacks that the service did not thank for
        self._taken: list[tuple[str, float]] = []
        self.messages: dict[str, Outbound] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    # --- callbacks

    def reply(self, phone: str, text: str, at: int | None = None) -> Item:
        """One reply, as Tencent posts it; it has no id."""
        return {
            "extend": "",
            "mobile": phone.removeprefix("+86"),
            "nationcode": "86",
            "sign": self.settings.tencent_sign_name,
            "text": text,
            "time": at if at is not None else int(clock.now().timestamp()),
        }

    def send_sms(self, phone: str, text: str) -> Answer:
        """The resident texts."""
        self.phones.add("sms", phone, SAID, text)
        return self.post(self.reply(phone, text))

    def post(self, body: Any, call: str = "reply", secret: str | None = None) -> Answer:
        """Post a callback: `reply` or `status`."""
        target = f"/channels/tencent/{secret or self.settings.tencent_callback_secret}/{call}"
        raw, head = json.dumps(body).encode(), {"Content-Type": "application/json"}
        answer = self.transport.post(target, raw, head, PATIENCE)
        if answer.status != 200:
            self.unacknowledged.append((body, call))
        return answer

    def fate(self, serial: str, success: bool = True, code: str = "DELIVRD") -> Item:
        """How one message fared, as a status report lists it."""
        return {
            "user_receive_time": clock.now().astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S"),
            "nationcode": "86",
            "mobile": self.messages[serial].phone.removeprefix("+86"),
            "report_status": "SUCCESS" if success else "FAIL",
            "errmsg": code,
            "description": "用户短信送达成功" if success else "发送失败",
            "sid": serial,
        }

    def again(self) -> None:
        """Post once more what was not thanked for, as the provider does minutes later."""
        waiting, self.unacknowledged = self.unacknowledged, []
        for body, call in waiting:
            self.post(body, call)

    def _is_too_much(self, phone: str) -> bool:
        """Whether this number has had its messages of the hour; counts this one otherwise."""
        now = clock.now().timestamp()
        self._taken = [(number, at) for number, at in self._taken if at > now - 3600]
        if self.hourly and sum(number == phone for number, _ in self._taken) >= self.hourly:
            return True
        self._taken.append((phone, now))
        return False

    def report_all(self) -> Answer:
        """Every message has arrived; one batch, the newest first."""
        return self.post([self.fate(serial) for serial in reversed(self.messages)], "status")

    # --- the API

    def fail(self, code: str, **how: Any) -> None:
        """Let the next calls fail with Tencent's code (an error of the whole call); `how` are fields of Fault."""
        self.faults.add(Fault(body=how.pop("body", None) or _error(code), **how))

    def app(self) -> Flask:
        """The API's own address."""
        made = Flask("tencent")

        @made.post("/")
        def call() -> Response:
            fault = self.faults.next(request.path, None)
            if fault is not None and not fault.works:
                return response(fault)
            answer = jsonify(self._call(request))
            return answer if fault is None else response(fault)

        return made

    def _call(self, request: Request) -> Item:
        if not self._is_signed(request):
            return _error("AuthFailure.SignatureFailure")
        if request.headers.get("X-TC-Action") != "SendSms":
            return _error("InvalidAction")
        return self.send(request.get_json())

    def _is_signed(self, request: Request) -> bool:
        """Whether TC3-HMAC-SHA256 over the request gives the signature in its header."""
        given = re.fullmatch(
            r"TC3-HMAC-SHA256 Credential=([^/]*)/([^/]*)/sms/tc3_request, SignedHeaders=(\S*), Signature=(\w*)",
            request.headers.get("Authorization", ""),
        )
        if given is None or given[1] != self.settings.tencent_secret_id:
            return False
        headers = "".join(f"{name}:{request.headers.get(name, '').lower().strip()}\n" for name in given[3].split(";"))
        body = hashlib.sha256(request.get_data()).hexdigest()
        canonical = "\n".join([request.method, request.path, "", headers, given[3], body])
        scope, hashed = f"{given[2]}/sms/tc3_request", hashlib.sha256(canonical.encode()).hexdigest()
        text = f"TC3-HMAC-SHA256\n{request.headers.get('X-TC-Timestamp')}\n{scope}\n{hashed}"
        key = f"TC3{self.settings.tencent_secret_key}".encode()
        for part in (given[2], "sms", "tc3_request", text):
            key = hmac.digest(key, part.encode(), hashlib.sha256)
        return hmac.compare_digest(given[4], key.hex())

    def send(self, asked: Item) -> Item:
        """SendSms to one number: the answer; a refusal of the number stands in a success."""
        [phone] = asked["PhoneNumberSet"]
        wording, values = self.templates.get(asked["TemplateId"]), asked.get("TemplateParamSet") or []
        if asked.get("SmsSdkAppId") != self.settings.tencent_sdk_app_id:
            return _error("InvalidParameterValue.SdkAppIdNotExist")
        if asked.get("SignName") != self.settings.tencent_sign_name:
            return _status(phone, "FailedOperation.SignatureIncorrectOrUnapproved")
        if wording is None:
            return _status(phone, "FailedOperation.TemplateIncorrectOrUnapproved")
        if len(values) != len(set(re.findall(r"\{(\d+)\}", wording))):
            return _status(phone, "FailedOperation.TemplateParamSetNotMatchApprovedTemplate")
        if not re.fullmatch(r"\+861\d{10}", phone):
            return _status(phone, "InvalidParameterValue.IncorrectPhoneNumber")
        if phone in self.opted_out:
            return _status(phone, "FailedOperation.PhoneNumberInBlacklist")
        if self._is_too_much(phone):
            return _status(phone, "LimitExceeded.PhoneNumberOneHourLimit")
        text = re.sub(r"\{(\d+)\}", lambda found: values[int(found[1]) - 1], wording)
        with self._lock:
            serial = f"2640:{next(self._numbers):024d}"
            self.messages[serial] = Outbound(serial, phone, text)
        self.phones.add("sms", phone, PUSHED, f"【{self.settings.tencent_sign_name}】{text}")
        return _status(phone, "Ok", serial)


def _status(phone: str, code: str, serial: str = "") -> Item:
    """The answer to a call about one number."""
    status = {"SerialNo": serial, "PhoneNumber": phone, "Fee": int(code == "Ok"), "SessionContext": ""}
    return {
        "Response": {
            "SendStatusSet": [{**status, "Code": code, "Message": "told by the stand-in", "IsoCode": "CN"}],
            "RequestId": "stand-in",
        }
    }


def _error(code: str) -> Item:
    return {"Response": {"Error": {"Code": code, "Message": "told by the stand-in"}, "RequestId": "stand-in"}}
