"""What residents are really sent: the conversations of tests/dialogues, played by SMS with the trained model."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml
from sqlalchemy import select

from bot import tickets, worker
from bot.models import Delivery, Ticket
from bot.replay import Dialogue, Replayer, replayer
from bot.rules import shipped
from bot.settings import Settings
from bot.sms_commands import cost

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.xdist_group("model")]

LISTED = {tuple(keys) for keys in shipped()["sms_joined"]["joined"]}
DIALOGUES = [
    dialogue
    for path in sorted((Path(__file__).parents[1] / "dialogues").glob("*.yml"))
    for dialogue in yaml.safe_load(path.read_text(encoding="utf-8"))
]


def play(player: Replayer) -> list[Delivery]:
    """Every text of every conversation, as a resident on SMS gets it."""
    sent: list[Delivery] = []
    for told in DIALOGUES:
        dialogue = Dialogue(told["name"], "sms", told["turns"])
        player.begin()
        for turn in dialogue.turns:
            player.turn(dialogue, turn)
            for status in turn.get("staff", "").split():
                _move(player, status)
        with player.services.database.reading() as session:
            sent += session.scalars(select(Delivery))
            session.expunge_all()
    return sent


def _move(player: Replayer, status: str) -> None:
    try:
        with player.services.database.transaction() as session:
            ticket = session.scalars(select(Ticket).order_by(Ticket.id.desc()).limit(1)).one()
            tickets.move(player.services.context(session), ticket, status, tickets.Actor("staff"))
    except tickets.MoveRefused:
        return  # by SMS some conversations go another way
    worker.drain(player.services)


def test_what_residents_are_sent_is_short_and_the_combinations_are_known(nlu_settings: Settings) -> None:
    with replayer(nlu_settings) as player:
        sent = play(player)
    dear = [row.text for row in sent if cost("", row.text).messages > 2]
    assert dear == []
    one = sum(cost("", row.text).messages == 1 for row in sent)
    assert one / len(sent) > 0.75  # the notice of how data are used makes most first answers two
    joined = Counter(tuple(row.keys) for row in sent if len(row.keys) > 1)
    unknown = {keys: count for keys, count in joined.items() if keys not in LISTED}
    assert sum(unknown.values()) <= 0.1 * sum(joined.values()), f"add to data/rules/sms_joined.yml: {unknown}"
