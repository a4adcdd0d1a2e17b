"""From features to a verdict: trains classifiers, calibrates them on held-out messages, and applies them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from nlu.server.learning import calibration
from nlu.server.learning.models import TRAINERS, Array, Linear, folds, sigmoid, softmax, train_flags
from nlu.server.learning.progress import report
from nlu.types import INTENTS, NEVER_ALSO, RULE_INTENTS

LEARNT = tuple(intent for intent in INTENTS if intent not in RULE_INTENTS)


@dataclass(frozen=True)
class Samples:
    """Labelled rows; `source` groups a sentence with its copies, `copy` marks what is never measured on."""

    matrix: sp.csr_matrix
    intents: Array
    flags: Array
    source: Array
    copy: Array

    @classmethod
    def collect(
        cls,
        rows: Iterable[tuple[Array, Array, int]],
        labels: Iterable[tuple[str, tuple[str, ...], int, bool]],
    ) -> Samples:
        """Put rows (columns, values, width) and labels (intent, also, source, copy) together."""
        rows, labels = list(rows), list(labels)
        pointers = np.cumsum([0, *(len(columns) for columns, _, _ in rows)])
        columns = np.concatenate([columns for columns, _, _ in rows])
        values = np.concatenate([values for _, values, _ in rows])
        matrix = sp.csr_matrix((values, columns, pointers), shape=(len(rows), rows[0][2]))
        intents = np.array([LEARNT.index(intent) for intent, _, _, _ in labels])
        flags = np.array([[name == label[0] or name in label[1] for name in LEARNT] for label in labels])
        source = np.array([label[2] for label in labels])
        return cls(matrix, intents, flags, source, np.array([label[3] for label in labels]))

    def take(self, chosen: Array) -> Samples:
        """The samples under a mask."""
        return Samples(
            self.matrix[chosen], self.intents[chosen], self.flags[chosen], self.source[chosen], self.copy[chosen]
        )


@dataclass(frozen=True)
class Verdict:
    """What a classifier says of one message."""

    ranking: list[tuple[str, float]]
    also: tuple[str, ...]
    scores: dict[str, float]
    threshold: float


@dataclass(frozen=True)
class Decider:
    """A trained classifier: one matrix for the intent, one for what is said besides, and how to read them."""

    intent: Linear
    flags: Linear
    temperature: float
    flag_threshold: float
    thresholds: Mapping[str, float]

    @classmethod
    def train(
        cls, samples: Samples, members: Mapping[str, float], count: int, seed: int
    ) -> tuple[Decider, dict[str, Any]]:
        """Fit on all samples, calibrate on `count` folds; returns what was measured on the held-out ones too."""
        report(0.25, "measuring on held-out sentences")
        scores, flag_scores, kept = _held_out(samples, members, count, seed)
        temperature = calibration.fit_temperature(scores, kept.intents)
        probabilities = softmax(scores, temperature)
        thresholds = calibration.choose_thresholds(probabilities, kept.intents, list(LEARNT))
        beside, said = _beside(sigmoid(flag_scores), kept, probabilities)
        flag_threshold = calibration.choose_flag_threshold(beside, said)
        report(0.85, "training on all sentences")
        decider = cls(
            _train_members(samples, members, seed),
            train_flags(samples.matrix, samples.flags, seed),
            temperature,
            flag_threshold,
            thresholds,
        )
        correct = probabilities.argmax(axis=1) == kept.intents
        measured = {
            "sentences": len(kept.intents),
            "copies": int(samples.copy.sum()),
            "folds": count,
            "held_out_accuracy": float(correct.mean()),
            "held_out_ece": calibration.expected_calibration_error(probabilities.max(axis=1), correct),
            "held_out_also_f1": calibration.f1(beside >= flag_threshold, said),
            "temperature": temperature,
            "flag_threshold": flag_threshold,
            "thresholds": thresholds,
        }
        return decider, measured

    def decide(self, columns: Array, values: Array) -> Verdict:
        """The verdict on one message; a message without a single known term is out of scope by nature."""
        probabilities = softmax(self.intent.scores(columns, values), self.temperature)
        order = np.argsort(-probabilities, kind="stable")
        ranking = [(LEARNT[i], float(probabilities[i])) for i in order]
        flags = sigmoid(self.flags.scores(columns, values))
        scores = {name: float(flags[i]) for i, name in enumerate(LEARNT) if name not in NEVER_ALSO}
        top = ranking[0][0]
        also = [name for name, score in scores.items() if score >= self.flag_threshold and name != top]
        return Verdict(ranking, tuple(also), scores, self.thresholds[top])

    def save(self, folder: Path) -> None:
        """Write arrays and numbers; no code is kept with them."""
        self.intent.save(folder / "intent.npz")
        self.flags.save(folder / "flags.npz")
        settings = {
            "intents": LEARNT,
            "temperature": self.temperature,
            "flag_threshold": self.flag_threshold,
            "thresholds": dict(self.thresholds),
        }
        (folder / "decision.json").write_text(json.dumps(settings), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Decider:
        """The inverse of save; refuses a model that was trained for other intents."""
        settings = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
        if tuple(settings["intents"]) != LEARNT:
            raise ValueError("The model was trained for other intents; train a new one.")
        return cls(
            Linear.load(folder / "intent.npz"),
            Linear.load(folder / "flags.npz"),
            settings["temperature"],
            settings["flag_threshold"],
            settings["thresholds"],
        )


def _train_members(samples: Samples, members: Mapping[str, float], seed: int) -> Linear:
    """The weighted sum of linear classifiers is one linear classifier."""
    trained = [(TRAINERS[name](samples.matrix, samples.intents, seed), weight) for name, weight in members.items()]
    weights = sum(model.weights * np.float32(weight) for model, weight in trained)
    bias = sum(model.bias * np.float32(weight) for model, weight in trained)
    return Linear(np.asarray(weights), np.asarray(bias))


def _held_out(samples: Samples, members: Mapping[str, float], count: int, seed: int) -> tuple[Array, Array, Samples]:
    """Scores of every original sentence by classifiers that saw neither it nor its copies."""
    fold = folds(samples.source.tolist(), count, seed)
    scores = np.zeros((len(fold), len(LEARNT)))
    flag_scores = np.zeros((len(fold), len(LEARNT)))
    for number in range(count):
        report(0.25 + 0.6 * number / count, f"held-out part {number + 1} of {count}")
        seen, held = samples.take(fold != number), fold == number
        scores[held] = _train_members(seen, members, seed).matrix_scores(samples.matrix[held])
        flag_scores[held] = train_flags(seen.matrix, seen.flags, seed).matrix_scores(samples.matrix[held])
    originals = ~samples.copy
    return scores[originals], flag_scores[originals], samples.take(originals)


def _beside(flag_probabilities: Array, kept: Samples, probabilities: Array) -> tuple[Array, Array]:
    """Scores and truth of what may stand in `also`: not the primary intent, nor what the guide keeps out."""
    allowed = np.array([name not in NEVER_ALSO for name in LEARNT])
    top = np.eye(len(LEARNT), dtype=bool)[probabilities.argmax(axis=1)]
    truth = kept.flags & ~np.eye(len(LEARNT), dtype=bool)[kept.intents]
    return np.where(allowed & ~top, flag_probabilities, 0.0), truth & allowed
