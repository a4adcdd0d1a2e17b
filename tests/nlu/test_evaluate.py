"""The arithmetic of the scores, on a handful of sentences that can be counted by hand."""

from __future__ import annotations

from typing import Any

import pytest

from nlu.chart import confusion_svg, reliability_svg
from nlu.evaluate import Pair, below_floors, score, score_acts
from nlu.types import Entity, Understanding


def pair(intent: str, got: str, confidence: float = 0.9, found: Understanding | None = None, **row: Any) -> Pair:
    return Pair({"text": "t", "intent": intent, **row}, found or Understanding("t", got, confidence))


def understood(intent: str, also: tuple[str, ...] = (), entities: tuple[Entity, ...] = ()) -> Understanding:
    return Understanding("t", intent, 0.65, also=also, entities=entities)


PAIRS = [
    pair("leak", "leak", 0.95),
    pair("leak", "no_heat", 0.85),
    pair("leak", "danger", found=understood("danger", ("leak",))),
    pair("out_of_scope", "leak", 0.55),
    pair("out_of_scope", "out_of_scope", 0.95),
]


def test_the_figures_are_those_one_counts_by_hand() -> None:
    report = score(PAIRS)
    assert report["accuracy"] == pytest.approx(2 / 5)
    assert report["problems_accuracy"] == pytest.approx(1 / 3)
    assert report["leak_recall"] == pytest.approx(2 / 3), "a leak found besides a danger is found"
    assert report["false_reports"] == pytest.approx(1 / 2)
    assert report["intents"]["leak"] == {"precision": 0.5, "recall": pytest.approx(1 / 3), "f1": 0.4, "support": 3}
    assert report["confusion"]["leak"] == {"danger": 1, "leak": 1, "no_heat": 1}
    assert [error["confidence"] for error in report["errors"]] == [0.85, 0.65, 0.55]


def test_calibration_is_the_weighted_gap() -> None:
    right, wrong = pair("leak", "leak", 0.8), pair("leak", "billing", 0.8)
    assert score([right, wrong])["calibration"]["ece"] == pytest.approx(0.3)


def test_also_is_scored_over_lines_that_say_it() -> None:
    pairs = [
        pair("leak", "", found=understood("leak", ("billing", "urge")), also=["billing"]),
        pair("leak", "", found=understood("leak"), also=["no_heat"]),
        pair("leak", "", found=understood("leak", ("danger",))),
    ]
    assert score(pairs)["also"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5}


def test_entities_are_compared_by_kind_and_value() -> None:
    found = understood(
        "leak", entities=(Entity("building", "3", "三号楼", 0, 3), Entity("temperature", "15", "15度", 3, 6))
    )
    wanted = [
        {"entity": "building", "value": "3"},
        {"entity": "temperature", "value": 15.0},
        {"entity": "room", "value": "501"},
    ]
    scores = score([pair("leak", "", found=found, entities=wanted)])["entities"]
    assert scores["building"]["f1"] == scores["temperature"]["f1"] == 1.0
    assert scores["room"]["recall"] == 0.0
    assert scores["all"]["recall"] == pytest.approx(2 / 3)


def test_a_score_under_its_floor_is_named() -> None:
    report = score(PAIRS)
    floors = {"accuracy": 0.3, "leak_recall": 0.9, "max_false_reports": 0.2, "max_calibration.ece": 0.9}
    assert below_floors(report, floors) == [
        "leak_recall is 0.6667, below 0.9",
        "false_reports is 0.5000, above 0.2",
    ]


def test_the_chart_holds_every_intent_that_occurs() -> None:
    svg = confusion_svg(score(PAIRS)["confusion"])
    assert svg.count("<rect") == 16
    assert all(f">{intent}</text>" in svg for intent in ("leak", "danger", "no_heat", "out_of_scope"))


def test_near_misses_and_ordinary_messages_are_counted_apart() -> None:
    pairs = [pair("out_of_scope", "leak", near="yes"), pair("out_of_scope", "out_of_scope"), pair("leak", "leak")]
    report = score([*pairs, pair("out_of_scope", "no_heat"), pair("out_of_scope", "billing")])
    assert report["false_reports"] == pytest.approx(1 / 2)
    assert report["near_false_reports"] == 1.0
    assert report["ordinary_false_reports"] == pytest.approx(1 / 3), "what opens no ticket is no report"


def test_what_the_dialogue_acts_on_is_scored_apart_from_what_was_understood() -> None:
    acts = [
        (pair("leak", "no_heat", 0.4), "leak"),
        (pair("leak", "leak", 0.2), None),
        (pair("leak", "danger", found=understood("danger", ("leak",))), "danger"),
        (pair("out_of_scope", "leak", 0.2), None),
        (pair("out_of_scope", "no_heat", near="yes"), "no_heat"),
    ]
    acted = score_acts(acts)
    assert acted["leak_found"] == pytest.approx(2 / 3)
    assert (acted["ordinary_false_reports"], acted["near_false_reports"]) == (0.0, 1.0)
    assert acted["asked"] == pytest.approx(2 / 5)
    assert acted["right_when_acted"] == pytest.approx(1 / 3)


def test_a_duration_is_met_where_its_span_is_and_right_where_its_value_is() -> None:
    wanted = {"entity": "duration", "value": "昨晚开始", "start": 1, "end": 5}
    got = (Entity("duration", "从昨晚开始", "从昨晚开始", 0, 5),)
    entities = score([pair("no_heat", "", found=understood("no_heat", entities=got), entities=[wanted])])["entities"]
    assert (entities["duration"]["f1"], entities["duration_met"]["f1"]) == (0.0, 1.0)


def test_the_reliability_diagram_has_a_bar_for_every_tenth_that_occurs() -> None:
    table = score(PAIRS)["calibration"]["table"]
    svg = reliability_svg(table)
    assert svg.count("<rect") == svg.count("<circle") == len(table)
