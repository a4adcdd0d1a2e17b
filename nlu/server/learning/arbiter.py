"""Weighs the scores of all intents against each other: what beats what, and how sure the outcome is.

Margins of one-against-rest classifiers are not comparable: a sentence with a leak and a bill has two high ones, and the
guide says which is primary. A regression over the held-out margins learns that, and its probabilities are calibrated.
"""

from __future__ import annotations

import numpy as np

from nlu.server.learning.beside import LEARNT
from nlu.server.learning.models import Array, Linear, softmax

# The four problems are most of what residents write in a season, a missed leak or danger costs most, and a ticket opened
# by chatter costs a visit; without these weights rare intents gain at their expense. Measured on writers left out
# (November 2026): leaks found 0.897 -> 0.930, problems 0.880 -> 0.889, all intents 0.846 -> 0.841, false reports
# 0.094 -> 0.102. On conversations 3.0 took noises and chases for leaks, so it is 1.8.
_WEIGHTS = {
    "danger": 1.2,
    "leak": 1.8,
    "no_heat": 1.3,
    "low_temperature": 1.3,
    "billing": 1.3,
    "out_of_scope": 1.4,
}


def fit_arbiter(scores: Array, truth: Array, strength: float = 0.03) -> Linear:
    """From held-out scores (a column per intent) and class indices; its own scores are logarithms of chances."""
    from sklearn.linear_model import LogisticRegression

    mean, spread = scores.mean(axis=0), scores.std(axis=0) + 1e-9
    weight = np.array([_WEIGHTS.get(name, 1.0) for name in LEARNT])[truth]
    model = LogisticRegression(C=strength, max_iter=300).fit((scores - mean) / spread, truth, sample_weight=weight)
    # Of two classes scikit-learn keeps the second one's row alone.
    two = len(model.classes_) == 2
    rows = np.vstack([np.zeros_like(model.coef_), model.coef_] if two else [model.coef_]) / spread
    start = np.append(np.zeros(int(two)), model.intercept_) - rows @ mean
    # An intent without a sentence is never chosen.
    weights = np.zeros((scores.shape[1], scores.shape[1]))
    bias = np.full(scores.shape[1], -30.0)
    weights[:, model.classes_], bias[model.classes_] = rows.T, start
    return Linear(weights, bias)


def cross_fit(scores: Array, truth: Array, fold: Array) -> Array:
    """Probabilities of every message by an arbiter that did not see its fold."""
    probabilities = np.zeros(scores.shape)
    for number in np.unique(fold):
        held = fold == number
        arbiter = fit_arbiter(scores[~held], truth[~held])
        probabilities[held] = softmax(scores[held] @ arbiter.weights + arbiter.bias)
    return probabilities


def joined(first: Linear, second: Linear) -> Linear:
    """Two linear steps as one, so that a message pays for one only."""
    weights = (first.weights @ second.weights).astype(np.float32)
    return Linear(weights, (first.bias @ second.weights + second.bias).astype(np.float32))
