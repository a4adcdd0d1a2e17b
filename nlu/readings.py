"""Indoor temperatures: the degrees a home has now, and none of the other degrees people write about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nlu.numerals import to_float, to_range
from nlu.words import alternatives, pattern

_HAN = "零一二两三四五六七八九十"
_N = rf"(?:\d{{1,2}}(?:\.\d{{1,2}})?|[{_HAN}]{{1,4}}(?:点[{_HAN}])?)"
_UNIT = r"(?:摄氏度|多?度(?!电|假|数|量|过)|°[cC]?|℃|[cC](?![A-Za-z0-9])|(?i:du(?![a-z])))"
_READING = re.compile(
    rf"(?<![\d.\-/a-zA-Z第初])(?P<sign>零上|零下|负|-)? ?(?P<low>{_N})(?P<lowunit>{_UNIT})?"
    rf"(?: ?(?:-|~|到|至|(?:、|/)(?!\d+\.)|或者?) ?(?P<high>{_N}))? ?(?P<unit>{_UNIT})"
    r"(?P<tail>半|\d(?![\d度点个天号楼单、.])|[一二三四五六七八九](?=[,，。.!！ ]|$))?"
)
# Digits, or tens in characters: 15, 15.8, 十六, 二十三, 15到16.
_BARE = re.compile(
    rf"(?<![\d.\-/a-zA-Z#第初零一二三四五六七八九十百])"
    rf"(?P<low>\d{{1,2}}(?:\.\d)?|[一二]?十[一二三四五六七八九]?(?:点[{_HAN}])?|二十[一二三四五六七八九]?)"
    r"(?: ?(?:-|~|到|至|、(?!\d+\.)) ?(?P<high>\d{1,2}(?:\.\d)?))?(?![\d:#%\-/]|\.\d)"
    rf"(?! ?(?:{alternatives('readings', 'measure')}))"
)
# What must stand shortly before a number without 度.
_BARE_CUE = pattern("readings", "bare_cue")
_TOPIC = pattern("readings", "topic")
_ONLY_DECIMAL = re.compile(r"\s*\d{1,2}\.\d\s*|.*(?<!\d)[12]\d\.\d(?!\d).*")
_OTHER_DECIMAL = pattern("readings", "other_decimal")
_INDOOR = pattern("readings", "indoor")
_OUTDOOR = pattern("readings", "outdoor")
_WATER = pattern("readings", "water")
_SET = pattern("readings", "set")
_WISH = pattern("readings", "wish")
# The legal standard in so many words, and the words that speak of it only beside its number (不到18度).
_STANDARD = pattern("readings", "standard")
_MISSED = pattern("readings", "missed")
_PAST = pattern("readings", "past")
_OTHERS = pattern("readings", "others")
_AFTER_STANDARD = pattern("readings", "after_standard")
_AFTER_MISSED = pattern("readings", "after_missed")
_AFTER_WATER = re.compile(r"^ ?(?:的?水(?!银)|的?热水|进水|回水|的?电)")
_NOW = pattern("readings", "now")
_FROM_TO = re.compile(r"[^\d,，。]{0,3}[掉降升爬涨跌回变到]")
_DELTA = pattern("readings", "delta")
_WEEKDAY = pattern("readings", "weekday")
# A blank between Chinese characters is the comma of people who type none.
_SPACE = re.compile(r"(?<=\S) +(?=[\u4e00-\u9fff])")
_BREAK = pattern("readings", "break")


@dataclass(frozen=True, slots=True)
class Reading:
    """One indoor temperature in ℃ and where normalised text states it."""

    value: float
    start: int
    end: int


def readings(text: str) -> list[Reading]:
    """The indoor temperatures of the home now, in text order."""
    found = list(_with_unit(text))
    spans = [(item.start, item.end) for item, _ in found]
    bare = [item for item in _without_unit(text) if all(item.end <= a or item.start >= b for a, b in spans)]
    kept = [item for item, real in found if real] + [
        item for item in bare if _counts(text, item, [*spans, *((one.start, one.end) for one in bare)])
    ]
    return _latest(text, sorted(kept, key=lambda item: item.start))


def _latest(text: str, found: list[Reading]) -> list[Reading]:
    """Of a diary (周三早15.2,周四早15.8,今早16) only the last day is now."""
    dated = [item for item in found if _WEEKDAY.search(text[max(0, item.start - 8) : item.start])]
    return found if len(dated) < 2 else [item for item in found if item not in dated[:-1]]


def _with_unit(text: str) -> Iterator[tuple[Reading, bool]]:
    """Every number of degrees, and whether it is a reading of the home."""
    spans: list[tuple[int, int]] = []
    for match in _READING.finditer(text):
        value = _value(match)
        start, end = _trim(match)
        spans.append((start, end))
        if value is None and match["high"]:
            # 04,15.5℃ is no range: only the number before the unit counts.
            value, start = to_float(match["high"]), match.start("high")
        if value is None:
            continue
        reading = Reading(value, start, end)
        below = match["sign"] in ("零下", "负", "-")
        yield reading, _counts(text, reading, spans[:-1], below, match.group(0))


def _trim(match: re.Match[str]) -> tuple[int, int]:
    """The span without blanks before it."""
    return match.start() + len(match[0]) - len(match[0].lstrip()), match.end()


def _value(match: re.Match[str]) -> float | None:
    low = _range_or_number(match["low"])
    if low is None or match[0] in {"一度", "再度", "几度"}:
        return None
    groups = match.re.groupindex
    value = low
    if match["high"]:
        high = _range_or_number(match["high"])
        if high is None:
            return None
        # 15、6度 says 15 or 16.
        high = high + low - low % 10 if high < 10 <= low and high > low % 10 else high
        if not 0 < high - low <= 10:
            return None
        value = (low + high) / 2
    tail = match["tail"] if "tail" in groups else None
    if tail:
        value += 0.5 if tail == "半" else (to_float(tail) or 0) / 10
    sign = match["sign"] if "sign" in groups else None
    return round(-value if sign in ("零下", "负", "-") else value, 2)


def _range_or_number(text: str) -> float | None:
    pair = to_range(text)
    return (pair[0] + pair[1]) / 2 if pair else to_float(text)


def _without_unit(text: str) -> Iterator[Reading]:
    """Numbers without 度 where the words before them speak of a reading (室温16, 只有15, 今儿15)."""
    if not _TOPIC.search(text) and not _ONLY_DECIMAL.fullmatch(text):
        return
    for match in _BARE.finditer(text):
        value = _value_bare(match)
        if value is None or not 5 <= value <= 35:
            continue
        before = text[max(0, match.start() - 16) : match.start()]
        if _BARE_CUE.search(before) or _decimal_clause(text, match):
            yield Reading(value, match.start(), match.end())


def _decimal_clause(text: str, match: re.Match[str]) -> bool:
    """15.8 is a reading unless money or measures surround it; 16 is one as the last clause (不说了,16)."""
    before = text[max(0, match.start() - 8) : match.start()]
    if "." in match["low"]:
        return not _OTHER_DECIMAL.search(re.split("[,，。;；]", before)[-1])
    last = re.fullmatch(r"[了多。.!！?？ ]*", text[match.end() :]) is not None
    opened = re.search(r"[\u4e00-\u9fff][,，。;；]$", before) is not None
    return last and opened and 8 <= (to_float(match["low"]) or 0) <= 30 and bool(re.search("[温冷热凉冰冻]", text))


def _value_bare(match: re.Match[str]) -> float | None:
    low = _range_or_number(match["low"])
    high = _range_or_number(match["high"]) if match["high"] else low
    if low is None or high is None or not 0 <= high - low <= 6:
        return None
    return round((low + high) / 2, 2)


def _counts(
    text: str, reading: Reading, earlier: list[tuple[int, int]], below: bool = False, written: str = ""
) -> bool:
    """Whether these degrees are the home's own, now: nothing near them says otherwise."""
    if not -20 <= reading.value <= 35:
        return False
    before = _before(text, reading.start, earlier)
    after = text[reading.end : reading.end + 10]
    if _DELTA.search(before) or _AFTER_WATER.match(after):
        return False
    if any(pattern.search(before) for pattern in (_WATER, _SET)):
        return False
    if _elsewhere(before, below):
        return False
    return not _not_now(before, after, reading.value)


