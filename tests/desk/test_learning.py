"""The page of learning: train, compare, put live, roll back; and how well messages are understood."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from bot import learning, staff
from bot.app import create_app
from bot.clock import VirtualClock
from bot.review_models import Learning
from bot.services import Services
from nlu.shelf import Shelf
from tests.desk.conftest import Desk, Report, hidden_fields

GOOD: dict[str, Any] = {
    "sentences": 100,
    "accuracy": 0.95,
    "macro_f1": 0.95,
    "problems_accuracy": 0.96,
    "leak_recall": 0.99,
    "danger_recall": 0.99,
    "false_reports": 0.02,
    "ordinary_false_reports": 0.01,
    "near_false_reports": 0.02,
    "calibration": {"ece": 0.01, "table": []},
    "also": {"f1": 0.9},
    "entities": {
        kind: {"f1": 0.999}
        for kind in (
            *("building", "unit", "community", "room", "phone", "account_no", "temperature"),
            *("all", "duration_met"),
        )
    },
    "facts": {kind: {"f1": 0.999} for kind in ("scope", "severity", "need")},
    "acted": {
        "leak_found": 0.99,
        "danger_found": 0.99,
        "right_when_acted": 0.99,
        "ordinary_false_reports": 0.0,
        "near_false_reports": 0.0,
        "asked": 0.0,
    },
    "intents": {"leak": {"f1": 0.9, "precision": 0.9, "recall": 0.9, "support": 10}},
    "confusion": {"leak": {"leak": 9, "billing": 1}},
}


@pytest.fixture
def services(services: Services, tmp_path: Path) -> Services:
    """With two models on a shelf of their own; the older one is live."""
    folder = tmp_path / "models"
    folder.mkdir()
    for name in ("heatline-1", "heatline-2"):
        (folder / f"{name}.tar.gz").write_bytes(b"")
    shelf = Shelf(folder)
    shelf.promote("heatline-1")
    services.settings = replace(services.settings, models_dir=str(folder))
    return services


@pytest.fixture
def app(services: Services) -> Flask:
    return create_app(services)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The runs whose process was started; none really is."""
    runs: list[int] = []
    monkeypatch.setattr(learning, "spawn", lambda settings, run_id: runs.append(run_id))
    return runs


def live(services: Services) -> str:
    model = Shelf(Path(services.settings.models_dir)).live()
    assert model is not None
    return model.name


def finish(services: Services, run_id: int, **candidate: Any) -> None:
    """The training ends with these scores of the candidate on the frozen messages."""
    pair = {"live": GOOD, "candidate": {**GOOD, **candidate}}
    report = {
        "frozen": pair,
        "held": {},
        "changes": {"frozen": {"won": [], "lost": []}, "held": {"won": [], "lost": []}},
        "verdicts": 7,
        "held_back": 2,
        "conflicts": [{"text": "不热", "labels": [["no_heat", "corpus"], ["urge", "verdict:unsure"]]}],
        "suspects": [{"text": "好凉", "label": "thanks", "likely": "no_heat", "margin": 0.5}],
    }
    with services.database.transaction() as session:
        run = session.get_one(Learning, run_id)
        run.state, run.model, run.compared_with = "done", "heatline-2", "heatline-1"
        run.report = json.dumps(report)


def post(desk: Desk, action: str) -> str:
    token = hidden_fields(desk.get("/desk/learning"), "/desk/logout")["csrf_token"]
    return desk.client.post(action, data={"csrf_token": token}, follow_redirects=True).text


def train(desk: Desk, services: Services) -> int:
    post(desk, "/desk/learning/train")
    with services.database.reading() as session:
        return session.scalars(select(Learning.id).order_by(Learning.id.desc())).first() or 0


@pytest.mark.parametrize("role", ["reviewer", "agent", "crew"])
def test_learning_is_for_supervisors_and_administrators(desk: Desk, role: str) -> None:
    desk.enter(role, "T-js-1" if role == "crew" else None)
    assert desk.client.get("/desk/learning").status_code == 403


def test_one_training_runs_at_a_time_and_survives_a_reload(desk: Desk, services: Services, started: list[int]) -> None:
    desk.enter("supervisor")
    assert "开始训练" in post(desk, "/desk/learning/train")
    assert "已经在训练了" in post(desk, "/desk/learning/train")
    assert len(started) == 1
    with services.database.transaction() as session:
        run = session.get_one(Learning, started[0])
        run.progress, run.step = 0.4, "held-out part 2 of 5"
    assert "40%" in desk.get("/desk/learning")
    assert "held-out part 2 of 5" in desk.get("/desk/learning/progress")


def test_a_training_whose_process_died_makes_room_for_another(
    desk: Desk, clock: VirtualClock, started: list[int]
) -> None:
    desk.enter("supervisor")
    post(desk, "/desk/learning/train")
    clock.advance(learning.SILENCE * 2)
    desk.log_in("小王")  # a desk that nobody touches for so long has closed itself
    assert "训练进程中断了" in desk.get("/desk/learning")
    post(desk, "/desk/learning/train")
    assert len(started) == 2


def test_a_better_model_goes_live_and_one_click_goes_back(desk: Desk, services: Services, started: list[int]) -> None:
    desk.enter("supervisor")
    run_id = train(desk, services)
    finish(services, run_id, accuracy=0.96)
    page = desk.get("/desk/learning")
    for words in ("96.0%", "▲ 1.0", "标为 感谢", "更像 无供暖"):
        assert words in page
    assert "已上线" in post(desk, f"/desk/learning/{run_id}/promote")
    assert live(services) == "heatline-2"
    assert "已退回 heatline-1" in post(desk, "/desk/learning/rollback")
    assert live(services) == "heatline-1"


def test_a_model_under_the_floors_cannot_go_live(desk: Desk, services: Services, started: list[int]) -> None:
    desk.enter("administrator")
    run_id = train(desk, services)
    finish(services, run_id, accuracy=0.5)
    assert "上线这个模型" not in desk.get("/desk/learning")
    assert "达不到底线" in post(desk, f"/desk/learning/{run_id}/promote")
    assert live(services) == "heatline-1"


@pytest.mark.parametrize("score", ["leak_recall", "danger_recall"])
def test_a_fall_of_what_guards_life_needs_a_second_person(
    desk: Desk, services: Services, started: list[int], score: str
) -> None:
    desk.enter("supervisor")
    run_id = train(desk, services)
    finish(services, run_id, **{score: GOOD[score] - 0.005})
    promote = f"/desk/learning/{run_id}/promote"
    assert "另一位同事" in post(desk, promote)
    assert "另一位同事" in post(desk, promote)
    assert live(services) == "heatline-1"
    desk.client.post("/desk/logout", data=hidden_fields(desk.get("/desk/learning"), "/desk/logout"))
    with services.database.transaction() as session:
        staff.add(session, "小李", "correct horse battery", "administrator")
    desk.log_in("小李")
    assert "已上线" in post(desk, promote)
    assert live(services) == "heatline-2"


def test_understanding_is_told_by_week_as_page_and_csv(desk: Desk, report: Report) -> None:
    report("暖气冰凉")
    desk.enter("supervisor")
    page = desk.get("/desk/learning/health")
    assert "<svg" in page
    answer = desk.client.get("/desk/learning/health.csv")
    assert answer.mimetype == "text/csv"
    assert answer.text.lstrip("\ufeff").startswith("week,intent,messages")
