"""Channels on their own: their settings, and an API in place of the provider's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import cast

import pytest
from wechatpy.session.memorystorage import MemoryStorage

from bot import clock
from bot.channels import Outgoing, sms_twilio
from bot.channels.sms_twilio import Twilio
from bot.channels.wechat import WeChat
from bot.channels.wechat_client import StableWeChatClient
from bot.channels.wechat_notices import Filled
from bot.clock import VirtualClock
from bot.database import Database
from bot.settings import Settings
from tests.channels.helpers import Api
from tests.channels.mainland import connected
from tests.channels.stories import MODES, PROVIDERS, Told

NO_DATABASE = cast(Database, None)  # Twilio keeps nothing


@dataclass
class Unrationed:
    """A ledger that never ends and no pauses, or as many as are given."""

    left: int = 1000
    paused: dict[str, float] = field(default_factory=dict)

    def take(self, openid: str, count: int) -> bool:
        if self.left < count:
            return False
        self.left -= count
        return True

    def give_back(self, openid: str, count: int) -> None:
        self.left += count

    def close(self, openid: str) -> None:
        self.left = 0

    def until(self, name: str) -> datetime | None:
        return clock.now() + timedelta(seconds=self.paused[name]) if name in self.paused else None

    def begin(self, name: str, seconds: float) -> None:
        self.paused[name] = seconds


@dataclass
class Registered:
    """The wordings an account has registered, and what was said of subscriptions."""

    templates: list[Filled] = field(default_factory=list)
    notices: list[Filled] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def template(self, outgoing: Outgoing) -> Filled | None:
        return next(iter(self.templates), None)

    def notice(self, outgoing: Outgoing) -> Filled | None:
        return next(iter(self.notices), None)

    def used(self, openid: str, filled: Filled) -> None:
        self.told.append(f"used {filled.id}")

    def ended(self, openid: str, template_id: str) -> None:
        self.told.append(f"ended {template_id}")


def wechat_channel(
    settings: Settings, api: Api | None = None, ledger: Unrationed | None = None, notices: Registered | None = None
) -> WeChat:
    """A WeChat channel whose token is kept in memory, with as many messages and templates as it is given."""
    session = (api or Api()).session()
    client = StableWeChatClient(
        settings.wechat_appid, settings.wechat_secret, MemoryStorage(), settings.wechat_api, session
    )
    rationed = ledger or Unrationed()
    return WeChat(settings, client, rationed, rationed, notices or Registered())


def twilio_channel(settings: Settings, api: Api | None = None) -> Twilio:
    """A Twilio channel."""
    made = sms_twilio.create(settings, NO_DATABASE, (api or Api()).session())
    assert made is not None
    return made


@pytest.fixture
def api() -> Api:
    """A provider's API without answers yet."""
    return Api()


@pytest.fixture(params=MODES, ids="-".join)
def told(request: pytest.FixtureRequest, settings: Settings, database: Database, clock: VirtualClock) -> Iterator[Told]:
    """A service, and one provider after the other that is told the same story, on both databases."""
    name, mode = request.param
    with connected(settings, database, mode) as line:
        yield Told(line.trial, PROVIDERS[name])
        line.trial.drain()
