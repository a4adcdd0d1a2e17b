"""How a stand-in reaches the service, and how the service reaches a stand-in: over HTTP, or within one process."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol

import requests
from flask import Flask
from requests.adapters import BaseAdapter


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answered to a webhook."""

    status: int
    body: str
    content_type: str = ""


class NoAnswer(Exception):
    """The service did not answer in time, or not at all; `connected` says whether it took the call."""

    def __init__(self, reason: str, *, connected: bool) -> None:
        super().__init__(reason)
        self.connected = connected


class Transport(Protocol):
    """Posts a webhook to the service."""

    def post(self, target: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        """POST to a path with its query. Raises NoAnswer; `timeout` in seconds."""
        ...


class HttpTransport:
    """Over the network to a base address, with one connection per thread."""

    def __init__(self, base: str) -> None:
        self._base = base.rstrip("/")
        self._local = threading.local()

    def post(self, target: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        """See Transport."""
        try:
            response = self._session().post(
                f"{self._base}{target}", data=body, headers=dict(headers), timeout=timeout, allow_redirects=False
            )
        except requests.ConnectTimeout:
            raise NoAnswer("no connection", connected=False) from None
        except requests.Timeout:
            raise NoAnswer("no answer in time", connected=True) from None
        except requests.RequestException as error:
            raise NoAnswer(type(error).__name__, connected=False) from None
        return Answer(response.status_code, response.content.decode("utf-8", "replace"), _type(response))

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.trust_env = False  # a proxy has no business between two parts of one machine
        session: requests.Session = self._local.session
        return session


class AppTransport:
    """Straight into a Flask application of this process; time limits are not watched."""

    def __init__(self, app: Flask, base: str = "http://127.0.0.1:8000") -> None:
        self._app = app
        self._base = base

    def post(self, target: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        """See Transport."""
        # Buffered, so that the response is closed and the service learns that it has left.
        response = self._app.test_client().post(
            target, data=body, headers=dict(headers), base_url=self._base, buffered=True
        )
        return Answer(response.status_code, response.get_data(as_text=True), response.content_type or "")


class AppAdapter(BaseAdapter):
    """A requests adapter whose other end is a Flask application of this process."""

    def __init__(self, app: Flask) -> None:
        super().__init__()
        self._app = app

    def send(self, request: requests.PreparedRequest, *_args: Any, **_kwargs: Any) -> requests.Response:
        """Carry the request to the application and its answer back."""
        body = request.body or b""
        answer = self._app.test_client().open(
            request.url, method=request.method, data=body, headers=list(request.headers.items()), buffered=True
        )
        response = requests.Response()
        response.status_code = answer.status_code
        response.headers.update(answer.headers)
        response.raw = BytesIO(answer.get_data())
        response.url, response.request = request.url or "", request
        response.encoding = "utf-8"
        return response

    def close(self) -> None:
        """Nothing to close."""


def session_into(app: Flask) -> requests.Session:
    """A session whose every call goes to `app`."""
    session = requests.Session()
    session.trust_env = False
    for scheme in ("http://", "https://"):
        session.mount(scheme, AppAdapter(app))
    return session


def _type(response: requests.Response) -> str:
    return response.headers.get("Content-Type", "")
