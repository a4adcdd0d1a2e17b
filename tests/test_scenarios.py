"""Scenarios: conversations of several people with staff moves and time, through the real endpoints on both engines."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from bot import households, standing, tickets
from bot.channels.phone import normalise
from bot.models import Callback, Contact, Ticket
from bot.replay import Dialogue, Replayer, Speaker, replayer
from bot.settings import Settings
from handlers.dialogue.types import Address
from nlu.interpreter import NluUnavailable
from nlu.places import Gazetteer
from nlu.types import Understanding
from tests.conftest import ENGINES

SCENARIOS = [
    scenario
    for path in sorted((Path(__file__).parent / "scenarios").glob("*.yml"))
    for scenario in yaml.safe_load(path.read_text(encoding="utf-8"))
]
_SPANS = {"m": "minutes", "h": "hours", "d": "days"}


class Down:
    """Nobody understands anything."""

    def understand(self, text: str, gazetteer: Gazetteer | None = None) -> Understanding:
        """See Interpreter."""
        raise NluUnavailable("told to be down")

    def model(self) -> str:
        """See Interpreter."""
        raise NluUnavailable("told to be down")


class Play:
    """One scenario on its way: what everybody has heard so far."""

    def __init__(self, told: dict[str, Any], player: Replayer) -> None:
        self.told, self.player = told, player
        self.dialogue = Dialogue(told["name"], told["channel"], [])
        for name, who in told.get("speakers", {}).items():
            self.dialogue.speakers[name] = Speaker(normalise(who["phone"]), who["medium"])
        self.heard: dict[str, str] = {}

    def listen(self, name: str) -> str:
        """What somebody has received since they were last asked."""
        fresh = "\n".join(self.player.later(self.dialogue, {"from": name}))
        self.heard[name] = self.heard.get(name, "") + "\n" + fresh
        return fresh

    def step(self, step: dict[str, Any]) -> None:
        """Do one step, and check what is expected of it."""
        heard = self._do(step)
        self._check(step, step, heard)
        for name, expected in step.get("told", {}).items():
            fresh = self.listen(name)
            self._check(step, expected, fresh)
            assert not (expected.get("silent") and fresh.strip()), f"{name} heard {fresh!r} after {step}"

    def _do(self, step: dict[str, Any]) -> str:
        name = step.get("from", "")
        if "say" in step:
            return self._say(name, step["say"])
        if "code_from" in step:
            code = re.search(r"\d{6}", self.heard[step["code_from"]])
            assert code is not None, "no code has come"
            return self._say(name, code[0])
        if "staff" in step:
            self._move(step)
        elif "crew_knows" in step:
            self._know(step["crew_knows"])
        else:
            count, unit = re.fullmatch(r"(\d+)([mhd])", step["wait"]).groups()  # type: ignore[union-attr]
            self.player.wait(timedelta(**{_SPANS[unit]: int(count)}))
        return ""

    def _say(self, name: str, words: str) -> str:
        heard = "\n".join(self.player.turn(self.dialogue, {"from": name, "say": words}))
        self.heard[name] = self.heard.get(name, "") + "\n" + heard
        return heard

    def _move(self, step: dict[str, Any]) -> None:
        with self.player.services.database.transaction() as session:
            ticket = session.scalars(select(Ticket).order_by(Ticket.id)).all()[step.get("ticket", 1) - 1]
            context = self.player.services.context(session)
            tickets.move(context, ticket, step["staff"], tickets.Actor("staff"), note=step.get("note"))
        self.player.wait(timedelta(minutes=1))

    def _know(self, name: str) -> None:
        """The crew's button at the desk."""
        speaker = self.dialogue.speakers[name]
        with self.player.services.database.transaction() as session:
            contact = next(c for c in session.scalars(select(Contact)) if c.address == speaker.address)
            home_id = standing.home_of(session, session.scalars(select(Ticket)).one())
            assert home_id is not None
            standing.prove(session, contact.id, home_id, "crew", self.player.services.context(session).now)

    @staticmethod
    def _check(step: dict[str, Any], expected: dict[str, Any], heard: str) -> None:
        found = [words in heard for words in expected.get("hears", [])]
        assert any(found) if expected.get("any") else all(found), f"after {step}: {heard!r}"
        assert not [words for words in expected.get("never", []) if words in heard], f"after {step}: {heard!r}"


@pytest.fixture(scope="module", params=ENGINES)
def player(
    request: pytest.FixtureRequest, nlu_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replayer]:
    """A running service on each engine."""
    template = request.getfixturevalue(f"{request.param}_template")
    url = template.copy(f"heatline_scenarios_{request.getfixturevalue('worker')}", tmp_path_factory.mktemp("scenarios"))
    with replayer(nlu_settings, url) as running:
        yield running
    template.drop(url)


@contextmanager
def understanding(player: Replayer, how: str | None) -> Iterator[None]:
    """The service with its own understanding, or with none."""
    before = player.services.interpreter
    if how == "down":
        player.services.interpreter = Down()
    try:
        yield
    finally:
        player.services.interpreter = before


@pytest.mark.model
@pytest.mark.xdist_group("model")
@pytest.mark.parametrize("told", SCENARIOS, ids=[scenario["name"] for scenario in SCENARIOS])
def test_scenario(told: dict[str, Any], player: Replayer) -> None:
    player.begin()
    if "at" in told:
        zone = player.services.settings.zone
        player.start_at(datetime.fromisoformat(told["at"]).replace(tzinfo=zone))
    _fill_books(told, player)
    play = Play(told, player)
    with understanding(player, told.get("understanding")):
        for step in told["steps"]:
            play.step(step)
    for name, secrets in told.get("stays_secret", {}).items():
        play.listen(name)
        assert not [secret for secret in secrets if secret in play.heard[name]], play.heard[name]
    _check_end(told, player)


def _fill_books(told: dict[str, Any], player: Replayer) -> None:
    entries = [
        households.Entry(
            row["account_no"],
            Address(None, row["community"], row["building"], row["unit"], row["room"], known=True),
            normalise(row["phone"]),
        )
        for row in told.get("books", [])
    ]
    with player.services.database.transaction() as session:
        households.load(session, entries)


def _check_end(told: dict[str, Any], player: Replayer) -> None:
    if "tickets" in told:
        made = player.state()["tickets"]
        assert len(made) == len(told["tickets"]), made
        for expected, ticket in zip(told["tickets"], made, strict=True):
            assert {key: ticket[key] for key in expected} == expected
    if "calls" in told:
        with player.services.database.reading() as session:
            assert set(told["calls"]) <= set(session.scalars(select(Callback.reason)))
