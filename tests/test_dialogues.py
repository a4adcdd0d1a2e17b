"""Conversations in residents' words, through signed webhooks, the NLU server and the stand-ins' outgoing calls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from bot import tickets, worker
from bot.models import Ticket
from bot.replay import Dialogue, Replayer, replayer
from bot.settings import Settings
from tests.conftest import ENGINES

DIALOGUES = [
    dialogue
    for path in sorted((Path(__file__).parent / "dialogues").glob("*.yml"))
    for dialogue in yaml.safe_load(path.read_text(encoding="utf-8"))
]


@pytest.fixture(scope="module", params=ENGINES)
def player(
    request: pytest.FixtureRequest, nlu_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replayer]:
    """A running service on each engine."""
    template = request.getfixturevalue(f"{request.param}_template")
    worker = request.getfixturevalue("worker")  # two workers may play dialogues at once
    url = template.copy(f"heatline_dialogues_{worker}", tmp_path_factory.mktemp("dialogues"))
    with replayer(nlu_settings, url) as running:
        yield running
    template.drop(url)


@pytest.mark.model
@pytest.mark.xdist_group("model")
@pytest.mark.parametrize("told", DIALOGUES, ids=[dialogue["name"] for dialogue in DIALOGUES])
def test_dialogue(told: dict[str, Any], player: Replayer) -> None:
    dialogue = Dialogue(told["name"], told["channel"], told["turns"])
    player.begin()
    for turn in dialogue.turns:
        heard = "\n".join(player.turn(dialogue, turn))
        for words in turn.get("hears", []):
            assert words in heard, f"after {turn['say']!r} the resident heard {heard!r}"
        for words in turn.get("never", []):
            assert words not in heard, f"after {turn['say']!r} the resident heard {heard!r}"
        if "staff" in turn:
            told_later = "\n".join(_staff(player, dialogue, turn))
            assert all(words in told_later for words in turn.get("then_hears", [])), told_later
    _check_end(told, player.state())


def _staff(player: Replayer, dialogue: Dialogue, turn: dict[str, Any]) -> list[str]:
    """Staff move the newest ticket; returns what the speaker is told."""
    for status in turn["staff"].split():
        with player.services.database.transaction() as session:
            ticket = session.query(Ticket).order_by(Ticket.id.desc()).first()
            assert ticket is not None
            tickets.move(player.services.context(session), ticket, status, tickets.Actor("staff"))
    worker.drain(player.services)
    return player.later(dialogue, turn)


def _check_end(told: dict[str, Any], state: dict[str, Any]) -> None:
    if "tickets" in told:
        assert len(state["tickets"]) == len(told["tickets"]), state["tickets"]
        for expected, ticket in zip(told["tickets"], state["tickets"], strict=True):
            assert {key: ticket[key] for key in expected} == expected
    for flag in ("handed_to_human", "unsubscribed"):
        if flag in told:
            assert state[flag] == told[flag]
