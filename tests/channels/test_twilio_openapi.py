"""Outgoing calls against Twilio's own published API description, served by Prism: neither was written here.

Prism checks path, authentication, required fields and types, and answers with the description's own example. It does not
check lengths, and takes fields that the description does not know; those are compared with the description directly.
"""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import requests

from bot.channels import GiveUp, Misconfigured, Outgoing, SendError, sms_twilio
from tests.channels.conftest import NO_DATABASE
from tests.channels.helpers import TWILIO, form_of

FOLDER = Path(__file__).parents[1] / "prism" / "node_modules"
PRISM = FOLDER / "@stoplight" / "prism-cli" / "dist" / "index.js"
SPEC = FOLDER / "@twilio" / "cli-core" / "src" / "services" / "twilio-api" / "twilio_api_v2010.json"
MESSAGES = "/2010-04-01/Accounts/{AccountSid}/Messages.json"
OUT = Outgoing(to="+85291234567", text="您的工单已派单", ref="7")
PATIENCE = 60.0  # seconds until Prism has read 1.9 MB of description

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prism")]


@pytest.fixture(scope="module")
def prism() -> Iterator[str]:
    """The address of Prism, serving Twilio's description."""
    node = shutil.which("node")
    if node is None or not PRISM.exists() or not SPEC.exists():
        pytest.fail("Prism or Node.js is missing: `make prism` installs them, and so does `make test`.", pytrace=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [node, str(PRISM), "mock", "-h", "127.0.0.1", "-p", str(port), str(SPEC)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(port, server)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def _wait(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.2)
    pytest.fail("Prism did not start.", pytrace=False)


@pytest.fixture(scope="module")
def description() -> dict[str, Any]:
    """What Twilio's description says of creating a message."""
    if not SPEC.exists():
        pytest.fail("Twilio's API description is missing: `make prism` installs it.", pytrace=False)
    operation = json.loads(SPEC.read_text(encoding="utf-8"))["paths"][MESSAGES]["post"]
    return dict(operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"])


class _Lossy(requests.Session):
    """A session that loses a header or a field."""

    def __init__(self, lacks: str) -> None:
        super().__init__()
        self._lacks = lacks

    def send(self, request: requests.PreparedRequest, **how: Any) -> requests.Response:
        """Send what is left."""
        request.headers.pop(self._lacks, None)
        if self._lacks in form_of(request):
            request.prepare_body({k: v for k, v in form_of(request).items() if k != self._lacks}, None)
        return super().send(request, **how)


@dataclass
class Line:
    """A Twilio channel whose calls go to Prism and are kept."""

    base: str
    lacks: str = ""  # a header or a field that is lost on the way
    calls: list[requests.PreparedRequest] = field(default_factory=list)
    answers: list[requests.Response] = field(default_factory=list)

    def send(self, outgoing: Outgoing = OUT, settings: dict[str, str] | None = None) -> str | None:
        """Send by Prism; returns the message's id."""
        session = _Lossy(self.lacks)
        session.trust_env = False
        session.hooks["response"] = [self._keep]
        channel = sms_twilio.create(replace(TWILIO, twilio_api=self.base, **(settings or {})), NO_DATABASE, session)
        assert channel is not None
        return channel.send(outgoing).provider_ref

    def _keep(self, response: requests.Response, **_: Any) -> None:
        self.calls.append(response.request)
        self.answers.append(response)


@pytest.fixture
def line(prism: str) -> Line:
    return Line(prism)


WAYS = [
    {},
    {"twilio_from": "MG" + "e" * 32},
    {"twilio_api_key_sid": "SK" + "2" * 32, "twilio_api_key_secret": "of-the-key"},
]


@pytest.mark.parametrize("settings", WAYS, ids=["a number", "a messaging service", "an API key"])
def test_a_message_is_what_the_description_asks_for(
    line: Line, description: dict[str, Any], settings: dict[str, str]
) -> None:
    assert re.fullmatch(r"SM[0-9a-f]{32}", line.send(settings=settings) or "")
    [call], [answer] = line.calls, line.answers
    assert answer.status_code == 201
    form = form_of(call)
    assert set(form) <= set(description["properties"])
    assert set(description.get("required", [])) <= set(form)
    assert call.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert "sl-violations" not in answer.headers


def test_every_piece_of_a_long_text_is_a_call_of_its_own(line: Line) -> None:
    line.send(replace(OUT, text="一二三四五六七八九十。" * 200))
    assert [answer.status_code for answer in line.answers] == [201] * 2


def test_what_the_description_requires_is_missed_when_it_is_lacking(line: Line) -> None:
    """Also a guard of these tests themselves: Prism does look at what is sent."""
    line.lacks = "To"
    with pytest.raises(GiveUp):
        line.send()
    assert line.answers[0].status_code == 422


def test_a_call_without_credentials_is_a_matter_of_the_settings(line: Line) -> None:
    line.lacks = "Authorization"
    with pytest.raises(Misconfigured):
        line.send()
    assert line.answers[0].status_code == 401


def test_an_account_that_is_none_is_refused(line: Line) -> None:
    with pytest.raises(SendError):
        line.send(settings={"twilio_account_sid": "not-an-account"})
    assert line.answers[0].status_code in (404, 422)


def test_every_status_of_the_description_has_a_meaning() -> None:
    schemas = json.loads(SPEC.read_text(encoding="utf-8"))["components"]["schemas"]
    assert set(schemas["message_enum_status"]["enum"]) - {"receiving", "received"} == set(sms_twilio.STATES)
