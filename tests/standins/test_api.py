"""The stand-ins' addresses: only in demonstration mode, and told to fail only by JSON."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.app import create_app
from tests.standins.service import Trial

WECHAT_SEND = "/standins/wechat/cgi-bin/message/custom/send"


@pytest.mark.parametrize("path", ["/try", "/try/lines", WECHAT_SEND, "/standins/wechat/fail"])
def test_without_demonstration_mode_there_are_no_stand_ins(trial: Trial, path: str) -> None:
    real = replace(trial.services, settings=replace(trial.services.settings, demo="0"))
    app = create_app(real)
    assert app.test_client().get(path).status_code == 404
    assert "standins" not in app.extensions


def test_the_providers_addresses_answer_as_the_providers_do(trial: Trial) -> None:
    client = trial.app.test_client()
    settings = trial.services.settings
    told = {"appid": settings.wechat_appid, "secret": settings.wechat_secret}
    stable = client.post("/standins/wechat/cgi-bin/stable_token", json=told).json
    assert stable is not None
    assert client.get("/standins/wechat/cgi-bin/token", query_string=told).json == stable
    typing = client.post(f"/standins/wechat/cgi-bin/message/custom/typing?access_token={stable['access_token']}")
    assert typing.json == {"errcode": 0, "errmsg": "ok"}
    for body in (b"", b"[]", b"{"):
        answer = client.post(f"{WECHAT_SEND}?access_token={stable['access_token']}", data=body)
        assert (answer.status_code, answer.json["errcode"]) == (200, 40003)  # type: ignore[index]
    messages = f"/standins/twilio/2010-04-01/Accounts/{settings.twilio_account_sid}/Messages"
    assert client.post(f"{messages}.json", data={"To": "+8619900001234"}).status_code == 401
    assert client.get(f"{messages}/SMunknown.json").status_code == 404


@pytest.mark.parametrize("provider", ["wechat", "twilio"])
def test_a_failure_is_only_ordered_by_json(trial: Trial, provider: str) -> None:
    client = trial.app.test_client()
    path = f"/standins/{provider}/fail"
    assert client.post(path, data={"errcode": "45015"}).status_code == 400
    assert client.post(path, json=[1]).status_code == 400
    assert client.post(path, json={"nonsense": 1}).status_code == 400
    good = {"errcode": 45015} if provider == "wechat" else {"code": 21610}
    assert client.post(path, json=good).status_code == 200
