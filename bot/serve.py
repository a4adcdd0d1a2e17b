"""`heatline serve`: web, worker and NLU server on one machine; every process ends with this one."""

from __future__ import annotations

import gc
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import requests
from flask import Flask
from waitress.server import BaseWSGIServer, MultiSocketServer, create_server

from bot import services as service_factory
from bot.app import create_app
from bot.processes import stop_on_signals, supervise
from bot.settings import Settings, SettingsError
from bot.worker import Worker

log = logging.getLogger(__name__)
NLU_START_SECONDS = 90.0


def check_port(host: str, port: int) -> None:
    """Raises SettingsError where the port is taken."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            raise SettingsError(f"Port {port} is in use; set HEATLINE_PORT to a free one.") from None


class NluChild:
    """The NLU server as a child of this process; started again when it dies."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process = start_nlu(settings)

    def wait_until_ready(self, stop: threading.Event) -> None:
        """Wait until it answers. Raises SettingsError where its process ends or takes too long."""
        deadline = time.monotonic() + NLU_START_SECONDS
        while not stop.is_set() and not nlu_ready(self._settings):
            if self._process.poll() is not None:
                raise SettingsError("The NLU server could not start; `heatline nlu serve` shows why.")
            if time.monotonic() > deadline:
                raise SettingsError(f"The NLU server was not ready after {NLU_START_SECONDS:.0f} s.")
            time.sleep(0.2)

    def keep_alive(self) -> None:
        """Start it again if it has died."""
        if self._process.poll() is not None:
            log.error("The NLU server ended with code %s; starting it again.", self._process.returncode)
            self._process = start_nlu(self._settings)

    def end(self, patience: float = 8.0) -> None:
        """End it: politely, then surely."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        try:
            self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def free_port() -> str:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def serve(settings: Settings, announce: Callable[[], None]) -> None:
    """Run web, worker and NLU server until SIGINT or SIGTERM. `announce` is called once everything is ready.

    An NLU server that answers at the configured address already is used and left alone.
    """
    check_port(settings.host, int(settings.port))
    stop = stop_on_signals()
    nlu = None if nlu_ready(settings) else NluChild(settings)
    try:
        services = service_factory.create(settings)
        worker = Worker(services, int(settings.worker_threads))
        app = create_app(services)
        settle_memory()
        server = start_web(app, settings)
        worker.start()
        if nlu is not None:
            nlu.wait_until_ready(stop)
        if not stop.is_set():
            announce()
        while not stop.wait(1.0):
            if nlu is not None:
                nlu.keep_alive()
        server.close()
        worker.stop()
    finally:
        if nlu is not None:
            nlu.end()


@dataclass(frozen=True)
class WebServer:
    """A listening web server in threads of this process, and the application that it serves."""

    app: Flask
    server: BaseWSGIServer | MultiSocketServer

    def close(self) -> None:
        """Finish what is being answered and take no more requests."""
        self.server.task_dispatcher.shutdown()
        self.server.close()


def start_web(app: Flask, settings: Settings, listener: socket.socket | None = None) -> WebServer:
    """Start the web server of a process; it listens when this returns. `listener`: a socket that others share."""
    where: dict[str, Any] = {"host": settings.host, "port": int(settings.port)}
    server = create_server(
        app,
        **(where if listener is None else {"sockets": [listener]}),
        threads=int(settings.web_threads),
        channel_timeout=30,
        ident=None,
        clear_untrusted_proxy_headers=True,
    )
    threading.Thread(target=_run, args=(server,), name="web", daemon=True).start()
    return WebServer(app, server)


def settle_memory() -> None:
    """What has been loaded stays: the garbage collector need not look at it again, nor forks copy it.

    It looks less often at the rest too: a turn makes many objects that are gone with it (1 to 5 % more turns a second).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


