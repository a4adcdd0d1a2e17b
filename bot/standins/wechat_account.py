"""The rest of the stand-in's WeChat account: templates, subscriptions, media, QR codes, the menu, rights and daily quotas."""

from __future__ import annotations

import base64
import itertools
import re
import secrets
import threading
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from bot import clock
from bot.channels.wechat_notices import TYPES, type_of

MEDIA_LIFE = timedelta(days=3)
SAME_ID = timedelta(minutes=10)  # for so long a client_msg_id is one message
CHINA = timedelta(hours=8)
LIMITS = {"custom/send": 500_000, "template/send": 100_000, "subscribe/bizsend": 100_000, "menu/create": 1_000}
# What an unverified subscription account may not do.
RIGHTS = frozenset({"custom/send", "template/send", "subscribe/bizsend", "qrcode/create", "media/get", "menu/create"})
COLUMNS, ENTRIES, COLUMN_NAME, ENTRY_NAME, KEY = 3, 5, 16, 60, 128  # of a menu; lengths in bytes
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgAB4iG8MwAAAABJRU5ErkJggg==")


@dataclass(frozen=True, slots=True)
class Medium:
    """Something a resident sent, as WeChat keeps it for three days."""

    content: bytes
    content_type: str
    until: datetime


@dataclass(frozen=True, slots=True)
class Job:
    """A template message or a subscription notice that was taken and not yet reported on."""

    openid: str
    number: int
    template_id: str
    notice: bool


@dataclass
class Account:
    """What an operator has set up, and what became of it; safe to share between threads."""

    templates: dict[str, tuple[str, ...]] = field(default_factory=dict)  # id → its fields
    notices: dict[str, tuple[str, ...]] = field(default_factory=dict)
    long_term: set[str] = field(default_factory=set)
    rights: set[str] = field(default_factory=lambda: set(RIGHTS))
    on_ip_list: bool = True
    limits: dict[str, int] = field(default_factory=lambda: dict(LIMITS))
    menu: dict[str, Any] | None = None
    codes: dict[str, str] = field(default_factory=dict)  # ticket → scene
    jobs: list[Job] = field(default_factory=list)
    media: dict[str, Medium] = field(default_factory=dict)
    allowed: Counter[tuple[str, str]] = field(default_factory=Counter)  # (openid, template) → notices left
    _used: Counter[tuple[str, str]] = field(default_factory=Counter)
    _sent: dict[tuple[str, str], tuple[int, datetime]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(200_228_332))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def refused(self, call: str) -> dict[str, Any] | None:
        """The error of a call that the account has no right to, or whose day is used up; else it is counted."""
        name = "/".join(call.split("/")[-2:])
        if name in RIGHTS and name not in self.rights:
            return error(48001, "api unauthorized")
        today = (clock.now() + CHINA).date().isoformat()
        with self._lock:
            if self._used[name, today] >= self.limits.get(name, 1_000_000):
                return error(45009, "reach max api daily quota limit")
            self._used[name, today] += 1
        return None

    # --- registered wordings

    def send_template(self, data: dict[str, Any]) -> dict[str, Any]:
        """message/template/send to a follower."""
        openid, template = str(data.get("touser")), str(data.get("template_id"))
        if (refusal := _misfit(self.templates, template, data.get("data"))) is not None:
            return refusal
        with self._lock:
            key = (openid, str(data.get("client_msg_id")))
            number, until = self._sent.get(key, (0, clock.now()))
            if not data.get("client_msg_id") or until <= clock.now():
                number = next(self._numbers)
                self._sent[key] = number, clock.now() + SAME_ID
                self.jobs.append(Job(openid, number, template, notice=False))
        return {**error(0, "ok"), "msgid": number}

    def send_notice(self, data: dict[str, Any]) -> dict[str, Any]:
        """message/subscribe/bizsend to somebody who has subscribed."""
        openid, template = str(data.get("touser")), str(data.get("template_id"))
        if (refusal := _misfit(self.notices, template, data.get("data"))) is not None:
            return refusal
        with self._lock:
            if self.allowed[openid, template] <= 0:
                return error(43101, "user refuse to accept the msg")
            if template not in self.long_term:
                self.allowed[openid, template] -= 1
            number = next(self._numbers)
            self.jobs.append(Job(openid, number, template, notice=True))
        return {**error(0, "ok"), "msgid": number}

    # --- media, codes, the menu

    def keep(self, content: bytes, content_type: str) -> str:
        """What a resident sends; returns its media_id."""
        media_id = secrets.token_urlsafe(48)
        self.media[media_id] = Medium(content, content_type, clock.now() + MEDIA_LIFE)
        return media_id

    def medium(self, media_id: str) -> Medium | None:
        """What a media_id stands for; None once it is too old."""
        found = self.media.get(media_id)
        return found if found is not None and found.until > clock.now() else None

    def create_code(self, data: dict[str, Any]) -> dict[str, Any]:
        """qrcode/create."""
        scene = ((data.get("action_info") or {}).get("scene") or {}).get("scene_str")
        kinds = ("QR_LIMIT_STR_SCENE", "QR_STR_SCENE")
        if data.get("action_name") not in kinds or not isinstance(scene, str) or not 1 <= len(scene.encode()) <= 64:
            return error(40053, "invalid action info")
        seconds = data.get("expire_seconds")
        if data["action_name"] == "QR_STR_SCENE" and not (isinstance(seconds, int) and 0 < seconds <= 2_592_000):
            return error(40052, "invalid expire_seconds")
        ticket = secrets.token_urlsafe(24)
        self.codes[ticket] = scene
        return {"ticket": ticket, "url": f"http://weixin.qq.com/q/{ticket[:16]}"}

    def create_menu(self, data: dict[str, Any]) -> dict[str, Any]:
        """menu/create, with WeChat's limits."""
        columns = data.get("button")
        if not isinstance(columns, list) or not 1 <= len(columns) <= COLUMNS:
            return error(40016, "invalid button size")
        for column in columns:
            rows = column.get("sub_button") or []
            if len(rows) > ENTRIES:
                return error(40023, "invalid sub button size")
            for row in rows or [column]:
                if len(str(row.get("name", "")).encode()) > (ENTRY_NAME if rows else COLUMN_NAME):
                    return error(40018, "invalid button name size")
                if row.get("type") not in ("click", "view"):
                    return error(40017, "invalid button type")
                if row["type"] == "click" and not 1 <= len(str(row.get("key", "")).encode()) <= KEY:
                    return error(40019, "invalid button key size")
        self.menu = {"button": columns}
        return error(0, "ok")


def _misfit(known: dict[str, tuple[str, ...]], template: str, data: Any) -> dict[str, Any] | None:
    """The error of a template that is not the account's, or of a value that is not of its field's type."""
    if template not in known:
        return error(40037, "invalid template_id")
    values = data if isinstance(data, dict) else {}
    for name in known[template]:
        value = (values.get(name) or {}).get("value") if isinstance(values.get(name), dict) else None
        if not isinstance(value, str) or not TYPES[type_of(name) or "thing"].fullmatch(value):
            return error(47003, f"argument invalid! data.{name}.value invalid")
    return None


def fields_of(content: str) -> tuple[str, ...]:
    """The fields of a template's content, `{{thing1.DATA}}`."""
    return tuple(re.findall(r"\{\{(\w+)\.DATA\}\}", content))


def error(code: int, message: str) -> dict[str, Any]:
    """An answer of WeChat's API."""
    return {"errcode": code, "errmsg": message}
