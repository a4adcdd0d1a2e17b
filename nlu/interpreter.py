"""Text → Understanding, over Rasa's HTTP API; the one file of the service that knows Rasa.

NluError                understanding cannot be had now; try the message again later
 ├ NluUnavailable       nobody answers, or the answer is no understanding
 └ NluTimeout           no answer within two seconds
"""

from __future__ import annotations

import json
import re
import time
import unicodedata
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol
from urllib.parse import urlencode

import urllib3

from nlu.certainties import settle
from nlu.entities import extract
from nlu.facts import read_facts
from nlu.gazetteer import Gazetteer
from nlu.naming import learnt_names
from nlu.types import INTENTS, NEVER_ALSO, Entity, Understanding

TIMEOUT = 2.0
MODEL_HEADER = "X-Heatline-Model"

# 10,000 characters would hold up every other parse; what matters stands at the beginning or at the end.
_HEAD, _TAIL = 400, 100
# What lasts; elsewhere a span of time is that of a bill, a promise or a repair (the corpus marks none there).
_LASTING = frozenset(
    {"danger", "leak", "open_valve", "no_heat", "low_temperature", "other_repair", "urge", "provide_info"}
)
_UNSUBSCRIBE = re.compile(r"(?:退订|退訂|拒收|td|t|r|stop)[\W_]*", re.IGNORECASE)


class NluError(Exception):
    """Understanding cannot be had now."""


class NluUnavailable(NluError):
    """Nobody answers at the address, or the answer is no understanding."""


class NluTimeout(NluError):
    """The server took longer than a resident's turn allows."""


class Interpreter(Protocol):
    """What the service needs of understanding; tests have their own."""

    def understand(self, text: str, gazetteer: Gazetteer | None = None) -> Understanding:
        """What `text` means. Raises NluError where nothing can be said now."""
        ...

    def model(self) -> str:
        """The name of the model that answers. Raises NluError where nobody does."""
        ...


class RasaInterpreter:
    """Asks the NLU server; one instance serves all threads and keeps its connections open."""

    def __init__(self, url: str, token: str = "", timeout: float = TIMEOUT) -> None:
        """`url` is the server's address, `token` what it was started with."""
        self._url = url.rstrip("/")
        self._query = f"?{urlencode({'token': token})}" if token else ""
        self._timeout = timeout
        self._pool = urllib3.PoolManager(num_pools=2, maxsize=32, block=False, retries=False)

    def understand(self, text: str, gazetteer: Gazetteer | None = None) -> Understanding:
        """Intent, entities and facts of one message; offsets are those of `text`.

        Blank text is out_of_scope with confidence 0.0. Raises NluUnavailable or NluTimeout.
        """
        if _is_blank(text):
            return Understanding(text, "out_of_scope", 0.0)
        if _UNSUBSCRIBE.fullmatch(unicodedata.normalize("NFKC", text).strip()):
            return Understanding(text, "unsubscribe", 1.0, (("unsubscribe", 1.0),), model="rules")
        answer, model = self._parse(cap(text))
        return _read(text, answer, model, gazetteer)

    def model(self) -> str:
        """The file name of the model that is served. Raises NluUnavailable or NluTimeout."""
        response = self._request("GET", "/status")
        return str(_json(response).get("model_file") or "")

    def why(self, text: str) -> list[str]:
        """The words that spoke for the first intent, the strongest first. Raises NluUnavailable or NluTimeout."""
        if _is_blank(text):
            return []
        answer, _ = self._parse(cap(text))
        terms = [str(term).strip("^$ *0").replace(" ", "") for term, _share in answer.get("why") or ()]
        return [t for t in dict.fromkeys(terms) if t and not any(t != other and t in other for other in terms)]

    def _parse(self, text: str) -> tuple[Mapping[str, Any], str | None]:
        # Rasa reads "/leak@0.99" as a command that names the intent itself, so no text may begin with a slash.
        safe = text[_left_out(text) :] or "?"
        response = self._request("POST", "/model/parse", {"text": safe})
        return _json(response), response.headers.get(MODEL_HEADER)

    def _request(self, method: str, path: str, body: Mapping[str, str] | None = None) -> urllib3.BaseHTTPResponse:
        deadline = time.monotonic() + self._timeout
        try:
            return self._send(method, path, body, deadline)
        except urllib3.exceptions.ProtocolError:
            # A process that a promotion replaced closes connections the pool still holds; a parse can be repeated.
            try:
                return self._send(method, path, body, deadline)
            except urllib3.exceptions.HTTPError as error:
                raise _translate(error) from error
        except urllib3.exceptions.HTTPError as error:
            raise _translate(error) from error

    def _send(
        self, method: str, path: str, body: Mapping[str, str] | None, deadline: float
    ) -> urllib3.BaseHTTPResponse:
        left = max(0.01, deadline - time.monotonic())
        timeout = urllib3.Timeout(connect=min(1.0, left), total=left)
        content = None if body is None else json.dumps(body).encode()
        return self._pool.request(method, f"{self._url}{path}{self._query}", body=content, timeout=timeout)


