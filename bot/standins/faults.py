"""Failures that a stand-in was told to show: the next calls of its API go wrong as they do at the provider."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import Any

from flask import Response, jsonify


@dataclass(frozen=True, slots=True)
class Fault:
    """`times` calls answer with `status` and `body` (JSON, or raw text) after `delay` seconds.

    `to`: only calls for this openid or phone. `call`: only calls whose path ends so. `works`: the call is done, and
    only its answer is late or lost.
    """

    body: Any = None
    status: int = 200
    times: int = 1
    delay: float = 0.0
    to: str | None = None
    call: str | None = None
    works: bool = False


class Faults:
    """The failures still to come, in the order they were asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Let the next matching calls fail."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Everything works again."""
        with self._lock:
            self._faults.clear()

    def next(self, path: str, to: str | None) -> Fault | None:
        """The failure that a call of `path` for `to` meets, if any; it is used up, and its delay has passed."""
        fault = self._take(path, to)
        if fault is not None and fault.delay:
            time.sleep(fault.delay)
        return fault

    def _take(self, path: str, to: str | None) -> Fault | None:
        with self._lock:
            for place, fault in enumerate(self._faults):
                if (fault.to is None or fault.to == to) and path.endswith(fault.call or ""):
                    self._faults[place : place + 1] = [replace(fault, times=fault.times - 1)] if fault.times > 1 else []
                    return fault
        return None


def response(fault: Fault) -> Response:
    """The HTTP response of a failure."""
    if isinstance(fault.body, str):
        return Response(fault.body, status=fault.status, content_type="text/html; charset=utf-8")
    answer = jsonify(fault.body or {})
    answer.status_code = fault.status
    return answer
