"""Entities: readings, numbers, durations, and offsets that hold for any text."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from nlu.entities import as_number, extract
from nlu.places import default_gazetteer

FOLDER = Path(__file__).parent / "cases"
TEMPERATURES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "temperatures.yml").read_text(encoding="utf-8"))
NUMBERS: list[dict[str, Any]] = yaml.safe_load((FOLDER / "numbers.yml").read_text(encoding="utf-8"))
ADDRESSES: list[dict[str, Any]] = yaml.safe_load((FOLDER / "addresses.yml").read_text(encoding="utf-8"))
# Half-width characters and their full-width twins.
WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
PIECES = st.sampled_from(
    [
        "阳光花园",
        "3号楼",
        "2单元",
        "501",
        "三号楼",
        "15度",
        "13812345678",
        "户号1002003004",
        "三天了",
        "昨晚开始",
    ]
    + [
        "，",
        " ",
        "😭",
        "不热",
        "金水区",
        "5楼东户",
        "3-2-501",
        "\u200d",
        "️⃣",
        "室温16.5",
        "從早上",
        "号院",
        "期",
    ]
)


@pytest.mark.parametrize("case", TEMPERATURES, ids=lambda case: case["text"])
def test_only_indoor_readings_of_now_are_temperatures(case: dict[str, Any]) -> None:
    entities = extract(case["text"], default_gazetteer())
    assert [as_number(entity) for entity in entities if entity.entity == "temperature"] == case["expect"]


@pytest.mark.parametrize("case", NUMBERS, ids=lambda case: case["text"])
def test_phones_accounts_and_durations_are_read(case: dict[str, Any]) -> None:
    kinds = ("phone", "account_no", "duration")
    entities = [entity for entity in extract(case["text"], default_gazetteer()) if entity.entity in kinds]
    assert [[entity.entity, entity.value] for entity in entities] == case["expect"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("东区阳光花园", "郑东新区"),
        ("管城区阳光花园", "管城回族区"),
        ("港区美景誉", "航空港区"),
        ("新郑龙湖镇", "新郑市"),
        ("中牟县", "中牟县"),
        ("金水区这边", "金水区"),
        ("惠济这边", "惠济区"),
        ("高新区梧桐街", "高新区"),
    ],
)
def test_a_district_gets_its_full_name(text: str, value: str) -> None:
    assert [entity.value for entity in extract(text) if entity.entity == "district"] == [value]


@pytest.mark.parametrize("text", ["已经开始漏了", "金水路堵车", "曾经开过阀", "中原路上"])
def test_words_that_only_look_like_a_district_are_none(text: str) -> None:
    assert [entity for entity in extract(text) if entity.entity == "district"] == []


def test_spans_are_those_of_the_original_text() -> None:
    text = "升龍又一城３號樓 2️⃣单元,五楼东户,十五六度"
    spans = [(entity.entity, entity.value, entity.text) for entity in extract(text, default_gazetteer())]
    assert spans == [
        ("community", "升龙又一城", "升龍又一城"),
        ("building", "3", "３號樓"),
        ("unit", "2", "2️⃣单元"),
        ("room", "5楼东户", "五楼东户"),
        ("temperature", "15.5", "十五六度"),
    ]


@given(st.one_of(st.text(max_size=80), st.lists(PIECES, max_size=12).map("".join)))
def test_offsets_are_exact_ordered_and_disjoint(text: str) -> None:
    entities = extract(text, default_gazetteer())
    assert all(text[entity.start : entity.end] == entity.text for entity in entities)
    ends = [0] + [entity.end for entity in entities]
    assert all(entity.start >= end for entity, end in zip(entities, ends, strict=False))


@pytest.mark.parametrize("case", [*ADDRESSES, *TEMPERATURES, *NUMBERS], ids=lambda case: case["text"])
def test_full_width_text_says_the_same(case: dict[str, Any]) -> None:
    narrow = extract(case["text"], default_gazetteer())
    wide = extract(case["text"].translate(WIDE), default_gazetteer())
    assert [(entity.entity, entity.value) for entity in narrow] == [(e.entity, e.value) for e in wide]


@given(st.lists(PIECES, max_size=12).map("".join))
def test_any_mixture_says_the_same_in_full_width(text: str) -> None:
    assert [e.value for e in extract(text)] == [e.value for e in extract(text.translate(WIDE))]


@settings(deadline=None, max_examples=40)
@given(st.text(alphabet="三天15度从昨晚开始到现在户号138-、, 屋里外不热停0371", min_size=500, max_size=500))
def test_five_hundred_hostile_characters_take_little_time(text: str) -> None:
    gazetteer = default_gazetteer()
    start = time.perf_counter()
    extract(text, gazetteer)
    assert time.perf_counter() - start < 0.5