def _run(server: BaseWSGIServer | MultiSocketServer) -> None:
    try:
        server.run()
    except OSError:
        log.debug("The web server's socket was closed.")  # how waitress notices that it is to stop


def nlu_ready(settings: Settings) -> bool:
    """Whether an NLU server answers at the configured address with our token."""
    try:
        url = f"{settings.nlu_url.rstrip('/')}/status"
        return requests.get(url, params={"token": settings.nlu_token}, timeout=1).ok
    except requests.RequestException:
        return False


def start_nlu(settings: Settings) -> subprocess.Popen[bytes]:
    """Start `heatline nlu serve` as a child in a session of its own, so that Ctrl-C reaches it through us only."""
    environment = {**os.environ, "HEATLINE_NLU_TOKEN": settings.nlu_token, "HEATLINE_NLU_URL": settings.nlu_url}
    return subprocess.Popen([sys.executable, "-m", "bot.cli", "nlu", "serve"], env=environment, start_new_session=True)


def run_web(settings: Settings) -> None:
    """`heatline web`: the web server alone; refuses SQLite, which one process must own."""
    _refuse_sqlite(settings, "web")
    settings = demo_settings(settings) if settings.is_demo else settings
    check_port(settings.host, int(settings.port))
    stop = stop_on_signals()
    services = service_factory.create(settings)
    app = create_app(services)
    settle_memory()
    processes = _web_processes(settings)
    log.info("Listening on %s:%s with %d process(es)", settings.host, settings.port, processes)
    if processes == 1:
        _serve_web(app, settings, None, stop)
        return
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.create_server((settings.host, int(settings.port)), family=family, backlog=1024) as listener:
        supervise(processes, partial(_serve_web, app, settings, listener), stop)


def _serve_web(app: Flask, settings: Settings, listener: socket.socket | None, stop: threading.Event) -> None:
    server = start_web(app, settings, listener)
    stop.wait()
    server.close()


def _web_processes(settings: Settings) -> int:
    """How many; a demonstration's stand-ins live in the memory of one."""
    if settings.is_demo and settings.web_processes != "1":
        log.warning("A demonstration runs in one web process.")
    return 1 if settings.is_demo else int(settings.web_processes)


def run_worker(settings: Settings) -> None:
    """`heatline worker`: the worker alone; refuses SQLite, which one process must own."""
    _refuse_sqlite(settings, "worker")
    settings = demo_settings(settings) if settings.is_demo else settings
    stop = stop_on_signals()
    worker = Worker(service_factory.create(settings), int(settings.worker_threads))
    worker.start()
    stop.wait()
    worker.stop()


def _refuse_sqlite(settings: Settings, command: str) -> None:
    if settings.is_sqlite:
        raise SettingsError(
            f"`heatline {command}` needs PostgreSQL (HEATLINE_DATABASE_URL); on SQLite run `heatline serve`."
        )


def demo_settings(settings: Settings) -> Settings:
    """Settings of the demonstration: stand-ins on our own address in place of WeChat and Twilio.

    Raises SettingsError where real credentials are configured: a demonstration must not reach real residents.
    """
    real = [settings.wechat_appid, settings.wechat_secret, settings.twilio_account_sid, settings.twilio_auth_token]
    real += [settings.aliyun_access_key_id, settings.tencent_secret_id, settings.wecom_robot_url]
    if any(real):
        raise SettingsError("HEATLINE_DEMO=1 refuses real credentials; unset the WeChat and SMS settings.")
    from bot.standins import DEMO_CREDENTIALS
    from bot.standins.wecom import KEY as WECOM_KEY

    base = f"http://{settings.host}:{settings.port}"
    return replace(
        settings,
        public_url=base,
        wechat_api=f"{base}/standins/wechat",
        twilio_api=f"{base}/standins/twilio",
        wecom_robot_url=f"{base}/standins/wecom/cgi-bin/webhook/send?key={WECOM_KEY}",
        **DEMO_CREDENTIALS,
    )
