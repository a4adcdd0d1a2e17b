"""Channels on their own: their settings, and an API in place of the provider's."""

from __future__ import annotations

import pytest
from twilio.rest import Client
from wechatpy.session.memorystorage import MemoryStorage

from bot.channels.sms_twilio import Twilio, _Http
from bot.channels.wechat import WeChat
from bot.channels.wechat_client import StableWeChatClient
from bot.settings import Settings
from tests.channels.helpers import Api


def wechat_channel(settings: Settings, api: Api | None = None) -> WeChat:
    """A WeChat channel whose token is kept in memory."""
    session = (api or Api()).session()
    client = StableWeChatClient(
        settings.wechat_appid, settings.wechat_secret, MemoryStorage(), settings.wechat_api, session
    )
    return WeChat(settings, client)


def twilio_channel(settings: Settings, api: Api | None = None) -> Twilio:
    """A Twilio channel."""
    http = _Http(settings.twilio_api, (api or Api()).session())
    return Twilio(settings, Client(settings.twilio_account_sid, settings.twilio_auth_token, http_client=http))


@pytest.fixture
def api() -> Api:
    """A provider's API without answers yet."""
    return Api()
