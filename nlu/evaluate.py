"""Scores of understanding on labelled sentences it was not trained on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlu.corpus import read_jsonl
from nlu.gazetteer import Gazetteer
from nlu.interpreter import Interpreter
from nlu.types import INTENTS, PROBLEMS, Understanding

# What a false report is: an unrelated message that would open a ticket.
_TICKETS = frozenset({"danger", "leak", "open_valve", "no_heat", "low_temperature", "other_repair"})
_BINS = 10


@dataclass(frozen=True, slots=True)
class Pair:
    """A labelled line and what was understood of it."""

    row: Mapping[str, Any]
    got: Understanding

    @property
    def right(self) -> bool:
        """Whether the primary intent is as labelled."""
        return bool(self.row["intent"] == self.got.intent)


def evaluate(path: Path, interpreter: Interpreter, gazetteer: Gazetteer | None = None) -> dict[str, Any]:
    """Understand every line of a JSONL file and score it; lines with `context` are left to the dialogue.

    Returns the report, ready for JSON. Raises CorpusError for a malformed line, NluError if nobody answers.
    """
    rows = [row for row in read_jsonl(path) if not row.get("context")]
    return score([Pair(row, interpreter.understand(row["text"], gazetteer)) for row in rows])


def score(pairs: Sequence[Pair]) -> dict[str, Any]:
    """The report on sentences that were already understood."""
    return {
        "sentences": len(pairs),
        "model": next((pair.got.model for pair in pairs if pair.got.model not in (None, "rules")), None),
        "accuracy": _share(pair.right for pair in pairs),
        "macro_f1": _mean(row["f1"] for row in by_intent(pairs).values() if row["support"]),
        "problems_accuracy": _share(pair.right for pair in pairs if pair.row["intent"] in PROBLEMS),
        "leak_recall": _found(pairs, "leak"),
        "danger_recall": _found(pairs, "danger"),
        **false_reports(pairs),
        "also": also_scores(pairs),
        "entities": entity_scores(pairs),
        "facts": fact_scores(pairs),
        "calibration": calibration(pairs),
        "intents": by_intent(pairs),
        "confusion": confusion(pairs),
        "errors": worst_errors(pairs),
    }


def false_reports(pairs: Sequence[Pair]) -> dict[str, float]:
    """The share of unrelated messages taken for a fault: of all, of ordinary ones, and of near misses (`near: yes`)."""
    unrelated = [pair for pair in pairs if pair.row["intent"] == "out_of_scope"]
    return {
        "false_reports": _share(pair.got.intent in _TICKETS for pair in unrelated),
        "ordinary_false_reports": _share(pair.got.intent in _TICKETS for pair in unrelated if not pair.row.get("near")),
        "near_false_reports": _share(pair.got.intent in _TICKETS for pair in unrelated if pair.row.get("near")),
    }


def score_acts(acts: Sequence[tuple[Pair, str | None]]) -> dict[str, float]:
    """What the dialogue does with first messages; each pair comes with the intent acted on, None where it asks.

    A leak or danger told besides counts as found where the message is acted on at all.
    """

    def found(intent: str) -> float:
        mine = [(pair, act) for pair, act in acts if pair.row["intent"] == intent]
        return _share(act == intent or (act is not None and intent in pair.got.also) for pair, act in mine)

    def opened(near: bool) -> float:
        mine = [(pair, act) for pair, act in acts if pair.row["intent"] == "out_of_scope"]
        return _share(act in _TICKETS for pair, act in mine if bool(pair.row.get("near")) is near)

    return {
        "leak_found": found("leak"),
        "danger_found": found("danger"),
        "ordinary_false_reports": opened(near=False),
        "near_false_reports": opened(near=True),
        "asked": _share(act is None for _, act in acts),
        "right_when_acted": _share(act == pair.row["intent"] for pair, act in acts if act is not None),
    }


def by_intent(pairs: Sequence[Pair]) -> dict[str, dict[str, float]]:
    """Precision, recall, F1 and support of each intent that is labelled or predicted."""
    actual = Counter(pair.row["intent"] for pair in pairs)
    predicted = Counter(pair.got.intent for pair in pairs)
    hits = Counter(pair.got.intent for pair in pairs if pair.right)
    present = [intent for intent in INTENTS if actual[intent] or predicted[intent]]
    return {i: {**_prf(hits[i], predicted[i], actual[i]), "support": actual[i]} for i in present}


def also_scores(pairs: Sequence[Pair]) -> dict[str, float]:
    """Micro precision, recall and F1 of the further intents, over lines that say what these are."""
    labelled = [pair for pair in pairs if "also" in pair.row]
    wanted = [(n, intent) for n, pair in enumerate(labelled) for intent in pair.row["also"] or ()]
    got = [(n, intent) for n, pair in enumerate(labelled) for intent in pair.got.also]
    return _prf(len(set(wanted) & set(got)), len(set(got)), len(set(wanted)))


def entity_scores(pairs: Sequence[Pair]) -> dict[str, dict[str, float]]:
    """Scores by kind of entity; an entity is right when kind and normalised value are.

    `duration_met` counts a duration whose span merely meets the labelled one: 从昨晚开始 or 昨晚开始 is a matter of taste.
    """
    wanted: Counter[tuple[int, str, str]] = Counter()
    got: Counter[tuple[int, str, str]] = Counter()
    for number, pair in enumerate(pairs):
        if "entities" in pair.row:
            wanted.update((number, kind, value) for kind, value in _wanted_entities(pair.row["entities"]))
            got.update((number, e.entity, _comparable(e.value)) for e in pair.got.entities)
    scores = {}
    for kind in sorted({key[1] for key in [*wanted, *got]}):
        w, g = _only(wanted, kind), _only(got, kind)
        scores[kind] = _prf((w & g).total(), g.total(), w.total())
    if "duration" in scores:
        scores["duration_met"] = _met(pairs, "duration")
    scores["all"] = _prf((wanted & got).total(), got.total(), wanted.total())
    return scores


def _met(pairs: Sequence[Pair], kind: str) -> dict[str, float]:
    """The scores of a kind whose spans have no sure edges: right is what has characters in common with a label."""
    labelled = [pair for pair in pairs if isinstance(pair.row.get("entities"), tuple | list)]
    hits = predicted = actual = 0
    for pair in labelled:
        wanted = [e for e in pair.row["entities"] if e["entity"] == kind and "start" in e]
        got = [e for e in pair.got.entities if e.entity == kind]
        hits += sum(any(e.start < w["end"] and e.end > w["start"] for e in got) for w in wanted)
        predicted, actual = predicted + len(got), actual + len(wanted)
    return _prf(hits, predicted, actual)


def _only(counts: Counter[tuple[int, str, str]], kind: str) -> Counter[tuple[int, str, str]]:
    return Counter({key: count for key, count in counts.items() if key[1] == kind})


def _wanted_entities(entities: Any) -> Iterable[tuple[str, str]]:
    """A list of {entity, value}, or a mapping of kinds to one value or several."""
    if isinstance(entities, Mapping):
        for kind, values in entities.items():
            for value in values if isinstance(values, list) else [values]:
                yield str(kind), _comparable(value)
    else:
        for item in entities or ():
            yield str(item["entity"]), _comparable(item.get("value", item.get("text")))


def _comparable(value: Any) -> str:
    """15, 15.0 and "15" are one temperature; everything else is compared as it is written."""
    try:
        return f"{float(value):g}" if str(value).count(".") == 1 or isinstance(value, float) else str(value)
    except ValueError:
        return str(value)


def fact_scores(pairs: Sequence[Pair]) -> dict[str, dict[str, float]]:
    """Precision, recall and F1 of scope, severity and need, over lines that carry the key."""
    scores = {}
    for fact in ("scope", "severity", "need"):
        labelled = [(pair.row[fact], getattr(pair.got, fact)) for pair in pairs if fact in pair.row]
        hits = sum(1 for want, got in labelled if want and want == got)
        scores[fact] = _prf(hits, sum(1 for _, got in labelled if got), sum(1 for want, _ in labelled if want))
    return scores


def calibration(pairs: Sequence[Pair]) -> dict[str, Any]:
    """Expected calibration error and the table behind it: is 0.9 right nine times in ten?"""
    bins: list[list[Pair]] = [[] for _ in range(_BINS)]
    for pair in pairs:
        bins[min(int(pair.got.confidence * _BINS), _BINS - 1)].append(pair)
    table = [
        {
            "from": number / _BINS,
            "sentences": len(members),
            "confidence": _mean(pair.got.confidence for pair in members),
            "accuracy": _share(pair.right for pair in members),
        }
        for number, members in enumerate(bins)
        if members
    ]
    gaps = (row["sentences"] * abs(row["confidence"] - row["accuracy"]) for row in table)
    return {"ece": sum(gaps) / len(pairs) if pairs else 0.0, "table": table}


def confusion(pairs: Sequence[Pair]) -> dict[str, dict[str, int]]:
    """How often each labelled intent was taken for each; only what occurred."""
    counts = Counter((pair.row["intent"], pair.got.intent) for pair in pairs)
    return {a: row for a in INTENTS if (row := {b: counts[a, b] for b in INTENTS if counts[a, b]})}


def worst_errors(pairs: Sequence[Pair], count: int = 50) -> list[dict[str, Any]]:
    """The surest of the wrong ones, which no threshold would have caught."""
    wrong = sorted((pair for pair in pairs if not pair.right), key=lambda pair: -pair.got.confidence)
    return [
        {
            "text": p.row["text"],
            "intent": p.row["intent"],
            "got": p.got.intent,
            "confidence": round(p.got.confidence, 3),
        }
        for p in wrong[:count]
    ]


def below_floors(report: Mapping[str, Any], floors: Mapping[str, float]) -> list[str]:
    """One sentence for each score that misses its floor of nlu/floors.yml; `max_…` names are ceilings."""
    missed = []
    for name, bound in floors.items():
        ceiling = name.startswith("max_")
        value = _lookup(report, name.removeprefix("max_"))
        if value is None:
            missed.append(f"{name.removeprefix('max_')} was not measured")
        elif value > bound if ceiling else value < bound:
            missed.append(f"{name.removeprefix('max_')} is {value:.4f}, {'above' if ceiling else 'below'} {bound}")
    return missed


def _lookup(report: Mapping[str, Any], dotted: str) -> float | None:
    value: Any = report
    for part in dotted.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return None if value is None else float(value)


def _found(pairs: Sequence[Pair], intent: str) -> float:
    """The share of sentences with this primary intent where it was understood, as primary or besides."""
    labelled = [pair for pair in pairs if pair.row["intent"] == intent]
    return _share(intent in (pair.got.intent, *pair.got.also) for pair in labelled)


def _prf(hits: int, predicted: int, actual: int) -> dict[str, float]:
    precision = hits / predicted if predicted else 0.0
    recall = hits / actual if actual else 0.0
    return {"precision": precision, "recall": recall, "f1": 2 * hits / (predicted + actual) if hits else 0.0}


def _share(values: Iterable[bool]) -> float:
    return _mean(float(value) for value in values)


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0
