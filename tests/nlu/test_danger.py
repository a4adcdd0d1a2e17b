"""The danger list: catches what threatens life or bursts, and leaves the rest alone."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nlu.danger import default_rules, load_rules, match_danger

CASES: dict[str, list[str]] = yaml.safe_load(
    (Path(__file__).parent / "cases" / "danger.yml").read_text(encoding="utf-8")
)
KINDS = ("gas", "carbon_monoxide", "shock", "fire", "collapse", "burst")
CAUGHT = [(kind, text) for kind in KINDS for text in CASES[kind]]


@pytest.mark.parametrize(("kind", "text"), CAUGHT)
def test_danger_is_caught(kind: str, text: str) -> None:
    assert match_danger(text) == kind


@pytest.mark.parametrize("text", CASES["none"])
def test_harmless_words_alert_nobody(text: str) -> None:
    assert match_danger(text) is None


@pytest.mark.parametrize(
    "text", ["厨房有煤气味！今年暖气费多少钱？", "你好。着火了。谢谢", "上次爆管修好了。现在又爆管了"]
)
def test_a_harmless_sentence_does_not_hide_a_danger(text: str) -> None:
    assert match_danger(text) is not None


def test_the_end_of_a_long_message_is_read() -> None:
    assert match_danger("暖气不热，" * 200 + "屋里有煤气味") == "gas"


def test_another_list_can_be_given() -> None:
    rules = load_rules({"cut": ["热水器"], "unless": ["演习"], "kinds": {"fire": {"any": ["着火…了"]}}})
    assert match_danger("着火好半天了", rules) == "fire"
    assert match_danger("演习着火了", rules) is None


def test_the_shipped_list_names_every_kind() -> None:
    assert tuple(kind.name for kind in default_rules().kinds) == KINDS


@given(st.text(max_size=80))
def test_any_text_gives_a_known_kind_or_none(text: str) -> None:
    assert match_danger(text) in (None, *KINDS)


@settings(deadline=None, max_examples=40)
@given(st.text(alphabet="煤气味头晕炉子电箱水漏火花掉井人倒管爆喷热的上次没", min_size=500, max_size=500))
def test_five_hundred_hostile_characters_take_little_time(text: str) -> None:
    start = time.perf_counter()
    match_danger(text)
    assert time.perf_counter() - start < 0.5
