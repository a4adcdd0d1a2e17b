"""WeChat's API: one stable token for all processes, a timeout on every call, one retry, and errors without secrets.

wechatpy 1.8.18 retries token errors without end, waits for the token without a timeout, and puts secret and token into
the texts of its errors; StableWeChatClient mends these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, TypeVar

import requests
from sqlalchemy import delete, update
from wechatpy import WeChatClient
from wechatpy.exceptions import WeChatClientException
from wechatpy.session import SessionStorage

from bot import clock
from bot.channels.network import never_left
from bot.database import Database
from bot.models import Credential
from bot.upsert import insert_ignoring

T = TypeVar("T")
TOKEN_ERRORS = (40001, 40014, 42001)
JSON = "application/json"
TIMEOUT = 4.0  # seconds for connecting, and for each read
EARLY = timedelta(seconds=60)  # a token is dropped this long before it expires


class WeChatUnreachable(Exception):
    """Network failure, HTTP error or an answer that is not the API's. Carries no URL, hence neither token nor secret.

    `sent`: the request may have been carried out. `status`: the HTTP status, where there was an answer.
    """

    def __init__(self, reason: str, *, sent: bool, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.sent = sent
        self.status = status


class WeChatRefused(Exception):
    """The API answered with an errcode; `in_token_call` says that it was the token call that was refused.

    `address` is this machine's, where WeChat says that it is not on the IP list.
    """

    def __init__(self, errcode: int, *, in_token_call: bool = False, address: str | None = None) -> None:
        super().__init__(f"WeChat answered errcode {errcode}")
        self.errcode = errcode
        self.in_token_call = in_token_call
        self.address = address


class CredentialStore(SessionStorage):  # type: ignore[misc]
    """wechatpy's session storage over the Credential table, so that all processes share one token."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, key: str, default: str | None = None) -> str | None:
        """The value, while it is valid."""
        with self._database.reading() as session:
            row = session.get(Credential, key)
            return row.value if row is not None and row.expires_at - EARLY > clock.now() else default

    def set(self, key: str, value: str, ttl: float | None = None) -> None:
        """Keep `value` for `ttl` seconds (7200 where none is given)."""
        expires = clock.now() + timedelta(seconds=ttl or 7200)
        with self._database.transaction() as session:
            row = {"name": key, "value": value, "expires_at": expires}
            if not insert_ignoring(session, Credential, [row], ["name"]):
                session.execute(
                    update(Credential).where(Credential.name == key).values(value=value, expires_at=expires)
                )

    def delete(self, key: str) -> None:
        """Forget the value."""
        with self._database.transaction() as session:
            session.execute(delete(Credential).where(Credential.name == key))


