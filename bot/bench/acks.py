"""`heatline bench acks`: acknowledgements a second — verified, durably stored, thanked; the answer goes by the outbox.

WeChat with inline answers switched off (what a saturated web process does): pushes are signed and encrypted. Aliyun:
one uplink message a callback; it signs nothing, the secret stands in the address. Every message is from a resident of
its own, which is the dearest case: three rows each.
"""

from __future__ import annotations

import json
import random
import re
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace

from sqlalchemy import func, select

from bot.bench.machine import Running, cpu_of_database, cpu_seconds, descendants, web_alone
from bot.database import Database
from bot.models import Message
from bot.settings import ROOT, Settings
from bot.standins import DEMO_CREDENTIALS
from bot.standins.phones import Phones
from bot.standins.transport import HttpTransport
from bot.standins.wechat import WeChatStandIn, document
from nlu.corpus import read_training

WARM_UP = 300  # messages before the clock starts
SEED = 7
TIMEOUT = 10.0  # seconds
ALIYUN: dict[str, str] = {  # an account that exists nowhere but here
    "aliyun_access_key_id": "bench",
    "aliyun_access_key_secret": "bench",
    "aliyun_sign_name": "暖线",
    "aliyun_callback_secret": "bench-bench-bench-bench",
    "aliyun_api": "http://127.0.0.1:9",
}
THANKS = {"wechat": b"success", "aliyun": b'"code": 0'}
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class Result:
    """What was measured; times in milliseconds (CPU: of all threads, for one request), memory in megabytes."""

    database: str
    channel: str
    clients: int
    web_processes: int
    posted: int
    stored: int
    seconds: float
    acks_per_second: float
    p50: float
    p99: float
    errors: int
    cpu_service: float
    cpu_database: float | None
    cpu_client: float
    memory_mb: float

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


@dataclass(frozen=True)
class _Cpu:
    """CPU seconds used so far."""

    service: float
    database: float | None
    client: float


def run(settings: Settings, *, database_url: str | None, messages: int, clients: int, channel: str) -> Result:
    """Start the service, post `messages` over `clients` connections that stay open, and count what is stored."""
    with web_alone(_prepared(settings, channel), database_url) as running:
        posts = REQUESTS[channel](running.settings, messages + WARM_UP)
        _post_all(running.settings, posts[:WARM_UP], clients, THANKS[channel])
        before, cpu = _stored(running), _cpu(running)
        started = time.monotonic()
        latencies = _post_all(running.settings, posts[WARM_UP:], clients, THANKS[channel])
        seconds = time.monotonic() - started
        used, stored, memory = _cpu(running), _stored(running) - before, running.memory()
    known = None not in (cpu.database, used.database)
    return Result(
        database="sqlite" if running.settings.is_sqlite else "postgresql",
        channel=channel,
        clients=clients,
        web_processes=1 if running.settings.is_sqlite else int(running.settings.web_processes),
        posted=messages,
        stored=stored,
        seconds=round(seconds, 2),
        acks_per_second=round(min(len(latencies), stored) / seconds, 1),
        p50=round(statistics.median(latencies) * 1000, 1),
        p99=round(statistics.quantiles(latencies, n=100)[98] * 1000, 1),
        errors=messages - len(latencies),
        cpu_service=_each(used.service - cpu.service, messages),
        cpu_database=_each((used.database or 0) - (cpu.database or 0), messages) if known else None,
        cpu_client=_each(used.client - cpu.client, messages),
        memory_mb=round(memory, 0),
    )


def _prepared(settings: Settings, channel: str) -> Settings:
    """Invented accounts, and no inline answers: a webhook is acknowledged as soon as it is stored."""
    accounts = {**DEMO_CREDENTIALS, **(ALIYUN if channel == "aliyun" else {})}
    return replace(settings, inline_turns="0", **accounts)


# --- what is posted


def _wechat(settings: Settings, count: int) -> list[bytes]:
    """Signed and encrypted pushes."""
    stand_in, stamp = WeChatStandIn(settings, HttpTransport(settings.base_url), Phones()), str(int(time.time()))
    posts = []
    for number, text in enumerate(_texts(count)):
        fields = {"ToUserName": "gh_heatlinebench", "FromUserName": f"oBench{number:022d}", "CreateTime": stamp}
        fields |= {"MsgType": "text", "Content": text, "MsgId": str(10**15 + number)}
        push = stand_in.sign(document(fields))
        posts.append(_request(settings, push.target, "text/xml", push.body))
    return posts


def _aliyun(settings: Settings, count: int) -> list[bytes]:
    """SmsUp callbacks of one message each."""
    target = f"/channels/aliyun/{settings.aliyun_callback_secret}/up"
    posts = []
    for number, text in enumerate(_texts(count)):
        item = {"phone_number": f"199{number:08d}", "content": text, "send_time": "2026-11-23 10:00:00"}
        item |= {"dest_code": "10690001", "sequence_id": str(10**9 + number)}
        posts.append(_request(settings, target, "application/json", json.dumps([item], ensure_ascii=False).encode()))
    return posts


REQUESTS: dict[str, Callable[[Settings, int], list[bytes]]] = {"wechat": _wechat, "aliyun": _aliyun}


def _texts(count: int) -> list[str]:
    texts = [sentence.text for sentence in read_training([ROOT / "data" / "intents"])]
    return random.Random(SEED).choices(texts, k=count)


def _request(settings: Settings, target: str, content_type: str, body: bytes) -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: {settings.host}:{settings.port}\r\nContent-Type: {content_type}\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


# --- the client: it shares the machine with what it measures, so it does as little as it can


def _post_all(settings: Settings, posts: list[bytes], clients: int, thanks: bytes) -> list[float]:
    """Post everything; returns the latency in seconds of each post that was thanked."""
    latencies: list[float] = []
    waiting = iter(posts)  # `next` of a list's iterator is one step for all threads
    threads = [threading.Thread(target=_client, args=(settings, waiting, thanks, latencies)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies


def _client(settings: Settings, waiting: Iterator[bytes], thanks: bytes, latencies: list[float]) -> None:
    connection = socket.create_connection((settings.host, int(settings.port)), TIMEOUT)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    for post in waiting:
        began = time.monotonic()
        try:
            connection.sendall(post)
            answer = _answer(connection)
        except OSError:
            connection.close()
            connection = socket.create_connection((settings.host, int(settings.port)), TIMEOUT)
            continue
        if answer.startswith(b"HTTP/1.1 200") and thanks in answer:
            latencies.append(time.monotonic() - began)
    connection.close()


def _answer(connection: socket.socket) -> bytes:
    """One whole response. Raises OSError where the connection ends before that."""
    received = b""
    while True:
        part = connection.recv(4096)
        if not part:
            raise ConnectionResetError
        received += part
        head, end, body = received.partition(b"\r\n\r\n")
        if end and (length := _LENGTH.search(head)) and len(body) >= int(length[1]):
            return received


# --- what came of it


def _stored(running: Running) -> int:
    database = Database(running.settings.database_url)
    try:
        with database.reading() as session:
            return session.scalar(select(func.count()).select_from(Message)) or 0
    finally:
        database.dispose()


def _cpu(running: Running) -> _Cpu:
    pids = {process.pid for process in running.processes}
    own = time.process_time()
    return _Cpu(cpu_seconds(pids | descendants(pids)), cpu_of_database(running.settings.database_url), own)


def _each(seconds: float, messages: int) -> float:
    """Milliseconds a message."""
    return round(seconds / messages * 1000, 2)
