"""From the pieces a text holds to the addresses it states: neighbours prove each other, corrections win."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from nlu.address_forms import Part
from nlu.words import alternatives, pattern

_RANK = {"community": 0, "building": 1, "unit": 2, "floor": 3, "room": 4}
# What may stand between two pieces of one address: blanks, marks, emojis, 的.
_LINK = re.compile(r"[^\w\u4e00-\u9fff]{0,6}(?:的|之|(?:门牌号?|房号|房间号?)是?)?[^\w\u4e00-\u9fff]{0,3}")
_LIST = re.compile(r"[ ,，、/和跟与及]{0,3}|还有|以及|到|至|~|-")
_END = r"(?=$|[ ,，。.!！?？;；:：、\n)）])"
_SYMPTOM = alternatives("doors", "symptom")
_NUMBER_AFTER = re.compile(rf"(?:{_END}|{_SYMPTOM})")
_NUMBER_BEFORE = pattern("doors", "number_before")
_FURTHER = re.compile(r"^(?:[ ,，、/和跟与及至到~-]{1,2}\d{3,4}(?!\d))+")  # 301、302、401都不热
_SIDE_BEFORE = re.compile(r"(?:^|[,，。!！?？;；\n ])(?:我|俺|咱)?(?:们)?(?:家)?(?:是|就是|住|住在|在)?(?:的|那个)?$")
_SIDE = re.compile(r"[东西南北中左右]户")
_ALONE = re.compile(r"[\s,，。.!！?？~]*")


def resolve(text: str, parts: Sequence[Part], communities: Sequence[Part]) -> list[Part]:
    """The pieces of addresses in text order, of scanned `parts` and `communities`; weak ones when proved.

    Floors stay in the answer (they tell where an address stands); the caller drops them.
    """
    items = sorted([*communities, *_outside(parts, communities)], key=lambda part: part.start)
    kept: list[Part] = []
    for index, part in enumerate(items):
        following = items[index + 1] if index + 1 < len(items) else None
        kept.extend(_accepted(text, part, kept, following))
    return kept


def _outside(parts: Sequence[Part], communities: Sequence[Part]) -> list[Part]:
    """Parts that are not inside the name of an estate (3号院, 壹号公馆)."""
    return [part for part in parts if all(part.end <= other.start or part.start >= other.end for other in communities)]


def _accepted(text: str, part: Part, kept: Sequence[Part], following: Part | None) -> list[Part]:
    """The part as it counts here, split or renamed by its neighbours; nothing if it is not proved."""
    previous = kept[-1] if kept else None
    linked = previous if previous is not None and _linked(text, previous, part) else None
    if part.kind == "building" and linked is not None and linked.kind == "building" and _bare(text, part):
        return [replace(part, kind="unit", weak=False)]
    if part.kind == "unit" and linked is not None and linked.kind == "unit" and part.weak:
        return [replace(part, kind="room", weak=False)]
    if part.kind == "room" and linked is not None and linked.kind == "community" and _floor_and_door(part):
        return _as_building_and_door(text, part)
    if not part.weak:
        return [part]
    if _proved(text, part, linked, kept, following):
        return [replace(part, weak=False)]
    return []


def _linked(text: str, before: Part, after: Part) -> bool:
    gap = text[before.end : after.start]
    return len(gap) <= 8 and _LINK.fullmatch(gap) is not None


def _bare(text: str, part: Part) -> bool:
    """A number that only its place in 3#2-501 makes a unit."""
    return len(part.value) == part.end - part.start <= 2 and text[part.end : part.end + 1] in tuple("-/杠 0123456789")


def _floor_and_door(part: Part) -> bool:
    return re.fullmatch(r"\d+楼\d+号", part.value) is not None


def _as_building_and_door(text: str, part: Part) -> list[Part]:
    """花园路59号院6楼10号: right after the estate the first number is the building."""
    middle = part.start + re.search("[楼层]", text[part.start : part.end]).end()  # type: ignore[union-attr]
    building, door = part.value.split("楼")
    return [
        Part("building", building + "楼", part.start, middle),
        Part("room", door.removesuffix("号"), middle, part.end),
    ]


def _proved(text: str, part: Part, linked: Part | None, kept: Sequence[Part], following: Part | None) -> bool:
    if linked is not None and _fits(part, linked):
        return True
    if part.kind == "room":
        return _in_list(text, part, kept) or _stands_alone(text, part)
    rises = following is not None and _RANK[following.kind] > _RANK[part.kind]
    if part.kind == "unit":
        return rises and part.value not in "东西南北中" and following is not None and _linked(text, part, following)
    # Weak building-and-room pairs (3 1502) are written alone or after the estate, never inside a sentence.
    return part.kind == "building" and rises and _ALONE.fullmatch(text[: part.start]) is not None


def _fits(part: Part, linked: Part) -> bool:
    """Whether a weak part may follow that neighbour: further in, and no 5号 after an estate."""
    if _RANK[linked.kind] >= _RANK[part.kind]:
        return False
    if part.kind == "unit" and linked.kind == "community" and part.value in "东西南北中":
        return False  # 锦绣花园东门 is a gate of the estate
    return linked.kind != "community" or part.kind != "room" or len(part.value) >= 3


def _in_list(text: str, part: Part, kept: Sequence[Part]) -> bool:
    """101、201、301: a further room right after a room."""
    if not kept or kept[-1].kind != "room":
        return False
    return _LIST.fullmatch(text[kept[-1].end : part.start]) is not None and part.value[:1].isdigit()


def _stands_alone(text: str, part: Part) -> bool:
    """A bare number that is the whole message, or stands where a home is named: 我家1504, 501不热, 我是东户."""
    before, after = text[: part.start], text[part.end :]
    if _SIDE.fullmatch(part.value):
        return _SIDE_BEFORE.search(before[-12:]) is not None and _NUMBER_AFTER.match(after) is not None
    if re.fullmatch(r"20[0-3]\d", part.value) or len(part.value) < 3 or not part.value[:3].isdigit():
        return False
    if _ALONE.fullmatch(before) and re.fullmatch(r"[\s号室户的。.!！~]*", after):
        return True
    plausible = int(re.sub(r"\D", "", part.value)) % 100 in range(1, 41)
    opened = _NUMBER_BEFORE.search(before[-12:]) is not None
    closed = _NUMBER_AFTER.match(after) or _NUMBER_AFTER.match(_FURTHER.sub("", after, count=1))
    return plausible and opened and closed is not None
