"""Rules are versions: the shipped ones come once, an operator's own win, and each counts from its day on."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from bot import rules
from bot.clock import VirtualClock
from bot.database import Database
from bot.models import Rule
from bot.rules import RuleSource, load_shipped, shipped


@pytest.fixture
def source(database: Database, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> RuleSource:
    """Reads the rows anew at every look."""
    monkeypatch.setattr(rules, "REFRESH_SECONDS", 0.0)
    return RuleSource(database, "12345")


def add(
    database: Database, name: str, changes: dict[str, Any], *, ours: bool = True, since: date | None = None
) -> None:
    """A version of a rule: the newest one with changes; an operator's own unless it came with the software."""
    with database.transaction() as session:
        newest = session.scalars(select(Rule).where(Rule.name == name).order_by(Rule.id.desc())).first()
        assert newest is not None
        session.add(
            Rule(
                name=name,
                digest="x" * 64,
                body={**newest.body, **changes},
                valid_from=since or date(2026, 11, 1),
                created_at=newest.created_at,
                shipped=not ours,
            )
        )


def versions(database: Database, name: str) -> int:
    with database.reading() as session:
        return session.scalar(select(func.count()).select_from(Rule).where(Rule.name == name)) or 0


def test_shipped_rules_are_loaded_once(database: Database) -> None:
    with database.transaction() as session:
        assert load_shipped(session) == 0
    assert all(versions(database, name) == 1 for name in shipped())


def test_a_changed_shipped_rule_adds_a_version_and_keeps_the_old_one(
    database: Database, source: RuleSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert source.current().dialogue.callback_minutes == 30
    changed = shipped()
    changed["dialogue"] = {**changed["dialogue"], "callback_minutes": 45}
    monkeypatch.setattr(rules, "shipped", lambda: changed)
    with database.transaction() as session:
        assert load_shipped(session) == 1
    assert versions(database, "dialogue") == 2
    assert source.current().dialogue.callback_minutes == 45


def test_an_administrators_version_wins_over_the_shipped_one_even_when_that_is_newer(
    database: Database, source: RuleSource
) -> None:
    add(database, "dialogue", {"callback_minutes": 20})
    assert source.current().dialogue.callback_minutes == 20
    add(database, "dialogue", {"callback_minutes": 60}, ours=False)
    assert source.current().dialogue.callback_minutes == 20
    add(database, "dialogue", {"callback_minutes": 15})
    assert source.current().dialogue.callback_minutes == 15


def test_a_rule_counts_from_its_local_day_on(database: Database, source: RuleSource, clock: VirtualClock) -> None:
    add(database, "dialogue", {"callback_minutes": 10}, since=date(2026, 11, 24))
    assert source.current().dialogue.callback_minutes == 30
    clock.advance(timedelta(hours=13, minutes=59))  # 23:59 in China
    assert source.current().dialogue.callback_minutes == 30
    clock.advance(timedelta(minutes=1))
    assert source.current().dialogue.callback_minutes == 10


def test_without_a_change_the_same_book_is_given(source: RuleSource) -> None:
    assert source.current() is source.current()


def test_an_empty_database_says_what_to_do(database: Database, source: RuleSource) -> None:
    with database.transaction() as session:
        for row in session.scalars(select(Rule)):
            session.delete(row)
    with pytest.raises(RuntimeError, match="heatline db upgrade"):
        source.current()


def test_the_shipped_rules_fit_together() -> None:
    raw = shipped()
    assert set(raw["tickets"]["faults"]) == set(raw["tickets"]["names"])
    assert set(raw["tickets"]["priorities"]) == set(raw["tickets"]["faults"])
    assert all(body.get("valid_from") or body.get("date") or body.get("version") for body in raw.values())


def test_a_season_has_its_days_in_order() -> None:
    seasons = rules.shipped_dialogue_rules().seasons
    assert all(season.start < season.end for season in seasons)
    ids = [answer.id for answer in rules.shipped_dialogue_rules().answers]
    assert len(ids) == len(set(ids))
