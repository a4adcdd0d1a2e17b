"""The short list of dangers, matched when a message arrives and without the NLU server."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from nlu.normalise import normalise

_RULES = Path(__file__).resolve().parent.parent / "data" / "rules" / "danger.yml"
# Longer messages are read at both ends; a pattern then looks at little text, however hostile.
_HEAD, _TAIL = 400, 100
_SENTENCE = re.compile(r"[^。!?;；\n]+")


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    any: re.Pattern[str]
    unless: re.Pattern[str] | None


@dataclass(frozen=True, slots=True)
class DangerRules:
    """The compiled list: what is cut out first, what makes a sentence harmless, and each kind in order."""

    cut: re.Pattern[str]
    unless: re.Pattern[str]
    kinds: tuple[_Kind, ...]


def match_danger(text: str, rules: DangerRules | None = None) -> str | None:
    """gas, carbon_monoxide, shock, fire, collapse or burst where the text reports one now, else None."""
    rules = rules or default_rules()
    plain = normalise(text).text.replace("，", ",").replace("！", "!").replace("？", "?")
    if len(plain) > _HEAD + _TAIL:
        plain = plain[:_HEAD] + "\n" + plain[-_TAIL:]
    sentences = [match[0].strip() for match in _SENTENCE.finditer(plain)]
    kept = [rules.cut.sub("", sentence) for sentence in sentences if not rules.unless.search(sentence)]
    return next((kind.name for kind in rules.kinds if _reported(kind, kept)), None)


def _reported(kind: _Kind, sentences: list[str]) -> bool:
    return any(
        kind.any.search(sentence) and not (kind.unless and kind.unless.search(sentence)) for sentence in sentences
    )


@lru_cache(maxsize=1)
def default_rules() -> DangerRules:
    """The list that ships in data/rules/danger.yml."""
    return load_rules(yaml.safe_load(_RULES.read_text(encoding="utf-8")))


def load_rules(document: Mapping[str, Any]) -> DangerRules:
    """Compile a list in the form of data/rules/danger.yml; the order of its kinds decides between two."""
    kinds = tuple(
        _Kind(name, _join(lists["any"]), _join(lists["unless"]) if lists.get("unless") else None)
        for name, lists in document["kinds"].items()
    )
    return DangerRules(_join(document["cut"]), _join(document["unless"]), kinds)


def _join(patterns: list[str]) -> re.Pattern[str]:
    """One pattern of many; … is a short gap inside a sentence."""
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns).replace("…", "[^。!?]{0,12}"))
