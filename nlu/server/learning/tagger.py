"""Finds the names of estates in a text, character by character, by what stands in and around names it has seen."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from opencc import OpenCC

from nlu.address_forms import Part, scan
from nlu.community_forms import PHASE, find_unknown
from nlu.normalise import normalise
from nlu.server.learning import crf
from nlu.server.learning.crf import Array, Chain
from nlu.words import alternatives, pattern

# Outside a name, its first character, inside it, its last one; a name has two characters or more.
_OUTSIDE, _FIRST, _INSIDE, _LAST = range(4)
_NEVER = -30.0
_CLOSED = np.full((4, 4), _NEVER)
for _before, _after in ((0, 0), (0, 1), (1, 2), (1, 3), (2, 2), (2, 3), (3, 0), (3, 1)):
    _CLOSED[_before, _after] = 0.0

_LONGEST = 18
_LEAST = 0.05  # spans that are less likely are not worth a line
_HOPELESS = -7.0  # where no character scores nearer than this to being the first of a name, none is looked for
_PAD = "\x02" * 6
_STOPS = pattern("estates", "stops")
_STRONG = re.compile(alternatives("estates", "strong"))
_WEAK = re.compile(alternatives("estates", "weak"))
_ROAD = re.compile(r"大街|大道|(?<![铁公马])路|街(?!坊|区|道)|环路|[东西南北][二三四]环|镇|巷")
_REGION = re.compile(rf"{alternatives('estates', 'district_words')}|河南省?|郑州市?")
_KINDS = {"building": "B", "unit": "U", "room": "R", "floor": "F"}

# What is looked at around a character: a stream, where the slice begins, and how long it is.
_WINDOWS: tuple[tuple[str, int, int], ...] = (
    *(("char", offset, 1) for offset in range(-3, 4)),
    *(("char", offset, 2) for offset in range(-3, 3)),
    *(("char", offset, 3) for offset in (-3, -2, -1, 0, 1)),
    ("kind", -1, 3),
    ("kind", -2, 5),
    ("part", -1, 2),
    ("part", 0, 3),
    ("part", 1, 5),
    ("ending", -1, 2),
    ("ending", 0, 2),
    ("ending", 0, 4),
    ("ending", -2, 5),
    ("stop", -1, 2),
    ("stop", -3, 4),
    ("stop", -2, 5),
    ("form", 0, 1),
    ("form", -1, 3),
    ("mixed", 0, 1),
    ("mixed", -1, 2),
    ("mixed", 0, 2),
    ("mixed", -1, 3),
)

# A text and the spans of the estates that it names, in the offsets of the text.
Sample = tuple[str, tuple[tuple[int, int], ...]]


@dataclass(frozen=True, slots=True)
class Name:
    """A stretch of the original text that may name an estate, and how likely it is that exactly this one does."""

    start: int
    end: int
    probability: float


@lru_cache(maxsize=1)
def _simplifier() -> OpenCC:
    return OpenCC("t2s")


@lru_cache(maxsize=8192)
def _simple(char: str) -> str:
    """One character for one: simplified, every digit as 0, every letter small."""
    if char.isdigit():
        return "0"
    # Half of a broken pair cannot be written in UTF-8, which is what the converter works on.
    if "\ud800" <= char <= "\udfff":
        return char
    folded = _simplifier().convert(char).lower() if char > "\x7f" else char.lower()
    return folded if len(folded) == 1 else char


def _kind(char: str) -> str:
    if "\u4e00" <= char <= "\u9fff":
        return "h"
    return "d" if char.isdigit() else "a" if char.isascii() and char.isalpha() else "s" if char.isspace() else "p"


def _paint(line: list[str], matches: Iterable[re.Match[str]], inside: str, last: str) -> None:
    for match in matches:
        start, end = match.span()
        line[start:end] = [inside] * (end - start)
        line[end - 1] = last


def describe(text: str, forms: bool = True) -> dict[str, str]:
    """A normalised text as several lines of signs, one sign per character and line; `forms` shows the rules' guess."""
    text_ = "".join(map(_simple, text))
    scanned = scan(text)
    size = len(text)
    part, ending, stop, form = (["."] * size for _ in range(4))
    for item in scanned:
        sign = _KINDS[item.kind]
        part[item.start : item.end] = [sign.lower()] * (item.end - item.start)
        part[item.start] = sign
    _paint(ending, _WEAK.finditer(text_), "w", "W")
    _paint(ending, _STRONG.finditer(text_), "s", "S")
    _paint(ending, PHASE.finditer(text), "f", "F")
    _paint(stop, _STOPS.finditer(text), "t", "T")
    _paint(stop, _ROAD.finditer(text), "d", "D")
    _paint(stop, _REGION.finditer(text), "q", "Q")
    if forms:
        for start, end, sure in _form_spans(text, scanned):
            form[start:end] = ["i"] * (end - start)
            form[start], form[end - 1] = ("B", "E") if sure else ("b", "e")
    mixed = [chr(0x100 + ord(a) * 256 + ord(b)) for a, b in zip(ending, stop, strict=True)]
    return {
        "char": text_,
        "kind": "".join(map(_kind, text)),
        "part": "".join(part),
        "ending": "".join(ending),
        "stop": "".join(stop),
        "form": "".join(form),
        "mixed": "".join(mixed),
    }


