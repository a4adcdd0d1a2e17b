"""Which channels there are and which are on; every one of them is told the same stories in test_stories.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bot.channels import BadRequest, Outgoing, registry
from bot.channels.console import Console
from bot.database import Database
from bot.settings import Settings, SettingsError
from tests.channels.helpers import TWILIO, WECHAT, request_for
from tests.channels.mainland import CREDENTIALS, MAINLAND
from tests.channels.stories import PROVIDERS


def test_nothing_is_on_without_settings(database: Database) -> None:
    assert registry.create_channels(Settings(), database) == {}


def test_a_channel_with_its_settings_is_on(database: Database) -> None:
    both = replace(
        WECHAT,
        twilio_account_sid=TWILIO.twilio_account_sid,
        twilio_auth_token=TWILIO.twilio_auth_token,
        twilio_from=TWILIO.twilio_from,
    )
    channels = registry.create_channels(both, database)
    assert {name: (channel.name, channel.medium) for name, channel in channels.items()} == {
        "wechat": ("wechat", "wechat"),
        "twilio": ("twilio", "sms"),
    }


@pytest.mark.parametrize("half", [replace(WECHAT, wechat_appid=""), replace(WECHAT, wechat_token="")])
def test_half_of_wechats_settings_are_refused(database: Database, half: Settings) -> None:
    with pytest.raises(SettingsError, match="HEATLINE_WECHAT"):
        registry.create_channels(half, database)


def test_half_of_twilios_settings_are_refused(database: Database) -> None:
    with pytest.raises(SettingsError, match="HEATLINE_TWILIO_FROM"):
        registry.create_channels(replace(TWILIO, twilio_from=""), database)


@pytest.mark.parametrize("prefix", ["aliyun", "tencent"])
def test_half_of_a_mainland_providers_settings_are_refused(database: Database, prefix: str) -> None:
    for name in (name for name in CREDENTIALS if name.startswith(prefix) and not name.endswith("_api")):
        with pytest.raises(SettingsError, match=f"HEATLINE_{name.upper()}"):
            registry.create_channels(replace(MAINLAND, **{name: ""}), database)


@pytest.mark.parametrize(
    ("false", "named"),
    [
        ({"aliyun_callback_secret": "short"}, "HEATLINE_ALIYUN_CALLBACK_SECRET"),
        ({"tencent_callback_secret": "with/a/slash/in/it"}, "HEATLINE_TENCENT_CALLBACK_SECRET"),
        ({"tencent_allowed_ips": "10.0.0.0/8, everywhere"}, "HEATLINE_TENCENT_ALLOWED_IPS"),
    ],
)
def test_a_door_that_would_not_hold_is_refused(database: Database, false: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        registry.create_channels(replace(MAINLAND, **false), database)


def test_every_registered_channel_is_told_the_stories() -> None:
    assert set(registry.CREATORS) == set(PROVIDERS)


def test_only_a_providers_own_file_knows_the_provider() -> None:
    """Providers' packages are imported by their channels and stand-ins and by nothing else."""
    root = Path(registry.__file__).parents[1]
    for path in root.rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        for library, word in (
            ("wechatpy", "wechat"),
            ("twilio", "twilio"),
            ("alibabacloud", "aliyun"),
            ("tencentcloud", "tencent"),
        ):
            if f"from {library}" in source or f"import {library}" in source:
                assert word in path.stem, f"{path.relative_to(root)} knows {library}"


def test_the_console_shows_what_is_sent_and_has_no_webhook() -> None:
    shown: list[str] = []
    console = Console(shown.append)
    assert console.says("me", "你好").provider_id != console.says("me", "你好").provider_id
    console.send(Outgoing("me", "您好\x00", "1"))
    assert shown == ["您好"]
    with pytest.raises(BadRequest):
        console.read(request_for("POST", "/channels/console"))
