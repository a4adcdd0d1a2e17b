"""Scenarios: conversations of several people with staff moves and time, through the real endpoints on both engines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from bot.models import Callback
from bot.replay import Replayer, replayer
from bot.settings import Settings
from tests.conftest import ENGINES
from tests.scenes import Play, bad_manners, furnish, set_up, understanding

FILES = sorted((Path(__file__).parent / "scenarios").glob("*.yml"))
SCENARIOS = [scenario for path in FILES for scenario in yaml.safe_load(path.read_text(encoding="utf-8"))]
WANTED, LONGEST = 30, 400  # scenarios, and lines of a file of them


@pytest.fixture(scope="module", params=ENGINES)
def player(
    request: pytest.FixtureRequest, nlu_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replayer]:
    """A running service on each engine."""
    template = request.getfixturevalue(f"{request.param}_template")
    url = template.copy(f"heatline_scenarios_{request.getfixturevalue('worker')}", tmp_path_factory.mktemp("scenarios"))
    with replayer(nlu_settings, url) as running:
        furnish(running)
        yield running
    template.drop(url)


def test_thirty_scenarios_are_written_down_and_each_says_what_it_proves() -> None:
    names = [told["name"] for told in SCENARIOS]
    assert len(set(names)) == len(names) >= WANTED
    assert not [told["name"] for told in SCENARIOS if not told.get("proves")]
    assert not [path.name for path in FILES if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("会退您200元", "an amount"),
        ("这次给您减一半", "an amount"),
        ("按规定退50%", "an amount"),
        ("打八折", "an amount"),
        ("师傅的电话13800001111", "somebody's number"),
        ("单号{number}", "a hole"),
        ("退不退、退多少，以供热单位现场测温结果和现行规定为准。", None),
        ("30分钟内有人打电话给您。单号N20261123-0001。", None),
        ("每平方米每天0.19元，以通知为准", None),
        ("电话记下了：13812345678", None),
    ],
)
def test_bad_manners_are_noticed(text: str, fault: str | None) -> None:
    assert bad_manners(text, "我电话13812345678", ["0.19元"]) == fault


@pytest.mark.model
@pytest.mark.xdist_group("model")
@pytest.mark.parametrize("told", SCENARIOS, ids=[scenario["name"] for scenario in SCENARIOS])
def test_scenario(told: dict[str, Any], player: Replayer) -> None:
    set_up(told, player)
    play = Play(told, player)
    with understanding(player, told.get("understanding")):
        for step in told["steps"]:
            play.step(step)
    for name, secrets in told.get("stays_secret", {}).items():
        play.listen(name)
        everything = "\n".join(play.heard.get(name, []))
        assert not [secret for secret in secrets if secret in everything], everything
    play.check_manners()
    _check_end(told, player)


def _check_end(told: dict[str, Any], player: Replayer) -> None:
    if "tickets" in told:
        made = player.state()["tickets"]
        assert len(made) == len(told["tickets"]), made
        for expected, ticket in zip(told["tickets"], made, strict=True):
            assert {key: ticket[key] for key in expected} == expected
    if "calls" in told:
        with player.services.database.reading() as session:
            assert set(told["calls"]) <= set(session.scalars(select(Callback.reason)))