def cap(text: str) -> str:
    """The first 400 and last 100 characters of a text beyond 500."""
    return text if len(text) <= _HEAD + _TAIL else text[:_HEAD] + text[-_TAIL:]


def as_row(understanding: Understanding) -> dict[str, Any]:
    """The keys that `heatline nlu parse --jsonl` adds to a line; a temperature is a number."""
    return {
        "intent": understanding.intent,
        "confidence": round(understanding.confidence, 4),
        "also": list(understanding.also),
        "entities": [_entity_row(entity) for entity in understanding.entities],
        "scope": understanding.scope,
        "severity": understanding.severity,
        "need": understanding.need,
        "model": understanding.model,
    }


def _entity_row(entity: Entity) -> dict[str, Any]:
    value = float(entity.value) if entity.entity == "temperature" else entity.value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return {"entity": entity.entity, "value": value, "text": entity.text, "start": entity.start, "end": entity.end}


def _left_out(text: str) -> int:
    """How many characters in front of a text are not sent."""
    return len(text) - len(re.sub(r"^[\s/／]+", "", text))


def _is_blank(text: str) -> bool:
    """Nothing but blanks, control characters and invisible marks."""
    return all(char.isspace() or unicodedata.category(char) in ("Cc", "Cf") for char in text)


def _translate(error: urllib3.exceptions.HTTPError) -> NluError:
    # The library's message may hold the address with the token, so only the kind of error is kept.
    kind = type(error).__name__
    if isinstance(error, urllib3.exceptions.TimeoutError) and not isinstance(
        error, urllib3.exceptions.ConnectTimeoutError
    ):
        return NluTimeout(kind)
    return NluUnavailable(kind)


def _json(response: urllib3.BaseHTTPResponse) -> Mapping[str, Any]:
    if response.status != 200:
        raise NluUnavailable(f"the NLU server answered {response.status}")
    try:
        content = json.loads(response.data)
    except ValueError as error:
        raise NluUnavailable("the NLU server answered no JSON") from error
    if not isinstance(content, dict):
        raise NluUnavailable("the NLU server answered no object")
    return content


def _read(text: str, answer: Mapping[str, Any], model: str | None, gazetteer: Gazetteer | None) -> Understanding:
    try:
        ranking = tuple((str(item["name"]), float(item["confidence"])) for item in answer["intent_ranking"])
        intent, confidence = ranking[0]
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise NluUnavailable("the NLU server serves no model of ours") from error
    said = set(answer.get("also") or ()) - NEVER_ALSO - {intent}
    also = tuple(name for name in INTENTS if name in said)
    facts = read_facts(text, intent, also)
    return _dated(
        settle(
            Understanding(
                text=text,
                intent=intent,
                confidence=confidence,
                ranking=ranking,
                also=also,
                entities=tuple(extract(text, gazetteer, learnt_names(text, answer, _left_out(text)))),
                scope=facts.scope,
                severity=facts.severity,
                need=facts.need,
                model=model,
                threshold=float(answer.get("threshold") or 0.0),
            )
        )
    )


def _dated(understanding: Understanding) -> Understanding:
    """Without durations where nothing is reported or pressed for: two days that were paid back are no fault's."""
    if understanding.intent in _LASTING:
        return understanding
    entities = tuple(entity for entity in understanding.entities if entity.entity != "duration")
    return replace(understanding, entities=entities)
