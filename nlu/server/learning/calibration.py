"""Makes 0.9 mean nine times in ten, and chooses per intent how sure one must be."""

from __future__ import annotations

import numpy as np

from nlu.server.learning.models import Array, softmax

# What a wrong decision costs: acting on the wrong intent (false), or asking although the intent was right (missed).
# A leak that is asked about runs on, and danger even more so; a bill can wait for one question.
COSTS: dict[str, tuple[float, float]] = {"danger": (1.0, 20.0), "leak": (1.0, 10.0)}
USUAL_COST = (1.0, 0.5)


def fit_temperature(scores: Array, truth: Array) -> float:
    """The temperature under which held-out messages are likeliest; `truth` holds class indices."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        probabilities = softmax(scores, float(np.exp(log_temperature)))
        return float(-np.log(probabilities[np.arange(len(truth)), truth] + 1e-12).mean())

    found = minimize_scalar(loss, bounds=(-4.0, 3.0), method="bounded")
    return float(np.exp(found.x))


def expected_calibration_error(confidence: Array, correct: Array, bins: int = 10) -> float:
    """The mean distance between confidence and accuracy over bins of equal width, weighted by their size."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(confidence[place == b].mean() - correct[place == b].mean()) * (place == b).mean() for b in set(place)]
    return float(sum(gaps))


def choose_thresholds(probabilities: Array, truth: Array, intents: list[str]) -> dict[str, float]:
    """For each intent, the confidence from which acting on it costs least, judged on held-out messages."""
    return {intent: _cheapest(probabilities, truth, index, intent) for index, intent in enumerate(intents)}


def _cheapest(probabilities: Array, truth: Array, index: int, intent: str) -> float:
    """Below the threshold the service asks or hands over, which is a miss if the intent was right after all."""
    top = probabilities.argmax(axis=1) == index
    false_cost, missed_cost = COSTS.get(intent, USUAL_COST)
    candidates = np.round(np.arange(0.05, 0.95, 0.01), 2)
    confidence, right = probabilities[top, index], truth[top] == index
    costs = [
        false_cost * (~right & (confidence >= t)).sum() + missed_cost * (right & (confidence < t)).sum()
        for t in candidates
    ]
    return float(candidates[int(np.argmin(costs))]) if len(confidence) else 0.5


def choose_flag_threshold(probabilities: Array, flags: Array, least: float = 0.2) -> float:
    """The score from which an intent counts as said too: best F1 on held-out messages."""
    candidates = np.round(np.arange(least, 0.9, 0.01), 2)
    scores = [f1(probabilities >= t, flags) for t in candidates]
    return float(candidates[int(np.argmax(scores))])


def f1(predicted: Array, actual: Array) -> float:
    """Micro F1 of yes-or-no decisions."""
    hits = float((predicted & actual).sum())
    return 2 * hits / max(1.0, float(predicted.sum() + actual.sum()))
