"""The service with its stand-ins, on both engines, on virtual time."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.clock import VirtualClock
from bot.database import Database
from bot.settings import Settings
from tests.standins.service import Trial, build


@pytest.fixture
def trial(settings: Settings, database: Database, clock: VirtualClock) -> Iterator[Trial]:
    """A service whose WeChat is in safe mode."""
    made = build(settings, database)
    yield made
    made.drain()
