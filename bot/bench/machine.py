"""The processes that a benchmark starts: their database, their memory, their end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path

import requests
from sqlalchemy import create_engine, make_url

from bot import schema
from bot.database import Database
from bot.serve import demo_settings, free_port
from bot.settings import Settings, SettingsError, variable

READY_SECONDS = 60.0


@dataclass(frozen=True)
class Running:
    """A service under test: its settings and its processes (their children count too)."""

    settings: Settings
    processes: list[subprocess.Popen[bytes]]

    def memory(self) -> float:
        """Megabytes of all processes together, shared pages counted once (proportional set size)."""
        pids = {process.pid for process in self.processes}
        return sum(proportional_memory(pid) for pid in pids | descendants(pids)) / 1024


@contextmanager
def service(settings: Settings, database_url: str | None) -> Iterator[Running]:
    """Start the service with its stand-ins on free ports; SQLite in a temporary folder, or a fresh PostgreSQL database.

    On PostgreSQL the stand-ins are in a process apart, as a provider's servers are, and there may be several web
    processes. Raises SettingsError where it is not ready in READY_SECONDS.
    """
    with fresh(replace(settings, demo="1"), database_url) as plain:
        if plain.is_sqlite:
            with _running([["serve"]], plain, "/readyz") as processes:
                yield Running(demo_settings(plain), processes)
            return
        apart = demo_settings(plain)
        ours = replace(apart, demo="0", port=free_port(), twilio_allow_mainland="1")  # "mainland" is the stand-in
        ours = replace(ours, public_url=ours.base_url)
        with (
            _running([["nlu", "serve"], ["web"]], plain, "/readyz") as others,
            _running([["web"], ["worker"]], ours, "/readyz") as processes,
        ):
            yield Running(ours, [*others, *processes])


@contextmanager
def web_alone(settings: Settings, database_url: str | None) -> Iterator[Running]:
    """Start `heatline web` with the settings' own channels; on SQLite, which one process must own, all of the service.

    Raises SettingsError where it does not answer in READY_SECONDS.
    """
    with fresh(settings, database_url) as plain:
        commands = [["serve"]] if plain.is_sqlite else [["web"]]
        with _running(commands, plain, "/healthz") as processes:
            yield Running(plain, processes)


@contextmanager
def fresh(settings: Settings, database_url: str | None) -> Iterator[Settings]:
    """Settings of a service with a database of its own, on free ports of this machine."""
    with tempfile.TemporaryDirectory(prefix="heatline-bench-") as folder, _database(database_url, folder) as url:
        nlu_url = f"http://127.0.0.1:{free_port()}"
        plain = replace(settings, host="127.0.0.1", port=free_port(), database_url=url, nlu_url=nlu_url)
        schema.upgrade(plain)
        _load_places(plain)
        yield plain


def _load_places(settings: Settings) -> None:
    database = Database(settings.database_url)
    try:
        schema.load_invented_places(database)
    finally:
        database.dispose()


@contextmanager
def _running(commands: list[list[str]], settings: Settings, ready: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    processes = [start(command, settings) for command in commands]
    try:
        wait_until_ready(settings, processes, ready)
        yield processes
    finally:
        end(processes)


@contextmanager
def _database(url: str | None, folder: str) -> Iterator[str]:
    if url is None:
        yield f"sqlite:///{folder}/bench.db"
        return
    name = f"heatline_bench_{os.getpid()}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.exec_driver_sql(f'CREATE DATABASE "{name}"')
    try:
        yield make_url(url).set(database=name).render_as_string(hide_password=False)
    finally:
        with admin.connect() as connection:
            connection.exec_driver_sql(f'DROP DATABASE "{name}" WITH (FORCE)')
        admin.dispose()


def start(command: list[str], settings: Settings) -> subprocess.Popen[bytes]:
    """Start `heatline <command>` with these settings, as a process of its own."""
    ours = {variable(f.name): str(getattr(settings, f.name)) for f in fields(Settings)}
    environment: Mapping[str, str] = {**os.environ, **ours}
    return subprocess.Popen(
        [sys.executable, "-m", "bot.cli", *command], env=dict(environment), stdout=subprocess.DEVNULL
    )


def wait_until_ready(settings: Settings, processes: list[subprocess.Popen[bytes]], ready: str = "/readyz") -> None:
    """Wait until the page `ready` says yes. Raises SettingsError where a process ends or READY_SECONDS pass."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in processes):
            raise SettingsError("The service under test ended at once; its messages above say why.")
        try:
            if requests.get(f"{settings.base_url}{ready}", timeout=2).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.2)
    raise SettingsError(f"The service under test was not ready after {READY_SECONDS:.0f} s.")


def end(processes: list[subprocess.Popen[bytes]]) -> None:
    """End processes that `start` made: politely, then surely."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def descendants(pids: set[int]) -> set[int]:
    """The processes that these started, and those that they started."""
    parents = {pid: int(fields[1]) for pid in _all_pids() if (fields := _stat(pid))}
    found: set[int] = set()
    while fresh := {pid for pid, parent in parents.items() if parent in pids | found} - found:
        found |= fresh
    return found


def proportional_memory(pid: int) -> float:
    """Kilobytes of one process, shared pages divided among those that share them; 0.0 once it is gone."""
    try:
        rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next((float(row.split()[1]) for row in rows if row.startswith("Pss:")), 0.0)


def cpu_seconds(pids: set[int]) -> float:
    """CPU time that these processes and the children they have outlived have used so far, all threads together."""
    return sum(sum(map(int, fields[11:15])) for pid in pids if (fields := _stat(pid))) / os.sysconf("SC_CLK_TCK")


def cpu_of_database(url: str) -> float | None:
    """CPU seconds of the PostgreSQL server; None for SQLite and for a server that is not on this machine."""
    if make_url(url).get_backend_name() == "sqlite":
        return None
    engine = create_engine(url)
    with engine.connect() as connection:
        backend = int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        here = _stat(backend)
        server = int(here[1]) if here and _is_postgres(backend) else None
        used = cpu_seconds({server} | descendants({server})) if server else None
    engine.dispose()
    return used


def _is_postgres(pid: int) -> bool:
    return Path(f"/proc/{pid}/comm").read_text().strip().startswith("postgres")


def _all_pids() -> list[int]:
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*")]


def _stat(pid: int) -> list[str]:
    """What the kernel says of a process, from its state on; empty once it is gone. See proc(5)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
