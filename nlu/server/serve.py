"""One serving process: Rasa's own HTTP API (POST /model/parse, GET /status) over exactly one model.

Started by `nlu/serving.py` as `python -m nlu.server.serve --model FILE --socket FD`; `rasa run` would do the same
after 12 s and with 530 MB, because it imports TensorFlow whether the pipeline needs it or not.
"""

from __future__ import annotations

import argparse
import asyncio
import ctypes
import logging
import os
import signal
import socket
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from nlu.server import hollow

if TYPE_CHECKING:
    from sanic import Request, Sanic
    from sanic.response import HTTPResponse

MODEL_HEADER = "X-Heatline-Model"
_PR_SET_PDEATHSIG = 1
_WARM_UP = ("家里暖气不热", "你好")


def main() -> None:
    """Load, warm up, say "ready MODEL" on standard output, then answer until told to stop."""
    arguments = _arguments()
    _die_with_parent()
    os.environ["RASA_TELEMETRY_ENABLED"] = "false"
    _keep_texts_out_of_logs()
    # Rasa and its libraries warn of their own age at every start, whatever filters say; nobody here can act on it.
    warnings.showwarning = lambda *args, **kwargs: None
    hollow.install()
    serve(arguments.model, socket.socket(fileno=arguments.socket), os.environ.pop("HEATLINE_NLU_TOKEN", ""))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="the archive to serve")
    parser.add_argument("--socket", type=int, required=True, help="the listening socket, an inherited descriptor")
    return parser.parse_args()


def _die_with_parent() -> None:
    """Linux ends this process when the supervisor is gone, however it went (kill -9 too)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() == 1:
            raise SystemExit("the supervisor is gone already")


def _keep_texts_out_of_logs() -> None:
    """Rasa logs every message with its text at DEBUG, and structlog prints DEBUG unless told otherwise."""
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    logging.basicConfig(level=logging.WARNING)


def _silence_sanic() -> None:
    """Every application sets Sanic's loggers back to INFO, where each start and stop of a worker is told."""
    for name in ("sanic.root", "sanic.server", "sanic.error"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _name_the_model(app: Sanic, name: str) -> None:
    """Say with each answer which model gave it: during a promotion the old one and the new one both answer."""

    @app.on_response
    async def add_header(request: Request, response: HTTPResponse) -> None:
        response.headers[MODEL_HEADER] = name


def serve(model: Path, listener: socket.socket, token: str) -> None:
    """Serve `model` on `listener`, where several processes may accept; an empty token means no check.

    Raises SystemExit if the model cannot be loaded: Rasa itself would serve another one, or none.
    """
    from rasa.core.agent import Agent
    from rasa.server import create_app

    if not model.is_file():
        raise SystemExit(f"no model at {model}")
    agent = Agent.load(str(model))
    if agent.processor is None or agent.processor.model_filename != model.name:
        raise SystemExit(f"could not load {model}")
    for text in _WARM_UP:
        asyncio.run(agent.parse_message(text))
    app = create_app(agent, cors_origins=[], auth_token=token or None)
    _silence_sanic()
    _name_the_model(app, model.name)
    # A connection that idles is cheap, and one that is closed under the client's hands costs it a retry.
    app.config.KEEP_ALIVE_TIMEOUT = 75
    app.config.GRACEFUL_SHUTDOWN_TIMEOUT = 3.0
    print(f"ready {model.name}", flush=True)
    app.run(sock=listener, access_log=False, debug=False, motd=False, workers=1)


if __name__ == "__main__":
    main()
