"""Numbers as residents write them, in digits or Chinese characters, to digits."""

from __future__ import annotations

import re

DIGITS = {
    "零": 0,
    "〇": 0,
    "一": 1,
    "二": 2,
    "两": 2,
    "三": 3,
    "四": 4,
    "五": 5,
    "六": 6,
    "七": 7,
    "八": 8,
    "九": 9,
}
DIGITS |= {"幺": 1, "俩": 2, "仨": 3, "壹": 1, "陆": 6}
_UNITS = {"十": 10, "拾": 10, "百": 100, "千": 1000}
HAN = "零一二三四五六七八九十百千两幺"
# A numeral in either script, never longer than a room or an account needs.
NUM = rf"(?:\d{{1,4}}|[{HAN}]{{1,6}})"

_PINYIN = ["ling", "yi", "er", "san", "si", "wu", "liu", "qi", "ba", "jiu", "shi"]
PINYIN_DIGITS = {syllable: n for n, syllable in enumerate(_PINYIN)}


def to_int(text: str) -> int | None:
    """三 → 3, 十五 → 15, 一百零二 → 102, 六零一 → 601, 12 → 12; None where it is no number."""
    if text.isascii() and text.isdigit():
        return int(text)
    if not text:
        return None
    if all(char in DIGITS for char in text):
        return int("".join(str(DIGITS[char]) for char in text))
    return _with_units(text)


def _with_units(text: str) -> int | None:
    """Numerals that name their tens and hundreds; 一百二 is 120, as it is spoken."""
    total, current, last_unit = 0, -1, 1
    for char in text:
        if char in DIGITS:
            current = DIGITS[char]
        elif char in _UNITS:
            last_unit = _UNITS[char]
            total += (1 if current < 0 else current) * last_unit
            current = -1
        else:
            return None
    if current > 0:
        spoken = last_unit >= 100 and text[-2] in _UNITS
        total += current * (last_unit // 10 if spoken else 1)
    return total


def digits_of(text: str) -> str:
    """The numeral as digits, leading zeros kept (零四 → 04); the text itself if it is none."""
    if text.isascii() and text.isdigit():
        return text
    if text and all(char in DIGITS for char in text):
        return "".join(str(DIGITS[char]) for char in text)
    number = to_int(text)
    return text if number is None else str(number)


_RANGE = re.compile(
    r"(?:(?P<tens>[一二三四五六七八九])?十)?(?P<low>[一二三四五六七八九])(?P<high>[一二三四五六七八九])"
)


def to_range(text: str) -> tuple[float, float] | None:
    """十五六 → (15, 16), 七八 → (7, 8), 二十一二 → (21, 22); None unless the two follow each other."""
    match = _RANGE.fullmatch(text)
    if not match:
        return None
    low, high = DIGITS[match["low"]], DIGITS[match["high"]]
    if high - low != 1:
        return None
    tens = 0 if "十" not in text else 10 * DIGITS.get(match["tens"] or "一", 1)
    return tens + low, tens + high


def to_float(text: str) -> float | None:
    """16.4, 十六点五, 十五 → a number; None where it is no number."""
    whole, dot, rest = text.replace("点", ".").partition(".")
    if not dot:
        number = to_int(text)
        return None if number is None else float(number)
    left, right = to_int(whole), digits_of(rest)
    if left is None or not right.isdigit():
        return None
    return float(f"{left}.{right}")
