"""Several processes that do the same on one socket: started, started again when they die, ended together.

They are forks, which share the memory of everything that was loaded before. The queue of connections belongs to the
listening socket: whichever process is free takes the next one, and none is lost when a process dies.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from types import FrameType

from bot.trace import trace

log = logging.getLogger(__name__)

LOOK = 0.2  # seconds between looks at the children
PAUSE = 1.0  # a child that died younger than this is not started again at once
PATIENCE = 12.0  # seconds that children have to finish what they are doing
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
Work = Callable[[threading.Event], None]


def stop_on_signals() -> threading.Event:
    """An event that SIGINT and SIGTERM set."""
    stop = threading.Event()

    def handler(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in _SIGNALS:
        signal.signal(number, handler)
    return stop


def supervise(count: int, work: Work, stop: threading.Event) -> None:
    """Keep `count` processes at `work` until `stop` is set; `work` is given the event that tells it to return.

    To be called by a process without other threads and without open connections, which forks cannot share.
    """
    lifeline = os.pipe()
    born: dict[int, float] = {}
    try:
        while not stop.is_set():
            while len(born) < count:
                born[_fork(work, lifeline)] = time.monotonic()
            stop.wait(LOOK)
            for pid, code in _ended(list(born)):
                log.error("Process %s ended with code %s; starting another.", pid, code)
                if time.monotonic() - born.pop(pid) < PAUSE:
                    stop.wait(PAUSE)
    finally:
        _end(list(born))
        for descriptor in lifeline:
            os.close(descriptor)


def _fork(work: Work, lifeline: tuple[int, int]) -> int:
    # A signal between the fork and the child's own handlers would only reach the copy of its parent's event.
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    pid = os.fork()
    if pid == 0:
        _be_child(work, lifeline)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
    return pid


def _be_child(work: Work, lifeline: tuple[int, int]) -> None:
    code = 1
    try:
        stop = stop_on_signals()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        os.close(lifeline[1])
        threading.Thread(target=_follow, args=(lifeline[0], stop), name="lifeline", daemon=True).start()
        work(stop)
        code = 0
    except Exception as error:
        log.error("A process could not go on: %s", trace(error))
    finally:
        os._exit(code)  # what runs at the parent's exit is not the child's to run


def _follow(lifeline: int, stop: threading.Event) -> None:
    """The other end is closed when the parent ends, however it ends: nobody would watch over this process then."""
    os.read(lifeline, 1)
    stop.set()


def _ended(pids: list[int]) -> list[tuple[int, int]]:
    """The children that have ended, with their exit codes (negative: the signal that ended them)."""
    ended = ((pid, os.waitpid(pid, os.WNOHANG)) for pid in pids)
    return [(pid, os.waitstatus_to_exitcode(status)) for pid, (found, status) in ended if found]


def _end(pids: list[int]) -> None:
    """End them: politely, then surely."""
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + PATIENCE
    while pids and time.monotonic() < deadline:
        gone = [pid for pid, _ in _ended(pids)]
        pids = [pid for pid in pids if pid not in gone]
        time.sleep(0.02)
    for pid in pids:
        log.error("Process %s did not end in %.0f s; it is killed.", pid, PATIENCE)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
