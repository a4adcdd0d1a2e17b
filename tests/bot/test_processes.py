"""`heatline web` as several processes on one port: replaced when they die, ended with the first, however that ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import pytest
import requests
from sqlalchemy import select

from bot import serve
from bot.bench.machine import descendants, end, start, wait_until_ready
from bot.database import Database
from bot.models import Message
from bot.serve import free_port
from bot.settings import Settings, SettingsError, load
from bot.standins import DEMO_CREDENTIALS
from bot.standins.phones import Phones
from bot.standins.transport import HttpTransport
from bot.standins.wechat import Push, WeChatStandIn, document

PATIENCE = 30.0  # seconds
RESIDENTS = 300
ON_POSTGRESQL = pytest.mark.parametrize(
    "database_template", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)


@dataclass
class Web:
    """A running `heatline web` of two processes."""

    settings: Settings
    process: subprocess.Popen[bytes]

    @property
    def children(self) -> set[int]:
        """The processes that answer."""
        return descendants({self.process.pid})

    def answers(self, times: int = 10) -> bool:
        """Whether every one of several new connections is answered."""
        address = f"{self.settings.base_url}/healthz"
        return all(requests.get(address, timeout=5).ok for _ in range(times))

    def listens(self) -> bool:
        """Whether anybody listens on the port."""
        with socket.socket() as probe:
            return probe.connect_ex((self.settings.host, int(self.settings.port))) == 0


@pytest.fixture
def web(settings: Settings) -> Iterator[Web]:
    ours = replace(
        settings, host="127.0.0.1", port=free_port(), web_processes="2", inline_turns="0", **DEMO_CREDENTIALS
    )
    running = Web(ours, start(["web"], ours))
    try:
        wait_until_ready(ours, [running.process], "/healthz")
        _until(lambda: len(running.children) == 2)
        yield running
    finally:
        end([running.process])


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.slow
@ON_POSTGRESQL
def test_a_killed_process_is_replaced_while_the_other_answers(web: Web) -> None:
    before = web.children
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    assert web.answers()
    _until(lambda: len(web.children - {killed}) == 2)
    assert before - {killed} < web.children
    assert web.answers()


@pytest.mark.slow
@ON_POSTGRESQL
def test_all_end_when_the_service_is_stopped(web: Web) -> None:
    children = web.children
    web.process.terminate()
    assert web.process.wait(PATIENCE) == 0
    assert not web.listens()
    assert not [pid for pid in children if os.path.exists(f"/proc/{pid}")]


@pytest.mark.slow
@ON_POSTGRESQL
def test_none_outlives_a_killed_parent_and_keeps_the_port(web: Web) -> None:
    web.process.kill()
    web.process.wait(PATIENCE)
    _until(lambda: not web.listens())
    again = Web(web.settings, start(["web"], web.settings))
    try:
        wait_until_ready(again.settings, [again.process], "/healthz")
        assert again.answers()
    finally:
        end([again.process])


@pytest.mark.slow
@ON_POSTGRESQL
def test_what_was_acknowledged_is_stored_once_whoever_is_killed(web: Web, database: Database) -> None:
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=9) as pool:
        killer = pool.submit(_kill_now_and_then, web, stop)
        taken = list(pool.map(partial(_post_until_taken, web.settings), _pushes(web.settings)))
        stop.set()
        assert killer.result(PATIENCE) >= 2
    assert all(taken)
    with database.reading() as session:
        stored = session.scalars(select(Message.provider_id)).all()
    assert len(stored) == RESIDENTS
    assert len(set(stored)) == RESIDENTS


def _pushes(settings: Settings) -> list[Push]:
    wechat, stamp = WeChatStandIn(settings, HttpTransport(settings.base_url), Phones()), str(int(time.time()))
    fields = {"ToUserName": "gh_heatlinetest", "CreateTime": stamp, "MsgType": "text", "Content": "暖气不热"}
    own = ({"FromUserName": f"oKilled{number:021d}", "MsgId": str(10**12 + number)} for number in range(RESIDENTS))
    return [wechat.sign(document({**fields, **mine})) for mine in own]


def _post_until_taken(settings: Settings, push: Push) -> bool:
    """Push as WeChat does, again until it is answered; slowly enough that some are under way at each killing."""
    deadline = time.monotonic() + PATIENCE
    time.sleep(0.05)
    while time.monotonic() < deadline:
        try:
            answer = requests.post(f"{settings.base_url}{push.target}", data=push.body, timeout=5)
            if answer.ok:
                return True
        except requests.RequestException:
            time.sleep(0.05)
    return False


def _kill_now_and_then(web: Web, stop: threading.Event) -> int:
    """kill -9 one of the children whenever there are two; how many were killed."""
    killed: set[int] = set()
    while not stop.wait(0.2):
        alive = web.children - killed
        if len(alive) == 2:
            os.kill(min(alive), signal.SIGKILL)
            killed.add(min(alive))
    return len(killed)


def test_a_demonstration_stays_one_process() -> None:
    assert serve._web_processes(Settings(demo="1", web_processes="4")) == 1


def test_a_number_of_processes_that_is_none_is_refused_in_one_sentence() -> None:
    for wrong in ("0", "two", "-1"):
        with pytest.raises(SettingsError, match="HEATLINE_WEB_PROCESSES"):
            load({"HEATLINE_WEB_PROCESSES": wrong})
