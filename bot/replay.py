"""`heatline replay`: dialogues through the real path, from signed webhooks to the stand-ins' outgoing API calls.

Each line gets a fresh database and residents of its own; time is virtual, a minute between turns; all queues are run
dry after each turn; no staff act.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from flask import Flask
from sqlalchemy import delete, select

from bot import clock, worker
from bot import services as service_factory
from bot.app import create_app
from bot.duty_models import Branch, Member, Shift
from bot.models import Base, Building, Callback, Community, Company, Contact, Delivery, Rule, Station, Team, Ticket
from bot.nlu_server import running_nlu
from bot.passive import PassiveMarker
from bot.serve import demo_settings, free_port, start_web
from bot.services import Services
from bot.settings import Settings
from bot.standins import StandIns

START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)  # 10:00 in China
TURN = timedelta(minutes=1)
PATIENCE = 3.0  # seconds that a passive answer may take to be marked sent
_KEPT = {
    model.__table__
    for model in (
        Rule,
        Company,
        Branch,
        Team,
        Member,
        Shift,
        Station,
        Community,
        Building,
    )  # the rest is of one dialogue
}


class BadLine(ValueError):
    """A line that is not a dialogue; the message says why."""


@dataclass
class Speaker:
    """One resident of a dialogue: an openid or a phone of the stand-ins, and how much of the answers was read."""

    address: str
    medium: str
    read: int = 0


@dataclass
class Dialogue:
    """One line: who says what."""

    id: Any
    medium: str
    turns: list[dict[str, str]]
    speakers: dict[str, Speaker] = field(default_factory=dict)


def parse_line(line: str) -> Dialogue:
    """A dialogue from its JSON line. Raises BadLine."""
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLine(f"not JSON: {getattr(error, 'msg', type(error).__name__)}") from None
    if not isinstance(raw, dict) or raw.get("channel") not in ("wechat", "sms"):
        raise BadLine("channel must be wechat or sms")
    turns = raw.get("turns")
    if not isinstance(turns, list) or not all(isinstance(t, dict) and isinstance(t.get("say"), str) for t in turns):
        raise BadLine("turns must be a list of objects with a text `say`")
    if not all(isinstance(turn.get("from") or "", str) for turn in turns):
        raise BadLine("`from` names a speaker with a text")
    return Dialogue(raw.get("id"), raw["channel"], turns)


class Replayer:
    """A service on a fresh database, with stand-ins for its providers and a clock that we move."""

    def __init__(self, services: Services, app: Flask) -> None:
        self.services, self.app = services, app
        self.standins: StandIns = app.extensions["standins"]
        self._passive: PassiveMarker = app.extensions["heatline_passive"]
        self._serial = 0
        self._clock = clock.VirtualClock(START)

    def play(self, dialogue: Dialogue) -> dict[str, Any]:
        """Play one dialogue; returns what happened, in the form of the output lines."""
        self.begin()
        replies = [self.turn(dialogue, turn) for turn in dialogue.turns]
        return {"id": dialogue.id, "replies": replies, **self.state()}

    def begin(self) -> None:
        """Forget everything and everyone, and set the clock to START."""
        self._clock = clock.VirtualClock(START)
        clock.use(self._clock)
        self.standins.reset()
        self._empty()

    def turn(self, dialogue: Dialogue, turn: Mapping[str, Any]) -> list[str]:
        """One turn of a dialogue, a minute after the last; returns what its speaker then hears."""
        heard = self.say(self._speaker(dialogue, turn.get("from") or ""), turn["say"])
        self._clock.advance(TURN)
        return heard

    def wait(self, span: timedelta) -> None:
        """Let time pass; what falls due meanwhile is done at the end of it."""
        self._clock.advance(span)
        worker.drain(self.services)

    def start_at(self, moment: datetime) -> None:
        """Begin at another moment than START (aware)."""
        self._clock = clock.VirtualClock(moment.astimezone(UTC))
        clock.use(self._clock)

    def later(self, dialogue: Dialogue, turn: Mapping[str, Any]) -> list[str]:
        """What the speaker of a turn has received since."""
        return self._fresh(self._speaker(dialogue, turn.get("from") or ""))

    def _speaker(self, dialogue: Dialogue, name: str) -> Speaker:
        if name not in dialogue.speakers:
            self._serial += 1
            address = (
                f"oReplay{self._serial:021d}"
                if dialogue.medium == "wechat"
                else f"+861390000{self._serial % 10000:04d}"
            )
            dialogue.speakers[name] = Speaker(address, dialogue.medium)
        return dialogue.speakers[name]

    def say(self, speaker: Speaker, text: str) -> list[str]:
        """One message through its webhook; returns every text the speaker then received, passive or pushed."""
        if speaker.medium == "wechat":
            self.standins.wechat.push_text(speaker.address, text)
        else:
            self.standins.twilio.send_sms(speaker.address, text)
        self._settle_passive()
        worker.drain(self.services)
        return self._fresh(speaker)

    def _settle_passive(self) -> None:
        """Wait until every passive answer is marked sent: when the clock moves on, its lease would seem to run out.

        A web server closes a response after its client has read it, so the mark may come a moment later than the text.
        """
        waiting = select(Delivery.id).where(Delivery.state == "sending", Delivery.via == "passive").limit(1)
        give_up = time.monotonic() + PATIENCE
        while time.monotonic() < give_up:
            self._passive.flush()
            with self.services.database.reading() as session:
                if session.scalar(waiting) is None:
                    return
            time.sleep(0.005)

    def _fresh(self, speaker: Speaker) -> list[str]:
        heard = self.standins.heard(speaker.medium, speaker.address)
        fresh, speaker.read = heard[speaker.read :], len(heard)
        return fresh

    def _empty(self) -> None:
        with self.services.database.transaction() as session:
            for table in reversed(Base.metadata.sorted_tables):
                if table not in _KEPT and table.name != "staff":
                    session.execute(delete(table))

    def state(self) -> dict[str, Any]:
        """The tickets in opening order, and whether a person was called in or someone unsubscribed."""
        with self.services.database.reading() as session:
            rows = session.scalars(select(Ticket).order_by(Ticket.id)).all()
            return {
                "tickets": [_ticket(row) for row in rows],
                "handed_to_human": session.scalar(select(Callback.id).limit(1)) is not None,
                "unsubscribed": session.scalar(select(Contact.id).where(Contact.opted_out_at.is_not(None)).limit(1))
                is not None,
            }


def _ticket(row: Ticket) -> dict[str, Any]:
    return {
        "number": row.number,
        "intents": [row.intent, *row.also],
        "status": row.status,
        "community": row.community,
        "building": row.building,
        "unit": row.unit,
        "room": row.room,
        "phone": row.phone if row.phone_typed else None,
        "urgent": row.urgent,
        "reopened": row.reopened,
    }


@contextmanager
def replayer(settings: Settings, database_url: str | None = None) -> Iterator[Replayer]:
    """A running service for replays: a web server on a free port of this machine, stand-ins, a database of its own.

    `database_url` names an empty database that replays may fill and empty; without one it is SQLite in a temporary
    folder.
    """
    from bot import schema

    with tempfile.TemporaryDirectory(prefix="heatline-replay-") as folder:
        fresh = replace(
            settings,
            demo="1",
            host="127.0.0.1",
            port=free_port(),
            database_url=database_url or f"sqlite:///{folder}/replay.db",
        )
        fresh = demo_settings(fresh)
        schema.upgrade(fresh)
        services = service_factory.create(fresh)
        schema.load_invented_places(services.database)
        server = start_web(create_app(services), fresh)
        try:
            yield Replayer(services, server.app)
        finally:
            clock.use(None)
            server.close()
            services.database.dispose()


def replay(lines: Iterable[str], player: Replayer) -> Iterator[dict[str, Any]]:
    """Play every line; a broken one gives {id, error} and the next is played."""
    for line in lines:
        if not line.strip():
            continue
        try:
            yield player.play(parse_line(line))
        except BadLine as error:
            yield {"id": _id_of(line), "error": str(error)}


def _id_of(line: str) -> Any:
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return raw.get("id") if isinstance(raw, dict) else None


def run(settings: Settings, lines: Iterable[str], out: TextIO) -> int:
    """`heatline replay`: write one JSON line for each dialogue; returns how many lines were broken."""
    failed = 0
    with running_nlu(settings) as ready, replayer(ready) as player:
        for result in replay(lines, player):
            failed += "error" in result
            print(json.dumps(result, ensure_ascii=False), file=out, flush=True)
    return failed
