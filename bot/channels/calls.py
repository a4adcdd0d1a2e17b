"""News of missed calls from a telephone system: a secret address, one call or a list of them, as JSON or as a form.

Telephone systems name things differently; the table below knows the common names. Nothing is signed: whoever knows the
address, from the networks that are listed, is believed (as with the mainland's SMS providers).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Request

from bot.channels.mainland import CHINA, Door, door
from bot.settings import Settings

# Our word → what telephone systems call it, the most telling name first.
NAMES = {
    "number": ("caller", "caller_number", "callerNumber", "caller_id", "callerid", "ani", "phone", "number", "from"),
    "call_id": ("call_id", "callId", "callid", "CallSid", "uuid", "session_id", "sessionId", "id"),
    "at": ("time", "called_at", "start_time", "startTime", "call_time", "timestamp"),
}
_MILLISECONDS = 10**11  # a number beyond this counts milliseconds


@dataclass(frozen=True, slots=True)
class Told:
    """One call as it was told: the number and the time as written; empty and None where they were not."""

    number: str
    call_id: str
    at: datetime | None


def read(entrance: Door, request: Request) -> list[Told]:
    """The calls of a POST. Raises BadSignature for a false secret or address; never anything for what the body holds."""
    entrance.check(request)
    return [_told(item) for item in _items(request) if isinstance(item, dict)]


def create(settings: Settings) -> Door | None:
    """The door, or None where no secret is given. Raises SettingsError for a guessable one."""
    if not settings.calls_callback_secret:
        return None
    return door("HEATLINE_CALLS", settings.calls_callback_secret, settings.calls_allowed_ips)


def _items(request: Request) -> list[Any]:
    """The elements of a JSON array, of its member `calls`, the one object, or the fields of a form."""
    if request.form:
        return [request.form.to_dict()]
    try:
        found = json.loads(request.get_data())
    except (ValueError, RecursionError):
        return []
    if isinstance(found, dict) and isinstance(found.get("calls"), list):
        found = found["calls"]
    return found if isinstance(found, list) else [found]


def _told(item: Mapping[str, Any]) -> Told:
    return Told(_first(item, "number"), _first(item, "call_id"), moment(_first(item, "at")))


def _first(item: Mapping[str, Any], name: str) -> str:
    values = (item.get(theirs) for theirs in NAMES[name])
    return next((str(value).strip() for value in values if isinstance(value, str | int) and str(value).strip()), "")


def moment(told: str) -> datetime | None:
    """A time as written: ISO 8601, "YYYY-MM-DD HH:MM:SS", or seconds or milliseconds since 1970; None where it is none.

    Without a zone it is China's time.
    """
    try:
        if told.isascii() and told.isdigit():
            count = int(told)
            return datetime.fromtimestamp(count / 1000 if count > _MILLISECONDS else count, UTC)
        found = datetime.fromisoformat(told)
        return (found if found.tzinfo else found.replace(tzinfo=CHINA)).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
