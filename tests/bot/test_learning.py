"""Verdicts become training data: masked, without frozen messages, with where they come from; and a run that trains."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bot import clock as service_clock
from bot import learning, verdicts
from bot.cli import main
from bot.clock import VirtualClock
from bot.comparison import changes, compare
from bot.comprehension import new_words, weeks
from bot.models import Message, Review, Staff
from bot.review_models import Learning
from bot.settings import ROOT, variable
from nlu.corpus import digest, read_corpus, read_training
from nlu.shelf import Model, Shelf
from nlu.training import Progress, train
from tests.bot.helpers import Core

FROZEN = ROOT / "tests" / "intents"


def judged(core: Core, text: str, intent: str, also: Sequence[str] = (), entities: str | None = None) -> int:
    """A message with a verdict; returns the review's id."""
    number = core.receive(text, sender=f"+86199{len(core.rows(Message)):08d}").message_id
    with core.services.database.transaction() as session:
        people = session.query(Staff).all()
        person = (
            people[0]
            if people
            else Staff(name="小核", password_hash="x", role="reviewer", active=True, created_at=service_clock.now())
        )
        session.add(person)
        message = session.get_one(Message, number)
        message.intent, message.confidence, message.model = "consult", 0.4, "model-1"
        message.handled_at = service_clock.now()
        session.flush()
        row = Review(
            message_id=message.id,
            reason="unsure",
            guess="consult",
            created_at=service_clock.now(),
            verdict=intent,
            verdict_also=list(also),
            verdict_entities=entities,
            decided_at=service_clock.now(),
            decided_by=person.id,
        )
        session.add(row)
        session.flush()
        return row.id


def exported(core: Core) -> list[dict[str, Any]]:
    """Every line, held back or not."""
    with core.services.database.reading() as session:
        places = core.services.gazetteer.current()
        return [line for held in (False, True) for line in verdicts.export(session, places, held_back=held)]


def test_a_verdict_is_exported_with_its_origin_and_without_its_person(core: Core) -> None:
    judged(core, "我是张伟民，阳光花园3号楼2单元501湿哒哒的，电话13812345678", "leak", ["no_heat"])
    (line,) = exported(core)
    assert (line["intent"], line["also"], line["origin"]) == ("leak", ["no_heat"], "verdict:unsure")
    assert (line["guess"], line["model"], line["date"]) == ("consult", "model-1", "2026-11-23")
    assert line["reviewer"].startswith("staff-")
    everything = json.dumps(line, ensure_ascii=False)
    assert [private for private in ("张伟民", "阳光花园", "501湿", "13812345678") if private in everything] == []
    assert {e["entity"] for e in line["entities"]} == {"community", "building", "unit", "room", "phone"}
    assert all(line["text"][e["start"] : e["end"]] == e["text"] for e in line["entities"])


def test_the_export_is_what_training_reads(core: Core, tmp_path: Path) -> None:
    judged(core, "阳光花园3号楼2单元501湿哒哒的", "leak", ["no_heat"])
    path = learning.write_lines(tmp_path / "verdicts.jsonl", exported(core))
    assert path.stat().st_mode & 0o077 == 0
    (sentence,) = read_training([path])
    assert (sentence.intent, sentence.also) == ("leak", ("no_heat",))
    assert [e.entity for e in sentence.entities] == ["community", "building", "unit", "room"]


def test_no_message_of_the_frozen_set_is_ever_exported(core: Core) -> None:
    frozen = [s for s in read_corpus(FROZEN) if 8 <= len(s.text) <= 60 and s.intent not in ("danger",)][::40]
    assert len(frozen) > 20
    for sentence in frozen:
        judged(core, sentence.text, sentence.intent)
        judged(core, f"{sentence.text}！", sentence.intent)
    judged(core, "楼上那家半夜装修，咚咚咚的没完", "out_of_scope")
    assert [line["text"] for line in exported(core)] == ["楼上那家半夜装修，咚咚咚的没完"]


def test_what_a_rule_decides_is_not_learnt(core: Core) -> None:
    judged(core, "退订", "unsubscribe")
    assert exported(core) == []


def test_some_verdicts_are_held_back_and_none_is_both(core: Core) -> None:
    words = ("片", "管", "阀", "炉", "表", "灯", "门", "窗", "泵", "网")
    for first in words:
        for second in words[:5]:
            judged(core, f"这个{first}子跟{second}子到底归谁管呢", "consult")
    with core.services.database.reading() as session:
        places = core.services.gazetteer.current()
        trained = {line["text"] for line in verdicts.export(session, places)}
        held = {line["text"] for line in verdicts.export(session, places, held_back=True)}
    assert trained
    assert held
    assert not trained & held
    assert len(held) < len(trained)


def test_contradicting_labels_are_listed() -> None:
    corpus = next(s for s in read_corpus(ROOT / "data" / "intents") if s.intent == "no_heat")
    lines = [
        {"text": corpus.text, "intent": "urge", "origin": "verdict:unsure"},
        {"text": "这句没有别的说法吧", "intent": "consult", "origin": "verdict:unsure"},
        {"text": "这句没有别的说法吧！", "intent": "thanks", "origin": "verdict:sample"},
    ]
    found = {conflict.text: dict(conflict.labels) for conflict in verdicts.conflicts(lines)}
    assert found[corpus.text] == {"urge": "verdict:unsure", "no_heat": "corpus"}
    assert found["这句没有别的说法吧！"] == {"consult": "verdict:unsure", "thanks": "verdict:sample"}


