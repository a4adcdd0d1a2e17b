"""A private PostgreSQL server that lives as long as its test run: own folder, Unix socket only, nothing kept.

`python -m tests.postgres` runs one in the foreground and prints its address, for trying things out.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

START_SECONDS = 30.0
ROOM = 2 << 30  # bytes
MISSING = "PostgreSQL's server is not installed: run `make test`, or `apt-get install postgresql`."
# Nothing in a test's database has to outlive the machine.
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
_LIMITS = {"max_connections": "400", "shared_buffers": "64MB", "listen_addresses": ""}


class PostgresMissing(Exception):
    """There is no server to test with; the message is one sentence that says what to do."""


class Cluster:
    """A running server. `url(name)` is the SQLAlchemy address of one of its databases."""

    def __init__(self) -> None:
        binaries = _binaries()
        self.folder = Path(tempfile.mkdtemp(prefix="heatline-postgres-", dir=_memory()))
        self._account = _account()
        if self._account:
            os.chown(self.folder, self._account.pw_uid, self._account.pw_gid)
        try:
            self._initialise(binaries)
            self._process = self._start(binaries)
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def url(self, database: str = "postgres") -> str:
        """The address of a database of this server, as HEATLINE_DATABASE_URL has it."""
        return f"postgresql+psycopg://heatline@/{database}?host={self.folder}"

    def stop(self) -> None:
        """End the server and remove its folder."""
        process: subprocess.Popen[bytes] | None = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGINT)  # "fast": open connections are closed
            process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _initialise(self, binaries: Path) -> None:
        arguments = ["--username=heatline", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
        command = [str(binaries / "initdb"), *arguments, "--pgdata", str(self.folder / "data")]
        done = subprocess.run([*self._as_account(), *command], cwd=self.folder, capture_output=True, text=True)
        if done.returncode:
            raise PostgresMissing(f"PostgreSQL's initdb failed: {done.stderr.strip()[-300:]}")

    def _start(self, binaries: Path) -> subprocess.Popen[bytes]:
        options = {**_FAST, **_LIMITS, "unix_socket_directories": str(self.folder)}
        command = [str(binaries / "postgres"), "-D", str(self.folder / "data")]
        command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with (self.folder / "log").open("wb") as log:
            return subprocess.Popen([*self._as_account(), *command], cwd=self.folder, stdout=log, stderr=log)

    def _as_account(self) -> list[str]:
        """PostgreSQL refuses to run as root; and it must not outlive a test run that was killed."""
        command = ["setpriv", "--pdeathsig", "INT"]
        if self._account:
            command += [f"--reuid={self._account.pw_uid}", f"--regid={self._account.pw_gid}", "--clear-groups"]
        return [*command, "--"]

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                psycopg.connect(f"host={self.folder} user=heatline dbname=postgres").close()
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    log = (self.folder / "log").read_text(errors="replace")[-500:]
                    raise PostgresMissing(f"PostgreSQL did not start: {log}") from None
                time.sleep(0.05)


def _memory() -> str | None:
    """A folder in memory where there is one with room: making a database is mostly writing files."""
    shared = Path("/dev/shm")
    if shared.is_dir() and os.access(shared, os.W_OK) and shutil.disk_usage(shared).free > ROOM:
        return str(shared)
    return None


def _binaries() -> Path:
    """Debian keeps the server's programs out of PATH, a folder for each version."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[4]))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        raise PostgresMissing(MISSING)
    return found[-1].parent if found else Path(str(on_path)).resolve().parent


def _account() -> pwd.struct_passwd | None:
    """Whom to run the server as: ourselves, or `postgres` where we are root."""
    return pwd.getpwnam("postgres") if os.geteuid() == 0 else None


def main() -> None:
    """Run a server until Ctrl-C."""
    cluster = Cluster()
    print(f"HEATLINE_TEST_POSTGRES_URL='{cluster.url()}'", flush=True)
    try:
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
    finally:
        cluster.stop()


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    main()
