"""Which stretch of a text names an estate that no list knows: the learnt tagger where it is sure, else the rules of form.

The NLU server's tagger has seen names in thousands of sentences, the rules only know endings and what stands before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nlu.community_forms import Span
from nlu.normalise import Normal

EXTRACTOR = "PlaceTagger"  # how the server signs what it found
# Chosen on three writers none of whose sentences the tagger had seen; nearby values gave the same within 0.4 points.
SURE = 0.5  # from this probability on the tagger's stretch counts where the rules see nothing
SURER = 0.7  # and from this one on against the rules
DOUBT = 0.15  # a name by form counts only where the tagger gives names as much


@dataclass(frozen=True, slots=True)
class Learnt:
    """A stretch of text, and how likely it is that exactly this one names an estate."""

    start: int
    end: int
    probability: float


def learnt_names(text: str, answer: Mapping[str, Any], dropped: int = 0) -> list[Learnt] | None:
    """What the tagger says of `text` in the server's answer; None where the served model has no tagger.

    `dropped` is how many characters of `text` were left out in front before it was sent. Stretches that do not fit the
    text (its middle was left out) are passed over.
    """
    if not answer.get("names_tagged"):
        return None
    found = []
    for item in answer.get("entities") or ():
        if item.get("extractor") == EXTRACTOR:
            start, end = int(item["start"]) + dropped, int(item["end"]) + dropped
            if text[start:end] == item.get("value"):
                found.append(Learnt(start, end, float(item["confidence_entity"])))
    return found


def in_normal(learnt: Iterable[Learnt], normal: Normal) -> list[Learnt]:
    """The same stretches in the normalised copy of the text."""
    place = {origin: index for index, origin in enumerate(normal.at)}
    ends = {origin + 1: index + 1 for index, origin in enumerate(normal.at)}
    return [
        Learnt(place[item.start], ends[item.end], item.probability)
        for item in learnt
        if item.start in place and item.end in ends
    ]


def settle_names(by_form: Sequence[Span], learnt: Sequence[Learnt] | None) -> list[Span]:
    """The unknown names of a text, none overlapping, in text order; without a tagger's word those found by form."""
    if learnt is None:
        return list(by_form)
    sure = [Span(item.start, item.end, sure=True) for item in learnt if item.probability >= _needed(item, by_form)]
    rest = [span for span in by_form if not any(_meet(span, other) for other in sure) and _allowed(span, learnt)]
    return sorted([*sure, *rest], key=lambda span: span.start)


def _needed(item: Learnt, by_form: Sequence[Span]) -> float:
    return SURER if any(_meet(span, item) for span in by_form) else SURE


def _allowed(span: Span, learnt: Sequence[Learnt]) -> bool:
    return sum(item.probability for item in learnt if _meet(span, item)) >= DOUBT


def _meet(one: Span | Learnt, other: Span | Learnt) -> bool:
    return one.start < other.end and other.start < one.end
