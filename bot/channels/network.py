"""HTTP to providers: sessions, and what a failed request says about whether the provider may have taken it."""

from __future__ import annotations

from urllib.parse import urlsplit

import requests
from urllib3.exceptions import ConnectTimeoutError, MaxRetryError, NewConnectionError

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def session_for(base: str) -> requests.Session:
    """A session for calls to `base`. A stand-in on this machine is never asked through a configured proxy."""
    session = requests.Session()
    session.trust_env = urlsplit(base).hostname not in LOOPBACK
    return session


def never_left(error: requests.RequestException) -> bool:
    """Whether the request surely did not reach the provider: no connection was made. Otherwise it is ambiguous."""
    if isinstance(error, requests.ConnectTimeout | requests.exceptions.SSLError | requests.exceptions.InvalidURL):
        return True
    cause = error.args[0] if error.args else None
    reason = cause.reason if isinstance(cause, MaxRetryError) else cause
    return isinstance(reason, NewConnectionError | ConnectTimeoutError)
