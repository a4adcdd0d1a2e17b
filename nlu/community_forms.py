"""Estates that no list knows, found by the form of their name: its ending, or a building after it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nlu.numerals import HAN
from nlu.words import alternatives, pattern

_YARD = rf"[甲乙丙丁老新]?(?:\d{{1,3}}|[{HAN}]{{1,4}})(?:号院|号大院)"
# Endings that make a name by themselves, wherever they stand.
_STRONG = alternatives("estates", "strong")
# Endings that ordinary words have as well: they need a building or a clause of their own.
_WEAK = alternatives("estates", "weak")
_NAME = r"[\u4e00-\u9fffA-Za-z0-9·]"
_PHASE = (
    r"(?:[一二三四五六七八九十\d]{1,2}期|[一二三四五六七八九]区|\d区|[A-Za-z]区|[东西南北中]区(?!域)|[东西南北中]院|"
    rf"(?<!期){_YARD}|[A-Za-z]地块|[一二三四五六七八九]组团)"
)
PHASE = re.compile(rf" ?{_PHASE}")
_ENDING = re.compile(rf"(?:(?P<strong>{_STRONG})+[汇湾城]?|(?P<weak>{_WEAK}))(?P<phase>(?: ?{_PHASE}){{0,2}})")
_ROAD_YARD = re.compile(
    rf"(?P<road>[\u4e00-\u9fff]{{1,5}}(?:路|大街|街|大道|巷|道|胡同))(?P<dir>[东西南北中]段?)?(?:附)?"
    rf"(?P<yard>{_YARD}|\d{{1,3}}号(?!楼|线))(?P<phase>{_PHASE})?"
)

DISTRICT_WORDS = alternatives("estates", "district_words")
_REGION = re.compile(rf"(?:河南省?|郑州市?(?!大学|师范|一中|轻)|{DISTRICT_WORDS})")
_REGION_INSIDE = re.compile(
    r"(?:郑东新|航空港|港|高新|经开|金水|二七|中原|管城回族|管城|惠济|上街)区"
    r"|中牟县?|巩义市?|荥阳市?|新密市?|新郑市?|登封市?"
)

# What stands before a name and never in it; the name begins after the last of these.
_STOPS = pattern("estates", "stops")
_GENERIC = pattern("estates", "generic")
# A name without an ending must not hold any of these: such runs of characters are ordinary talk.
_TALK = pattern("estates", "talk")
_AFTER_REGION = re.compile(rf"(?:{DISTRICT_WORDS}|中原)$")
# Words with the endings of estates that are none: they never count as a name.
_ORDINARY = pattern("estates", "ordinary")
_ESTATE_ENDING = pattern("estates", "estate_ending")
_ESTATE_GOES_ON = pattern("estates", "estate_goes_on")
_DOOR_FOLLOWS = re.compile(r"[ ,]?\d{3,4}(?!\d|度|元|块|年|平|米|号线|路)")
_COUNTED = re.compile(r"[一二两三四五六七八九十几多\d]")
_MAX_NAME = 14


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of normalised text that names an estate; `sure` when the ending alone proves it."""

    start: int
    end: int
    sure: bool


def find_unknown(text: str, anchors: Sequence[int], doors: Sequence[int], blocked: bytearray) -> list[Span]:
    """Names of estates by form, in text order.

    `anchors` are where a building or unit begins, `doors` where a room does; `blocked` marks what is read.
    """
    spans = list(_road_yards(text, blocked))
    spans += _by_ending(text, [*anchors, *doors], blocked)
    spans += _before_building(text, anchors, blocked)
    return _without_overlap(spans)


def _road_yards(text: str, blocked: bytearray) -> Iterator[Span]:
    """经五路2号院: the road belongs to the name because a yard number follows it."""
    for match in _ROAD_YARD.finditer(text):
        bare = not match["yard"].endswith("院")
        if any(blocked[match.start("yard") : match.end()]):
            continue
        if bare and not _address_follows(text, match.end()):
            continue
        start = _name_start(text, match.start("yard"), blocked, keep_road=True)
        if match.start("yard") - start >= 2:
            yield Span(start, match.end(), sure=True)


