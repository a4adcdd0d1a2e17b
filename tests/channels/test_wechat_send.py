"""Customer-service messages: the shared token, and what each refusal leads to."""

from __future__ import annotations

import contextlib
import json
import traceback
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import requests
from urllib3.exceptions import NewConnectionError

from bot.channels import (
    GiveUp,
    Misconfigured,
    OtherWay,
    Outgoing,
    Retry,
    SendError,
    Unknown,
    Unreachable,
    wechat,
)
from bot.channels.wechat import WeChat
from bot.channels.wechat_notices import Filled
from bot.channels.wechat_send import ERRORS
from bot.clock import VirtualClock
from bot.database import Database
from tests.channels.conftest import Registered, Unrationed, wechat_channel
from tests.channels.helpers import WECHAT, Api

TOKEN = (200, {"access_token": "tok-1", "expires_in": 7200})
TOKEN_2 = (200, {"access_token": "tok-2", "expires_in": 7200})
OK = (200, {"errcode": 0, "errmsg": "ok"})
OUT = Outgoing(to="oResident", text="您的工单已派单", ref="7")

pytestmark = pytest.mark.usefixtures("clock")


def refused(code: int) -> tuple[int, dict[str, Any]]:
    return 200, {"errcode": code, "errmsg": f"no, hint: [{WECHAT.wechat_secret}]"}


def script(api: Api, *answers: Any, tokens: tuple[Any, ...] = (TOKEN,)) -> None:
    api.answers = {"stable_token": list(tokens), "custom/send": list(answers)}


def no_connection() -> requests.ConnectionError:
    return requests.ConnectionError(NewConnectionError(None, f"secret={WECHAT.wechat_secret}"))  # type: ignore[arg-type]


def test_a_text_is_sent_with_the_stable_token(api: Api) -> None:
    script(api, OK)
    assert wechat_channel(WECHAT, api).send(OUT).provider_ref is None
    asked, sent = api.calls
    assert json.loads(asked.body or b"{}") == {
        "grant_type": "client_credential",
        "appid": WECHAT.wechat_appid,
        "secret": WECHAT.wechat_secret,
        "force_refresh": False,
    }
    assert sent.url == "http://wechat.test/cgi-bin/message/custom/send?access_token=tok-1"
    body = sent.body
    assert isinstance(body, bytes)
    assert "您的工单已派单" in body.decode()  # not \\u-escaped, which WeChat would show as such
    assert json.loads(body) == {"touser": "oResident", "msgtype": "text", "text": {"content": "您的工单已派单"}}


def test_every_call_has_a_time_limit(api: Api) -> None:
    script(api, OK)
    wechat_channel(WECHAT, api).send(OUT)
    assert api.timeouts == [4.0, 4.0]


def test_the_token_is_asked_for_once(api: Api) -> None:
    script(api, OK)
    channel = wechat_channel(WECHAT, api)
    for _ in range(3):
        channel.send(OUT)
    assert (api.count("stable_token"), api.count("custom/send")) == (1, 3)


@pytest.mark.parametrize("code", [40001, 40014, 42001])
def test_a_refused_token_is_renewed_once(api: Api, code: int) -> None:
    script(api, refused(code), OK, tokens=(TOKEN, TOKEN_2))
    wechat_channel(WECHAT, api).send(OUT)
    assert (api.count("stable_token"), api.count("custom/send")) == (2, 2)
    assert (api.calls[-1].url or "").endswith("access_token=tok-2")


def test_a_token_that_stays_refused_costs_two_calls_and_alarms(api: Api) -> None:
    script(api, refused(40001), tokens=(TOKEN, TOKEN_2))
    with pytest.raises(Misconfigured) as caught:
        wechat_channel(WECHAT, api).send(OUT)
    assert (api.count("stable_token"), api.count("custom/send")) == (2, 2)
    assert caught.value.code == "40001"


@pytest.mark.parametrize("code", [40001, 40013, 40125, 40164, 40243, 89503])
def test_a_refused_token_call_alarms_and_sends_nothing(api: Api, code: int) -> None:
    script(api, OK, tokens=(refused(code),))
    with pytest.raises(Misconfigured):
        wechat_channel(WECHAT, api).send(OUT)
    assert (api.count("stable_token"), api.count("custom/send")) == (1, 0)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (-1, Retry),
        (45011, Retry),
        (45009, OtherWay),
        (40003, Unreachable),
        (43004, Unreachable),
        (46004, Unreachable),
        (45015, OtherWay),
        (45047, OtherWay),
        (43019, OtherWay),
        (48002, OtherWay),
        (43101, OtherWay),
        (45002, GiveUp),
        (44004, GiveUp),
        (40007, GiveUp),
        (40037, Misconfigured),
        (47003, Misconfigured),
        (41030, Misconfigured),
        (48001, Misconfigured),
        (48004, Misconfigured),
        (50002, Misconfigured),
        (99999, GiveUp),
    ],
)
def test_an_errcode_in_a_200_is_a_failure(api: Api, code: int, error: type[SendError]) -> None:
    script(api, refused(code))
    with pytest.raises(error) as caught:
        wechat_channel(WECHAT, api).send(OUT)
    assert type(caught.value) is error
    assert caught.value.code == str(code)
    assert api.count("custom/send") == 1


def test_every_errcode_of_the_table_has_a_test() -> None:
    table = next(mark for mark in test_an_errcode_in_a_200_is_a_failure.pytestmark if mark.name == "parametrize")  # type: ignore[attr-defined]
    token_errors = {40001, 40014, 42001, 40013, 40125, 40164, 40243, 89503}
    assert {code for code, _ in table.args[1]} | token_errors == set(ERRORS) | {99999}


