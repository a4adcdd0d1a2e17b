"""Which channels there are, and which of them the settings turn on."""

from __future__ import annotations

from collections.abc import Callable

from bot.channels import Channel, sms_aliyun, sms_tencent, sms_twilio, wechat, wecom_robot
from bot.database import Database
from bot.settings import Settings

Create = Callable[[Settings, Database], Channel | None]

# A channel's name (also the last part of its webhook's path) → how it is made from the settings.
CREATORS: dict[str, Create] = {
    wechat.NAME: wechat.create,
    sms_twilio.NAME: sms_twilio.create,
    sms_aliyun.NAME: sms_aliyun.create,
    sms_tencent.NAME: sms_tencent.create,
}

# Channels by which staff are told; they have no webhook and no resident writes by them.
STAFF_CREATORS: dict[str, Create] = {wecom_robot.NAME: wecom_robot.create}


def create_channels(settings: Settings, database: Database) -> dict[str, Channel]:
    """The channels that are configured, by name. Raises SettingsError where one is configured in part."""
    made = {name: create(settings, database) for name, create in {**CREATORS, **STAFF_CREATORS}.items()}
    return {name: channel for name, channel in made.items() if channel is not None}