def _by_ending(text: str, anchors: Sequence[int], blocked: bytearray) -> Iterator[Span]:
    starts = frozenset(anchors)
    for match in _ENDING.finditer(text):
        body = match.end() - len(match["phase"])
        if any(blocked[match.start() : match.end()]):
            continue
        start = _name_start(text, match.start(), blocked)
        # 学府嘉苑, 花园家园: of two endings in a row the first may be the whole name.
        last = match["strong"] or match["weak"]
        stem = text[start : match.end("strong" if match["strong"] else "weak") - len(last)]
        whole_name = bool(match["phase"]) and last[-1] in "府苑庭"
        if not _good_stem(stem, match["strong"] or "") and not (whole_name and not stem):
            continue
        if _REGION.fullmatch(text[start : match.end()]):
            continue
        if match["strong"] or _proved(text, start, body, match.end(), starts):
            yield Span(start, match.end(), sure=bool(match["strong"]) and body > start)


def _before_building(text: str, anchors: Sequence[int], blocked: bytearray) -> Iterator[Span]:
    """橄榄谷5栋: whatever stands directly before a building, unless it is ordinary talk."""
    for anchor in anchors:
        end = anchor
        while end and text[end - 1] in " ,，、:-":
            end -= 1
        if anchor - end > 2 or text[anchor - 1 : anchor] in ("-", "/"):
            continue
        start = _name_start(text, end, blocked, least=2)
        name = PHASE.sub("", text[start:end])
        if re.fullmatch(_STRONG, name) or _GENERIC.fullmatch(
            re.sub(f"(?:{_STRONG}|宿舍|大厦|广场|院)$", "", name) or "小"
        ):
            continue
        while end > start and text[end - 1] == "老":
            end -= 1
        if end > start and text[end - 1].isdigit():
            continue
        short = len(name) == 2 and name[-1] in "苑府城湾园庭郡轩阁洲岛寓墅庐居里"
        if (short or 3 <= end - start <= 10) and _is_name(name):
            yield Span(start, end, sure=False)


def _is_name(name: str) -> bool:
    """Whether a run of characters without an ending reads like a name and not like talk."""
    if _TALK.search(name) or _COUNTED.match(name) or (len(name) < 3 and _ORDINARY.search(name)):
        return False
    return sum("\u4e00" <= char <= "\u9fff" for char in name) >= 2 or (name.isalnum() and name[0].isupper())


def _name_start(text: str, end: int, blocked: bytearray, least: int = 1, keep_road: bool = False) -> int:
    """Where the name that ends at `end` begins: after the last stop word, region or road within reach."""
    low = end
    while low and end - low < _MAX_NAME and re.match(_NAME, text[low - 1]) and not blocked[low - 1]:
        low -= 1
    window = text[low:end]
    cut = max((match.end() for match in _STOPS.finditer(window)), default=0)
    inside = [match.end() for match in _REGION_INSIDE.finditer(window, cut) if len(window) - match.end() >= 2]
    cut = max([cut, *inside])
    for match in _REGION.finditer(window, cut):
        if match.start() == cut and not re.match("[东西南北中]?[路街]", window[match.end() :]):
            cut = match.end()
    cut = _after_town(window, cut)
    if not (keep_road or _WORKPLACE.match(text[end : end + 4]) or text[end - 1 : end] in _WORKS):
        cut = _after_road(window, cut, least)
    return low + cut


