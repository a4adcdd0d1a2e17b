"""A stand-in of WeChat: pushes what residents write, as WeChat does, and takes what the service sends them.

It keeps WeChat's rules: signed and encrypted pushes, 5 s of patience and three repeats, tokens that expire, customer
messages only within 48 h of the resident's last word and five at most.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from wechatpy.crypto import PrpCrypto, WeChatCrypto

from bot import clock
from bot.channels.wechat_push import parse_xml, word
from bot.channels.wording import clean
from bot.settings import Settings
from bot.standins.faults import Fault, Faults
from bot.standins.phones import NOTICE, PASSIVE, PUSHED, SAID, Phones
from bot.standins.transport import Answer, NoAnswer, Transport
from bot.standins.wechat_account import Account
from bot.standins.wechat_account import error as _error

PATH = "/channels/wechat"
ACCOUNT = "gh_heatlinedemo"
PATIENCE = 5.0  # seconds
PUSHES = 4  # the first and three repeats
DOWN = "该公众号暂时无法提供服务，请稍后再试"
MAX_BYTES = 2048
TOKEN_LIFE = timedelta(seconds=7200)
RENEW_EARLY = timedelta(minutes=5)
# How many messages an action of the resident allows, and for how long.
MESSAGE_GRANT, EVENT_GRANT = (5, timedelta(hours=48)), (3, timedelta(minutes=1))
GRANTING_EVENTS = {"subscribe", "SCAN", "CLICK"}


class Elements(str):
    """A value of a push that holds XML elements of its own."""


@dataclass
class Grant:
    """What the service may still send after an action of the resident."""

    left: int
    until: datetime


@dataclass(frozen=True, slots=True)
class Push:
    """A signed push, ready to be posted."""

    query: dict[str, str]
    body: bytes

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{PATH}?{urlencode(self.query)}"


class WeChatStandIn:
    """One official account at WeChat, with its followers."""

    def __init__(self, settings: Settings, transport: Transport, phones: Phones) -> None:
        self.settings = settings
        self.transport = transport
        self.phones = phones
        self.faults = Faults()
        self.token_calls = 0
        self._lock = threading.Lock()
        self._following: dict[str, bool] = {}
        self._grants: dict[tuple[str, str], Grant] = {}
        self._tokens: dict[str, datetime] = {}
        self._stable: str | None = None
        self.account = Account()
        self.refusals: list[int] = []  # errcodes that messages were refused with

    def reset(self) -> None:
        """A new account: no followers, no tokens, nothing that fails."""
        with self._lock:
            self._following.clear()
            self._grants.clear()
            self._tokens.clear()
            self._stable = None
            self.token_calls = 0
            self.account = Account()
            self.refusals.clear()
        self.faults.clear()

    # --- what residents do

    def push_text(self, openid: str, text: str, msg_id: int | None = None, **extra: str) -> str | None:
        """The resident writes `text`; returns the passive reply, None where there was none."""
        self.phones.add("wechat", openid, SAID, text)
        return self.push(openid, "text", {"Content": text, **extra}, msg_id)

    def push(
        self, openid: str, msg_type: str, fields: dict[str, str] | None = None, msg_id: int | None = None
    ) -> str | None:
        """A message of any type; returns the text of the passive reply."""
        self._act(openid, "message", MESSAGE_GRANT)
        number = str(msg_id or secrets.randbits(62))
        return self._deliver(openid, {"MsgType": msg_type, **(fields or {}), "MsgId": number})

    def push_event(self, openid: str, event: str, **fields: str) -> str | None:
        """An event such as subscribe, unsubscribe, SCAN, CLICK; returns the text of the passive reply."""
        if event in GRANTING_EVENTS:
            self._act(openid, "event", EVENT_GRANT)
        if event == "unsubscribe":
            self._following[openid] = False
        return self._deliver(openid, {"MsgType": "event", "Event": event, **fields})

    def push_media(self, openid: str, kind: str, content: bytes, content_type: str, **extra: str) -> str | None:
        """The resident sends a photo, a voice message (kind "voice") or a film; returns the passive reply."""
        return self.push(openid, kind, {"MediaId": self.account.keep(content, content_type), **extra})

    def scan(self, openid: str, scene: str) -> str | None:
        """The resident scans a QR code with a scene: following comes with it, for who does not follow yet."""
        ticket = {"Ticket": secrets.token_urlsafe(24)}
        if self._following.get(openid):
            return self.push_event(openid, "SCAN", EventKey=scene, **ticket)
        return self.push_event(openid, "subscribe", EventKey=f"qrscene_{scene}", **ticket)

    def tap(self, openid: str, key: str) -> str | None:
        """The resident taps an entry of the menu."""
        return self.push_event(openid, "CLICK", EventKey=key)

    def subscribe(self, openid: str, *templates: str, accept: bool = True) -> None:
        """The resident allows or refuses notices, on a page with WeChat's button."""
        items = ""
        for template in templates:
            self.account.allowed[openid, template] = self.account.allowed[openid, template] + 1 if accept else 0
            items += (
                f"<List><TemplateId><![CDATA[{template}]]></TemplateId><SubscribeStatusString>"
                f"<![CDATA[{'accept' if accept else 'reject'}]]></SubscribeStatusString><PopupScene>2</PopupScene></List>"
            )
        self.push_event(openid, "subscribe_msg_popup_event", SubscribeMsgPopupEvent=Elements(items))

    def report_jobs(self, status: str = "success") -> None:
        """Tell how the template messages and notices that were taken have fared."""
        jobs, self.account.jobs = self.account.jobs, []
        for job in jobs:
            if not job.notice:
                self.push_event(job.openid, "TEMPLATESENDJOBFINISH", MsgID=str(job.number), Status=status)
                continue
            code = "0" if status == "success" else "43101"
            item = (
                f"<List><TemplateId><![CDATA[{job.template_id}]]></TemplateId><MsgID>{job.number}</MsgID>"
                f"<ErrorCode>{code}</ErrorCode><ErrorStatus><![CDATA[{status}]]></ErrorStatus></List>"
            )
            self.push_event(job.openid, "subscribe_msg_sent_event", SubscribeMsgSentEvent=Elements(item))

    def _act(self, openid: str, kind: str, grant: tuple[int, timedelta]) -> None:
        with self._lock:
            self._following[openid] = True
            self._grants[openid, kind] = Grant(grant[0], clock.now() + grant[1])

    def _deliver(self, openid: str, fields: dict[str, str]) -> str | None:
        xml = document({"ToUserName": ACCOUNT, "FromUserName": openid, "CreateTime": _now(), **fields})
        answer = self._post(xml)
        text = DOWN if answer is None else self._reply(openid, answer)
        if text is not None:
            self.phones.add("wechat", openid, NOTICE if text == DOWN else PASSIVE, text)
        return None if text == DOWN else text

    def _post(self, xml: str) -> Answer | None:
        """Push; again, newly signed, after 5 s without an answer. None: WeChat gives up."""
        for _ in range(PUSHES):
            push = self.sign(xml)
            try:
                return self.transport.post(push.target, push.body, {"Content-Type": "text/xml"}, PATIENCE)
            except NoAnswer:
                continue
        return None

    # --- the signature and the envelope

    def sign(self, xml: str, appid: str | None = None) -> Push:
        """A push of `xml` as the account's mode wants it, signed now."""
        stamp, nonce = _now(), str(secrets.randbelow(10**10))
        query = {"signature": self._signature(stamp, nonce), "timestamp": stamp, "nonce": nonce}
        if self.settings.wechat_mode == "plain":
            return Push(query, xml.encode())
        encrypted = self._cipher().encrypt(xml, appid or self.settings.wechat_appid).decode()
        query |= {"encrypt_type": "aes", "msg_signature": self._signature(stamp, nonce, encrypted)}
        sealed = f"<Encrypt><![CDATA[{encrypted}]]></Encrypt>"
        plain = f"<ToUserName><![CDATA[{ACCOUNT}]]></ToUserName>"
        if self.settings.wechat_mode == "compatible" and xml.endswith("</xml>"):
            plain = xml.removeprefix("<xml>").removesuffix("</xml>")
        return Push(query, f"<xml>{plain}{sealed}</xml>".encode())

    def _signature(self, *parts: str) -> str:
        return hashlib.sha1("".join(sorted([self.settings.wechat_token, *parts])).encode()).hexdigest()

    def _cipher(self) -> PrpCrypto:
        settings = self.settings
        return PrpCrypto(WeChatCrypto(settings.wechat_token, settings.wechat_aes_key, settings.wechat_appid).key)

    def _reply(self, openid: str, answer: Answer) -> str | None:
        """The text that the resident sees: the passive reply, nothing, or that the service is down."""
        if answer.status != 200:
            return DOWN
        if answer.body in ("", "success"):
            return None
        reply = parse_xml(answer.body)
        if self.settings.wechat_mode != "plain":
            reply = self._opened(reply)
        content = reply.get("Content")
        right = word(reply, "ToUserName") == openid and word(reply, "FromUserName") == ACCOUNT
        if not right or not isinstance(content, str) or len(content.encode()) > MAX_BYTES:
            return DOWN
        return content

    def _opened(self, envelope: dict[str, Any]) -> dict[str, Any]:
        encrypted, given = word(envelope, "Encrypt"), word(envelope, "MsgSignature")
        if given != self._signature(word(envelope, "TimeStamp"), word(envelope, "Nonce"), encrypted):
            return {}
        try:
            return parse_xml(self._cipher().decrypt(encrypted, self.settings.wechat_appid))
        except Exception:  # whatever a wrong key or appid leads to, the resident sees the same
            return {}

    # --- what the service calls

    def token(self, appid: Any, secret: Any, force: bool = False) -> dict[str, Any]:
        """stable_token: the same token until shortly before it expires."""
        with self._lock:
            self.token_calls += 1
            if appid != self.settings.wechat_appid:
                return _error(40013, "invalid appid")
            if secret != self.settings.wechat_secret:
                return _error(40125, "invalid appsecret")
            if not self.account.on_ip_list:
                return _error(40164, "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist rid: 6500-0-1")
            now = clock.now()
            if force and self._stable:
                self._tokens.pop(self._stable, None)
            expires = self._tokens.get(self._stable or "", now)
            if self._stable is None or expires - RENEW_EARLY <= now:
                self._stable, expires = secrets.token_urlsafe(48), now + TOKEN_LIFE
                self._tokens[self._stable] = expires
            return {"access_token": self._stable, "expires_in": int((expires - now).total_seconds())}

    def expire_tokens(self) -> None:
        """Revoke every token, as an administrator's reset does."""
        with self._lock:
            self._tokens.clear()
            self._stable = None

    def custom_send(self, token: str, data: Any) -> dict[str, Any]:
        """message/custom/send, with WeChat's answers."""
        with self._lock:
            if (refusal := self._refused_token(token) or self.account.refused("message/custom/send")) is not None:
                return refusal
            openid = data.get("touser") if isinstance(data, dict) else None
            text = (data.get("text") or {}).get("content") if isinstance(data, dict) else None
            refusal = self._refused_message(openid, text)
            if refusal is not None:
                return refusal
        self.phones.add("wechat", str(openid), PUSHED, str(text))
        return _error(0, "ok")

    def template_send(self, data: dict[str, Any]) -> dict[str, Any]:
        """message/template/send; the resident sees the fields of the template."""
        return self._show(data, self._refused_openid(data.get("touser")) or self.account.send_template(data))

    def notice_send(self, data: dict[str, Any]) -> dict[str, Any]:
        """message/subscribe/bizsend."""
        return self._show(data, self._refused_openid(data.get("touser")) or self.account.send_notice(data))

    def refused(self, answer: Any) -> None:
        """Note the errcode of an answer to a message."""
        if isinstance(answer, dict) and answer.get("errcode"):
            self.refusals.append(answer["errcode"])

    def _show(self, data: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
        fields = data.get("data")
        if result["errcode"] == 0 and isinstance(fields, dict):
            text = "\n".join(str(value.get("value")) for value in fields.values())
            self.phones.add("wechat", str(data.get("touser")), NOTICE, text)
        return result

    def check_token(self, token: str) -> dict[str, Any] | None:
        """The error that a call with this token gets, if any."""
        with self._lock:
            return self._refused_token(token)

    def _refused_token(self, token: str) -> dict[str, Any] | None:
        if not token:
            return _error(41001, "access_token missing")
        if token not in self._tokens:
            return _error(40001, "invalid credential, access_token is invalid or not latest")
        return _error(42001, "access_token expired") if self._tokens[token] <= clock.now() else None

    def _refused_openid(self, openid: Any) -> dict[str, Any] | None:
        if openid not in self._following:
            return _error(40003, "invalid openid")
        return None if self._following[openid] else _error(43004, "require subscribe")

    def _refused_message(self, openid: Any, text: Any) -> dict[str, Any] | None:
        if (refusal := self._refused_openid(openid)) is not None:
            return refusal
        if not isinstance(text, str) or not text:
            return _error(44004, "empty content")
        if len(text.encode()) > MAX_BYTES:
            return _error(45002, "content size out of limit")
        return self._take_grant(openid)

    def _take_grant(self, openid: str) -> dict[str, Any] | None:
        now = clock.now()
        found = [self._grants.get((openid, kind)) for kind in ("message", "event")]
        valid = [grant for grant in found if grant is not None and grant.until > now]
        if not valid:
            return _error(45015, "response out of time limit or subscription is canceled")
        for grant in valid:
            if grant.left > 0:
                grant.left -= 1
                return None
        return _error(45047, "out of response count limit")

    def fail(self, errcode: int | None = None, **how: Any) -> None:
        """Let the next calls fail: with an errcode in a 200, or as a Fault says (status, body, delay, times, to …)."""
        body = _error(errcode, "told to fail") if errcode is not None else how.pop("body", None)
        self.faults.add(Fault(body=body, **{"call": "message/custom/send", **how}))


def document(fields: dict[str, str]) -> str:
    """The XML of a push: numbers bare, texts as CDATA."""
    lines = [f"<{name}>{_value(name, value)}</{name}>" for name, value in fields.items()]
    return "<xml>" + "\n".join(lines) + "</xml>"


def _value(name: str, value: str) -> str:
    if isinstance(value, Elements) or (name in ("CreateTime", "MsgId", "MsgID") and value.isdigit()):
        return value
    return "<![CDATA[" + clean(value).replace("]]>", "]]]]><![CDATA[>") + "]]>"


def _now() -> str:
    return str(int(clock.now().timestamp()))
