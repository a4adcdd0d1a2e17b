"""A local 企业微信 group robot: takes what the service says to the group, refuses what the real one refuses, and shows it."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from flask import Blueprint, Response, jsonify, request
from markupsafe import escape

from bot import clock
from bot.standins.faults import Fault, Faults, response

KEY = "demo-robot"
PATH = "/standins/wecom"
MAX_BYTES = 2048
PER_MINUTE = 20


class WeComStandIn:
    """One group and its robot; `lines` is what the group has read, oldest first."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.reset()

    def reset(self) -> None:
        """An empty group."""
        self.lines: list[str] = []
        self._recent: deque[float] = deque()
        self._lock = threading.Lock()

    def fail(self, errcode: int | None = None, status: int = 200, times: int = 1) -> None:
        """Let the next calls fail with an errcode, or with an HTTP status."""
        body = {"errcode": errcode, "errmsg": "told to fail"} if errcode is not None else "told to fail"
        self.faults.add(Fault(body=body, status=status, times=times))

    def say(self, key: str | None, body: Any) -> dict[str, Any]:
        """What the robot answers to one call."""
        content = body.get("text", {}).get("content") if isinstance(body, dict) else None
        if key != KEY:
            return {"errcode": 93000, "errmsg": "invalid webhook url"}
        if not isinstance(content, str) or not content or body.get("msgtype") != "text":
            return {"errcode": 40008, "errmsg": "invalid message type"}
        if len(content.encode()) > MAX_BYTES:
            return {"errcode": 40058, "errmsg": "content exceed max length"}
        with self._lock:
            now = clock.now().timestamp()
            while self._recent and self._recent[0] <= now - 60:
                self._recent.popleft()
            if len(self._recent) >= PER_MINUTE:
                return {"errcode": 45009, "errmsg": "api freq out of limit"}
            self._recent.append(now)
            self.lines.append(content)
        return {"errcode": 0, "errmsg": "ok"}


def blueprint_of(standin: WeComStandIn) -> Blueprint:
    """The robot's address, and a page of what the group has read."""
    blueprint = Blueprint("standin_wecom", __name__, url_prefix=PATH)

    @blueprint.post("/cgi-bin/webhook/send")
    def send() -> Response:
        if (fault := standin.faults.next(request.path, None)) is not None:
            return response(fault)
        return jsonify(standin.say(request.args.get("key"), request.get_json(force=True, silent=True)))

    @blueprint.get("/")
    def group() -> str:
        lines = "".join(f"<li>{escape(line)}</li>" for line in reversed(standin.lines))
        return f"<!doctype html><html lang=zh-CN><title>值班群</title><h1>值班群（演示）</h1><ol>{lines}</ol></html>"

    return blueprint
