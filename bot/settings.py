"""Every setting: its environment variable, its default, and one line of help."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from zoneinfo import ZoneInfo

from dotenv import dotenv_values

ROOT = Path(__file__).resolve().parent.parent


class SettingsError(Exception):
    """A setting is missing or wrong; the message is one sentence that says what to do."""


def _setting(default: str, help_: str, secret: bool = False) -> str:
    return field(default=default, metadata={"help": help_, "secret": secret})


@dataclass(frozen=True)
class Settings:
    """The settings of one process. Names are the environment variables without HEATLINE_, in lower case."""

    database_url: str = _setting(
        "sqlite:///var/heatline.db", "address of the database; postgresql+psycopg://… for several machines"
    )
    public_url: str = _setting("", "the address under which providers reach this service; Twilio signs it")
    host: str = _setting("127.0.0.1", "address to listen on")
    port: str = _setting("8000", "port to listen on")
    timezone: str = _setting("Asia/Shanghai", "time zone in which residents and staff are told times")
    secret_key: str = _setting(
        "", "signs sessions and forms; `python -c 'import secrets; print(secrets.token_hex(32))'`", True
    )
    data_key: str = _setting(
        "", "32 bytes in hex that encrypt personal data at rest; keep it apart from the database", True
    )
    demo: str = _setting("0", "1: demonstration data and log-in, local stand-ins of WeChat and Twilio, /try")
    hotline: str = _setting("", "the company's telephone number shown to residents; 12345 where empty")
    company: str = _setting("供热公司", "the company's name as residents read it")
    nlu_url: str = _setting("http://127.0.0.1:5005", "address of the NLU server")
    nlu_token: str = _setting("", "token that the NLU server asks for", True)
    nlu_processes: str = _setting("1", "processes that `heatline nlu serve` keeps behind its address")
    nlu_python: str = _setting("", "Python of the NLU server's environment; nlu/server/.venv where empty")
    models_dir: str = _setting("models", "folder of trained models")
    inline_turns: str = _setting("8", "turns that webhooks may answer at once; the rest is left to the worker")
    worker_threads: str = _setting("2", "threads of the worker")
    web_threads: str = _setting("16", "threads of each web process")
    web_processes: str = _setting("1", "processes that `heatline web` keeps on its port (PostgreSQL)")
    wechat_token: str = _setting("", "token of the WeChat account's server configuration", True)
    wechat_appid: str = _setting("", "AppID of the WeChat account")
    wechat_secret: str = _setting("", "AppSecret of the WeChat account", True)
    wechat_aes_key: str = _setting("", "EncodingAESKey (43 characters) for compatible and safe mode", True)
    wechat_mode: str = _setting("safe", "plain | compatible | safe; safe is the one for production")
    wechat_api: str = _setting("https://api.weixin.qq.com", "base address of WeChat's API")
    twilio_account_sid: str = _setting("", "Twilio account SID (AC…)")
    twilio_auth_token: str = _setting("", "Twilio auth token", True)
    twilio_api_key_sid: str = _setting("", "SID of an API key (SK…) to send with, in place of the auth token")
    twilio_api_key_secret: str = _setting(
        "", "secret of that API key; webhooks are still signed with the auth token", True
    )
    twilio_from: str = _setting("", "number or messaging service SID that messages are sent from")
    twilio_api: str = _setting("https://api.twilio.com", "base address of Twilio's API")
    twilio_allow_mainland: str = _setting(
        "0", "1: send to +86 through Twilio, although personal data then leave the country"
    )
    aliyun_access_key_id: str = _setting("", "AccessKey ID of a RAM user who may do no more than send SMS")
    aliyun_access_key_secret: str = _setting("", "AccessKey secret of that user", True)
    aliyun_sign_name: str = _setting("", "registered signature (签名) without 【】")
    aliyun_api: str = _setting("https://dysmsapi.aliyuncs.com", "base address of Aliyun's SMS API")
    aliyun_callback_secret: str = _setting(
        "", "part of the callbacks' addresses, 16 characters or more: Aliyun signs nothing", True
    )
    aliyun_allowed_ips: str = _setting(
        "", "addresses or networks that Aliyun's callbacks may come from, with commas; empty: any"
    )
    tencent_secret_id: str = _setting("", "SecretId of a CAM user who may do no more than send SMS")
    tencent_secret_key: str = _setting("", "SecretKey of that user", True)
    tencent_sdk_app_id: str = _setting("", "SdkAppId of the SMS application (1400…)")
    tencent_sign_name: str = _setting("", "registered signature (签名) without 【】")
    tencent_api: str = _setting("https://sms.tencentcloudapi.com", "base address of Tencent Cloud's SMS API")
    tencent_callback_secret: str = _setting(
        "", "part of the callbacks' addresses, 16 characters or more: Tencent Cloud signs nothing", True
    )
    tencent_allowed_ips: str = _setting(
        "", "addresses or networks that Tencent's callbacks may come from, with commas; empty: any"
    )
    calls_callback_secret: str = _setting(
        "", "part of the address at which the telephone system tells of missed calls, 16 characters or more", True
    )
    calls_allowed_ips: str = _setting(
        "", "addresses or networks that news of missed calls may come from, with commas; empty: any"
    )
    wecom_robot_url: str = _setting(
        "", "address of a 企业微信 group's robot, by which staff hear of alerts and jobs", True
    )

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    @property
    def is_demo(self) -> bool:
        return self.demo == "1"

    @property
    def shown_hotline(self) -> str:
        """The number residents are told when they want a person."""
        return self.hotline or "12345"

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")

    @property
    def base_url(self) -> str:
        """The public address without a trailing slash; the listening address where none is configured."""
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"HEATLINE_{name.upper()}"


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from the environment, then from `.env`, then the defaults. Raises SettingsError for an unknown name."""
    given = dict(os.environ) if environ is None else dict(environ)
    if environ is None:
        given = {**{k: v or "" for k, v in dotenv_values(ROOT / ".env").items()}, **given}
    known = {variable(f.name): f.name for f in fields(Settings)}
    ours = [k for k in given if k.startswith("HEATLINE_") and not k.startswith("HEATLINE_TEST_")]
    unknown = sorted(k for k in ours if k not in known)
    if unknown:
        raise SettingsError(f"Unknown setting {unknown[0]}; `heatline config` lists the settings that there are.")
    settings = Settings(**{known[k]: v for k, v in given.items() if k in known})
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    if not settings.port.isdigit():
        raise SettingsError(f"HEATLINE_PORT is {settings.port!r}; it must be a number such as 8000.")
    if not settings.web_processes.isdigit() or not int(settings.web_processes):
        raise SettingsError("HEATLINE_WEB_PROCESSES must be a number from 1.")
    if settings.wechat_mode not in ("plain", "compatible", "safe"):
        raise SettingsError("HEATLINE_WECHAT_MODE must be plain, compatible or safe.")
    if settings.wechat_token and settings.wechat_mode != "plain" and len(settings.wechat_aes_key) != 43:
        raise SettingsError("HEATLINE_WECHAT_AES_KEY must have 43 characters in compatible and safe mode.")
    if settings.data_key and len(settings.data_key) != 64:
        raise SettingsError("HEATLINE_DATA_KEY must be 64 hexadecimal digits (32 bytes).")


def local_secrets(folder: Path) -> dict[str, str]:
    """Secrets for a machine that has none configured: made once and kept in `folder`/secrets.env, readable by us only."""
    path = folder / "secrets.env"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        names = {"secret_key": 32, "data_key": 32, "nlu_token": 16}
        text = "".join(f"{variable(name)}={secrets.token_hex(size)}\n" for name, size in names.items())
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
    return {k: v or "" for k, v in dotenv_values(path).items()}
