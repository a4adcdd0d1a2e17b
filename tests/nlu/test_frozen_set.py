"""The frozen test set: nobody trains on it, and the live model keeps its floors on it."""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bot.nlu_evaluation import read_labelled, report_on
from bot.settings import ROOT, Settings
from nlu.corpus import read_corpus
from nlu.evaluate import below_floors
from nlu.interpreter import RasaInterpreter
from nlu.places import default_gazetteer
from nlu.types import INTENTS, RULE_INTENTS

FROZEN = Path(__file__).parent.parent / "intents"
SHORTEST = 4  # characters: 对 and 好的 cannot be worded otherwise
ALIKE = 0.8  # share of common character pairs from which on two messages are one


def _bare(text: str) -> str:
    kept = (char for char in unicodedata.normalize("NFKC", text).lower())
    return "".join(char for char in kept if unicodedata.category(char)[0] not in "PZC")


def _pairs(text: str) -> frozenset[str]:
    return frozenset(text[place : place + 2] for place in range(len(text) - 1))


def _leaks() -> Iterator[tuple[str, str]]:
    """Training sentences that stand, exactly or nearly, in the test set."""
    frozen = [_bare(sentence.text) for sentence in read_corpus(FROZEN)]
    exact = {text for text in frozen if len(text) >= SHORTEST}
    pairs = [_pairs(text) for text in frozen]
    places: dict[str, list[int]] = defaultdict(list)
    for number, members in enumerate(pairs):
        for pair in members:
            places[pair].append(number)
    for sentence in read_corpus(ROOT / "data" / "intents"):
        text = _bare(sentence.text)
        members = _pairs(text)
        common = Counter(number for pair in members for number in places.get(pair, ()))
        near = (n for n, count in common.most_common(3) if count / len(members | pairs[n]) > ALIKE and len(text) >= 6)
        if text in exact:
            yield sentence.text, text
        elif (twin := next(near, None)) is not None:
            yield sentence.text, frozen[twin]


def test_no_training_sentence_stands_in_the_test_set() -> None:
    assert list(_leaks()) == []


def test_every_open_intent_is_tested_with_forty_messages() -> None:
    counts = Counter(sentence.intent for sentence in read_corpus(FROZEN))
    closed = {"affirm", "deny", "greet", "thanks"}
    wanted = {intent: 20 if intent in closed else 40 for intent in INTENTS if intent not in RULE_INTENTS}
    assert {intent: counts[intent] for intent, least in wanted.items() if counts[intent] < least} == {}


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.xdist_group("model")
def test_the_live_model_keeps_its_floors(nlu_settings: Settings) -> None:
    interpreter = RasaInterpreter(nlu_settings.nlu_url, nlu_settings.nlu_token)
    report = report_on(read_labelled(FROZEN), interpreter, default_gazetteer())
    floors = yaml.safe_load((ROOT / "nlu" / "floors.yml").read_text(encoding="utf-8"))
    assert below_floors(report, floors) == []
