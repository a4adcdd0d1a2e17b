"""A linear-chain conditional random field over sparse features: exact, deterministic, NumPy and SciPy alone.

sklearn-crfsuite, which Rasa would bring, is left out of the server's environment; this needs a hundred lines and no C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

Array = np.ndarray
_BUCKET = 256  # sentences of like length that are summed over at once


@dataclass(frozen=True)
class Chain:
    """`weights` has a row per feature and a column per label; `moves[i, j]` scores label j after label i."""

    weights: Array
    moves: Array

    def marginals(self, scores: Array, closed: Array) -> tuple[Array, Array, float]:
        """For one text: p(label) at each place, p(label, next label) at each step, and the log of the sum."""
        gamma, pairs, total = _sum_over(scores[None], np.array([len(scores)]), self.moves + closed)
        return gamma[0], pairs[0], float(total[0])


def train(
    matrix: sp.csr_matrix, labels: Array, lengths: Sequence[int], closed: Array, strength: float, rounds: int
) -> Chain:
    """Fit by L-BFGS: rows of `matrix` are characters, sentence after sentence of these `lengths`.

    `closed` is 0 where one label may follow another and very negative where it may not; `strength` is that of the L2
    penalty, `rounds` the most steps that are taken.
    """
    from scipy.optimize import minimize

    count, width = closed.shape[0], matrix.shape[1]
    objective = _Objective(matrix, labels, np.asarray(lengths), closed, strength)
    start = np.zeros((width + count) * count)
    best = minimize(objective, start, jac=True, method="L-BFGS-B", options={"maxiter": rounds, "maxcor": 6})
    return Chain(*_split(best.x.astype(np.float32), width, count))


def _split(flat: Array, width: int, count: int) -> tuple[Array, Array]:
    return flat[: width * count].reshape(width, count), flat[width * count :].reshape(count, count)


class _Objective:
    """The penalised negative log-likelihood and its gradient."""

    def __init__(self, matrix: sp.csr_matrix, labels: Array, lengths: Array, closed: Array, strength: float) -> None:
        self._matrix = matrix.astype(np.float32)
        self._turned = self._matrix.T.tocsr()
        self._closed = closed
        self._strength = strength
        self._buckets = list(_buckets(lengths))
        self._count = closed.shape[0]
        self._gold = np.eye(self._count, dtype=np.float32)[labels]
        ends = np.cumsum(lengths)
        inner = np.ones(len(labels), dtype=bool)
        inner[ends - 1] = False
        steps = np.flatnonzero(inner)
        self._gold_moves = np.zeros((self._count, self._count))
        np.add.at(self._gold_moves, (labels[steps], labels[steps + 1]), 1.0)

    def __call__(self, flat: Array) -> tuple[float, Array]:
        weights, moves = _split(flat, self._matrix.shape[1], self._count)
        scores = self._matrix @ weights.astype(np.float32)
        expected, expected_moves = np.zeros_like(scores), np.zeros_like(moves)
        total = 0.0
        for places, lengths in self._buckets:
            gamma, pairs, logs = _sum_over(scores[places], lengths, moves + self._closed)
            inside = np.arange(places.shape[1]) < lengths[:, None]
            expected[places[inside]] = gamma[inside]
            expected_moves += pairs.sum(axis=(0, 1))
            total += float(logs.sum())
        reached = float((scores * self._gold).sum()) + float((self._gold_moves * (moves + self._closed)).sum())
        loss = total - reached + 0.5 * self._strength * float(flat @ flat)
        slope = (self._turned @ (expected - self._gold)).astype(np.float64)
        gradient = np.concatenate([slope.ravel(), (expected_moves - self._gold_moves).ravel()])
        return loss, gradient + self._strength * flat


def _buckets(lengths: Array) -> list[tuple[Array, Array]]:
    """Sentences by length: where their characters lie (padded with the last one), and how many are real."""
    starts = np.cumsum(lengths) - lengths
    order = np.argsort(lengths, kind="stable")
    found = []
    for begin in range(0, len(order), _BUCKET):
        chosen = order[begin : begin + _BUCKET]
        steps = np.arange(int(lengths[chosen].max()))
        places = starts[chosen][:, None] + np.minimum(steps, lengths[chosen][:, None] - 1)
        found.append((places, lengths[chosen]))
    return found


def _sum_over(scores: Array, lengths: Array, moves: Array) -> tuple[Array, Array, Array]:
    """Forward and backward sums, scaled at each step; beyond the length of a sentence everything is zero."""
    size, span, count = scores.shape
    peak = scores.max(axis=2, keepdims=True)
    local = np.exp((scores - peak).astype(np.float64))
    step = np.exp(moves.astype(np.float64))
    inside = np.arange(span) < lengths[:, None]
    ahead, scale = np.zeros((size, span, count)), np.ones((size, span))
    state = local[:, 0]
    for place in range(span):
        if place:
            state = (ahead[:, place - 1] @ step) * local[:, place]
        scale[:, place] = np.where(inside[:, place], state.sum(axis=1), 1.0)
        ahead[:, place] = np.where(inside[:, place, None], state / scale[:, place, None], 0.0)
    back = np.ones((size, span, count))
    for place in range(span - 2, -1, -1):
        after = (local[:, place + 1] * back[:, place + 1]) @ step.T / scale[:, place + 1, None]
        back[:, place] = np.where(inside[:, place + 1, None], after, 1.0)
    gamma = ahead * back
    weighed = local[:, 1:] * back[:, 1:] / scale[:, 1:, None]
    pairs = ahead[:, :-1, :, None] * step * weighed[:, :, None, :] * inside[:, 1:, None, None]
    logs = (np.log(scale) + np.where(inside, peak[:, :, 0], 0.0)).sum(axis=1)
    return gamma, pairs, logs
