"""Facts beside the intent: how much is cold, how badly it leaks, who needs warmth soon."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nlu.normalise import normalise
from nlu.places import read_places
from nlu.types import Facts
from nlu.words import pattern

# Intents whose message describes a home without heat, so that a person in it may be in need.
_COLD = frozenset({"no_heat", "low_temperature", "open_valve", "urge"})
_SCOPED = frozenset(
    {"no_heat", "low_temperature", "other_repair", "not_resolved", "urge", "open_valve", "confirm_resolved"}
)

_ROOM = pattern("facts", "room")
_PIECE = pattern("facts", "piece")
_COLDNESS = pattern("facts", "coldness")

_ONLY = pattern("facts", "only")
_COMMUNITY = pattern("facts", "community")
_BUILDING = pattern("facts", "building")
_STOREYS = pattern("facts", "storeys")
_HOUSEHOLDS = pattern("facts", "households")
_UNIT = pattern("facts", "unit")
_HOME = pattern("facts", "home")
_ROOM_FAULT = pattern("facts", "room_fault")
_ROOM_CONTRAST = pattern("facts", "room_contrast")

# After a building or unit without a room: 都没暖, 全停, 没热.
_ALL_AFTER = pattern("facts", "all_after")
_COLD_AFTER = pattern("facts", "cold_after")
_SEVERAL_COLD = pattern("facts", "several_cold")
_BURST = pattern("facts", "burst")
_NOT_BURST = pattern("facts", "not_burst")
_DRIP = pattern("facts", "drip")
_NEED = pattern("facts", "need")
_NOT_NEED = pattern("facts", "not_need")


def read_facts(text: str, intent: str, also: Sequence[str] = ()) -> Facts:
    """What the message states beside its intent; severity only where a leak is among the intents."""
    plain = normalise(text).text[:1000]
    intents = {intent, *also}
    return Facts(
        scope=_scope(plain, intents) if intents & _SCOPED else None,
        severity=_severity(plain) if "leak" in intents else None,
        need=_need(plain) if intents & _COLD else None,
    )


_WIDE = (
    ("community", _COMMUNITY),
    ("building", _BUILDING),
    ("unit", _UNIT),
    ("building", _STOREYS),
    ("community", _HOUSEHOLDS),
)


def _scope(text: str, intents: set[str]) -> str | None:
    """The widest part that is said to be affected, unless the text says that it is only a smaller one."""
    if only := _only(text):
        return only
    for scope, words in _WIDE:
        if words.search(text):
            # 二单元一到六层: storeys of one entrance, not of the whole building.
            return "unit" if words is _STOREYS and _ENTRANCE.search(text) else scope
    if listed := _listed(text):
        return listed
    if intents == {"confirm_resolved"}:
        return None
    if _HOME.search(text):
        return "home"
    if _ROOM_FAULT.search(text) or (_ROOM_CONTRAST.search(text) and _COLDNESS.search(text)):
        return "room"
    return None


_ENTRANCE = re.compile(r"单元|门洞|立管|[一二三四五六七八九十\d]号?门(?!口|窗|锁)")
_ONLY_SCOPES = (("unit", r"单元|门洞"), ("building", r"栋|楼"), ("home", r"家|户"))


def _only(text: str) -> str | None:
    """整个小区就我们这栋楼是冷的: what is said to be the only one."""
    for match in _ONLY.finditer(text):
        what = match["what"]
        if re.match(r"(?:暖气|那组|的)?(?:有|热|正常|烫)(?!不|没)", text[match.end() :]):
            continue
        for scope, words in _ONLY_SCOPES:
            if re.search(words, what):
                return scope
        if _ROOM.fullmatch(what) or _PIECE.fullmatch(what):
            return "room"
        if match["we"]:
            return "home"
    return None


def _listed(text: str) -> str | None:
    """Several rooms of one unit, or a building or unit that is cold as such (3号楼全没暖)."""
    parts = [part for part in read_places(text) if part.kind in ("building", "unit", "room")]
    rooms = {part.value for part in parts if part.kind == "room"}
    elsewhere = [kind for kind in ("building", "unit") if len({p.value for p in parts if p.kind == kind}) > 1]
    if len(rooms) >= 2:
        return "unit" if not elsewhere and _SEVERAL_COLD.search(text) else None
    if rooms or not parts:
        return None
    after = text[parts[-1].end : parts[-1].end + 12]
    if parts[-1].kind == "unit":
        return "unit" if _ALL_AFTER.match(after) or _COLD_AFTER.match(after) else None
    return "building" if _ALL_AFTER.match(after) else None


def _severity(text: str) -> str | None:
    """burst before drip: who is scalded or flooded may also mention drops."""
    cleaned = _NOT_BURST.sub("", text)
    if _BURST.search(cleaned):
        return "burst"
    return "drip" if _DRIP.search(text) else None


def _need(text: str) -> str | None:
    return "yes" if _NEED.search(_NOT_NEED.sub("", text)) else None
