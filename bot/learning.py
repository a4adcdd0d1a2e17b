"""Trainings asked for at the desk: one at a time, in a process of their own; then the comparison with the live model.

The web process only starts `heatline nlu learn ID` and reads the row that this keeps up to date, so that a training
survives a closed page and a restart of the service.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from bot import clock, verdicts
from bot.comparison import compare
from bot.database import Database
from bot.nlu_server import shelf
from bot.review_models import Learning
from bot.services import Services
from bot.settings import ROOT, Settings, variable
from bot.similar import SENTENCES
from bot.trace import trace
from nlu.evaluate import below_floors
from nlu.shelf import Model
from nlu.training import Progress, train

log = logging.getLogger(__name__)

SILENCE = timedelta(minutes=20)  # a training that has not been heard of for so long has died
NICENESS = 15
FLOORS = ROOT / "nlu" / "floors.yml"
_TRAINING = 0.7  # the share of the whole that training takes; comparing takes the rest
_GUARDED = ("leak_recall", "danger_recall")

Train = Callable[[Sequence[Path], Path, Progress | None], Model]


class Refused(Exception):
    """A model may not go live; the message says why, in the desk's words."""


# --- asked for at the desk


def start(services: Services, staff_id: int) -> int | None:
    """Have a model trained; returns the run's id, None where one is running already."""
    now = clock.now()
    with services.database.transaction() as session:
        bury(session, now)
    try:
        with services.database.transaction() as session:
            run = Learning(state="running", progress=0.0, step="准备", started_at=now, started_by=staff_id, beat_at=now)
            session.add(run)
            session.flush()
            run_id = run.id
    except IntegrityError:
        return None
    try:
        spawn(services.settings, run_id)
    except OSError as error:
        log.error("The training could not be started: %s", trace(error))
        with services.database.transaction() as session:
            _end(session, run_id, error="训练进程没有启动")
    return run_id


def spawn(settings: Settings, run_id: int) -> None:
    """Start the process that trains. It is the leader of its own session, so that it outlives the web process."""
    environment = {variable(item.name): getattr(settings, item.name) for item in fields(settings)}
    subprocess.Popen(
        [sys.executable, "-m", "bot.cli", "nlu", "learn", str(run_id)],
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def bury(session: Session, now: datetime) -> None:
    """A training whose process is gone has failed, and another may start."""
    session.execute(
        update(Learning)
        .where(Learning.state == "running", Learning.beat_at < now - SILENCE)
        .values(state="failed", ended_at=now, error="训练进程中断了，请重新训练")
        .execution_options(synchronize_session=False)
    )


def latest(session: Session, count: int = 10) -> list[Learning]:
    """The last trainings, the newest first."""
    return list(session.scalars(select(Learning).order_by(Learning.id.desc()).limit(count)))


def report_of(run: Learning) -> dict[str, Any]:
    """What was found out about a run's model; {} before it is done."""
    return dict(json.loads(run.report)) if run.report else {}


# --- in the process that trains


def carry_out(database: Database, settings: Settings, services: Services, run_id: int, trainer: Train = train) -> None:
    """Train on the corpus and the verdicts, compare with the live model, and keep the report. Never raises."""
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    try:
        report = _learn(database, settings, services, run_id, trainer)
    except Exception as error:
        log.error("Training %s failed: %s", run_id, trace(error))
        with database.transaction() as session:
            _end(session, run_id, error=f"{type(error).__name__}: {str(error)[-300:]}")
        return
    with database.transaction() as session:
        _end(session, run_id, report=report)


def _learn(database: Database, settings: Settings, services: Services, run_id: int, trainer: Train) -> dict[str, Any]:
    places = services.gazetteer.current()
    with database.reading() as session:
        lines = list(verdicts.export(session, places))
        held_back = list(verdicts.export(session, places, held_back=True))
    live, folder = shelf(settings).live(), shelf(settings).folder
    with tempfile.TemporaryDirectory(prefix="heatline-verdicts-") as work:
        data = [SENTENCES, *([write_lines(Path(work) / "verdicts.jsonl", lines)] if lines else [])]
        model = trainer(data, folder, lambda done, what: _beat(database, run_id, done * _TRAINING, f"训练：{what}"))
    with database.transaction() as session:
        values = {"model": model.name, "compared_with": live.name if live else None}
        session.execute(update(Learning).where(Learning.id == run_id).values(**values))
    compared = compare(
        live,
        model,
        held_back,
        lambda done, what: _beat(database, run_id, _TRAINING + done * (1 - _TRAINING), what),
    )
    return {
        **compared,
        "verdicts": len(lines),
        "held_back": len(held_back),
        "conflicts": [
            {"text": found.text, "labels": [list(label) for label in found.labels]}
            for found in verdicts.conflicts([*lines, *held_back])
        ],
        "suspects": list(model.measured.get("suspects") or ())[:100],
    }


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> Path:
    """Write JSON Lines, readable by us only."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
    return path


def _beat(database: Database, run_id: int, progress: float, step: str) -> None:
    with database.transaction() as session:
        values = {"progress": progress, "step": step[:80], "beat_at": clock.now()}
        session.execute(update(Learning).where(Learning.id == run_id).values(**values))


def _end(session: Session, run_id: int, *, report: Mapping[str, Any] | None = None, error: str | None = None) -> None:
    values: dict[str, Any] = {"state": "failed" if error else "done", "ended_at": clock.now(), "error": error}
    if report is not None:
        values |= {"report": json.dumps(report, ensure_ascii=False), "progress": 1.0, "step": None}
    session.execute(update(Learning).where(Learning.id == run_id).values(**values))


# --- putting a model live


def obstacles(report: Mapping[str, Any], floors: Path = FLOORS) -> list[str]:
    """Why a model may not go live at all: what of the frozen test set it fails, one sentence each."""
    scores = (report.get("frozen") or {}).get("candidate")
    if not scores:
        return ["没有固定测试集的成绩，不能上线"]
    return below_floors(scores, yaml.safe_load(floors.read_text(encoding="utf-8")))


def falls(report: Mapping[str, Any]) -> list[str]:
    """Which of the scores that guard life and homes fall, by set of messages: these need a second person."""
    found = []
    for name in ("frozen", "held"):
        pair = report.get(name) or {}
        live, candidate = pair.get("live"), pair.get("candidate")
        if live and candidate:
            found += [f"{name}.{score}" for score in _GUARDED if candidate[score] < live[score]]
    return found


def promote(session: Session, settings: Settings, run_id: int, staff_id: int) -> str:
    """Put a run's model live, or note that one person wants to; returns "promoted" or "asked". Raises Refused.

    Where recall of leaks or danger falls, two people must want it.
    """
    run = session.get(Learning, run_id, with_for_update=True)
    if run is None or run.state != "done" or run.model is None:
        raise Refused("这次训练没有可以上线的模型。")
    report = report_of(run)
    if missed := obstacles(report):
        raise Refused("达不到底线，不能上线：" + "；".join(missed))
    if falls(report) and run.asked_by is None:
        run.asked_by = staff_id
        return "asked"
    if falls(report) and run.asked_by == staff_id:
        raise Refused("漏水或险情的召回下降了，要由另一位同事确认上线。")
    shelf(settings).promote(run.model)
    run.promoted_by, run.promoted_at = staff_id, clock.now()
    return "promoted"
