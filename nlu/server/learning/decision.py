"""From features to a verdict: trains classifiers, calibrates them on held-out messages, and applies them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from nlu.server.learning.arbiter import cross_fit, fit_arbiter, joined
from nlu.server.learning.beside import LEARNT, Beside, f1, further
from nlu.server.learning.calibration import NEVER_SURE, choose_thresholds, doubtful, expected_calibration_error
from nlu.server.learning.models import TRAINERS, Array, Linear, folds, sigmoid, softmax, train_flags
from nlu.server.learning.progress import report
from nlu.types import NEVER_ALSO

_REASONS = 40  # features that are looked at for the words that counted


# Greetings and the like are never told besides, so no machine learns to see them there.
_TOLD_BESIDE = np.array([name not in NEVER_ALSO for name in LEARNT])


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
    beside: Beside
    thresholds: Mapping[str, float]

    @classmethod
    def train(
        cls, samples: Samples, members: Mapping[str, float], count: int, seed: int
    ) -> tuple[Decider, dict[str, Any]]:
        """Fit on all samples, calibrate on `count` folds; returns what was measured on the held-out ones too."""
        report(0.25, "measuring on held-out sentences")
        fold = folds(samples.intents, samples.source, count)
        scores, flag_scores = _held_out(samples, fold, members, seed)
        kept, fold = samples.take(~samples.copy), fold[~samples.copy]
        probabilities = cross_fit(scores, kept.intents, fold)
        top = probabilities.argmax(axis=1)
        beside = Beside.fit(kept.intents, kept.flags, top, sigmoid(flag_scores))
        thresholds = choose_thresholds(probabilities, kept.intents, list(LEARNT))
        report(0.85, "training on all sentences")
        decider = cls(
            joined(_train_members(samples, members, seed), fit_arbiter(scores, kept.intents)),
            train_flags(samples.matrix, samples.flags & _TOLD_BESIDE, seed),
            beside,
            thresholds,
        )
        placed = beside.placed(top, sigmoid(flag_scores))
        said = beside.choose(placed, sigmoid(flag_scores))
        measured = {
            "sentences": len(kept.intents),
            "copies": int(samples.copy.sum()),
            "folds": count,
            "held_out_accuracy": float((placed == kept.intents).mean()),
            "held_out_ece": expected_calibration_error(probabilities.max(axis=1), top == kept.intents),
            "held_out_also_f1": f1(said, further(kept.intents, kept.flags)),
            "beside": {name: bar for name, bar in beside.as_dict().items() if name != "pairs"},
            "thresholds": thresholds,
            "suspects": suspects(probabilities, kept.intents),
        }
        return decider, measured

    def decide(self, columns: Array, values: Array) -> Verdict:
        """The verdict on one message; a message without a single known term is out of scope by nature."""
        probabilities = softmax(self.intent.scores(columns, values))
        flags = sigmoid(self.flags.scores(columns, values))
        top = int(probabilities.argmax())
        first = self.beside.first(top, flags)
        probabilities[[top, first]] = probabilities[[first, top]]
        order = np.argsort(-probabilities, kind="stable")
        ranking = [(LEARNT[i], float(probabilities[i])) for i in order]
        said = self.beside.choose(order[:1], flags[None, :])[0]
        scores = {name: float(flags[i]) for i, name in enumerate(LEARNT) if name not in NEVER_ALSO}
        also = tuple(LEARNT[i] for i in np.flatnonzero(said))
        return Verdict(ranking, also, scores, self._threshold(ranking))

    def _threshold(self, ranking: list[tuple[str, float]]) -> float:
        """From which chance on to act: that of the first intent, or never where a visit may well be for nothing."""
        intent, chance = ranking[0]
        if doubtful(intent, chance, dict(ranking)["out_of_scope"]):
            return NEVER_SURE
        return self.thresholds[intent]

    def contributions(self, columns: Array, values: Array) -> list[tuple[int, float]]:
        """The features that speak for the first intent rather than for the others, the strongest first."""
        weights = self.intent.weights[columns]
        top = int((values @ weights + self.intent.bias).argmax())
        shares = values * (weights[:, top] - weights.mean(axis=1))
        order = np.argsort(-shares)[:_REASONS]
        return [(int(columns[i]), float(shares[i])) for i in order if shares[i] > 0]

    def save(self, folder: Path) -> None:
        """Write arrays and numbers; no code is kept with them."""
        self.intent.save(folder / "intent.npz")
        self.flags.save(folder / "flags.npz")
        settings = {"intents": LEARNT, "beside": self.beside.as_dict(), "thresholds": dict(self.thresholds)}
        (folder / "decision.json").write_text(json.dumps(settings), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Decider:
        """The inverse of save; refuses a model that was trained for other intents or by another version."""
        settings = json.loads((folder / "decision.json").read_text(encoding="utf-8"))
        if tuple(settings["intents"]) != LEARNT or "beside" not in settings:
            raise ValueError("The model was trained for other intents or by another version; train a new one.")
        return cls(
            Linear.load(folder / "intent.npz"),
            Linear.load(folder / "flags.npz"),
            Beside.from_dict(settings["beside"]),
            settings["thresholds"],
        )


def _train_members(samples: Samples, members: Mapping[str, float], seed: int) -> Linear:
    """The weighted sum of linear classifiers is one linear classifier."""
    trained = [(TRAINERS[name](samples.matrix, samples.intents, seed), weight) for name, weight in members.items()]
    weights = sum(model.weights * np.float32(weight) for model, weight in trained)
    bias = sum(model.bias * np.float32(weight) for model, weight in trained)
    return Linear(np.asarray(weights), np.asarray(bias))


def _held_out(samples: Samples, fold: Array, members: Mapping[str, float], seed: int) -> tuple[Array, Array]:
    """Scores of every original sentence by classifiers that saw neither it nor its copies."""
    scores = np.zeros((len(fold), len(LEARNT)))
    flag_scores = np.zeros((len(fold), len(LEARNT)))
    count = int(fold.max()) + 1
    for number in range(count):
        report(0.25 + 0.6 * number / count, f"held-out part {number + 1} of {count}")
        seen, held = samples.take(fold != number), fold == number
        scores[held] = _train_members(seen, members, seed).matrix_scores(samples.matrix[held])
        flag_scores[held] = train_flags(seen.matrix, seen.flags & _TOLD_BESIDE, seed).matrix_scores(
            samples.matrix[held]
        )
    return scores[~samples.copy], flag_scores[~samples.copy]


def suspects(probabilities: Array, truth: Array, most: int = 200) -> list[dict[str, Any]]:
    """Sentences whose label is likely wrong, the likeliest first, by their place among the originals.

    Confident learning (Northcutt, Jiang, Chuang: J. Artif. Intell. Res. 70, 2021): a class is claimed with confidence
    where its held-out probability is at least the mean of the sentences labelled so; a sentence that confidently belongs
    to another class than its label's is suspect.
    """
    classes = np.unique(truth)
    bars = np.full(probabilities.shape[1], np.inf)
    bars[classes] = [probabilities[truth == label, label].mean() for label in classes]
    claimed = np.where(probabilities >= bars, probabilities, 0.0)
    likely = claimed.argmax(axis=1)
    rows = np.arange(len(truth))
    margin = claimed[rows, likely] - probabilities[rows, truth]
    found = np.flatnonzero((claimed[rows, likely] > 0) & (likely != truth))
    order = found[np.argsort(-margin[found], kind="stable")][:most]
    return [
        {"place": int(i), "label": LEARNT[truth[i]], "likely": LEARNT[likely[i]], "margin": round(float(margin[i]), 3)}
        for i in order
    ]