def test_the_command_writes_what_training_takes(core: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judged(core, "楼上那家半夜装修，咚咚咚的没完", "out_of_scope")
    for name in ("database_url", "data_key", "secret_key", "nlu_token"):
        monkeypatch.setenv(variable(name), getattr(core.services.settings, name))
    lines = []
    for option in ([], ["--held-back"]):
        path = tmp_path / "verdicts.jsonl"
        result = CliRunner().invoke(main, ["nlu", "verdicts", str(path), *option])
        assert result.exit_code == 0, result.output
        lines += path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["intent"] for line in lines] == ["out_of_scope"]


# --- a run


def run_of(core: Core) -> int:
    with core.services.database.transaction() as session:
        row = Learning(state="running", progress=0.0, started_at=service_clock.now(), beat_at=service_clock.now())
        session.add(row)
        session.flush()
        return row.id


def test_a_run_trains_on_the_verdicts_and_keeps_the_comparison(
    core: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judged(core, "楼上那家半夜装修，咚咚咚的没完", "out_of_scope")
    settings = replace(core.services.settings, models_dir=str(tmp_path))
    given: list[list[str]] = []

    def trainer(paths: Sequence[Path], models: Path, progress: Progress | None) -> Model:
        given.append([s.text for path in paths[1:] for s in read_training([path])])
        assert progress is not None
        progress(0.5, "half way")
        return Model("heatline-new", models / "heatline-new.tar.gz", False, {"suspects": [{"text": "好凉"}]})

    monkeypatch.setattr(learning, "compare", lambda live, model, held, tell: {"frozen": {}, "held": {}, "changes": {}})
    monkeypatch.setattr("os.nice", lambda by: by)
    run_id = run_of(core)
    learning.carry_out(core.services.database, settings, core.services, run_id, trainer)
    run = core.one(Learning)
    assert (run.state, run.model, run.progress) == ("done", "heatline-new", 1.0)
    report = learning.report_of(run)
    assert report["verdicts"] + report["held_back"] == 1
    assert len(given[0]) == report["verdicts"] if given else report["held_back"] == 1
    assert report["suspects"] == [{"text": "好凉"}]


def test_a_run_that_fails_says_why(core: Core, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def trainer(paths: Sequence[Path], models: Path, progress: Progress | None) -> Model:
        raise RuntimeError("no disk left")

    monkeypatch.setattr("os.nice", lambda by: by)
    settings = replace(core.services.settings, models_dir=str(tmp_path))
    learning.carry_out(core.services.database, settings, core.services, run_of(core), trainer)
    run = core.one(Learning)
    assert run.state == "failed"
    assert "no disk left" in (run.error or "")


def test_confusions_that_come_and_go_are_told() -> None:
    live = {"confusion": {"leak": {"leak": 8, "billing": 3}, "no_heat": {"urge": 1}}}
    candidate = {"confusion": {"leak": {"leak": 10, "billing": 1}, "no_heat": {"urge": 2}}}
    moved = changes({"live": live, "candidate": candidate})
    assert moved["won"] == [{"intent": "leak", "taken_for": "billing", "count": 2}]
    assert moved["lost"] == [{"intent": "no_heat", "taken_for": "urge", "count": 1}]


# --- how well messages are understood


def test_weeks_count_messages_questions_and_corrections(core: Core, clock: VirtualClock) -> None:
    judged(core, "楼上那家半夜装修，咚咚咚的没完", "out_of_scope")
    judged(core, "暖气费能不能微信交", "consult")
    clock.advance(timedelta(days=7))
    judged(core, "这个阀门归谁管", "consult")
    with core.services.database.reading() as session:
        before, now = weeks(session, service_clock.now(), core.services.settings.zone, 2)
    assert (before.total.volume, before.total.asked, before.total.corrected) == (2, 2, 1)
    assert (now.total.volume, now.total.corrected) == (1, 0)
    assert before.rows[0].correction_rate == 0.5


def test_new_words_are_those_of_several_residents(core: Core) -> None:
    for tail in ("了", "啊", "呀"):
        judged(core, f"暖气片魑魅{tail}", "other_repair")
    judged(core, "暖气片魍魉了", "other_repair")
    with core.services.database.reading() as session:
        found = dict(new_words(session, service_clock.now(), core.services.gazetteer.current()))
    assert found["魑魅"] == 3
    assert "魍魉" not in found


@pytest.mark.model
@pytest.mark.slow
def test_a_real_training_makes_a_model_that_was_compared(core: Core, tmp_path: Path) -> None:
    """Trains for real on a small corpus; only the number of sentences is not that of production."""
    corpus = tmp_path / "intents"
    corpus.mkdir()
    everything = read_corpus(ROOT / "data" / "intents")
    for path in sorted((ROOT / "data" / "intents").glob("*.yml")):
        sentences = [s.text for s in everything if s.intent == path.stem][:60]
        body = {"intent": path.stem, "sentences": [{"text": text} for text in sentences]}
        (corpus / path.name).write_text(json.dumps(body, ensure_ascii=False), encoding="utf-8")
    rows = [{"text": "厨房暖气管漏水了", "intent": "leak"}, {"text": "谢谢你们", "intent": "thanks"}]
    model = train([corpus, learning.write_lines(tmp_path / "verdicts.jsonl", rows)], tmp_path / "models")
    report = compare(None, model, rows, lambda done, what: None, tmp_path / "no frozen set")
    assert report["held"]["candidate"]["sentences"] == 2
    assert report["held"]["candidate"]["model"].startswith(model.name)
    assert isinstance(model.measured["suspects"], list)
    assert Shelf(tmp_path / "models").live() is not None
    assert digest(read_training([corpus])) != model.measured["corpus"]