# The yard of a works or office is known by its road: 桐柏北路电缆厂家属院.
_WORKPLACE = re.compile(r"家属|[东西南北老]?院|宿舍")
_WORKS = frozenset("厂所局段校")
_TOWN = re.compile(r"[\u4e00-\u9fff]{2,3}?(?:镇|乡|街道办事处|街道办|街道|办事处)")
_ROADS = re.compile(
    r"(?:(?:[\u4e00-\u9fff]{1,3}?(?:第[一二三四五六七八九十]{1,2}大街|大街|大道|(?<![铁公马])路|街(?!坊|区|道)"
    r"|环(?=.{0,4}[路街])))(?:与|和|跟)?){1,3}(?:交叉口|交汇处?|路口|附近|[东西南北]{1,2}角?)?"
)


def _after_town(window: str, cut: int) -> int:
    match = _TOWN.match(window, cut)
    return match.end() if match and match.end() < len(window) else cut


def _after_road(window: str, cut: int, least: int) -> int:
    """Skip roads before a name (花园路国贸公馆), unless nothing of a name is left (健康路|小区)."""
    match = _ROADS.match(window, cut)
    left = window[match.end() :] if match else ""
    bare = len(left) < least or _GENERIC.fullmatch(left) is not None
    return cut if match is None or bare else match.end()


def _good_stem(stem: str, strong: str) -> bool:
    if not stem or _GENERIC.fullmatch(stem) or stem[-1] in "全整本该各每":
        return False
    if not re.search(r"[\u4e00-\u9fffA-Za-z]", stem):
        return strong in {"公馆", "公寓", "小区", "公元", "家属院"} and len(stem) > 1
    return True


def _proved(text: str, start: int, body: int, end: int, starts: frozenset[int]) -> bool:
    """Whether a weak ending counts: a building or door follows, or the clause speaks of an estate."""
    name = text[start:end]
    stem = name[: body - start - 1]
    if (
        end - start < 3
        or _TALK.search(stem)
        or _ORDINARY.search(name)
        or sum("\u4e00" <= c <= "\u9fff" for c in stem) < 1
    ):
        return False
    if text[body - 1] == "里":
        return _lane(text, start, end, starts)
    follow = end
    while follow < len(text) and text[follow] in " ,，、:-":
        follow += 1
    if follow in starts or _DOOR_FOLLOWS.match(text, end):
        return True
    if end > body:
        return True
    if _AFTER_REGION.search(text[max(0, start - 6) : start]) and len(name) <= 5 and _ESTATE_ENDING.search(name):
        return True
    return len(name) <= 6 and _ESTATE_ENDING.search(name) is not None and _ESTATE_GOES_ON.match(text, end) is not None


def _lane(text: str, start: int, end: int, starts: frozenset[int]) -> bool:
    """兴华里: most words in 里 are ordinary, so it needs a clause of its own or an estate's words."""
    follow = end + (text[end : end + 1] in (" ", ","))
    if follow in starts or _DOOR_FOLLOWS.match(text, end):
        return True
    opened = (
        start == 0
        or re.search(r"[,，。 :：\-]$|[个叫是住名区]$", text[:start][-2:]) is not None
        or _AFTER_REGION.search(text[:start][-5:]) is not None
    )
    closed = re.match(r"$|[,，。.!！ ]|的$|[东西南北大正后]门|全体|整|小区", text[end:]) is not None
    if _AFTER_REGION.search(text[:start][-5:]) or PHASE.fullmatch(text[start + 3 : end] or "-"):
        return opened and end - start <= 6
    return end - start == 3 and opened and closed


def _address_follows(text: str, end: int) -> bool:
    return bool(
        re.match(
            r"[ ,，]?(?:\d{1,2}|[一二三四五六七八九十]{1,3})(?:号楼|楼|栋|幢|#|单元|-\d)|那片|家属楼",
            text[end:],
        )
    )


def _without_overlap(spans: list[Span]) -> list[Span]:
    """The longest of overlapping names, in text order."""
    kept: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.start - span.end, span.start)):
        if all(span.end <= other.start or span.start >= other.end for other in kept):
            kept.append(span)
    return sorted(kept, key=lambda span: span.start)
