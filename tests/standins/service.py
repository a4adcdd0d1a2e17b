"""The whole service in one process, its providers replaced by the stand-ins, understanding by a few words."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

from flask import Flask
from sqlalchemy import Select, select

from bot import worker
from bot.app import create_app
from bot.channels import sms_twilio, wechat
from bot.database import Database
from bot.gazetteer import GazetteerSource
from bot.models import Delivery, Message
from bot.passive import PassiveMarker
from bot.rules import RuleSource
from bot.services import Services
from bot.settings import Settings
from bot.standins import DEMO_CREDENTIALS, StandIns
from bot.standins.transport import AppTransport, session_into
from nlu.entities import extract
from nlu.gazetteer import Gazetteer
from nlu.interpreter import NluUnavailable
from nlu.types import Understanding

Row = TypeVar("Row", Message, Delivery)
BASE = "http://127.0.0.1:8000"
WORDS = {"不热": "no_heat", "冰凉": "no_heat", "漏水": "leak", "谢谢": "thanks", "你好": "greet"}


class WordInterpreter:
    """Knows a few words; `down` makes it unavailable."""

    down = False

    def understand(self, text: str, gazetteer: Gazetteer | None = None) -> Understanding:
        """The intent of the first known word."""
        if self.down:
            raise NluUnavailable("told to be down")
        intent = next((intent for word, intent in WORDS.items() if word in text), "out_of_scope")
        entities = tuple(extract(text, gazetteer)) if gazetteer is not None else ()
        return Understanding(text, intent, 0.97, ((intent, 0.97),), entities=entities, model="words")

    def model(self) -> str:
        """What /readyz asks."""
        if self.down:
            raise NluUnavailable("told to be down")
        return "words"


@dataclass
class Trial:
    """A running service and its stand-ins."""

    app: Flask
    services: Services
    standins: StandIns
    interpreter: WordInterpreter

    def drain(self) -> None:
        """Run every queue dry, and note the passive replies as sent."""
        marker: PassiveMarker = self.app.extensions["heatline_passive"]
        marker.flush()
        worker.drain(self.services)

    def messages(self) -> list[Message]:
        """Every message that was kept."""
        return self._all(select(Message).order_by(Message.id))

    def deliveries(self) -> list[Delivery]:
        """Every delivery, oldest first."""
        return self._all(select(Delivery).order_by(Delivery.id))

    def _all(self, query: Select[Row]) -> list[Row]:
        with self.services.database.reading() as session:
            rows = list(session.scalars(query))
            session.expunge_all()
            return rows


def build(settings: Settings, database: Database, mode: str = "safe", base: str = BASE) -> Trial:
    """A service on `database` in demonstration mode; WeChat in `mode`. `base` is the address it believes to have."""
    demo = replace(
        settings,
        demo="1",
        public_url=base,
        wechat_api=f"{base}/standins/wechat",
        twilio_api=f"{base}/standins/twilio",
        **{**DEMO_CREDENTIALS, "wechat_mode": mode},
    )
    interpreter = WordInterpreter()
    services = Services(
        settings=demo,
        database=database,
        rules=RuleSource(database, demo.shown_hotline),
        gazetteer=GazetteerSource(database),
        interpreter=interpreter,
        channels={},
    )
    app = create_app(services)
    http = session_into(app)
    made = [wechat.create(demo, database, http), sms_twilio.create(demo, database, http)]
    services.channels = {channel.name: channel for channel in made if channel is not None}
    standins: StandIns = app.extensions["standins"]
    standins.use(AppTransport(app))
    standins.twilio.background = False
    return Trial(app, services, standins, interpreter)
