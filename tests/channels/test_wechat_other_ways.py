"""Which way a push takes where the first is closed, and what is fetched."""

from __future__ import annotations

import contextlib
import json
import traceback
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests

from bot.channels import GiveUp, Misconfigured, OtherWay, Retry, SendError, Unknown
from bot.channels.wechat_notices import Filled
from tests.channels.conftest import Registered, Unrationed, wechat_channel
from tests.channels.helpers import WECHAT, Api
from tests.channels.test_wechat_send import OK, OUT, TOKEN, refused, script

pytestmark = pytest.mark.usefixtures("clock")


def ways(api: Api, message: Any, **others: Any) -> None:
    api.answers = {"stable_token": [TOKEN], "custom/send": [message]}
    api.answers |= {f"{name}/send" if name == "template" else name: [answer] for name, answer in others.items()}


FILLED = Filled("tpl-1", {"thing1": "暖气不热"}, url="https://heat.example.cn/t")
TAKEN = (200, {"errcode": 0, "errmsg": "ok", "msgid": 200228332})


def test_outside_the_window_nothing_is_asked_of_the_message_interface(api: Api) -> None:
    ways(api, OK, template=TAKEN)
    sent = wechat_channel(WECHAT, api, Unrationed(left=0), Registered(templates=[FILLED])).send(OUT)
    assert (sent.provider_ref, sent.via) == ("template:200228332", "wechat:template")
    assert api.count("custom/send") == 0
    assert json.loads(api.calls[-1].body or b"{}") == {
        "touser": "oResident",
        "template_id": "tpl-1",
        "data": {"thing1": {"value": "暖气不热"}},
        "url": "https://heat.example.cn/t",
        "client_msg_id": "heatline-7",
    }


@pytest.mark.parametrize("code", [45015, 45047, 45009, 43019, 48002, 48001, 48004])
def test_a_closed_message_interface_leads_to_the_template(api: Api, code: int) -> None:
    ways(api, refused(code), template=TAKEN)
    assert wechat_channel(WECHAT, api, notices=Registered(templates=[FILLED])).send(OUT).via == "wechat:template"


@pytest.mark.parametrize("code", [40037, 47003, 41030, 48001, 45009, 43019, 99999])
def test_a_closed_template_leads_to_the_subscription_notice(api: Api, code: int) -> None:
    ways(api, OK, template=refused(code), bizsend=TAKEN)
    both = Registered(templates=[FILLED], notices=[FILLED])
    assert wechat_channel(WECHAT, api, Unrationed(left=0), both).send(OUT).via == "wechat:notice"
    assert both.told == ["used tpl-1"]


def test_a_wrong_template_is_told_before_a_closed_window(api: Api) -> None:
    ways(api, OK, template=refused(40037))
    with pytest.raises(Misconfigured) as caught:
        wechat_channel(WECHAT, api, Unrationed(left=0), Registered(templates=[FILLED])).send(OUT)
    assert caught.value.waits_for == "wechat:template"


def test_a_subscription_that_is_used_up_is_noted(api: Api) -> None:
    ways(api, OK, bizsend=refused(43101))
    subscribed = Registered(notices=[FILLED])
    with pytest.raises(OtherWay):
        wechat_channel(WECHAT, api, Unrationed(left=0), subscribed).send(OUT)
    assert subscribed.told == ["ended tpl-1"]


@pytest.mark.parametrize("code", [40001, 40013, 40125, 40164, 40243, 89503, 50002, 40003, 43004, 46004])
def test_what_is_wrong_for_every_way_is_asked_once(api: Api, code: int) -> None:
    ways(api, refused(code), template=TAKEN)
    with pytest.raises(SendError):
        wechat_channel(WECHAT, api, notices=Registered(templates=[FILLED])).send(OUT)
    assert api.count("template/send") == 0


@pytest.mark.parametrize("answer", [requests.ReadTimeout("slow"), (502, "x")])
def test_an_ambiguous_message_is_not_sent_again_another_way(api: Api, answer: Any) -> None:
    ways(api, answer, template=TAKEN)
    with pytest.raises(Unknown):
        wechat_channel(WECHAT, api, notices=Registered(templates=[FILLED])).send(OUT)
    assert api.count("template/send") == 0


def test_a_used_up_day_is_remembered(api: Api) -> None:
    script(api, refused(45009))
    rationed = Unrationed()
    channel = wechat_channel(WECHAT, api, rationed)
    for _ in range(3):
        with pytest.raises(OtherWay) as caught:
            channel.send(OUT)
        assert caught.value.after == timedelta(hours=14).total_seconds()
    assert api.count("custom/send") == 1


@pytest.mark.parametrize(
    ("answer", "left"), [(OK, 4), (refused(-1), 5), (refused(45047), 0), (requests.ReadTimeout("slow"), 4)]
)
def test_the_ledger_follows_what_became_of_a_message(api: Api, answer: Any, left: int) -> None:
    script(api, answer)
    rationed = Unrationed(left=5)
    with contextlib.suppress(SendError):
        wechat_channel(WECHAT, api, rationed).send(OUT)
    assert rationed.left == left


def test_a_long_text_uses_up_as_many_as_it_has_pieces(api: Api) -> None:
    script(api, OK)
    rationed = Unrationed(left=5)
    wechat_channel(WECHAT, api, rationed).send(replace(OUT, text="暖" * 1500))
    assert rationed.left == 2
    with pytest.raises(OtherWay):
        wechat_channel(WECHAT, api, rationed).send(replace(OUT, text="暖" * 1500))
    assert api.count("custom/send") == 3


# --- media


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refused(40007), GiveUp),
        (refused(-1), Retry),
        (refused(48001), Misconfigured),
        ((502, "x"), Retry),
        (requests.ReadTimeout("slow"), Retry),
        ((200, {"video_url": "ftp://x"}), GiveUp),
    ],
)
def test_media_that_cannot_be_fetched_say_what_to_do(api: Api, answer: Any, error: type[SendError]) -> None:
    api.answers = {"stable_token": [TOKEN], "media/get": [answer]}
    with pytest.raises(error) as caught:
        wechat_channel(WECHAT, api).fetch("m-1")
    assert "tok-1" not in "".join(traceback.format_exception(caught.value))
