"""What WeChat pushes, in our words: the XML of a message or an event becomes Inbound and Report values.

Nothing here raises for hostile input: what cannot be read is kept as an Inbound of kind `other_event`.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Any

import xmltodict

from bot.channels import Inbound, Report
from bot.channels.wording import clean

# WeChat's words → ours. A message of a type that is not here is "other" and is answered; an event is not.
MESSAGES = {
    "text": "text",
    "image": "image",
    "voice": "voice",
    "video": "video",
    "shortvideo": "video",
    "location": "location",
    "link": "link",
}
EVENTS = {
    "subscribe": "follow",
    "unsubscribe": "unfollow",
    "scan": "scan",
    "click": "click",
    "templatesendjobfinish": "report",
    "subscribe_msg_sent_event": "report",
}
TEXT_FIELD = {"text": "Content", "voice": "Recognition", "location": "Label", "link": "Title"}

_ENVELOPE = {"ToUserName", "FromUserName", "CreateTime", "MsgType", "MsgId", "Content", "Recognition", "Encrypt"}
# An automatic position report is nobody's wish to tell us where they are: the position is not kept.
_NOT_KEPT = {"location": {"Latitude", "Longitude", "Precision"}}
_LONGEST_ID = 128
_LONGEST_ACCOUNT = 64
_DEEPEST = 4
_SECONDS = re.compile(r"[0-9]{9,11}\Z")


def parse_xml(body: bytes | str) -> dict[str, Any]:
    """The elements under <xml>; empty for anything that is not such a document. Entities are never expanded."""
    try:
        parsed = xmltodict.parse(body, strip_whitespace=False)
    except Exception:  # expat and xmltodict raise half a dozen types for hostile input
        return {}
    root = parsed.get("xml") if isinstance(parsed, dict) else None
    return root if isinstance(root, dict) else {}


def translate(channel: str, body: bytes | str) -> list[Inbound | Report]:
    """One push (plain or already decrypted) as our values; never empty, never an exception."""
    data = parse_xml(body)
    sender, kind = word(data, "FromUserName"), word(data, "MsgType").lower()
    if not sender or not kind:
        return [_unreadable(channel, body)]
    inbound = _event(channel, data) if kind == "event" else _message(channel, data, kind, body)
    report = _report(channel, data) if inbound.kind == "report" else None
    return [inbound, report] if report else [inbound]


def word(data: dict[str, Any], name: str) -> str:
    """The text of an element without white space around it; empty where it is missing or not a text."""
    return _raw(data, name).strip()


def _raw(data: dict[str, Any], name: str) -> str:
    value = data.get(name)
    if isinstance(value, list):
        value = value[0]
    if isinstance(value, dict):
        value = value.get("#text")
    return value if isinstance(value, str) else ""


def _message(channel: str, data: dict[str, Any], msg_type: str, body: bytes | str) -> Inbound:
    kind = MESSAGES.get(msg_type, "other")
    number = word(data, "MsgId") or _digest(body)
    return _inbound(
        channel,
        data,
        kind=kind,
        provider_id=f"msg:{word(data, 'ToUserName')}:{number}",
        text=_raw(data, TEXT_FIELD[kind]) if kind in TEXT_FIELD else "",
        payload=_kept(data, set()) | ({"MsgType": msg_type} if kind == "other" else {}),
    )


def _event(channel: str, data: dict[str, Any]) -> Inbound:
    """Events have no id of their own: two different ones may come from one resident within one second."""
    event = word(data, "Event")
    about = word(data, "EventKey") or word(data, "MsgID") or word(data, "MsgId")
    parts = ["evt", word(data, "ToUserName"), word(data, "FromUserName"), word(data, "CreateTime"), event, about]
    return _inbound(
        channel,
        data,
        kind=EVENTS.get(event.lower(), "other_event"),
        provider_id=":".join(parts),
        payload=_kept(data, _NOT_KEPT.get(event.lower(), set())),
    )


def _inbound(
    channel: str, data: dict[str, Any], *, kind: str, provider_id: str, payload: dict[str, Any], text: str = ""
) -> Inbound:
    return Inbound(
        channel=channel,
        medium="wechat",
        provider_id=provider_id if len(provider_id) <= _LONGEST_ID else f"{provider_id[:4]}{_digest(provider_id)}",
        sender=word(data, "FromUserName"),
        recipient=word(data, "ToUserName")[:_LONGEST_ACCOUNT],
        kind=kind,
        text=text,
        sent_at=_moment(word(data, "CreateTime")),
        payload=payload,
    )


def _unreadable(channel: str, body: bytes | str) -> Inbound:
    """Truly signed but not readable: kept for a person, answered by nobody."""
    raw = body.decode("utf-8", "replace") if isinstance(body, bytes) else body
    return Inbound(
        channel=channel,
        medium="wechat",
        provider_id=f"raw:{_digest(body)}",
        sender="unknown",
        recipient="",
        kind="other_event",
        payload={"raw": clean(raw)[:4000]},
    )


def _report(channel: str, data: dict[str, Any]) -> Report | None:
    """How a template message (one MsgID, one Status) fared; subscription messages list theirs, which we do not send."""
    ref, status = word(data, "MsgID"), word(data, "Status").lower()
    if not ref or not status:
        return None
    if status == "success":
        return Report(channel, ref, "delivered", at=_moment(word(data, "CreateTime")))
    return Report(channel, ref, "failed", code=status[:64], at=_moment(word(data, "CreateTime")))


def _kept(data: dict[str, Any], without: set[str]) -> dict[str, Any]:
    """Everything else the push said; a <List> that came once and one that came several times look the same."""
    kept: dict[str, Any] = {}
    for name, value in data.items():
        if name in _ENVELOPE or name in without or name.startswith(("#", "@")):
            continue
        plain = _plain(value, _DEEPEST)
        if plain not in (None, "", {}, []):
            kept[name] = plain
    return kept


def _plain(value: Any, depth: int) -> Any:
    """Texts, lists and objects down to `depth`, so that a body of a thousand nested elements stays harmless."""
    if isinstance(value, str):
        return value
    if depth == 0 or value is None:
        return None
    if isinstance(value, list):
        return [_plain(item, depth - 1) for item in value]
    plain = {k: _plain(v, depth - 1) for k, v in value.items() if not k.startswith(("#", "@"))}
    if isinstance(plain.get("List"), dict):
        plain["List"] = [plain["List"]]
    return plain


def _moment(seconds: str) -> datetime | None:
    """CreateTime is in seconds; what is no such number is no time."""
    if not _SECONDS.match(seconds):
        return None
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (OverflowError, OSError, ValueError):
        return None


def _digest(content: bytes | str) -> str:
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "replace")
    return hashlib.sha256(raw).hexdigest()[:40]
