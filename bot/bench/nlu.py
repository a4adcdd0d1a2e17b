"""`heatline bench nlu`: how fast understanding is over HTTP, what it needs, and how it compares with what it replaces."""

from __future__ import annotations

import http.client
import json
import os
import random
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bot.bench.machine import descendants, proportional_memory
from bot.nlu_server import shelf
from bot.serve import free_port
from bot.settings import ROOT, Settings
from nlu.corpus import read_corpus, read_training
from nlu.environment import server_environment, server_python
from nlu.interpreter import RasaInterpreter
from nlu.places import default_gazetteer
from nlu.serving import running
from nlu.types import PROBLEMS

WARM_UP = 100  # messages before the clock starts
SEED = 7
READY_SECONDS = 180.0
_FROZEN = ROOT / "tests" / "intents"
_CORPUS = ROOT / "data" / "intents"


@dataclass(frozen=True)
class Row:
    """One system; times in milliseconds, memory in megabytes, None where it was not measured."""

    system: str
    ready_seconds: float | None = None
    p50: float | None = None
    p99: float | None = None
    parses_per_second: float | None = None
    memory_mb: float | None = None
    training_seconds: float | None = None
    accuracy: float | None = None
    problems_accuracy: float | None = None


def run(
    settings: Settings, *, messages: int, clients: int, processes: int, compare: bool, epochs: int
) -> list[dict[str, object]]:
    """Measure the live model, and with `compare` its rivals and the accuracy of all on the frozen test set."""
    texts = _texts(messages)
    rows = [_ours(settings, texts, clients, processes, compare)]
    if compare:
        rows += [_diet(texts, clients, epochs), _plain(texts)]
    return [asdict(row) for row in rows]


def _texts(count: int) -> list[str]:
    sentences = [sentence.text for sentence in read_training([_CORPUS])]
    return random.Random(SEED).choices(sentences, k=count + WARM_UP)


def _frozen() -> list[tuple[str, str]]:
    """Messages of the test set with their intents; blank ones never reach a classifier."""
    return [(sentence.text, sentence.intent) for sentence in read_corpus(_FROZEN) if sentence.text.strip()]


def _ours(settings: Settings, texts: list[str], clients: int, processes: int, judge: bool) -> Row:
    token = "bench"
    started = time.monotonic()
    with running(shelf(settings), token, processes=processes) as address:
        ready = time.monotonic() - started
        speed = _speed(f"{address}/model/parse?token={token}", texts, clients)
        memory = _memory({os.getpid()}, besides=os.getpid())
        right = _judged(RasaInterpreter(address, token)) if judge else {}
    live = shelf(settings).live()
    trained = live.measured.get("seconds") if live else None
    return Row(
        f"heatline, serving processes: {processes}",
        round(ready, 1),
        **speed,
        memory_mb=memory,
        training_seconds=trained,
        **right,
    )


def _judged(interpreter: RasaInterpreter) -> dict[str, float]:
    places = default_gazetteer()
    return _accuracy([interpreter.understand(text, places).intent for text, _ in _frozen()])


def _accuracy(intents: Sequence[str]) -> dict[str, float]:
    pairs = [(got, wanted) for got, (_, wanted) in zip(intents, _frozen(), strict=True)]
    problems = [got == wanted for got, wanted in pairs if wanted in PROBLEMS]
    right = [got == wanted for got, wanted in pairs]
    return {
        "accuracy": round(statistics.mean(right), 4),
        "problems_accuracy": round(statistics.mean(problems), 4),
    }


def _diet(texts: list[str], clients: int, epochs: int) -> Row:
    with tempfile.TemporaryDirectory(prefix="heatline-bench-") as folder:
        trained = _rival("diet", "--out", folder, "--epochs", str(epochs))
        started = time.monotonic()
        with _rasa_run(trained["model"]) as (url, pid):
            ready = time.monotonic() - started
            speed = _speed(url, texts, clients)
            memory = _memory({pid})
            intents = [_parse(url, text) for text, _ in _frozen()]
    return Row(
        f"rasa: jieba + DIET, {epochs} epochs",
        round(ready, 1),
        **speed,
        memory_mb=memory,
        training_seconds=trained["seconds"],
        **_accuracy(intents),
    )


