"""Sentences that resemble a message, by the pairs of characters they share."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bot.settings import ROOT
from nlu.corpus import read_corpus

SENTENCES = ROOT / "data" / "intents"
FROZEN = ROOT / "tests" / "intents"
ALIKE = 0.6  # share of common character pairs from which on two messages are look-alikes


@dataclass(frozen=True, slots=True)
class Match:
    """A labelled sentence and how much it resembles what was asked for, from 0 to 1."""

    score: float
    text: str
    intent: str


class Sentences:
    """Labelled sentences, found by character pairs."""

    def __init__(self, labelled: Iterable[tuple[str, str]]) -> None:
        """`labelled` holds texts and their intents."""
        self._labelled = list(labelled)
        self._pairs = [pairs(text) for text, _ in self._labelled]
        self._places: dict[str, list[int]] = defaultdict(list)
        for number, members in enumerate(self._pairs):
            for pair in members:
                self._places[pair].append(number)

    def nearest(self, text: str, count: int = 5) -> list[Match]:
        """The `count` most similar sentences, the best first."""
        wanted = pairs(text)
        common = Counter(number for pair in wanted for number in self._places.get(pair, ()))
        scored = [(shared / len(wanted | self._pairs[n]), n) for n, shared in common.most_common(60)]
        best = sorted(scored, key=lambda item: (-item[0], item[1]))[:count]
        return [Match(score, *self._labelled[n]) for score, n in best]

    def knows(self, pair: str) -> bool:
        """Whether any sentence holds this pair of characters."""
        return pair in self._places


def bare(text: str) -> str:
    """A text as it is compared: half-width, small letters, nothing but letters and digits."""
    folded = unicodedata.normalize("NFKC", text).lower()
    return "".join(char for char in folded if unicodedata.category(char)[0] not in "PZCS")


def pairs(text: str) -> frozenset[str]:
    """The pairs of neighbouring characters of a text, with its beginning and end."""
    marked = f"^{bare(text)}$"
    return frozenset(marked[place : place + 2] for place in range(len(marked) - 1))


def likeness(one: frozenset[str], other: frozenset[str]) -> float:
    """The share of common pairs among all pairs of two texts."""
    return len(one & other) / len(one | other)


def alike(text: str, others: Sequence[tuple[int, str]], bar: float = ALIKE) -> list[int]:
    """The keys of those texts that are look-alikes of one, the most alike first."""
    mine = pairs(text)
    scored = [(likeness(mine, pairs(other)), key) for key, other in others]
    return [key for score, key in sorted(scored, key=lambda item: (-item[0], item[1])) if score >= bar]


def labelled_sentences(folder: Path = SENTENCES) -> Sentences:
    """The training sentences of data/intents/, read once until one of the files changes."""
    stamp = tuple((path.name, path.stat().st_mtime_ns) for path in sorted(folder.glob("*.yml")))
    return _read(folder, stamp)


@lru_cache(maxsize=2)
def _read(folder: Path, _stamp: tuple[tuple[str, int], ...]) -> Sentences:
    return Sentences((sentence.text, sentence.intent) for sentence in read_corpus(folder))
