"""The core on a fresh database of each engine, on virtual time."""

from __future__ import annotations

import pytest

from bot.clock import VirtualClock
from bot.database import Database
from bot.gazetteer import GazetteerSource
from bot.rules import RuleSource
from bot.services import Services
from bot.settings import Settings
from tests.bot.helpers import Core, Provider, Scripted


@pytest.fixture
def core(database: Database, settings: Settings, clock: VirtualClock) -> Core:
    """Services whose understanding and provider the test commands."""
    interpreter, provider = Scripted(), Provider()
    services = Services(
        settings=settings,
        database=database,
        rules=RuleSource(database, "12345"),
        gazetteer=GazetteerSource(database),
        interpreter=interpreter,
        channels={provider.name: provider},
    )
    return Core(services, interpreter, provider)
