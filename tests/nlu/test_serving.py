"""The NLU server as it is run: real processes, a real model."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3

from nlu.environment import ROOT
from nlu.interpreter import NluUnavailable, RasaInterpreter
from nlu.serving import DidNotStart, NoModel, Supervisor, running
from nlu.shelf import Shelf

TOKEN = "a-token-for-tests"


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """A shelf with the live model under two names, so that there is something to promote."""
    live = Shelf(ROOT / "models").live()
    assert live is not None, "no model is live: run `heatline nlu train`"
    folder = tmp_path_factory.mktemp("models")
    for name in ("heatline-a", "heatline-b"):
        (folder / f"{name}.tar.gz").symlink_to(live.path)
    shelf = Shelf(folder)
    shelf.promote("heatline-a")
    return shelf


@pytest.fixture(scope="module")
def address(shelf: Shelf) -> Iterator[str]:
    with running(shelf, TOKEN, processes=2) as address:
        yield address


def test_without_a_live_model_nothing_starts(tmp_path: Path) -> None:
    with pytest.raises(NoModel, match="nlu train"), running(Shelf(tmp_path), TOKEN):
        pass


@pytest.mark.model
def test_the_server_serves_exactly_the_live_model(address: str, shelf: Shelf) -> None:
    assert RasaInterpreter(address, TOKEN).model() == "heatline-a.tar.gz"


@pytest.mark.model
@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("暖气片一点都不热", "no_heat"),
        ("暖氣管漏水了", "leak"),
        ("／暖气管漏水了", "leak"),
        ("暖气费多少钱一平", "billing"),
    ],
)
def test_messages_are_understood_over_http(address: str, text: str, intent: str) -> None:
    got = RasaInterpreter(address, TOKEN).understand(text)
    assert got.intent == intent
    assert sum(confidence for _, confidence in got.ranking) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.model
@pytest.mark.parametrize("text", ["😀", "？？？", "a" * 20_000, "暖" * 20_000, "\ud83d", "///", "1", "٣"])
def test_odd_texts_are_answered_too(address: str, text: str) -> None:
    assert 0.0 <= RasaInterpreter(address, TOKEN).understand(text).confidence <= 1.0


@pytest.mark.model
@pytest.mark.parametrize("token", ["", "wrong"])
def test_without_the_token_nothing_is_understood(address: str, token: str) -> None:
    with pytest.raises(NluUnavailable, match="401"):
        RasaInterpreter(address, token).understand("漏水")


@pytest.mark.model
def test_the_address_is_the_loopback_one(address: str) -> None:
    assert address.startswith("http://127.0.0.1:")
    answer = urllib3.request("GET", f"{address}/version", retries=False)
    assert answer.json()["version"] == "3.6.21"


@pytest.mark.model
@pytest.mark.slow
def test_a_promotion_and_a_rollback_under_load_lose_no_message(shelf: Shelf) -> None:
    with running(shelf, TOKEN) as address:
        interpreter, models, errors, done = RasaInterpreter(address, TOKEN), set(), [], threading.Event()

        def ask() -> None:
            while not done.is_set():
                try:
                    models.add(interpreter.understand("暖气不热").model)
                except Exception as error:
                    errors.append(error)

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            shelf.promote("heatline-b")
            wait_for(lambda: interpreter.model() == "heatline-b.tar.gz")
            shelf.rollback()
            wait_for(lambda: interpreter.model() == "heatline-a.tar.gz")
        finally:
            done.set()
            for thread in threads:
                thread.join()
        assert errors == []
        assert models == {"heatline-a.tar.gz", "heatline-b.tar.gz"}


@pytest.mark.model
@pytest.mark.slow
def test_a_killed_process_is_replaced(shelf: Shelf) -> None:
    supervisor = Supervisor(shelf, "127.0.0.1", 0, TOKEN)
    supervisor.start()
    thread = threading.Thread(target=supervisor.run)
    try:
        first = pids(supervisor)
        os.kill(first[0], signal.SIGKILL)
        thread.start()
        wait_for(lambda: (now := pids(supervisor)) != [] and now != first)
        assert RasaInterpreter(supervisor.address, TOKEN, timeout=5).understand("漏水").intent == "leak"
    finally:
        supervisor.stop()
        thread.join()


@pytest.mark.model
@pytest.mark.slow
def test_a_broken_archive_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "heatline-broken.tar.gz").write_bytes(b"no archive")
    shelf = Shelf(tmp_path)
    shelf.promote("heatline-broken")
    with pytest.raises(DidNotStart, match="heatline-broken"), running(shelf, TOKEN):
        pass


@pytest.mark.model
@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_no_process_outlives_its_supervisor(shelf: Shelf, how: signal.Signals) -> None:
    code = (
        "import sys; from pathlib import Path; from nlu.shelf import Shelf; from nlu.serving import serve;"
        "serve(Shelf(Path(sys.argv[1])), '127.0.0.1', 0, 'token')"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(shelf.folder)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert "ready" in process.stdout.readline()
        children = descendants(process.pid)
        assert children
        process.send_signal(how)
        process.wait(10)
        wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in children))


def pids(supervisor: Supervisor) -> list[int]:
    """The processes of this supervisor that run now."""
    return [child.process.pid for child in supervisor.children if child.alive]


def descendants(pid: int) -> list[int]:
    """The children of a process, by Linux's own record."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def wait_for(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Return once `condition()` holds; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)
