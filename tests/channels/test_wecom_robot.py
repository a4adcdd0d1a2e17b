"""企业微信's group robot: what it takes is sent, what it refuses inside a 200 is not, and its key reaches no log."""

from __future__ import annotations

from dataclasses import replace

import pytest
from flask import Flask

from bot.channels import GiveUp, Misconfigured, Outgoing, Retry, SendError, Unknown
from bot.channels.wecom_robot import WeComRobot, create
from bot.clock import VirtualClock
from bot.database import Database
from bot.settings import Settings, SettingsError
from bot.standins.transport import session_into
from bot.standins.wecom import KEY, PER_MINUTE, WeComStandIn, blueprint_of

ADDRESS = "http://127.0.0.1/standins/wecom/cgi-bin/webhook/send?key="
LINE = Outgoing("group", "险情：燃气味。阳光花园3号楼*单元**01室。", "1")


@pytest.fixture
def group(clock: VirtualClock) -> WeComStandIn:
    return WeComStandIn()


def robot(group: WeComStandIn, key: str = KEY) -> WeComRobot:
    app = Flask(__name__)
    app.register_blueprint(blueprint_of(group))
    return WeComRobot(f"{ADDRESS}{key}", session_into(app))


def test_the_group_reads_what_was_said(group: WeComStandIn) -> None:
    robot(group).send(LINE)
    assert group.lines == [LINE.text]


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"errcode": 45009}, Retry),
        ({"errcode": -1}, Retry),
        ({"errcode": 93000}, Misconfigured),
        ({"errcode": 40008}, GiveUp),
        ({"status": 502}, Unknown),
        ({"status": 404}, Misconfigured),
    ],
)
def test_a_refusal_is_no_success_whatever_the_status_says(
    group: WeComStandIn, fault: dict[str, int], error: type[SendError]
) -> None:
    group.fail(**fault)
    with pytest.raises(error):
        robot(group).send(LINE)
    assert group.lines == []


def test_more_than_the_group_takes_in_a_minute_waits_for_the_next(group: WeComStandIn, clock: VirtualClock) -> None:
    for _ in range(PER_MINUTE):
        robot(group).send(LINE)
    with pytest.raises(Retry) as late:
        robot(group).send(LINE)
    assert late.value.after == 60.0


def test_a_long_line_is_cut_to_what_the_robot_takes(group: WeComStandIn) -> None:
    robot(group).send(replace(LINE, text="长" * 2000))
    assert group.lines[0].endswith("…")


def test_the_key_is_in_no_error(group: WeComStandIn) -> None:
    with pytest.raises(Retry) as refused:
        WeComRobot("http://127.0.0.1:9/send?key=secret").send(LINE)
    assert "secret" not in str(refused.value)
    with pytest.raises(Misconfigured) as false_key:
        robot(group, "secret").send(LINE)
    assert "secret" not in str(false_key.value)


@pytest.mark.parametrize("url", ["robot", "http://qyapi.example.com/send?key=1", "ftp://x/y"])
def test_an_address_that_is_none_or_open_to_all_is_refused(database: Database, url: str) -> None:
    with pytest.raises(SettingsError, match="HEATLINE_WECOM_ROBOT_URL"):
        create(Settings(wecom_robot_url=url), database)


def test_without_its_address_it_is_off(database: Database) -> None:
    assert create(Settings(), database) is None
