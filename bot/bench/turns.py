"""`heatline bench turns`: complete turns a second — stored, understood, answered, committed — from signed webhooks."""

from __future__ import annotations

import http.client
import random
import statistics
import threading
import time
from dataclasses import asdict, dataclass

from sqlalchemy import func, select

from bot.bench.machine import Running, service
from bot.database import Database
from bot.models import Delivery, Message, Ticket
from bot.settings import ROOT, Settings
from bot.standins.phones import Phones
from bot.standins.transport import HttpTransport
from bot.standins.wechat import Push, WeChatStandIn, document
from nlu.corpus import read_training

WARM_UP = 200  # messages before the clock starts
SEED = 7


@dataclass(frozen=True)
class Result:
    """What was measured; times in milliseconds, memory in megabytes."""

    database: str
    clients: int
    posted: int
    turns: int
    seconds: float
    turns_per_second: float
    p50: float
    p99: float
    answered_in_response: int
    errors: int
    handled_in_database: int
    tickets: int
    memory_mb: float

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def run(settings: Settings, *, database_url: str | None, messages: int, clients: int) -> Result:
    """Start the service, post `messages` from as many residents over `clients` connections, and count."""
    with service(settings, database_url) as running:
        pushes = _pushes(running.settings, messages + WARM_UP)
        _post_all(running.settings, pushes[:WARM_UP], clients)
        handled_before, tickets_before = _handled(running)
        started = time.monotonic()
        latencies, answered, errors = _post_all(running.settings, pushes[WARM_UP:], clients)
        seconds = time.monotonic() - started
        memory = running.memory()
        handled, tickets = _handled(running)
    turns = min(len(latencies) - errors, handled - handled_before)
    return Result(
        database="sqlite" if running.settings.is_sqlite else "postgresql",
        clients=clients,
        posted=messages,
        turns=turns,
        seconds=round(seconds, 2),
        turns_per_second=round(turns / seconds, 1),
        p50=round(statistics.median(latencies) * 1000, 1),
        p99=round(statistics.quantiles(latencies, n=100)[98] * 1000, 1),
        answered_in_response=answered,
        errors=errors,
        handled_in_database=handled - handled_before,
        tickets=tickets - tickets_before,
        memory_mb=round(memory, 0),
    )


def _pushes(settings: Settings, count: int) -> list[Push]:
    """Signed and encrypted messages of the corpus, each from a resident of its own."""
    texts = [sentence.text for sentence in read_training([ROOT / "data" / "intents"])]
    chosen = random.Random(SEED).choices(texts, k=count)
    wechat = WeChatStandIn(settings, HttpTransport(settings.base_url), Phones())
    stamp = str(int(time.time()))
    return [wechat.sign(document(_fields(number, text, stamp))) for number, text in enumerate(chosen)]


def _fields(number: int, text: str, stamp: str) -> dict[str, str]:
    return {
        "ToUserName": "gh_heatlinedemo",
        "FromUserName": f"oBench{number:022d}",
        "CreateTime": stamp,
        "MsgType": "text",
        "Content": text,
        "MsgId": str(10**15 + number),
    }


def _post_all(settings: Settings, pushes: list[Push], clients: int) -> tuple[list[float], int, int]:
    """Post everything; returns latencies in seconds, how many were answered in the response, and errors."""
    waiting = iter(pushes)
    lock = threading.Lock()
    latencies: list[float] = []
    answered = errors = 0

    def client() -> None:
        nonlocal answered, errors
        connection = http.client.HTTPConnection(settings.host, int(settings.port), timeout=10)
        while True:
            with lock:
                push = next(waiting, None)
            if push is None:
                connection.close()
                return
            began = time.monotonic()
            try:
                connection.request("POST", push.target, push.body, {"Content-Type": "text/xml"})
                response = connection.getresponse()
                body, ok = response.read(), response.status == 200
            except (OSError, http.client.HTTPException):
                connection.close()
                body, ok = b"", False
            with lock:
                latencies.append(time.monotonic() - began)
                answered += ok and body.startswith(b"<xml")
                errors += not ok

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies, answered, errors


def _handled(running: Running) -> tuple[int, int]:
    """Messages whose turn is committed with an answer, and tickets."""
    database = Database(running.settings.database_url)
    try:
        with database.reading() as session:
            answered = select(Delivery.message_id).where(Delivery.message_id == Message.id).exists()
            handled = select(func.count()).select_from(Message).where(Message.handled_at.is_not(None), answered)
            return session.scalar(handled) or 0, session.scalar(select(func.count()).select_from(Ticket)) or 0
    finally:
        database.dispose()
