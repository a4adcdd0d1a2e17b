"""Customer-service messages: the shared token, and what each refusal leads to."""

from __future__ import annotations

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
