"""Text → Understanding, against a server that answers as Rasa does."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from nlu.interpreter import NluTimeout, NluUnavailable, RasaInterpreter, as_row, cap

# As Rasa 3.6.21 with our components answered POST /model/parse, its ranking shortened.
ANSWER = {
    "text": "地板都泡了",
    "intent": {"name": "leak", "confidence": 0.93},
    "entities": [],
    "intent_ranking": [{"name": "leak", "confidence": 0.93}, {"name": "danger", "confidence": 0.04}],
    "also": ["billing", "no_heat"],
    "threshold": 0.25,
}


@dataclass
class FakeServer:
    """Remembers the texts it was asked; answers with `status` and `body` after `delay` seconds."""

    texts: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    status: int = 200
    body: Any = field(default_factory=lambda: dict(ANSWER))
    delay: float = 0.0
    hang_ups: int = 0
    url: str = ""


@pytest.fixture
def server() -> Iterator[FakeServer]:
    fake = FakeServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fake.texts.append(body["text"])
            fake.paths.append(self.path)
            if fake.hang_ups:
                fake.hang_ups -= 1
                self.close_connection = True
                return
            time.sleep(fake.delay)
            content = fake.body if isinstance(fake.body, bytes) else json.dumps(fake.body).encode()
            self.send_response(fake.status)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Heatline-Model", "heatline-1.tar.gz")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that gave up waiting is part of these tests, and no news."""

    http = Server(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    fake.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, args=(0.01,))
    thread.start()
    yield fake
    http.shutdown()
    thread.join()
    http.server_close()


@pytest.fixture
def interpreter(server: FakeServer) -> RasaInterpreter:
    return RasaInterpreter(server.url, "secret token", timeout=0.5)


def test_the_answer_becomes_an_understanding(server: FakeServer, interpreter: RasaInterpreter) -> None:
    got = interpreter.understand("阳光花园3号楼2单元501，地板都泡了")
    assert (got.intent, got.confidence, got.model) == ("leak", 0.93, "heatline-1.tar.gz")
    assert got.also == ("no_heat", "billing"), "in the guide's order"
    assert {entity.entity: entity.value for entity in got.entities}["building"] == "3"
    assert got.sure
    assert server.paths == ["/model/parse?token=secret+token"]


@pytest.mark.parametrize("text", ["退订", "TD", " td。", "ＴＤ", "t", "Stop!", "退訂", "退订！！"])
def test_a_whole_message_of_unsubscribing_needs_no_model(
    server: FakeServer, interpreter: RasaInterpreter, text: str
) -> None:
    assert interpreter.understand(text).intent == "unsubscribe"
    assert server.texts == []


@pytest.mark.parametrize("text", ["退订短信怎么退", "TD是啥", "不退订"])
def test_a_sentence_about_unsubscribing_is_understood_by_the_model(
    server: FakeServer, interpreter: RasaInterpreter, text: str
) -> None:
    assert interpreter.understand(text).intent == "leak"


@pytest.mark.parametrize("text", ["", "  \n", "\u200b\ufeff", "\x00\x1f"])
def test_blank_text_is_out_of_scope_without_asking(server: FakeServer, interpreter: RasaInterpreter, text: str) -> None:
    got = interpreter.understand(text)
    assert (got.intent, got.confidence) == ("out_of_scope", 0.0)
    assert server.texts == []


@pytest.mark.parametrize("text", ["/leak@0.99", " //leak", "／leak{}", "/"])
def test_no_text_reaches_rasa_as_a_command(server: FakeServer, interpreter: RasaInterpreter, text: str) -> None:
    assert interpreter.understand(text).text == text
    assert server.texts[0].lstrip()[:1] not in ("/", "／", "")


def test_of_a_long_text_the_head_and_the_tail_are_read(server: FakeServer, interpreter: RasaInterpreter) -> None:
    interpreter.understand("头" * 5000 + "尾" * 100)
    assert server.texts == ["头" * 400 + "尾" * 100]
    assert cap("字" * 500) == "字" * 500


def test_a_connection_that_a_swap_closed_costs_nothing(server: FakeServer, interpreter: RasaInterpreter) -> None:
    interpreter.understand("漏水")
    server.hang_ups = 1
    assert interpreter.understand("漏水了").intent == "leak"


def test_a_slow_server_is_a_timeout(server: FakeServer, interpreter: RasaInterpreter) -> None:
    server.delay = 1.0
    started = time.monotonic()
    with pytest.raises(NluTimeout):
        interpreter.understand("漏水")
    assert time.monotonic() - started < 0.9


@pytest.mark.parametrize(("status", "body"), [(401, {}), (500, {}), (200, b"<html>"), (200, []), (200, {"intent": {}})])
def test_an_answer_that_is_no_understanding_is_unavailable(
    server: FakeServer, interpreter: RasaInterpreter, status: int, body: Any
) -> None:
    server.status, server.body = status, body
    with pytest.raises(NluUnavailable):
        interpreter.understand("漏水")


def test_nobody_at_the_address_is_unavailable_and_keeps_the_token_to_itself() -> None:
    with pytest.raises(NluUnavailable) as raised:
        RasaInterpreter("http://127.0.0.1:9", "secret").understand("漏水")
    assert "secret" not in str(raised.value)


def test_what_lasts_is_a_fault_and_not_a_bill(server: FakeServer, interpreter: RasaInterpreter) -> None:
    def kinds() -> set[str]:
        return {entity.entity for entity in interpreter.understand("停了两天,怎么回事").entities}

    assert kinds() == {"duration"}
    server.body["intent_ranking"] = [{"name": "billing", "confidence": 0.9}]
    assert kinds() == set()


def test_a_temperature_is_a_number_in_the_row(server: FakeServer, interpreter: RasaInterpreter) -> None:
    row = as_row(interpreter.understand("屋里只有15度"))
    assert [(e["entity"], e["value"]) for e in row["entities"]] == [("temperature", 15)]
    assert list(row) == ["intent", "confidence", "also", "entities", "scope", "severity", "need", "model"]
