"""Scope, severity and need as the annotation guide states them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nlu.facts import read_facts
from nlu.types import INTENTS, SCOPES, SEVERITIES, Facts

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "cases" / "facts.yml").read_text(encoding="utf-8")
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['text']}-{case['intent']}")
def test_facts_are_read_where_they_are_stated(case: dict[str, Any]) -> None:
    facts = read_facts(case["text"], case["intent"], case.get("also", ()))
    assert facts == Facts(case.get("scope"), case.get("severity"), case.get("need"))


def test_severity_belongs_to_leaks_only() -> None:
    assert read_facts("水管爆了", "no_heat").severity is None
    assert read_facts("不热,管子也爆了", "no_heat", ["leak"]).severity == "burst"


@given(st.text(max_size=80), st.sampled_from(INTENTS), st.lists(st.sampled_from(INTENTS), max_size=3))
def test_any_text_gives_known_values(text: str, intent: str, also: list[str]) -> None:
    facts = read_facts(text, intent, also)
    assert facts.scope in (None, *SCOPES)
    assert facts.severity in (None, *SEVERITIES)
    assert facts.need in (None, "yes")


@settings(deadline=None, max_examples=40)
@given(st.text(alphabet="整栋楼小区单元家客厅卧室就只有不热漏水爆老人孩子，一组片都", min_size=500, max_size=500))
def test_five_hundred_hostile_characters_take_little_time(text: str) -> None:
    start = time.perf_counter()
    read_facts(text, "leak", ["no_heat"])
    assert time.perf_counter() - start < 0.5
