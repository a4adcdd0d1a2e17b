"""What the words settle by themselves, whatever a classifier makes of them: bare data, danger to life, a reading."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from nlu.danger import match_danger
from nlu.types import INTENTS, NEVER_ALSO, Entity, Understanding
from nlu.words import alternatives, pattern

CERTAIN = 0.97  # the rules' own share of right answers on the corpus, rounded down
_FILLER = re.compile(f"(?:{alternatives('certainties', 'filler')}|\\d)*")
_EQUIPMENT = pattern("certainties", "equipment")
_STONE_COLD = pattern("certainties", "stone_cold")
_PARTLY = pattern("certainties", "partly")
_COLD = frozenset({"no_heat", "low_temperature"})
ENOUGH_FOR_SOME_HEAT = 12.0  # ℃: the annotation guide, rule 4
# Text aimed at the machine: what Rasa itself would read as a command that names an intent.
_COMMAND = re.compile(r"\s*[/／][a-z_]+\s*(?:[@{].*)?$", re.IGNORECASE | re.DOTALL)
_ALSO_MONEY = 0.25  # probability of billing from which on a complaint of cold is about money too
ENOUGH = 18.0  # ℃: the standard of a room that is heated; under it a demand for money comes of the cold
_NOT_A_WORD = re.compile(r"[\W_]+")
_DATA = frozenset({"community", "building", "unit", "room", "temperature", "phone", "account_no"})
# A burst pipe is a leak unless someone's life is in danger; the others are dangers to life.
# What 800 dangers of the corpus say besides; who was wrongly thought to say that all is well says nothing besides.
_BESIDE_DANGER = frozenset({"leak", "no_heat", "low_temperature", "other_repair", "urge"})
_TO_LIFE = frozenset({"gas", "fire", "carbon_monoxide", "shock", "collapse"})


def settle(understanding: Understanding) -> Understanding:
    """The understanding with what is certain put first; the classifier's ranking is kept behind it."""
    if _COMMAND.match(understanding.text):
        return replace(_first("out_of_scope", understanding), also=())
    if match_danger(understanding.text) in _TO_LIFE and understanding.intent != "danger":
        settled = _first("danger", understanding)
        return replace(settled, also=tuple(name for name in settled.also if name in _BESIDE_DANGER))
    if understanding.intent != "provide_info" and is_bare_data(understanding.text, understanding.entities):
        return replace(_first("provide_info", understanding), also=())
    return _by_reading(understanding)


def _by_reading(understanding: Understanding) -> Understanding:
    """A home's reading decides between no heat and too little, where no equipment is described (guide, rule 4)."""
    readings = [float(e.value) for e in understanding.entities if e.entity == "temperature"]
    if not readings or understanding.intent not in _COLD | {"billing"}:
        return understanding
    reading, meant = readings[-1], understanding.intent
    if reading >= ENOUGH:
        return understanding
    if meant == "billing" or not _EQUIPMENT.search(understanding.text):
        meant = "low_temperature" if reading >= ENOUGH_FOR_SOME_HEAT else "no_heat"
    elif _STONE_COLD.search(understanding.text) and not _PARTLY.search(understanding.text):
        meant = "no_heat"  # whatever the reading
    else:
        return understanding  # the words decide, and how sure they are stays as it is
    about_money = dict(understanding.ranking).get("billing", 0.0) >= _ALSO_MONEY
    also = {*understanding.also, *({"billing"} if about_money else set())} - _COLD
    return _first(meant, replace(understanding, also=tuple(also)))


def is_bare_data(text: str, entities: Sequence[Entity]) -> bool:
    """Whether a message holds nothing but data: an address, a phone, a number, a reading, with words like 我是 around."""
    if not any(entity.entity in _DATA for entity in entities):
        return False
    rest, end = [], 0
    for entity in entities:
        rest.append(text[end : entity.start])
        end = entity.end
    rest.append(text[end:])
    return _FILLER.fullmatch(_NOT_A_WORD.sub("", "".join(rest))) is not None


def _first(intent: str, understanding: Understanding) -> Understanding:
    others = tuple((name, share * (1 - CERTAIN)) for name, share in understanding.ranking if name != intent)
    said = {*understanding.also, understanding.intent} - NEVER_ALSO - {intent}
    if intent in _COLD:
        said -= _COLD  # no heat and too little are one complaint
    return replace(
        understanding,
        intent=intent,
        confidence=max(CERTAIN, understanding.confidence),
        ranking=((intent, CERTAIN), *others),
        also=tuple(name for name in INTENTS if name in said),
        threshold=min(understanding.threshold, CERTAIN),
    )
