"""What a process is made of, built once: settings, database, rules, places, understanding, channels."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from bot import clock, crypto
from bot.channels import Channel
from bot.channels.registry import create_channels
from bot.database import Database
from bot.gazetteer import GazetteerSource
from bot.rules import RuleSource
from bot.settings import Settings
from bot.tickets import Context
from bot.ways import MAINLAND_FIRST
from nlu.interpreter import Interpreter, RasaInterpreter


@dataclass
class Services:
    """One process's services. Build it with `create`, or by hand in tests."""

    settings: Settings
    database: Database
    rules: RuleSource
    gazetteer: GazetteerSource
    interpreter: Interpreter
    channels: Mapping[str, Channel]
    inline_slots: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(8))

    def context(self, session: Session) -> Context:
        """What a change of tickets needs, at this moment."""
        sms = next((name for name in MAINLAND_FIRST if name in self.channels), None)
        return Context(session, self.rules.current(), clock.now(), self.settings.zone, sms)


def create(settings: Settings, interpreter: Interpreter | None = None) -> Services:
    """Build the services from settings. Configures this process's encryption."""
    crypto.configure(settings.data_key)
    database = Database(settings.database_url)
    return Services(
        settings=settings,
        database=database,
        rules=RuleSource(database, settings.shown_hotline, settings.zone, settings.company),
        gazetteer=GazetteerSource(database),
        interpreter=interpreter or RasaInterpreter(settings.nlu_url, settings.nlu_token),
        channels=create_channels(settings, database),
        inline_slots=threading.Semaphore(int(settings.inline_turns)),
    )
