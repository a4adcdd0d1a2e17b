"""The one place matcher, for understanding and dialogue alike: estates and addresses in every form."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from nlu.address_forms import Part, scan
from nlu.addresses import resolve
from nlu.choice import choose
from nlu.community_forms import Span, find_unknown
from nlu.gazetteer import Building, Candidate, Community, Gazetteer
from nlu.naming import Learnt, settle_names
from nlu.normalise import normalise
from nlu.words import pattern

__all__ = [
    "Address",
    "Building",
    "Candidate",
    "Community",
    "Gazetteer",
    "Part",
    "default_gazetteer",
    "parse_address",
    "read_places",
]

_DISTRICTS = {
    "金水": "金水区",
    "二七": "二七区",
    "中原": "中原区",
    "管城": "管城回族区",
    "管城回族": "管城回族区",
    "惠济": "惠济区",
    "上街": "上街区",
    "郑东": "郑东新区",
    "郑东新": "郑东新区",
    "东": "郑东新区",
    "高新": "高新区",
    "经开": "经开区",
    "航空港": "航空港区",
    "港": "航空港区",
    "中牟": "中牟县",
    "巩义": "巩义市",
    "荥阳": "荥阳市",
    "新密": "新密市",
    "新郑": "新郑市",
    "登封": "登封市",
}
_DISTRICT = pattern("places", "district")
_NOT_BEFORE = re.compile(r"[路街城门省]$")
_WHOLE_ESTATE = re.compile(r"(?:全|整个?|这个?|我们|俺们|咱们?)(?:小区|院)?")  # 绿城百合全小区 is 绿城百合


@dataclass(frozen=True, slots=True)
class Address:
    """What a message says about one home; `rooms` holds each of several."""

    district: str | None = None
    community: str | None = None
    building: str | None = None
    unit: str | None = None
    rooms: tuple[str, ...] = ()

    @property
    def room(self) -> str | None:
        """The room, if there is exactly one."""
        return self.rooms[0] if len(self.rooms) == 1 else None


@lru_cache(maxsize=1)
def default_gazetteer() -> Gazetteer:
    """The places that ship with the project, read once."""
    return Gazetteer.from_folder(Path(__file__).resolve().parent.parent / "data" / "gazetteer")


def read_places(text: str, gazetteer: Gazetteer | None = None, learnt: Sequence[Learnt] | None = None) -> list[Part]:
    """District, estate, building, unit and room parts of normalised text, in text order.

    `learnt` is where the NLU server's tagger sees names in this text; None where nobody was asked.
    """
    scanned = scan(text)
    communities = _communities(text, scanned, gazetteer, learnt)
    districts = _districts(text, communities)
    parts = choose(text, resolve(text, scanned, communities))
    found = [part for part in parts if part.kind != "floor"]
    return sorted([*found, *districts], key=lambda part: part.start)


def parse_address(text: str, gazetteer: Gazetteer | None = None) -> Address:
    """The address that a message states, as values; what it does not state is None."""
    parts = read_places(normalise(text).text, gazetteer)
    last = {part.kind: part.value for part in parts}
    rooms = dict.fromkeys(part.value for part in parts if part.kind == "room")
    return Address(last.get("district"), last.get("community"), last.get("building"), last.get("unit"), tuple(rooms))


def _communities(
    text: str, scanned: Sequence[Part], gazetteer: Gazetteer | None, learnt: Sequence[Learnt] | None
) -> list[Part]:
    """Estates of the gazetteer first; unknown ones where it knows none, or knows only a piece of a longer name."""
    known = gazetteer.find(text) if gazetteer else []
    blocked = bytearray(len(text))
    for part in scanned:
        if not part.weak and part.kind != "floor":
            blocked[part.start : part.end] = b"\x01" * (part.end - part.start)
    anchors = [part.start for part in scanned if part.kind in ("building", "unit")]
    doors = [part.start for part in scanned if part.kind == "room" and not part.weak]
    unknown = settle_names(find_unknown(text, anchors, doors, blocked), learnt)
    listed = [item for item in known if not any(_swallows(text, span, item) for span in unknown)]
    others = [span for span in unknown if all(_apart(span, item) for item in listed)]
    found = [Part("community", item.value, item.start, item.end) for item in listed]
    found += [Part("community", name_of(text[span.start : span.end]), span.start, span.end) for span in others]
    return sorted(found, key=lambda part: part.start)


def name_of(span: str) -> str:
    """The value of an estate that no list knows: its span without blanks."""
    return span.replace(" ", "")


def _apart(span: Span, item: Candidate) -> bool:
    return span.end <= item.start or span.start >= item.end


def _swallows(text: str, span: Span, item: Candidate) -> bool:
    """Whether a name found by form is another estate, of which the known name is only a piece."""
    if _apart(span, item) or item.kind == "pinyin":
        return False
    longer_right = span.start == item.start and span.end > item.end
    if longer_right and _WHOLE_ESTATE.fullmatch(text, item.end, span.end):
        return False
    opened = span.start == 0 or not ("\u4e00" <= text[span.start - 1] <= "\u9fff")
    longer_left = opened and 0 < item.start - span.start <= 2 and span.end >= item.end
    return longer_right or longer_left


def _districts(text: str, communities: Sequence[Part]) -> list[Part]:
    found = []
    for match in _DISTRICT.finditer(text):
        inside = any(part.start <= match.start() < part.end for part in communities)
        if inside or _NOT_BEFORE.search(text[: match.start()][-1:]):
            continue
        found.append(Part("district", district_name(match[0]), match.start(), match.end()))
    return found


def district_name(word: str) -> str:
    """东区 → 郑东新区, 管城 → 管城回族区, 新郑 → 新郑市: the full name the guide lists."""
    short = re.sub("(?:高新)?技术开发区|经济技术开发区|开发区", "", word)
    if "经济" in word:
        return "经开区"
    if "高新" in word:
        return "高新区"
    return _DISTRICTS.get(short.rstrip("区县市"), word)