class StableWeChatClient(WeChatClient):  # type: ignore[misc]
    """wechatpy's client on stable_token. Every call raises WeChatRefused or WeChatUnreachable, nothing else.

    `base` is the API's address, `http` the session that calls it (tests mount an adapter on it).
    """

    def __init__(
        self,
        appid: str,
        secret: str,
        store: SessionStorage,
        base: str,
        http: requests.Session,
        timeout: float = TIMEOUT,
    ) -> None:
        super().__init__(appid, secret, session=store, timeout=timeout, auto_retry=False)
        self._base = base.rstrip("/")
        self.API_BASE_URL = f"{self._base}/cgi-bin/"
        self._http = http

    @property
    def access_token(self) -> str:
        """The shared token, fetched when there is none that is valid."""
        return self.session.get(self.access_token_key) or str(self.fetch_access_token()["access_token"])

    def fetch_access_token(self) -> dict[str, Any]:
        """Ask for the stable token and share it; asking again before it expires gives the same one."""
        body = {
            "grant_type": "client_credential",
            "appid": self.appid,
            "secret": self.secret,
            "force_refresh": False,
        }
        url = f"{self._base}/cgi-bin/stable_token"
        try:
            response = self._http.post(url, json=body, timeout=self.timeout)
        except requests.RequestException as error:
            raise WeChatUnreachable(f"token call: {type(error).__name__}", sent=False) from None
        data = _json(response, sent=False)
        token, seconds = data.get("access_token"), data.get("expires_in", 7200)
        if isinstance(data.get("errcode"), int) and data["errcode"] != 0:
            raise WeChatRefused(data["errcode"], in_token_call=True, address=_address_in(data.get("errmsg")))
        if not isinstance(token, str) or not isinstance(seconds, int):
            raise WeChatUnreachable("the token call's answer has no token", sent=False)
        self.session.set(self.access_token_key, token, seconds)
        return data

    def call(self, endpoint: str, data: dict[str, Any]) -> dict[str, Any]:
        """POST to an endpoint such as `message/custom/send`; an errcode of 0 is the only success."""
        result = self.post(endpoint, data=data)
        if not isinstance(result, dict) or result.get("errcode") != 0:
            raise WeChatUnreachable("the answer is not the API's", sent=True)
        return result

    def ask(self, path: str, **params: str) -> dict[str, Any]:
        """GET a path such as `/cgi-bin/menu/get`; a JSON object without an errcode, or with 0, is a success."""
        result = self.get(f"{self._base}{path}", params=params)
        if not isinstance(result, dict):
            raise WeChatUnreachable("the answer is not the API's", sent=False)
        return result

    def download(self, path: str, most: int, **params: str) -> tuple[bytes, str]:
        """GET bytes and their type; a JSON answer with an errcode raises WeChatRefused, more than `most` bytes TooLarge."""
        return self._with_token(
            lambda token: self._bytes(f"{self._base}{path}", most, {**params, "access_token": token})
        )

    def download_from(self, url: str, most: int) -> tuple[bytes, str]:
        """The same from an address that WeChat named; it is not told our token."""
        return self._bytes(url, most, {})

    def _bytes(self, url: str, most: int, params: dict[str, str]) -> tuple[bytes, str]:
        try:
            with self._http.get(url, params=params, timeout=self.timeout, stream=True) as response:
                if response.status_code >= 400:
                    raise _http_error(response.status_code)
                content = b"".join(_at_most(response, most))
        except requests.RequestException as error:
            raise WeChatUnreachable(type(error).__name__, sent=False) from None
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        return content, JSON if _is_answer(content) else kind

    def _request(self, method: str, url_or_endpoint: str, **kwargs: Any) -> Any:
        """One call, and one more with a new token where the token was the trouble."""
        params = dict(kwargs.pop("params", None) or {})
        return self._with_token(
            lambda token: self._once(method, url_or_endpoint, {**params, "access_token": token}, kwargs)
        )

    def _with_token(self, call: Callable[[str], T]) -> T:
        for last_try in (False, True):
            token = self.access_token
            try:
                return call(token)
            except WeChatRefused as refusal:
                if last_try or refusal.errcode not in TOKEN_ERRORS:
                    raise
                if self.session.get(self.access_token_key) == token:  # else another process has renewed it already
                    self.session.delete(self.access_token_key)
        raise AssertionError("unreachable")

    def _once(self, method: str, endpoint: str, params: dict[str, Any], kwargs: dict[str, Any]) -> Any:
        try:
            return super()._request(method, endpoint, params=params, **dict(kwargs))
        except WeChatClientException as error:
            if error.errcode is None:  # an HTTP status; the chained error's text holds the URL with the token
                raise _http_error(error.response.status_code) from None
            raise WeChatRefused(int(error.errcode), address=_address_in(error.errmsg)) from None
        except requests.RequestException as error:
            raise WeChatUnreachable(type(error).__name__, sent=not never_left(error)) from None
        except (TypeError, ValueError):  # an errcode that is no number
            raise WeChatUnreachable("the answer is not the API's", sent=True) from None


class TooLarge(Exception):
    """What was to be downloaded is larger than anything WeChat lets residents send."""


def _at_most(response: requests.Response, most: int) -> Iterator[bytes]:
    size = 0
    for chunk in response.iter_content(64 * 1024):
        size += len(chunk)
        if size > most:
            raise TooLarge
        yield chunk


def _is_answer(content: bytes) -> bool:
    """Whether this is JSON of the API, whatever type it says it has; raises WeChatRefused for an error of the API."""
    if not content.startswith(b"{"):
        return False
    try:
        data = json.loads(content)
    except ValueError:
        return False
    if isinstance(data, dict) and isinstance(data.get("errcode"), int) and data["errcode"] != 0:
        raise WeChatRefused(data["errcode"])
    return isinstance(data, dict)


def _address_in(message: Any) -> str | None:
    """The address in "invalid ip 203.0.113.7 ipv6 ::ffff:203.0.113.7, not in whitelist"; nothing else of a message is kept."""
    match = re.search(r"invalid ip ([0-9a-fA-F.:]{3,45})", message) if isinstance(message, str) else None
    return match[1] if match else None


def _http_error(status: int) -> WeChatUnreachable:
    """A 5xx may come after the work was done; a 4xx was refused before it."""
    return WeChatUnreachable(f"HTTP {status}", sent=status >= 500, status=status)


def _json(response: requests.Response, *, sent: bool) -> dict[str, Any]:
    if response.status_code >= 400:
        raise WeChatUnreachable(f"HTTP {response.status_code}", sent=sent, status=response.status_code)
    try:
        data = response.json()
    except ValueError:
        raise WeChatUnreachable("the answer is not JSON", sent=sent) from None
    if not isinstance(data, dict):
        raise WeChatUnreachable("the answer is not the API's", sent=sent)
    return data
