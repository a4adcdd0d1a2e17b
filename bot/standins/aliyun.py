"""A stand-in of Aliyun SMS: posts what residents text and how messages fared, and takes SendSms.

Duties it has from the real one: the ACS3 signature, approved templates and signatures, values of 1 to 35 characters,
refusals inside HTTP 200, batches, callbacks that are repeated until they are thanked for, a limit for each number.
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from flask import Flask, Request, Response, jsonify, request

from bot import clock
from bot.settings import Settings
from bot.standins.faults import Fault, Faults, response
from bot.standins.phones import PUSHED, SAID, Phones
from bot.standins.transport import Answer, Transport

PATIENCE = 0.7  # seconds that Aliyun waits for an answer to a callback
LONGEST_VALUE = 35
CHINA = ZoneInfo("Asia/Shanghai")
Item = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outbound:
    """A message that Aliyun took."""

    biz_id: str
    phone: str
    text: str
    out_id: str


class AliyunStandIn:
    """One account with one signature. `templates` are the approved ones: code → wording with ${variables}."""

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

    def up(self, phone: str, text: str, sequence_id: str | None = None) -> Item:
        """One uplink message, as SmsUp lists it."""
        number = sequence_id or str(900_000_000 + next(self._numbers))
        return {
            "phone_number": phone.removeprefix("+86"),
            "content": text,
            "send_time": _china_now(),
            "dest_code": "10690001",
            "sequence_id": number,
        }

    def send_sms(self, phone: str, text: str) -> Answer:
        """The resident texts."""
        self.phones.add("sms", phone, SAID, text)
        return self.post([self.up(phone, text)])

    def post(self, items: Any, call: str = "up", secret: str | None = None) -> Answer:
        """Post a callback: `up` or `report`."""
        target = f"/channels/aliyun/{secret or self.settings.aliyun_callback_secret}/{call}"
        body, head = json.dumps(items).encode(), {"Content-Type": "application/json"}
        answer = self.transport.post(target, body, head, PATIENCE)
        if answer.status != 200:
            self.unacknowledged.append((items, call))
        return answer

    def fate(self, biz_id: str, success: bool = True, code: str = "DELIVERED") -> Item:
        """How one message fared, as SmsReport lists it."""
        message = self.messages[biz_id]
        return {
            "phone_number": message.phone,
            "send_time": _china_now(),
            "report_time": _china_now(),
            "success": success,
            "err_code": code,
            "err_msg": "用户接收成功" if success else "发送失败",
            "sms_size": "1",
            "biz_id": biz_id,
            "out_id": message.out_id,
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
        return self.post([self.fate(biz_id) for biz_id in reversed(self.messages)], "report")

    # --- the API

    def fail(self, code: str, status: int = 200, **how: Any) -> None:
        """Let the next calls be refused with Aliyun's code; `how` are fields of Fault."""
        self.faults.add(Fault(body=how.pop("body", None) or _refusal(code), status=status, **how))

    def app(self) -> Flask:
        """The API's own address."""
        made = Flask("aliyun")

        @made.post("/")
        def call() -> Response:
            fault = self.faults.next(request.path, request.args.get("PhoneNumbers"))
            if fault is not None and not fault.works:
                return response(fault)
            answer, status = self._call(request)
            if fault is not None:
                return response(fault)
            made_response = jsonify(answer)
            made_response.status_code = status
            return made_response

        return made

    def _call(self, request: Request) -> tuple[Item, int]:
        if not self._is_signed(request):
            return _refusal("SignatureDoesNotMatch"), 400
        if request.headers.get("x-acs-action") != "SendSms":
            return _refusal("InvalidAction.NotFound"), 404
        return self.send(request.args), 200

    def _is_signed(self, request: Request) -> bool:
        """Whether ACS3-HMAC-SHA256 over the request gives the signature in its header."""
        given = re.fullmatch(
            r"ACS3-HMAC-SHA256 Credential=([^,]*),SignedHeaders=([^,]*),Signature=(.*)",
            request.headers.get("Authorization", ""),
        )
        if given is None or given[1] != self.settings.aliyun_access_key_id:
            return False
        query = "&".join(f"{_encoded(k)}={_encoded(v)}" for k, v in sorted(request.args.items()))
        headers = "".join(f"{name}:{request.headers.get(name, '').strip()}\n" for name in given[2].split(";"))
        body = hashlib.sha256(request.get_data()).hexdigest()
        canonical = "\n".join([request.method, request.path, query, headers, given[2], body])
        text = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = self.settings.aliyun_access_key_secret.encode()
        return hmac.compare_digest(given[3], hmac.digest(key, text.encode(), hashlib.sha256).hex())

    def send(self, asked: Mapping[str, str]) -> Item:
        """SendSms: the answer's body; a refusal is an answer too."""
        phone, wording = asked.get("PhoneNumbers", ""), self.templates.get(asked.get("TemplateCode", ""))
        if not re.fullmatch(r"1\d{10}", phone):
            return _refusal("isv.MOBILE_NUMBER_ILLEGAL")
        if asked.get("SignName") != self.settings.aliyun_sign_name:
            return _refusal("isv.SMS_SIGNATURE_ILLEGAL")
        if wording is None:
            return _refusal("isv.SMS_TEMPLATE_ILLEGAL")
        values = json.loads(asked.get("TemplateParam") or "{}")
        if set(values) != set(re.findall(r"\$\{(\w+)\}", wording)):
            return _refusal("isv.TEMPLATE_MISSING_PARAMETERS")
        if not all(isinstance(value, str) and 1 <= len(value) <= LONGEST_VALUE for value in values.values()):
            return _refusal("isv.PARAM_LENGTH_LIMIT")
        if phone in self.opted_out:
            return _refusal("isv.CUSTOMER_REFUSED")
        if self._is_too_much(phone):
            return _refusal("isv.BUSINESS_LIMIT_CONTROL")
        text = re.sub(r"\$\{(\w+)\}", lambda found: values[found[1]], wording)
        with self._lock:
            biz_id = f"{next(self._numbers):012d}^0"
            self.messages[biz_id] = Outbound(biz_id, phone, text, asked.get("OutId", ""))
        self.phones.add("sms", f"+86{phone}", PUSHED, f"【{self.settings.aliyun_sign_name}】{text}")
        return {"Code": "OK", "Message": "OK", "BizId": biz_id, "RequestId": "stand-in"}


def _refusal(code: str) -> Item:
    return {"Code": code, "Message": "told by the stand-in", "RequestId": "stand-in"}


def _encoded(text: str) -> str:
    return quote(text, safe="-_.~")


def _china_now() -> str:
    return clock.now().astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")