def _form_spans(text: str, scanned: Sequence[Part]) -> Iterator[tuple[int, int, bool]]:
    blocked = bytearray(len(text))
    for item in scanned:
        if not item.weak and item.kind != "floor":
            blocked[item.start : item.end] = b"\x01" * (item.end - item.start)
    anchors = [item.start for item in scanned if item.kind in ("building", "unit")]
    doors = [item.start for item in scanned if item.kind == "room" and not item.weak]
    for span in find_unknown(text, anchors, doors, blocked):
        yield span.start, span.end, span.sure


def _terms(lines: Mapping[str, str]) -> Iterator[list[str]]:
    """For each window, what is seen through it at each character."""
    size = len(lines["char"])
    padded = {name: _PAD + line + _PAD for name, line in lines.items()}
    for name, offset, length in _WINDOWS:
        line, shift = padded[name], len(_PAD) + offset
        yield [line[place : place + length] for place in range(shift, shift + size)]


class Tagger:
    """A chain over characters; `vocabulary` has the row of each sight, window by window."""

    def __init__(self, chain: Chain, vocabulary: Sequence[Mapping[str, int]]) -> None:
        self._chain = chain
        self._vocabulary = vocabulary

    @classmethod
    def train(
        cls,
        samples: Sequence[Sample],
        seed: int = 1,
        rarest: int = 2,
        strength: float = 0.5,
        rounds: int = 50,
        hidden: float = 0.5,
    ) -> Tagger:
        """Learn from texts and the spans (original offsets) of the estates they name.

        The rules that read the form of a name were written on the same sentences, so their guess is `hidden` in a share
        of them: it must not be trusted more than it deserves elsewhere.
        """
        rng = random.Random(seed)
        sights, labels = [], []
        for text, spans in samples:
            normal = normalise(text)
            if not normal.text:
                continue
            sights.append([*_terms(describe(normal.text, forms=rng.random() >= hidden))])
            labels.append(_labels(normal.at, spans))
        vocabulary = _vocabulary(sights, rarest)
        width = sum(map(len, vocabulary))
        matrix = sp.vstack([_matrix(sight, vocabulary, width) for sight in sights], format="csr")
        lengths = [len(line) for line in labels]
        chain = crf.train(matrix, np.concatenate(labels), lengths, _CLOSED, strength, rounds)
        return cls(chain, vocabulary)

    def names(self, text: str) -> list[Name]:
        """The likeliest names in text order, none overlapping; offsets are those of `text`."""
        normal = normalise(text)
        if not normal.text:
            return []
        sights = [*_terms(describe(normal.text))]
        matrix = _rows(sights, self._vocabulary)
        scores = np.stack([self._chain.weights[rows].sum(axis=0) for rows in matrix])
        if float((scores[:, _FIRST] - scores[:, _OUTSIDE]).max()) < _HOPELESS:
            return []
        scores[0, [_INSIDE, _LAST]] = scores[-1, [_FIRST, _INSIDE]] = _NEVER
        gamma, pairs, _ = self._chain.marginals(scores, _CLOSED)
        spans = [(*_trimmed(normal.text, start, end), p) for start, end, p in _likeliest(gamma, pairs)]
        return [Name(*normal.original(start, end), p) for start, end, p in spans if end - start >= 2]

    def save(self, folder: Path) -> None:
        """Write arrays and terms; no code is kept with them."""
        terms = [list(rows) for rows in self._vocabulary]
        (folder / "tagger.json").write_text(json.dumps(terms, ensure_ascii=False), encoding="utf-8")
        np.savez(folder / "tagger.npz", weights=self._chain.weights, moves=self._chain.moves)

    @classmethod
    def load(cls, folder: Path) -> Tagger:
        """The inverse of save."""
        terms = json.loads((folder / "tagger.json").read_text(encoding="utf-8"))
        with np.load(folder / "tagger.npz") as arrays:
            chain = Chain(arrays["weights"], arrays["moves"])
        return cls(chain, _numbered(terms))


