"""Chooses per intent how sure one must be, and tells whether 0.9 means nine times in ten."""

from __future__ import annotations

import numpy as np

from nlu.server.learning.models import Array

# What a wrong decision costs: acting on the wrong intent (false), or asking although the intent was right (missed).
# A leak that is asked about runs on, and danger even more so; a bill can wait for one question.
COSTS: dict[str, tuple[float, float]] = {"danger": (1.0, 20.0), "leak": (1.0, 10.0)}
USUAL_COST = (1.0, 0.5)
# Intents that open a ticket for a visit, other than those a miss of which costs most; and how many times more than a
# question a visit for nothing costs. Twelve writers left out in turn (2026-11-24): unrelated messages acted on
# 0.073 -> 0.061, true faults asked about 0.010 -> 0.028; a bar of 0.6 on the chance of the fault itself: 0.060 and 0.081.
_VISITS = frozenset({"open_valve", "no_heat", "low_temperature", "other_repair"})
_VISIT = 4.0
NEVER_SURE = 1.0
# Below this only danger and leaks are acted on: with fewer chances than one in three a question is due.
LOWEST_USUAL = 0.3
# A few hundred held-out messages leave a threshold of their own much to chance; this many speak for the common one.
_COMMON_VOICES = 300
_CANDIDATES = np.round(np.arange(0.05, 0.95, 0.01), 2)


def expected_calibration_error(confidence: Array, correct: Array, bins: int = 10) -> float:
    """The mean distance between confidence and accuracy over bins of equal width, weighted by their size."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    gaps = [abs(confidence[place == b].mean() - correct[place == b].mean()) * (place == b).mean() for b in set(place)]
    return float(sum(gaps))


def choose_thresholds(probabilities: Array, truth: Array, intents: list[str]) -> dict[str, float]:
    """For each intent, the confidence from which acting on it costs least, judged on held-out messages.

    An intent's own optimum is drawn to the common one, the more so the fewer messages were taken for it.
    """
    top, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    usual = ~np.isin(top, [index for index, intent in enumerate(intents) if intent in COSTS])
    common = _cheapest(confidence[usual], (top == truth)[usual], USUAL_COST)
    thresholds = {}
    for index, intent in enumerate(intents):
        mine = top == index
        costs = COSTS.get(intent, USUAL_COST)
        own = _cheapest(confidence[mine], truth[mine] == index, costs)
        # A leak or danger has costs, and so a common threshold, of its own: the one that the costs alone would give.
        middle = costs[0] / sum(costs) if intent in COSTS else common
        drawn = (mine.sum() * own + _COMMON_VOICES * middle) / (mine.sum() + _COMMON_VOICES)
        thresholds[intent] = round(float(drawn if intent in COSTS else max(LOWEST_USUAL, drawn)), 2)
    return thresholds


def _cheapest(confidence: Array, right: Array, costs: tuple[float, float]) -> float:
    """Below the threshold the service asks or hands over, which is a miss if the intent was right after all."""
    if not len(confidence):
        return costs[0] / sum(costs)
    false_cost, missed_cost = costs
    totals = [
        false_cost * (~right & (confidence >= t)).sum() + missed_cost * (right & (confidence < t)).sum()
        for t in _CANDIDATES
    ]
    return float(_CANDIDATES[int(np.argmin(totals))])


def doubtful(intent: str, chance: float, unrelated: float) -> bool:
    """Whether asking costs less than a visit, as likely as the message may have nothing to do with heating (both 0 to 1)."""
    return intent in _VISITS and unrelated * _VISIT > chance
