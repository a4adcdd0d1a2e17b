"""A season of learning in small: every week messages the model has not seen, an honest reviewer, and a new model.

Started by `heatline bench learning`. Prints one JSON object a line: the order of review, the week, how many sentences are
labelled, and what the model then does on the frozen test set.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nlu.corpus import read_corpus
from nlu.server.learning.decision import Decider, Samples
from nlu.server.learning.features import Analyser, Lexicon, Vectoriser
from nlu.server.learning.models import Array, softmax
from nlu.types import RULE_INTENTS, Sentence

_WEIGHTS = {"characters": 1.4, "words": 0.8, "concepts": 0.6}
_MEMBERS = {"svm": 1.0}
_FOLDS = 3
ORDERS = ("random", "worth")
_NOISE = 1e-9


@dataclass(frozen=True)
class Pool:
    """Sentences with their terms, analysed once."""

    sentences: list[Sentence]
    terms: list[Mapping[str, Sequence[str]]]

    @classmethod
    def read(cls, folder: Path, analyser: Analyser) -> Pool:
        """Every sentence of a folder that a model learns or is tested on."""
        kept = [s for s in read_corpus(folder) if s.intent not in RULE_INTENTS and s.text.strip()]
        return cls(kept, [analyser.terms(sentence.text) for sentence in kept])


@dataclass(frozen=True)
class Model:
    """A trained classifier with the vocabulary it was trained with."""

    vectoriser: Vectoriser
    decider: Decider

    @classmethod
    def train(cls, pool: Pool, chosen: Sequence[int], seed: int) -> Model:
        """Train on some sentences of a pool, as the product does."""
        vectoriser = Vectoriser(_WEIGHTS).fit(pool.terms[i] for i in chosen)
        rows = ((*vectoriser.row(pool.terms[i]), vectoriser.width) for i in chosen)
        labels = ((pool.sentences[i].intent, pool.sentences[i].also, i, False) for i in chosen)
        decider, _ = Decider.train(Samples.collect(rows, labels), _MEMBERS, _FOLDS, seed)
        return cls(vectoriser, decider)

    def probabilities(self, terms: Sequence[Mapping[str, Sequence[str]]]) -> Array:
        """A row of probabilities for each message, in the order of `intents`."""
        return softmax(self.decider.intent.matrix_scores(self.vectoriser.matrix(terms)))


def intents() -> tuple[str, ...]:
    """The names of the columns of `probabilities`."""
    from nlu.server.learning.beside import LEARNT

    return LEARNT


def season(
    pool: Pool, test: Pool, order: str, *, weeks: int, messages: int, verdicts: int, rules: Mapping[str, Any], seed: int
) -> None:
    """Play one season and print a line a week."""
    first, stream = split(pool, weeks * messages, seed)
    labelled, random = list(first), np.random.default_rng(seed)
    for week in range(weeks + 1):
        model = Model.train(pool, labelled, seed)
        print(
            json.dumps({"order": order, "week": week, "labelled": len(labelled), **scores(model, test, rules)}),
            flush=True,
        )
        arrived = stream[week * messages : (week + 1) * messages]
        if order == "random":
            picked = random.permutation(len(arrived))[:verdicts]
        else:
            picked = np.argsort(-worth(model, pool, arrived, labelled, rules), kind="stable")[:verdicts]
        labelled += [arrived[i] for i in picked]


def split(pool: Pool, streamed: int, seed: int) -> tuple[list[int], list[int]]:
    """What the first model learns from, and what arrives later: other writers, for a file holds one after another."""
    places: dict[str, list[int]] = {}
    for number, sentence in enumerate(pool.sentences):
        places.setdefault(sentence.intent, []).append(number)
    first = [number for mine in places.values() for number in mine[: max(20, len(mine) // 12)]]
    known = set(first)
    rest = np.array([number for number in range(len(pool.sentences)) if number not in known])
    return first, [int(i) for i in np.random.default_rng(seed).permutation(rest)[:streamed]]


def worth(model: Model, pool: Pool, arrived: Sequence[int], labelled: Sequence[int], rules: Mapping[str, Any]) -> Array:
    """What a correction of each message is worth: as bot/reviews.py reckons it."""
    terms = [pool.terms[i] for i in arrived]
    probabilities = model.probabilities(terms)
    costs = np.array([rules["costs"].get(name, rules["costs"]["*"]) for name in intents()])
    best = probabilities.argmax(axis=1)
    expected = probabilities @ costs - probabilities[np.arange(len(best)), best] * costs[best]
    mine, known = _unit(model, terms), _unit(model, [pool.terms[i] for i in labelled])
    nearest = np.asarray((mine @ known.T).max(axis=1).todense()).ravel()
    unsure = 1 - probabilities[np.arange(len(best)), best]
    return np.asarray(rules["uncertainty"] * unsure + rules["cost"] * expected + rules["novelty"] * (1 - nearest))


def _unit(model: Model, terms: Sequence[Mapping[str, Sequence[str]]]) -> Any:
    """Rows of length one, so that their products are their likeness."""
    matrix = model.vectoriser.matrix(terms)
    lengths = np.sqrt(matrix.multiply(matrix).sum(axis=1)) + _NOISE
    return matrix.multiply(1 / lengths).tocsr()


def scores(model: Model, test: Pool, rules: Mapping[str, Any]) -> dict[str, float]:
    """The share of wrong intents on the test set, and what the wrong ones cost on average."""
    names = intents()
    got = [names[i] for i in model.probabilities(test.terms).argmax(axis=1)]
    wanted = [sentence.intent for sentence in test.sentences]
    wrong = [a != b for a, b in zip(got, wanted, strict=True)]
    costs = [rules["costs"].get(name, rules["costs"]["*"]) for name in wanted]
    spent = sum(cost for cost, bad in zip(costs, wrong, strict=True) if bad) / len(wanted)
    return {"error": round(float(np.mean(wrong)), 4), "cost": round(float(spent), 4)}


def main() -> None:
    """Play the season once in each order."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("corpus", "frozen", "lexicon", "rules"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    for name in ("weeks", "messages", "verdicts", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    given = parser.parse_args()
    warnings.showwarning = lambda *args, **kwargs: None
    rules = json.loads(given.rules.read_text(encoding="utf-8"))
    analyser = Analyser(Lexicon.read(given.lexicon))
    pool, test = Pool.read(given.corpus, analyser), Pool.read(given.frozen, analyser)
    for order in ORDERS:
        season(
            pool,
            test,
            order,
            weeks=given.weeks,
            messages=given.messages,
            verdicts=given.verdicts,
            rules=rules,
            seed=given.seed,
        )


if __name__ == "__main__":
    main()
