"""Requests as providers make them, and a provider's API whose answers are written down beforehand."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests
from flask import Request
from requests.adapters import BaseAdapter
from werkzeug.test import EnvironBuilder

from bot.settings import Settings

WECHAT = Settings(
    wechat_token="AAAAA",
    wechat_appid="wx134c8103faa5a59e",
    wechat_secret="s3cr3t-of-the-account",
    wechat_aes_key="A" * 43,
    wechat_mode="safe",
    wechat_api="http://wechat.test",
)
TWILIO = Settings(
    public_url="https://heat.example.cn",
    twilio_account_sid="AC" + "1" * 32,
    twilio_auth_token="12345",
    twilio_from="+15005550006",
    twilio_api="http://twilio.test",
)
TEXT_PUSH = """<xml><ToUserName><![CDATA[gh_97417a04a28d]]></ToUserName>
<FromUserName><![CDATA[o9AgO5Kd5ggOC-bXrbNODIiE3bGY]]></FromUserName>
<CreateTime>1795399200</CreateTime>
<MsgType><![CDATA[text]]></MsgType>
<Content><![CDATA[家里暖气不热]]></Content>
<MsgId>1234567890123456</MsgId></xml>"""


def request_for(method: str, target: str, body: bytes = b"", headers: dict[str, str] | None = None) -> Request:
    """A request as it reaches a channel; its Host is nobody's, as an attacker may send it."""
    given = list((headers or {}).items())
    builder = EnvironBuilder(path=target, method=method, data=body, headers=given, base_url="http://evil.example")
    return Request(builder.get_environ())


def signature(*parts: str) -> str:
    """WeChat's signature over its parts."""
    return hashlib.sha1("".join(sorted(parts)).encode()).hexdigest()


def plain_push(body: bytes | str, at: int, token: str = "AAAAA", **query: str) -> Request:
    """A plain-mode push, signed at a time (seconds)."""
    stamp, nonce = str(at), "486452656"
    query = {"signature": signature(token, stamp, nonce), "timestamp": stamp, "nonce": nonce, **query}
    data = body.encode() if isinstance(body, str) else body
    return request_for("POST", f"/channels/wechat?{urlencode(query)}", data, {"Content-Type": "text/xml"})


def sealed_push(encrypted: str, at: int, token: str = "AAAAA", extra: str = "", **query: str) -> Request:
    """A push whose <Encrypt> is given, signed at a time (seconds)."""
    stamp, nonce = str(at), "1590219412"
    query = {
        "signature": signature(token, stamp, nonce),
        "timestamp": stamp,
        "nonce": nonce,
        "encrypt_type": "aes",
        "msg_signature": signature(token, stamp, nonce, encrypted),
        **query,
    }
    body = f"<xml><ToUserName><![CDATA[gh_97417a04a28d]]></ToUserName>{extra}<Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    return request_for("POST", f"/channels/wechat?{urlencode(query)}", body.encode(), {"Content-Type": "text/xml"})


@dataclass
class Api(BaseAdapter):
    """A provider's API: answers are given in turn, the last one for ever; calls are kept.

    An answer is (status, JSON object or text), or an exception to raise.
    """

    answers: dict[str, list[Any]] = field(default_factory=dict)  # the end of a path → its answers
    calls: list[requests.PreparedRequest] = field(default_factory=list)

    def send(self, request: requests.PreparedRequest, *_args: Any, **kwargs: Any) -> requests.Response:
        """Answer one call."""
        self.calls.append(request)
        self.timeouts = [*getattr(self, "timeouts", []), kwargs.get("timeout")]
        path = urlsplit(request.url or "").path
        script = next(answers for end, answers in self.answers.items() if path.endswith(end))
        answer = script.pop(0) if len(script) > 1 else script[0]
        if isinstance(answer, Exception):
            raise answer
        return _response(request, *answer)

    def close(self) -> None:
        """Nothing to close."""

    def count(self, end: str) -> int:
        """How many calls a path has had."""
        return sum(urlsplit(call.url or "").path.endswith(end) for call in self.calls)

    def session(self) -> requests.Session:
        """A session that reaches only this."""
        session = requests.Session()
        session.trust_env = False
        session.mount("http://", self)
        return session


def _response(request: requests.PreparedRequest, status: int, body: Any) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    raw = body if isinstance(body, str) else json.dumps(body)
    response.raw = BytesIO(raw.encode())
    response.url, response.request = request.url or "", request
    return response


def form_of(call: requests.PreparedRequest) -> dict[str, str]:
    """The form of a call."""
    body = call.body or ""
    text = body.decode() if isinstance(body, bytes) else str(body)
    return {name: values[0] for name, values in parse_qs(text).items()}