def test_what_waits_is_said_with_the_refusal(api: Api) -> None:
    waits = {45015: "inbound", 45047: "inbound", 40164: "wechat", 50002: "wechat", 48001: "wechat:message", -1: None}
    for code, expected in waits.items():
        script(api, refused(code))
        with pytest.raises(SendError) as caught:
            wechat_channel(WECHAT, api).send(OUT)
        assert caught.value.waits_for == expected


# --- the other ways


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


def test_a_used_up_day_waits_for_midnight_in_china(api: Api) -> None:
    script(api, refused(45009))
    with pytest.raises(OtherWay) as caught:
        wechat_channel(WECHAT, api).send(OUT)
    assert caught.value.after == timedelta(hours=14).total_seconds()  # it is 10:00 in China


@pytest.mark.parametrize(
    "answer",
    [
        requests.ReadTimeout("read timed out"),
        requests.ConnectionError("Connection aborted."),
        (502, "<html>Bad Gateway</html>"),
        (200, "<html>a proxy's page</html>"),
        (200, "[]"),
        (200, {}),
        (200, {"errcode": "soon"}),
        (200, {"errcode": None}),
    ],
)
def test_an_ambiguous_end_is_unknown_and_not_repeated(api: Api, answer: Any) -> None:
    script(api, answer)
    with pytest.raises(Unknown):
        wechat_channel(WECHAT, api).send(OUT)
    assert api.count("custom/send") == 1


@pytest.mark.parametrize("answer", [no_connection(), requests.ConnectTimeout("slow"), (429, "slow down"), (403, "no")])
def test_what_surely_did_not_leave_is_tried_again(api: Api, answer: Any) -> None:
    script(api, answer)
    with pytest.raises(Retry):
        wechat_channel(WECHAT, api).send(OUT)


@pytest.mark.parametrize("answer", [requests.ReadTimeout("slow"), (502, "x"), (200, "<html>"), (200, {"errmsg": "?"})])
def test_a_token_call_that_fails_is_tried_again(api: Api, answer: Any) -> None:
    script(api, OK, tokens=(answer,))
    with pytest.raises(Retry):
        wechat_channel(WECHAT, api).send(OUT)
    assert api.count("custom/send") == 0


@pytest.mark.parametrize(
    "make",
    [
        no_connection,
        lambda: (502, f"secret={WECHAT.wechat_secret} tok-1"),
        lambda: requests.ReadTimeout(f"/cgi-bin/message/custom/send?access_token=tok-1&{WECHAT.wechat_secret}"),
        lambda: refused(40001),
    ],
)
def test_no_error_tells_the_secret_or_the_token(api: Api, make: Callable[[], Any]) -> None:
    for tokens in ((TOKEN, TOKEN_2), (make(),)):
        script(api, make(), tokens=tokens)
        with pytest.raises(SendError) as caught:
            wechat_channel(WECHAT, api).send(OUT)
        told = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + str(caught.value)
        assert WECHAT.wechat_secret not in told
        assert "tok-1" not in told


def test_a_long_text_goes_out_in_pieces(api: Api) -> None:
    script(api, OK)
    text = "一二三四五六七八九十。" * 200
    wechat_channel(WECHAT, api).send(replace(OUT, text=text))
    pieces = [json.loads(call.body or b"{}")["text"]["content"] for call in api.calls[1:]]
    assert "".join(pieces) == text
    assert all(len(piece.encode()) <= 2047 for piece in pieces)
    assert all(piece.endswith("。") for piece in pieces)


def test_a_text_of_which_a_part_went_out_is_unknown(api: Api) -> None:
    script(api, OK, refused(45047))
    with pytest.raises(Unknown):
        wechat_channel(WECHAT, api).send(replace(OUT, text="暖" * 1000))


def test_without_a_secret_nothing_is_tried(api: Api) -> None:
    with pytest.raises(Misconfigured):
        wechat_channel(replace(WECHAT, wechat_secret=""), api).send(OUT)
    assert api.calls == []


def stored_channel(api: Api, database: Database) -> WeChat:
    """A channel whose token is kept in the database, as each process has one."""
    client = wechat.create_client(WECHAT, database, api.session())
    return WeChat(WECHAT, client, Unrationed(), Unrationed(), Registered())


def test_two_processes_share_one_token(api: Api, database: Database, clock: VirtualClock) -> None:
    script(api, OK)
    first, second = (stored_channel(api, database) for _process in range(2))
    first.send(OUT)
    second.send(OUT)
    assert api.count("stable_token") == 1
    clock.advance(timedelta(seconds=7200 - 59))  # a token in its last minute is not begun with
    first.send(OUT)
    assert api.count("stable_token") == 2


def test_a_token_that_another_process_has_renewed_is_not_thrown_away(
    api: Api, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    script(api, refused(40001), OK, tokens=(TOKEN,))
    ours = stored_channel(api, database)
    store, key = ours._client.session, ours._client.access_token_key
    store.set(key, "stale", 7200)
    original = ours._client._once

    def meanwhile(*args: Any) -> Any:
        if args[2]["access_token"] == "stale":
            store.set(key, "renewed-by-another", 7200)
        return original(*args)

    monkeypatch.setattr(ours._client, "_once", meanwhile)
    ours.send(OUT)
    assert api.count("stable_token") == 0
    assert (api.calls[-1].url or "").endswith("renewed-by-another")
