"""What the words settle by themselves."""

from __future__ import annotations

import pytest

from nlu.certainties import is_bare_data, settle
from nlu.entities import extract
from nlu.types import Understanding


@pytest.mark.parametrize(
    "text",
    [
        "3号楼2单元501",
        "我是阳光花园3号楼的",
        "电话13812345678",
        "室温16度",
        "13.2℃!!",
        "户号1002003004",
    ],
)
def test_data_alone_is_data(text: str) -> None:
    assert is_bare_data(text, extract(text))


@pytest.mark.parametrize(
    "text", ["才14度", "只有15度", "3号楼不热", "阳光花园漏水", "你好", "", "今天几号", "13812345678打这个电话骂人"]
)
def test_anything_beside_the_data_is_not_data_alone(text: str) -> None:
    assert not is_bare_data(text, extract(text))


def test_danger_to_life_goes_before_what_the_classifier_made_of_it() -> None:
    settled = settle(Understanding("厨房一股煤气味", "no_heat", 0.9, (("no_heat", 0.9), ("danger", 0.05))))
    assert settled.intent == "danger"
    assert settled.also == ("no_heat",)


def test_a_bare_reading_is_no_complaint() -> None:
    text = "14度"
    settled = settle(Understanding(text, "low_temperature", 0.8, (), entities=tuple(extract(text))))
    assert (settled.intent, settled.also) == ("provide_info", ())


def test_an_ordinary_message_is_left_as_it_is() -> None:
    understanding = Understanding("暖气不热", "no_heat", 0.9, (("no_heat", 0.9),))
    assert settle(understanding) is understanding


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("屋里才9度，冻死了", "no_heat"),
        ("屋里才15度，冻死了", "low_temperature"),
        ("暖气温吞，屋里才9度", "low_temperature"),
    ],
)
def test_a_reading_decides_where_no_equipment_is_described(text: str, intent: str) -> None:
    settled = settle(Understanding(text, "low_temperature", 0.9, (), entities=tuple(extract(text))))
    assert settled.intent == intent


def test_a_demand_for_money_with_a_low_reading_is_the_cold() -> None:
    text = "16度，退钱"
    settled = settle(Understanding(text, "billing", 0.6, (("billing", 0.6),), entities=tuple(extract(text))))
    assert (settled.intent, settled.also) == ("low_temperature", ("billing",))


@pytest.mark.parametrize("text", ["/leak", "/leak@0.99", "／danger{}", '/no_heat{"room": "501"}'])
def test_a_command_to_the_machine_means_nothing(text: str) -> None:
    assert settle(Understanding(text, "leak", 0.99, (("leak", 0.99),))).intent == "out_of_scope"


def test_what_a_rule_settles_is_acted_on_although_the_model_would_rather_ask() -> None:
    text = "屋里才15度，冻死了"
    unsure = Understanding(text, "low_temperature", 0.5, (), entities=tuple(extract(text)), threshold=1.0)
    assert not unsure.sure
    assert settle(unsure).sure


def test_a_danger_by_rule_keeps_no_contradiction_beside_it() -> None:
    settled = settle(Understanding("厨房一股煤气味", "confirm_resolved", 0.6, (("confirm_resolved", 0.6),)))
    assert (settled.intent, settled.also) == ("danger", ())


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("暖气冰凉,量了才12度", "no_heat"),
        ("地暖没反应，屋里才15度", "no_heat"),
        ("暖气半边冰凉，屋里15度", "low_temperature"),
        ("片子温乎，屋里15度", "low_temperature"),
    ],
)
def test_equipment_that_is_cold_as_a_whole_is_no_heat_whatever_the_reading(text: str, intent: str) -> None:
    guess = Understanding(text, "low_temperature", 0.9, (), entities=tuple(extract(text)))
    settled = settle(guess)
    assert settled.intent == intent
    if intent == "low_temperature":
        assert settled.confidence == 0.9  # how sure the words are stays as it is