def _before(text: str, start: int, earlier: list[tuple[int, int]]) -> str:
    """What the reading's own clause says before it."""
    low = max([start - 18, 0, *(end for _, end in earlier if end <= start)])
    window = _SPACE.sub(",", text[low:start].rstrip())
    cut = 0
    for match in _BREAK.finditer(window):
        if match.end() <= len(window):
            cut = match.start() if match[0][0] not in ",，、。.!！?？;；\n" else match.end()
    return window[cut:]


def _elsewhere(before: str, below: bool) -> bool:
    """Outdoors, or somebody else's home."""
    last_in = max((match.end() for match in _INDOOR.finditer(before)), default=-1)
    last_out = max((match.end() for match in _OUTDOOR.finditer(before)), default=-1)
    if last_out > last_in or (below and last_in < 0):
        return True
    return _OTHERS.search(before) is not None


def _not_now(before: str, after: str, value: float) -> bool:
    """The standard, a wish, or the past."""
    if _AFTER_STANDARD.match(after) or _STANDARD.search(before) or _WISH.search(before):
        return True
    if value == 18 and (_MISSED.search(before) or _AFTER_MISSED.match(after)):
        return True
    if before.endswith(("从", "由")) and _FROM_TO.match(after):
        return True
    last_now = max((match.end() for match in _NOW.finditer(before)), default=-1)
    last_past = max((match.end() for match in _PAST.finditer(before)), default=-1)
    return last_past > last_now


def as_text(value: float) -> str:
    """15.0 → 15, 15.5 → 15.5."""
    return f"{value:g}"
