"""Turns a message into sparse features: characters, words and concepts, each weighted by how much it tells."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import yaml

from nlu.server.learning.concepts import ConceptLexicon
from nlu.server.learning.text import normalise
from nlu.server.learning.words import Segmenter, read_dictionary

# Which number a house or a phone has says nothing about the intent; how long it is may.
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
_PUNCTUATION = re.compile(r"[，。、,.;；:：\"'“”‘’()（）\[\]【】<>《》~～…—\-_#*|/\\ ]+")

VIEWS = ("characters", "words", "concepts")


@dataclass(frozen=True)
class Lexicon:
    """The hand-made knowledge a model is trained with: what data/lexicon/ holds."""

    dictionary: tuple[str, ...]
    variants: Mapping[str, str]
    concepts: Mapping[str, Sequence[str]]

    @classmethod
    def read(cls, folder: Path) -> Lexicon:
        """Read heating.txt, variants.yml and concepts.yml of data/lexicon/."""
        dictionary = read_dictionary(folder / "heating.txt")
        return cls(tuple(dictionary), read_table(folder, "variants"), read_table(folder, "concepts"))


def read_table(folder: Path, name: str) -> dict[str, Any]:
    """The table of the file and key `name` in data/lexicon/."""
    content = yaml.safe_load((folder / f"{name}.yml").read_text(encoding="utf-8"))
    table: dict[str, Any] = content[name]
    return table


def character_terms(text: str, longest: int = 4) -> list[str]:
    """Character n-grams of 1 to `longest`, with marks for the beginning and the end of the message."""
    marked = f"^{_PUNCTUATION.sub(' ', text).strip()}$"
    return [marked[i : i + n] for n in range(1, longest + 1) for i in range(len(marked) - n + 1)]


def word_terms(words: Sequence[str]) -> list[str]:
    """Words, pairs of neighbours, and pairs with one word between them."""
    kept = [word for word in words if not _PUNCTUATION.fullmatch(word)]
    pairs = [f"{a} {b}" for a, b in zip(kept, kept[1:], strict=False)]
    skips = [f"{a} * {b}" for a, b in zip(kept, kept[2:], strict=False)]
    return kept + pairs + skips


def concept_terms(sequence: Sequence[str], length: int) -> list[str]:
    """Concepts, their neighbours in order, what the message opens and ends with, and its length."""
    marked = ["^", *sequence, "$"]
    pairs = [f"{a}>{b}" for a, b in zip(marked, marked[1:], strict=False)]
    triples = [f"{a}>{b}>{c}" for a, b, c in zip(marked, marked[1:], marked[2:], strict=False)]
    together = [f"{a}&{b}" for i, a in enumerate(sorted(set(sequence))) for b in sorted(set(sequence))[i + 1 :]]
    size = f"length:{min(length.bit_length(), 8)}"
    return [*sequence, *pairs, *triples, *together, size]


def message_terms(text: str, words: Sequence[str], concepts: ConceptLexicon) -> dict[str, list[str]]:
    """The terms of a normalised text, view by view; `words` are the words jieba cut it into."""
    return {
        "characters": character_terms(_NUMBER.sub(_shape, text)),
        "words": word_terms([_NUMBER.sub(_shape, word) for word in words]),
        "concepts": concept_terms(concepts.sequence(text), len(text)),
    }


class Analyser:
    """Text → terms in one step, for tools that compare classifiers outside Rasa."""

    def __init__(self, lexicon: Lexicon) -> None:
        self._variants = lexicon.variants
        self._segmenter = Segmenter(lexicon.dictionary)
        self._concepts = ConceptLexicon(lexicon.concepts)

    def terms(self, text: str) -> dict[str, list[str]]:
        """The terms of a message as it was received."""
        text = normalise(text, self._variants)
        return message_terms(text, [word for word, _ in self._segmenter.words(text)], self._concepts)


def _shape(match: re.Match[str]) -> str:
    return "0" * min(len(match[0].replace(".", "")), 4)


class Vectoriser:
    """Terms → a row of numbers; each view is weighted by rarity, has length one, and counts by its weight."""

    def __init__(self, weights: Mapping[str, float], rarest: int = 2) -> None:
        """`weights` says how much each view counts; terms in fewer than `rarest` sentences are left out."""
        self.weights = dict(weights)
        self.rarest = rarest
        self.vocabulary: dict[str, dict[str, int]] = {}
        self.idf: dict[str, np.ndarray] = {}
        self._names: dict[str, list[str]] = {}

    def fit(self, samples: Iterable[Mapping[str, Sequence[str]]]) -> Vectoriser:
        """Learn the vocabulary and the rarity of its terms; deterministic, terms sorted."""
        samples = list(samples)
        for view in self.weights:
            counts = Counter(term for sample in samples for term in set(sample[view]))
            terms = sorted(term for term, count in counts.items() if count >= self.rarest)
            self.vocabulary[view] = {term: i for i, term in enumerate(terms)}
            frequency = np.array([counts[term] for term in terms], dtype=np.float64)
            self.idf[view] = np.log((1 + len(samples)) / (1 + frequency)) + 1
        return self

    @property
    def width(self) -> int:
        """How many columns a row has."""
        return sum(len(terms) for terms in self.vocabulary.values())

    def columns(self, view: str) -> slice:
        """Where the columns of one view lie."""
        start = 0
        for name, terms in self.vocabulary.items():
            if name == view:
                return slice(start, start + len(terms))
            start += len(terms)
        raise KeyError(view)

    def term(self, column: int) -> tuple[str, str]:
        """The view and the term that a column stands for."""
        if not self._names:
            self._names = {view: list(terms) for view, terms in self.vocabulary.items()}
        for view, terms in self._names.items():
            if column < len(terms):
                return view, terms[column]
            column -= len(terms)
        raise IndexError("no such column")

    def row(self, sample: Mapping[str, Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        """Columns and values of one message."""
        columns, values, offset = [], [], 0
        for view, vocabulary in self.vocabulary.items():
            counts = Counter(i for term in sample[view] if (i := vocabulary.get(term)) is not None)
            index = np.fromiter(counts, dtype=np.int64, count=len(counts))
            value = 1 + np.log(np.fromiter(counts.values(), dtype=np.float64, count=len(counts)))
            value *= self.idf[view][index]
            length = np.sqrt(value @ value)
            columns.append(index + offset)
            values.append(value * (self.weights[view] / length if length else 0.0))
            offset += len(vocabulary)
        return np.concatenate(columns), np.concatenate(values)

    def matrix(self, samples: Iterable[Mapping[str, Sequence[str]]]) -> sp.csr_matrix:
        """The rows of many messages."""
        rows = [self.row(sample) for sample in samples]
        pointers = np.cumsum([0, *(len(columns) for columns, _ in rows)])
        columns = np.concatenate([columns for columns, _ in rows]) if rows else np.empty(0, dtype=np.int64)
        values = np.concatenate([values for _, values in rows]) if rows else np.empty(0)
        matrix = sp.csr_matrix((values, columns, pointers), shape=(len(rows), self.width))
        matrix.sort_indices()
        return matrix

    def save(self, folder: Path) -> None:
        """Write vocabulary and rarities as JSON and NumPy arrays: nothing in a model can run code when it is read."""
        content = {
            "weights": self.weights,
            "rarest": self.rarest,
            "terms": {view: list(terms) for view, terms in self.vocabulary.items()},
        }
        (folder / "vocabulary.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
        np.savez(folder / "idf.npz", **self.idf)

    @classmethod
    def load(cls, folder: Path) -> Vectoriser:
        """The inverse of save."""
        content = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        vectoriser = cls(content["weights"], content["rarest"])
        for view, terms in content["terms"].items():
            vectoriser.vocabulary[view] = {term: i for i, term in enumerate(terms)}
        with np.load(folder / "idf.npz") as arrays:
            vectoriser.idf = {view: arrays[view] for view in vectoriser.vocabulary}
        return vectoriser
