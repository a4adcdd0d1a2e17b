"""Keeps N serving processes behind one address, all on the live model, and swaps them when another is promoted.

The supervisor opens the listening socket and hands it down: whichever process is free takes the next connection, and
none is lost when processes come and go, because the queue of connections belongs to the socket.
"""

from __future__ import annotations

import contextlib
import logging
import selectors
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType

from nlu.environment import ROOT, server_environment, server_python
from nlu.shelf import Model, Shelf

log = logging.getLogger(__name__)

START_TIMEOUT = 60.0
_STOP_TIMEOUT = 5.0
_LOOK = 0.5
# A model whose processes die at once must not keep a core busy with restarts.
_RESTART_PAUSE = 2.0


class NoModel(Exception):
    """There is no live model to serve; the message says what to do."""


class DidNotStart(Exception):
    """A process did not become ready with the model that was asked for."""


@dataclass
class Child:
    """One serving process and the model it was started with."""

    process: subprocess.Popen[str]
    model: Model
    born: float = field(default_factory=time.monotonic)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self.process.poll() is None


class Supervisor:
    """Starts, watches, swaps and ends the serving processes."""

    def __init__(self, shelf: Shelf, host: str, port: int, token: str, processes: int = 1) -> None:
        """Bind the address at once, so that a taken port is known before anything is loaded. Raises OSError."""
        self._shelf = shelf
        self._token = token
        self._processes = processes
        self.children: list[Child] = []
        self._stop = threading.Event()
        self._seen = -1.0
        self._listener = socket.create_server((host, port), backlog=256)
        self.address = f"http://{host}:{self._listener.getsockname()[1]}"

    def start(self) -> None:
        """Start all processes and wait until they are ready. Raises NoModel, DidNotStart, NotInstalled."""
        model = self._shelf.live()
        if model is None:
            raise NoModel(f"No model is live in {self._shelf.folder}: run `heatline nlu train`.")
        self._seen = self._shelf.changed_at()
        self.children = self._start_children(model)
        log.info("NLU server ready at %s with %s", self.address, model.name)

    def run(self) -> None:
        """Watch until `stop`; then end every process."""
        try:
            while not self._stop.wait(_LOOK):
                self.look()
        finally:
            self._end(self.children)
            self._listener.close()

    def look(self) -> None:
        """One round of watching: follow a promotion, replace the dead."""
        if self._shelf.changed_at() != self._seen:
            self._seen = self._shelf.changed_at()
            self._follow()
        for child in [child for child in self.children if not child.alive]:
            self._replace(child)

    def reload(self) -> None:
        """Look at live.json again at the next round, changed or not (SIGHUP)."""
        self._seen = -1.0

    def stop(self) -> None:
        """Make `run` return; safe in a signal handler."""
        self._stop.set()

    def _follow(self) -> None:
        """Start the promoted model, and only when it is warm end the old processes; if it fails, keep the old."""
        model = self._shelf.live()
        if model is None or all(child.model.name == model.name for child in self.children):
            return
        try:
            fresh = self._start_children(model)
        except DidNotStart as error:
            log.error("The promoted model was not taken over: %s", error)
            return
        old, self.children = self.children, fresh
        self._end(old)
        log.info("Now serving %s", model.name)

    def _replace(self, dead: Child) -> None:
        if time.monotonic() - dead.born < _RESTART_PAUSE and self._stop.wait(_RESTART_PAUSE):
            return
        log.warning("A serving process ended with code %s; starting another", dead.process.returncode)
        try:
            self.children.extend(self._wait_ready([self._spawn(dead.model)]))
        except DidNotStart as error:
            log.error("%s", error)
            dead.born = time.monotonic()
            return
        self.children.remove(dead)
        self._end([dead])

    def _start_children(self, model: Model) -> list[Child]:
        return self._wait_ready([self._spawn(model) for _ in range(self._processes)])

    def _spawn(self, model: Model) -> Child:
        descriptor = self._listener.fileno()
        command = [str(server_python()), "-m", "nlu.server.serve", "--model", str(model.path.absolute())]
        process = subprocess.Popen(
            [*command, "--socket", str(descriptor)],
            pass_fds=[descriptor],
            cwd=ROOT,
            env=server_environment(HEATLINE_NLU_TOKEN=self._token),
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            text=True,
        )
        return Child(process, model)

    def _wait_ready(self, children: list[Child]) -> list[Child]:
        """Return the children once each has said that it serves its model; otherwise end them all."""
        deadline = time.monotonic() + START_TIMEOUT
        try:
            for child in children:
                said = _read_line(child.process, deadline, self._stop)
                if said != f"ready {child.model.path.name}":
                    raise DidNotStart(f"The process for {child.model.name} did not become ready: {said or 'it ended'}")
        except BaseException:
            self._end(children)
            raise
        return children

    def _end(self, children: list[Child]) -> None:
        """Ask all to finish what they answer, then insist."""
        for child in children:
            child.process.terminate()
        deadline = time.monotonic() + _STOP_TIMEOUT
        for child in children:
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
            if child.process.stdout:
                child.process.stdout.close()


def _read_line(process: subprocess.Popen[str], deadline: float, stop: threading.Event) -> str:
    """The first line a process says that is about being ready; empty if it ends, or the time is up."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline and not stop.is_set():
            if selector.select(timeout=0.2):
                line = process.stdout.readline()
                if not line or line.startswith("ready"):
                    return line.strip()
    return ""


def serve(shelf: Shelf, host: str, port: int, token: str, processes: int = 1) -> None:
    """`heatline nlu serve`: serve the live model until SIGTERM or SIGINT; SIGHUP looks for another one at once."""
    supervisor = Supervisor(shelf, host, port, token, processes)
    with _signals(supervisor):
        supervisor.start()
        print(f"NLU server ready at {supervisor.address}", flush=True)
        supervisor.run()


@contextlib.contextmanager
def running(shelf: Shelf, token: str, host: str = "127.0.0.1", port: int = 0, processes: int = 1) -> Iterator[str]:
    """Serve from a thread of this process and hand out the address; for `nlu parse`, tests and benchmarks."""
    supervisor = Supervisor(shelf, host, port, token, processes)
    try:
        supervisor.start()
    except BaseException:
        supervisor.stop()
        supervisor.run()
        raise
    thread = threading.Thread(target=supervisor.run, name="nlu-supervisor")
    thread.start()
    try:
        yield supervisor.address
    finally:
        supervisor.stop()
        thread.join()


@contextlib.contextmanager
def _signals(supervisor: Supervisor) -> Iterator[None]:
    """Route signals to the supervisor, and give them back afterwards."""
    actions: dict[signal.Signals, Callable[[], None]] = {
        signal.SIGTERM: supervisor.stop,
        signal.SIGINT: supervisor.stop,
        signal.SIGHUP: supervisor.reload,
    }

    def act(number: int, frame: FrameType | None) -> None:
        actions[signal.Signals(number)]()

    former = {number: signal.signal(number, act) for number in actions}
    try:
        yield
    finally:
        for number, action in former.items():
            signal.signal(number, action)
