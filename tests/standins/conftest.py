"""The service with its stand-ins, on both engines, on virtual time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot import rules
from bot.clock import VirtualClock
from bot.database import Database
from bot.settings import Settings
from tests.standins.service import Trial, build
from tests.standins.wechat import OPENID, PHONE, REPORT


@pytest.fixture
def trial(settings: Settings, database: Database, clock: VirtualClock) -> Iterator[Trial]:
    """A service whose WeChat is in safe mode."""
    made = build(settings, database)
    yield made
    made.drain()


@pytest.fixture
def fresh_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that a test adds counts at once."""
    monkeypatch.setattr(rules, "REFRESH_SECONDS", 0.0)


@pytest.fixture
def with_phone(trial: Trial) -> Trial:
    """A WeChat resident who has reported and told a phone."""
    trial.standins.wechat.push_text(OPENID, REPORT)
    trial.standins.wechat.push_text(OPENID, PHONE.removeprefix("+86"))
    trial.drain()
    return trial
