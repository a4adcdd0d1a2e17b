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

    Raises SettingsError where it is not ready in READY_SECONDS.
    """
    with tempfile.TemporaryDirectory(prefix="heatline-bench-") as folder, _database(database_url, folder) as url:
        plain = replace(
            settings,
            demo="1",
            host="127.0.0.1",
            port=free_port(),
            database_url=url,
            nlu_url=f"http://127.0.0.1:{free_port()}",
        )
        schema.upgrade(plain)
        commands = [["serve"]] if plain.is_sqlite else [["nlu", "serve"], ["web"], ["worker"]]
        processes = [start(command, plain) for command in commands]
        try:
            wait_until_ready(plain, processes)
            yield Running(demo_settings(plain), processes)
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


def wait_until_ready(settings: Settings, processes: list[subprocess.Popen[bytes]]) -> None:
    """Wait for /readyz. Raises SettingsError where a process ends or READY_SECONDS pass."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        if any(process.poll() is not None for process in processes):
            raise SettingsError("The service under test ended at once; its messages above say why.")
        try:
            if requests.get(f"{settings.base_url}/readyz", timeout=2).ok:
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
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            after = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(stat.parent.name)] = int(after[1])
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
