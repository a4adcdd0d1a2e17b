"""What WeChat pushes, in our words: the XML of a message or an event becomes Inbound and Report values.

Nothing here raises for hostile input: what cannot be read is kept as an Inbound of kind `other_event`.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import xmltodict

from bot.channels import Grant, Inbound, MediaRef, OtherWay, Report
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
    "subscribe_msg_popup_event": "subscription",
    "subscribe_msg_change_event": "subscription",
}
TEXT_FIELD = {"text": "Content", "voice": "Recognition", "location": "Label", "link": "Title"}
# What an act of the resident allows us to send (sendCustomMessage): a tap on a msgmenu item counts as one on the menu.
MESSAGE = Grant("message", 5, timedelta(hours=48))
ACTION = Grant("action", 3, timedelta(minutes=1))
ACTIONS = frozenset({"follow", "scan", "click"})
# Temporary media are kept by WeChat for 3 days (uploadTempMedia).
MEDIA = {"image": "image", "voice": "voice", "video": "video", "shortvideo": "video"}
MEDIA_LASTS = timedelta(days=3)
SCENE = "qrscene_"  # stands before the scene of a QR code when following comes of scanning it
# The part of the channel that a report is about, in front of the id it names (message and job ids are two namespaces).
TEMPLATE, NOTICE = "template", "notice"

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
    return [inbound, *(_reports(channel, data) if inbound.kind == "report" else ())]


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
        grant=ACTION if word(data, "bizmsgmenuid") else MESSAGE,
        media=_media(data, msg_type),
    )


def _media(data: dict[str, Any], msg_type: str) -> tuple[MediaRef, ...]:
    ref = word(data, "MediaId")
    return (MediaRef(MEDIA[msg_type], ref, MEDIA_LASTS),) if msg_type in MEDIA and ref else ()


def _event(channel: str, data: dict[str, Any]) -> Inbound:
    """Events have no id of their own: two different ones may come from one resident within one second."""
    event = word(data, "Event")
    kind = EVENTS.get(event.lower(), "other_event")
    items = list(_items(data))
    about = (
        word(data, "EventKey")
        or word(data, "MsgID")
        or word(data, "MsgId")
        or (_digest(json.dumps(items)) * bool(items))
    )
    # The openid itself would stand here in the clear, for ever.
    who = _digest(word(data, "FromUserName"))[:24]
    parts = ["evt", word(data, "ToUserName"), who, word(data, "CreateTime"), event, about]
    return _inbound(
        channel,
        data,
        kind=kind,
        provider_id=":".join(parts),
        text=word(data, "EventKey").removeprefix(SCENE) if kind in ACTIONS else "",
        payload=_kept(data, _NOT_KEPT.get(event.lower(), set()))
        | ({"subscriptions": _subscriptions(items)} if kind == "subscription" else {}),
        grant=ACTION if kind in ACTIONS else None,
    )


def _items(data: dict[str, Any]) -> Iterator[dict[str, str]]:
    """The entries of every <List>: it comes once (a dict) or several times (a list), in a wrapper of either name."""
    for wrapper in data.values():
        for holder in wrapper if isinstance(wrapper, list) else [wrapper]:
            found = holder.get("List") if isinstance(holder, dict) else None
            for item in found if isinstance(found, list) else [found]:
                if isinstance(item, dict):
                    yield {name: word(item, name) for name in item if not name.startswith(("#", "@"))}


def _subscriptions(items: list[dict[str, str]]) -> list[dict[str, Any]]:
    """What the resident has allowed and refused, in our words."""
    return [
        {"template": item["TemplateId"], "accepted": item["SubscribeStatusString"].lower() == "accept"}
        for item in items
        if item.get("TemplateId") and item.get("SubscribeStatusString")
    ]


def _inbound(
    channel: str,
    data: dict[str, Any],
    *,
    kind: str,
    provider_id: str,
    payload: dict[str, Any],
    text: str = "",
    grant: Grant | None = None,
    media: tuple[MediaRef, ...] = (),
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
        grant=grant,
        media=media,
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


def _reports(channel: str, data: dict[str, Any]) -> Iterator[Report]:
    """How template messages (one MsgID, one Status) and subscription notices (a list of them) fared."""
    at = _moment(word(data, "CreateTime"))
    ref, status = word(data, "MsgID"), word(data, "Status").lower()
    if ref and status:
        yield _report(channel, f"{TEMPLATE}:{ref}", status, "0" if status == "success" else "", at)
    for item in _items(data):
        if item.get("MsgID") and (item.get("ErrorCode") or item.get("ErrorStatus")):
            status, code = item.get("ErrorStatus", "").lower(), item.get("ErrorCode", "")
            yield _report(channel, f"{NOTICE}:{item['MsgID']}", status, code or "0" * (status == "success"), at)


def _report(channel: str, ref: str, status: str, code: str, at: datetime | None) -> Report:
    """A report whose code is "0" where all went well; what failed may reach the resident another way."""
    if code == "0":
        return Report(channel, ref[:_LONGEST_ID], "delivered", at=at)
    told = (f"{code} {status}".strip())[:64]
    return Report(channel, ref[:_LONGEST_ID], "failed", code=told, at=at, failure=OtherWay(told))


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