def cropped(sample: Sample, reach: int = 40) -> Sample:
    """The sample without what lies far from its names: it would only cost time. Without a name, its beginning."""
    text, spans = sample
    if not spans:
        return text[: 2 * reach], ()
    begin, end = max(0, spans[0][0] - reach), min(len(text), spans[-1][1] + reach)
    return text[begin:end], tuple((start - begin, stop - begin) for start, stop in spans)


def looks_named(text: str) -> bool:
    """Whether the rules of form see the name of an estate in a text."""
    plain = normalise(text).text
    return any(True for _ in _form_spans(plain, scan(plain)))


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """No name begins or ends with a mark or a blank."""
    while start < end and not text[start].isalnum():
        start += 1
    while end > start and not text[end - 1].isalnum():
        end -= 1
    return start, end


def _labels(at: Sequence[int], spans: Sequence[tuple[int, int]]) -> Array:
    """The label of each normalised character, from spans of the original."""
    line = np.zeros(len(at), dtype=np.int64)
    for start, end in spans:
        inside = [place for place, origin in enumerate(at) if start <= origin < end]
        if len(inside) >= 2:
            line[inside] = _INSIDE
            line[inside[0]], line[inside[-1]] = _FIRST, _LAST
    return line


def _vocabulary(sights: Sequence[Sequence[Sequence[str]]], rarest: int) -> list[dict[str, int]]:
    counts: list[Counter[str]] = [Counter() for _ in _WINDOWS]
    for sight in sights:
        for counter, terms in zip(counts, sight, strict=True):
            counter.update(terms)
    return _numbered([sorted(term for term, n in counter.items() if n >= rarest) for counter in counts])


def _numbered(terms: Sequence[Sequence[str]]) -> list[dict[str, int]]:
    vocabulary, offset = [], 0
    for window in terms:
        vocabulary.append({term: offset + number for number, term in enumerate(window)})
        offset += len(window)
    return vocabulary


def _rows(sights: Sequence[Sequence[str]], vocabulary: Sequence[Mapping[str, int]]) -> list[list[int]]:
    """The rows of what is seen, character by character; what was never seen in training has none."""
    columns = [[*map(rows.get, terms)] for rows, terms in zip(vocabulary, sights, strict=True)]
    return [[row for row in rows if row is not None] for rows in zip(*columns, strict=True)]


def _matrix(sights: Sequence[Sequence[str]], vocabulary: Sequence[Mapping[str, int]], width: int) -> sp.csr_matrix:
    rows = _rows(sights, vocabulary)
    pointers = np.cumsum([0, *map(len, rows)])
    columns = np.fromiter((column for row in rows for column in row), dtype=np.int32, count=int(pointers[-1]))
    return sp.csr_matrix((np.ones(len(columns), dtype=np.float32), columns, pointers), shape=(len(rows), width))


def _likeliest(gamma: Array, pairs: Array) -> list[tuple[int, int, float]]:
    found = sorted(_spans(gamma, pairs), key=lambda span: -span[2])
    kept: list[tuple[int, int, float]] = []
    for span in found:
        if all(span[1] <= other[0] or span[0] >= other[1] for other in kept):
            kept.append(span)
    return sorted(kept)


def _spans(gamma: Array, pairs: Array) -> Iterator[tuple[int, int, float]]:
    """Every span that is likely enough, with the probability that exactly it is a name."""
    for start in np.flatnonzero(gamma[:, _FIRST] >= _LEAST):
        running, label = float(gamma[start, _FIRST]), _FIRST
        for place in range(start, min(start + _LONGEST, len(gamma)) - 1):
            share = running / float(gamma[place, label])
            closing = share * float(pairs[place, label, _LAST])
            if closing >= _LEAST:
                yield int(start), place + 2, closing
            running, label = share * float(pairs[place, label, _INSIDE]), _INSIDE
            if running < _LEAST:
                break
