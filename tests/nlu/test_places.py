"""Addresses in every written form, and the search for an estate by name."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nlu.places import Gazetteer, default_gazetteer, parse_address

CASES: list[dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "cases" / "addresses.yml").read_text(encoding="utf-8")
)
ROWS = [
    {
        "id": 1,
        "name": "升龙又一城",
        "aliases": ["又一城"],
        "district": "中原区",
        "pinyin": "sheng long you yi cheng",
    },
    {"id": 2, "name": "阳光花园", "aliases": "阳光苑|阳光花苑小区", "district": "二七区"},
]
BUILDINGS = [
    {"community_id": 1, "number": "3", "units": "1|2", "floors": "18"},
    {"community_id": 1, "number": "b2", "units": [], "floors": 33},
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["text"])
def test_an_address_is_read_in_every_form(case: dict[str, Any]) -> None:
    address = parse_address(case["text"], default_gazetteer())
    assert address.community == case.get("community")
    assert address.building == case.get("building")
    assert address.unit == case.get("unit")
    assert list(address.rooms) == case.get("rooms", [])


@pytest.mark.parametrize(
    ("text", "name", "kind"),
    [
        ("升龙又一城", "升龙又一城", "exact"),
        ("又一城3号楼", "升龙又一城", "alias"),
        ("升龙有一城", "升龙又一城", "pinyin"),
        ("shenglong youyicheng", "升龙又一城", "pinyin"),
        ("ShengLongYouYiCheng 3haolou", "升龙又一城", "pinyin"),
        ("阳光", "阳光花园", "fuzzy"),
        ("阳光小区", "阳光花园", "fuzzy"),
        ("阳洸花园", "阳光花园", "pinyin"),
        ("升龙又二城", "升龙又一城", "fuzzy"),
        ("升龙又一城二期", "升龙又一城", "exact"),
    ],
)
def test_a_name_finds_its_estate(text: str, name: str, kind: str) -> None:
    best = Gazetteer.from_rows(ROWS).match_community(text)[0]
    assert (best.community.name, best.kind) == (name, kind)


def test_exact_names_score_above_all_others() -> None:
    gazetteer = Gazetteer.from_rows(ROWS)
    scores = [gazetteer.match_community(text)[0].score for text in ("阳光花园", "升龙有一城", "阳光")]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 1.0 > scores[1]


@pytest.mark.parametrize("text", ["", " ", "暖气不热", "3号楼", "🥶", "a"])
def test_what_names_no_estate_finds_none(text: str) -> None:
    assert Gazetteer.from_rows(ROWS).match_community(text) == []


def test_another_estate_with_a_similar_ending_is_not_taken_for_a_homophone() -> None:
    address = parse_address("阳光花院3号楼", Gazetteer.from_rows(ROWS))
    assert address.community != "阳光花园"


def test_a_phase_that_is_not_listed_is_kept_with_the_name() -> None:
    assert parse_address("又一城2期3号楼", Gazetteer.from_rows(ROWS)).community == "升龙又一城二期"


def test_units_are_known_by_building() -> None:
    gazetteer = Gazetteer.from_rows(ROWS, BUILDINGS)
    community = gazetteer.community("又一城")
    assert community is not None
    assert gazetteer.needs_unit(community, "3") is True
    assert gazetteer.needs_unit(community, "b2") is False
    assert gazetteer.needs_unit(community, "99") is None
    assert community.buildings["3"].floors == 18


def test_the_shipped_gazetteer_covers_every_district() -> None:
    gazetteer = default_gazetteer()
    assert len(gazetteer.communities) >= 60
    assert len({community.district for community in gazetteer.communities}) == 16
    assert all(3 <= len(community.buildings) <= 30 for community in gazetteer.communities)


@given(st.text(max_size=60))
def test_no_text_breaks_the_matcher(text: str) -> None:
    parse_address(text, default_gazetteer())
    default_gazetteer().match_community(text)


@settings(deadline=None, max_examples=40)
@given(st.text(alphabet="三3号楼单元小区花园院路里期-、, 501东户家升龙又一城sheng", min_size=500, max_size=500))
def test_five_hundred_hostile_characters_take_little_time(text: str) -> None:
    gazetteer = default_gazetteer()
    start = time.perf_counter()
    parse_address(text, gazetteer)
    assert time.perf_counter() - start < 0.5
