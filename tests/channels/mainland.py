"""A service whose SMS go through Aliyun and Tencent Cloud: their stand-ins, reached over HTTP as the SDKs do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from bot import clock
from bot.channels import sms_aliyun, sms_tencent
from bot.database import Database
from bot.models import Rule
from bot.settings import Settings
from bot.standins.aliyun import AliyunStandIn
from bot.standins.tencent import TencentStandIn
from bot.standins.transport import AppTransport
from tests.standins.service import Trial, build

MAINLAND = Settings(
    aliyun_access_key_id="LTAIstandin",
    aliyun_access_key_secret="secret-of-aliyun",
    aliyun_sign_name="暖线",
    aliyun_api="http://127.0.0.1:1",
    aliyun_callback_secret="a" * 24,
    tencent_secret_id="AKIDstandin",
    tencent_secret_key="secret-of-tencent",
    tencent_sdk_app_id="1400000001",
    tencent_sign_name="暖线",
    tencent_api="http://127.0.0.1:1",
    tencent_callback_secret="t" * 24,
)
CREDENTIALS = {
    name: value for name, value in vars(MAINLAND).items() if value and name.split("_")[0] in ("aliyun", "tencent")
}
TEMPLATES: dict[str, Any] = {
    "templates": {
        "aliyun": {
            "status.accepted": [
                {"id": "SMS_1", "params": ["problem", "team", "number"]},
                {"id": "SMS_2", "params": ["problem", "team", "note", "number"]},
            ],
            "unsubscribe.done": {"id": "SMS_3"},
        },
        "tencent": {
            "status.accepted": {"id": "1001", "params": ["problem", "team", "number"]},
            "unsubscribe.done": {"id": "1003"},
        },
    },
    "general": {"aliyun": {"id": "SMS_9", "params": ["text"]}, "tencent": {"id": "1009", "params": ["text"]}},
}
APPROVED = {
    "aliyun": {
        "SMS_1": "您报的${problem}有人接了：${team}，会先联系您。单号${number}。",
        "SMS_2": "您报的${problem}有人接了：${team}，会先联系您。${note}单号${number}。",
        "SMS_3": "已退订，不再发通知。",
        "SMS_9": "热线答复：${text}",
    },
    "tencent": {
        "1001": "您报的{1}有人接了：{2}，会先联系您。单号{3}。",
        "1003": "已退订，不再发通知。",
        "1009": "热线答复：{1}",
    },
}
_PAYLOADS = Path(__file__).parent / "payloads"


def payload(name: str) -> Any:
    """A documented sample: aliyun_up, aliyun_report, tencent_reply, tencent_status."""
    return json.loads((_PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))


def register(database: Database, rule: Mapping[str, Any]) -> None:
    """An administrator registers templates."""
    with database.transaction() as session:
        row = Rule(name="sms_templates", digest="test", body=dict(rule), valid_from=date(2026, 11, 1))
        row.created_at, row.shipped = clock.now(), False
        session.add(row)


class _Quiet(WSGIRequestHandler):
    """Logs nothing: the calls' addresses hold numbers."""

    def log(self, *_: Any) -> None:
        """See above."""


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The address under which an application answers while the block runs."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(5)
    server.server_close()


@dataclass
class Mainland:
    """The service, and its two providers."""

    trial: Trial
    aliyun: AliyunStandIn
    tencent: TencentStandIn

    def heard(self, phone: str) -> list[str]:
        """Everything that a phone has received."""
        return self.trial.standins.heard("sms", phone)


@contextmanager
def connected(settings: Settings, database: Database, mode: str = "safe") -> Iterator[Mainland]:
    """A service beside both providers; TEMPLATES are registered with them."""
    register(database, TEMPLATES)
    trial = build(replace(settings, **CREDENTIALS), database, mode)
    known, transport, phones = trial.services.settings, AppTransport(trial.app), trial.standins.phones
    aliyun, tencent = AliyunStandIn(known, transport, phones), TencentStandIn(known, transport, phones)
    aliyun.templates, tencent.templates = dict(APPROVED["aliyun"]), dict(APPROVED["tencent"])
    with served(aliyun.app()) as aliyun_api, served(tencent.app()) as tencent_api:
        reached = replace(known, aliyun_api=aliyun_api, tencent_api=tencent_api)
        made = [sms_aliyun.create(reached, database), sms_tencent.create(reached, database)]
        trial.services.channels = {
            **trial.services.channels,
            **{channel.name: channel for channel in made if channel is not None},
        }
        yield Mainland(trial, aliyun, tencent)