def _plain(texts: list[str]) -> Row:
    """In its own process but without HTTP, which flatters it by some milliseconds."""
    frozen = [text for text, _ in _frozen()]
    got = _rival("plain", stdin=json.dumps([*texts, *frozen]))
    times = [seconds * 1000 for seconds in got["times"][WARM_UP : len(texts)]]
    return Row(
        "scikit-learn: characters + logistic regression, no HTTP",
        p50=round(statistics.median(times), 2),
        p99=round(statistics.quantiles(times, n=100)[98], 2),
        parses_per_second=round(1000 / statistics.mean(times), 1),
        memory_mb=got["memory"],
        training_seconds=got["seconds"],
        **_accuracy(got["intents"][len(texts) :]),
    )


def _rival(name: str, *options: str, stdin: str | None = None) -> dict[str, Any]:
    """What nlu/server/rivals.py printed last. Raises CalledProcessError where it failed."""
    command = [str(server_python()), "-m", "nlu.server.rivals", name, "--data", str(_CORPUS), *options]
    done = subprocess.run(
        command, cwd=ROOT, env=_quiet(), input=stdin, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    done.check_returncode()
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _quiet() -> dict[str, str]:
    # Rasa logs the texts of messages at DEBUG; TensorFlow tells of processors it would like.
    return {**server_environment(), "LOG_LEVEL": "ERROR", "TF_CPP_MIN_LOG_LEVEL": "3"}


@contextmanager
def _rasa_run(model: str) -> Iterator[tuple[str, int]]:
    """Rasa's own server with a model; hands out the address of its parser and its process id."""
    port = free_port()
    options = ["--enable-api", "--interface", "127.0.0.1", "--port", str(port), "--model", model]
    command = [str(server_python()), "-m", "rasa", "run", *options]
    with subprocess.Popen(
        command, cwd=Path(model).parent, env=_quiet(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            url = f"http://127.0.0.1:{port}/model/parse"
            _wait(url, process)
            yield url, process.pid
        finally:
            process.terminate()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            _parse(url, "你好")
            return
        except (OSError, http.client.HTTPException, KeyError, ValueError):
            time.sleep(0.2)
    raise RuntimeError("Rasa's own server did not become ready.")


def _parse(url: str, text: str) -> str:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=30)
    try:
        return str(json.loads(_post(connection, url, text))["intent"]["name"])
    finally:
        connection.close()


def _post(connection: http.client.HTTPConnection, url: str, text: str) -> bytes:
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    connection.request("POST", target, json.dumps({"text": text}), {"Content-Type": "application/json"})
    response = connection.getresponse()
    body = response.read()
    if response.status != 200:
        raise http.client.HTTPException(f"status {response.status}")
    return body


def _speed(url: str, texts: list[str], clients: int) -> dict[str, Any]:
    """One client for latency, then `clients` at once for throughput."""
    _times(url, texts[:WARM_UP], 1)
    alone, _ = _times(url, texts[WARM_UP:], 1)
    _, seconds = _times(url, texts[WARM_UP:], clients)
    return {
        "p50": round(statistics.median(alone) * 1000, 2),
        "p99": round(statistics.quantiles(alone, n=100)[98] * 1000, 2),
        "parses_per_second": round((len(texts) - WARM_UP) / seconds, 1),
    }


def _times(url: str, texts: list[str], clients: int) -> tuple[list[float], float]:
    """Seconds of each parse, and of all together; every client keeps its connection."""
    waiting, lock = iter(texts), threading.Lock()
    times: list[float] = []
    parts = urlsplit(url)

    def client() -> None:
        connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=30)
        while True:
            with lock:
                text = next(waiting, None)
            if text is None:
                connection.close()
                return
            began = time.perf_counter()
            _post(connection, url, text.lstrip("/") or "?")
            took = time.perf_counter() - began
            with lock:
                times.append(took)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times, time.perf_counter() - began


def _memory(pids: set[int], besides: int | None = None) -> float:
    """Megabytes of processes and their descendants, shared pages counted once."""
    family = (pids | descendants(pids)) - {besides}
    return round(sum(proportional_memory(pid) for pid in family) / 1024)


def table(rows: Sequence[Mapping[str, object]]) -> str:
    """The figures as lines, a system after the other."""
    width = max(len(name) for name in rows[0])
    lines = (
        f"{name:<{width}}  {value}" if name != "system" else f"\n{value}"
        for row in rows
        for name, value in row.items()
        if value is not None
    )
    return "\n".join(lines).strip()
