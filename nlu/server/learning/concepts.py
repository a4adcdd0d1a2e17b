"""Finds what a message is about with a hand-made lexicon, so that unseen wordings share features with seen ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

# A reading of the room decides between two intents (guide, rule 4), and no n-gram knows that 11 is less than 12.
_READING = re.compile(r"(?<![\d.])(\d{1,2}(?:\.\d)?)\s*(?:多|来|几)?(?:度|°c|℃|°)")
_CHINESE_READING = re.compile(
    r"(零下)?(?<![一二三四五六七八九十])([二三]?十[一二三四五六七八九]?|[一二三四五六七八九])(?:来|多|几)?度"
)
# A number with one decimal and no unit is how people read a thermometer out (客厅16.2).
_BARE_READING = re.compile(r"(?<![\d.\-#])(\d{1,2}\.\d)(?![\d.度℃°\-])")
# What stands right before a word and turns it round: 不漏, 没再响, 再没凉. A word that begins so itself is a concept whole.
_NEGATION = re.compile(r"(?:不再|没再|再没|没有再|不用|没有|不会|不是|不怎么|不咋|没咋|不|没|未|冇|无|别)$")
_NEGATIVE = "不没未无冇别"
_DIGITS = {digit: number for number, digit in enumerate("一二三四五六七八九", 1)}
_SHAPES = (
    ("phone", re.compile(r"(?<!\d)1[3-9]\d[\s-]?\d{4}[\s-]?\d{4}(?!\d)|(?<!\d)0\d{2,3}-?\d{7,8}(?!\d)")),
    ("number", re.compile(r"(?<!\d)\d{6,}(?!\d)")),
    (
        "address",
        re.compile(r"\d+\s*[-—#号栋幢]\s*楼?\s*\d+|[\d一二三四五六七八九十]+(?:号楼|栋|幢|单元|号院)|(?<!\d)\d{3,4}室"),
    ),
)


class ConceptLexicon:
    """Concepts by words and patterns; of several matches the leftmost counts, then the longest."""

    def __init__(self, concepts: Mapping[str, Sequence[str]]) -> None:
        """`concepts` maps a name to words; a word between slashes is a regular expression."""
        self.concepts = {name: [str(word) for word in words] for name, words in concepts.items()}
        self._by_word: dict[str, list[str]] = {}
        self._patterns: list[tuple[str, re.Pattern[str]]] = []
        for name, words in self.concepts.items():
            for word in words:
                if len(word) > 2 and word[0] == word[-1] == "/":
                    self._patterns.append((name, re.compile(word[1:-1])))
                else:
                    self._by_word.setdefault(word.lower(), []).append(name)
        longest_first = sorted(self._by_word, key=len, reverse=True)
        self._words = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def sequence(self, text: str) -> list[str]:
        """The concepts of a normalised text in the order of their words; a negated one is called not_…"""
        found = [(m.start(), name) for m in self._words.finditer(text) for name in self._named(m)]
        found += [(m.start(), name) for name, pattern in self._patterns for m in pattern.finditer(text)]
        found += [(m.start(), name) for name, pattern in _SHAPES for m in pattern.finditer(text)]
        found += _readings(text)
        found.sort(key=lambda item: item[0])
        names = [name for _, name in found]
        return [name for i, name in enumerate(names) if i == 0 or name != names[i - 1]]

    def _named(self, match: re.Match[str]) -> list[str]:
        """The concepts of one word; one word may stand for two."""
        names = self._by_word[match[0]]
        before = match.string[max(0, match.start() - 3) : match.start()]
        negated = match[0][0] not in _NEGATIVE and _NEGATION.search(before)
        return [f"not_{name}" for name in names] if negated else names


def _readings(text: str) -> list[tuple[int, str]]:
    found = [(m.start(), _bucket(float(m[1]))) for m in _READING.finditer(text)]
    found += [(m.start(), _bucket(float(m[1]))) for m in _BARE_READING.finditer(text)]
    for match in _CHINESE_READING.finditer(text):
        degrees = -1.0 if match[1] else float(_number(match[2]))
        found.append((match.start(), _bucket(degrees)))
    return found


def _number(numeral: str) -> int:
    """The value of a Chinese numeral below forty; longer ones are no room temperatures."""
    tens, ten, ones = numeral.rpartition("十")
    if not ten:
        return _DIGITS[ones]
    return _DIGITS.get(tens, 1) * 10 + _DIGITS.get(ones, 0)


def _bucket(degrees: float) -> str:
    if degrees < 12:
        return "reading_icy"
    if degrees < 18:
        return "reading_low"
    return "reading_ok" if degrees < 24 else "reading_hot"
