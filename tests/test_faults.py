"""`kill -9` in the middle of everything: no message is lost, no ticket opened twice, nobody told twice."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from sqlalchemy import func, select

from bot.bench.machine import end, start
from bot.database import Database
from bot.models import Delivery, Message, Ticket
from bot.serve import demo_settings, free_port
from bot.settings import Settings
from bot.standins.phones import Phones
from bot.standins.transport import HttpTransport
from bot.standins.wechat import Push, WeChatStandIn, document

RESIDENTS = 40
KILLS = 4
PATIENCE = 60.0
SERIAL = 10**12
OURS = Message.provider_id.contains(str(SERIAL)[:9])  # `serve` brings demonstration messages along


@dataclass
class Killable:
    """A running service whose processes can be killed and started again on the same database."""

    settings: Settings

    def __post_init__(self) -> None:
        self.commands = [["serve"]] if self.settings.is_sqlite else [["web"], ["worker"]]
        self.processes = [start(command, self.settings) for command in self.commands]

    def kill(self, number: int) -> None:
        """kill -9 one process and start it anew."""
        place = number % len(self.processes)
        self.processes[place].kill()
        self.processes[place].wait()
        self.processes[place] = start(self.commands[place], self.settings)


@pytest.fixture
def service(nlu_settings: Settings, database_url: str) -> Iterator[Killable]:
    running = Killable(replace(nlu_settings, demo="1", host="127.0.0.1", port=free_port(), database_url=database_url))
    yield running
    end(running.processes)


def _pushes(settings: Settings) -> list[tuple[str, Push]]:
    wechat = WeChatStandIn(demo_settings(settings), HttpTransport("http://127.0.0.1"), Phones())
    stamp = str(int(time.time()))
    rows = []
    for number in range(RESIDENTS):
        text = f"幸福里小区3号楼2单元{number + 201}暖气一点不热"
        fields = {
            "ToUserName": "gh_heatlinedemo",
            "FromUserName": f"oFault{number:022d}",
            "CreateTime": stamp,
            "MsgType": "text",
            "Content": text,
            "MsgId": str(SERIAL + number),
        }
        rows.append((str(SERIAL + number), wechat.sign(document(fields))))
    return rows


def _post_until_taken(settings: Settings, push: Push, deadline: float) -> bool:
    """Push as WeChat does: again until it is answered."""
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(settings.host, int(settings.port), timeout=5)
        try:
            connection.request("POST", push.target, push.body, {"Content-Type": "text/xml"})
            response = connection.getresponse()
            response.read()
            if response.status == 200:
                return True
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)
        finally:
            connection.close()
    return False


def _count(database: Database) -> tuple[int, int]:
    with database.reading() as session:
        ours = select(func.count()).select_from(Message).where(OURS)
        return session.scalar(ours) or 0, session.scalar(ours.where(Message.handled_at.is_not(None))) or 0


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.xdist_group("model")
def test_killed_processes_lose_nothing_and_do_nothing_twice(service: Killable, database: Database) -> None:
    deadline = time.monotonic() + PATIENCE
    pushes = _pushes(service.settings)
    taken: list[bool] = []

    def resident(push: Push) -> None:
        taken.append(_post_until_taken(service.settings, push, deadline))

    threads = [threading.Thread(target=resident, args=(push,)) for _, push in pushes]
    for number, thread in enumerate(threads):
        thread.start()
        time.sleep(0.05)
        if number % (RESIDENTS // KILLS) == RESIDENTS // KILLS - 1:
            service.kill(number // (RESIDENTS // KILLS))
    for thread in threads:
        thread.join()
    assert all(taken)
    while time.monotonic() < deadline and _count(database) != (RESIDENTS, RESIDENTS):
        time.sleep(0.3)
    assert _count(database) == (RESIDENTS, RESIDENTS)
    with database.reading() as session:
        opened = select(Ticket.number, Ticket.room).where(Ticket.community == "幸福里小区")
        tickets = session.execute(opened).all()
        answers = select(Delivery.message_id, func.count()).join(Message, Message.id == Delivery.message_id)
        answers = answers.where(OURS, Delivery.occasion.startswith("message:"))
        per_message = session.execute(answers.group_by(Delivery.message_id)).all()
    assert len(tickets) == RESIDENTS
    assert len({ticket.room for ticket in tickets}) == RESIDENTS
    assert len({ticket.number for ticket in tickets}) == RESIDENTS
    assert [count for _, count in per_message] == [1] * RESIDENTS
