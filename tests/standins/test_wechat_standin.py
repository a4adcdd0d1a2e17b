"""The WeChat stand-in keeps WeChat's rules, so that what works against it works against WeChat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from bot.clock import VirtualClock
from bot.settings import Settings
from bot.standins import DEMO_CREDENTIALS, StandIns
from bot.standins.transport import Answer, NoAnswer
from bot.standins.wechat import ACCOUNT, DOWN

OPENID = "oStandInResident00000000000x"
SETTINGS = replace(Settings(), demo="1", public_url="http://127.0.0.1:8000", **DEMO_CREDENTIALS)

pytestmark = pytest.mark.usefixtures("clock")


class Service:
    """A service that answers what it is told to."""

    def __init__(self, *answers: Answer | NoAnswer) -> None:
        self.answers = list(answers)
        self.posts: list[tuple[str, bytes]] = []

    def post(self, target: str, body: bytes, headers: Mapping[str, str], timeout: float) -> Answer:
        self.posts.append((target, body))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, NoAnswer):
            raise answer
        return answer


SUCCESS = Answer(200, "success")


def standins(*answers: Answer | NoAnswer, settings: Settings = SETTINGS) -> tuple[StandIns, Service]:
    service = Service(*(answers or (SUCCESS,)))
    return StandIns(settings, service), service


def send(made: StandIns, text: str = "您好", openid: str = OPENID) -> Any:
    token = made.wechat.token(SETTINGS.wechat_appid, SETTINGS.wechat_secret)["access_token"]
    data = {"touser": openid, "msgtype": "text", "text": {"content": text}}
    return made.wechat.custom_send(token, data)["errcode"]


def test_a_push_is_repeated_three_times_with_new_signatures() -> None:
    made, service = standins(NoAnswer("slow", connected=True))
    assert made.wechat.push_text(OPENID, "不热") is None
    assert len(service.posts) == 4
    assert len({target for target, _ in service.posts}) == 4
    assert made.heard("wechat", OPENID) == [DOWN]


def test_an_answer_to_a_repeat_is_heard_once() -> None:
    made, service = standins(NoAnswer("slow", connected=True), SUCCESS)
    assert made.wechat.push_text(OPENID, "不热") is None
    assert len(service.posts) == 2
    assert made.heard("wechat", OPENID) == []


@pytest.mark.parametrize(
    "answer",
    [Answer(500, "oops"), Answer(403, ""), Answer(200, "{}"), Answer(200, "<html/>"), Answer(200, "<xml></xml>")],
)
def test_a_bad_answer_shows_the_resident_that_the_service_is_down(answer: Answer) -> None:
    made, _ = standins(answer)
    assert made.wechat.push_text(OPENID, "不热") is None
    assert made.heard("wechat", OPENID) == [DOWN]


def test_in_safe_mode_an_unencrypted_reply_counts_as_bad() -> None:
    xml = f"<xml><ToUserName>{OPENID}</ToUserName><FromUserName>{ACCOUNT}</FromUserName><Content>您好</Content></xml>"
    made, _ = standins(Answer(200, xml))
    assert made.wechat.push_text(OPENID, "不热") is None
    made, _ = standins(Answer(200, xml), settings=replace(SETTINGS, wechat_mode="plain"))
    assert made.wechat.push_text(OPENID, "不热") == "您好"


def test_a_residents_angle_brackets_stay_text() -> None:
    made, service = standins(settings=replace(SETTINGS, wechat_mode="plain"))
    made.wechat.push_text(OPENID, "<Event>]]></Content><Content>")
    assert b"<![CDATA[<Event>]]]]><![CDATA[></Content><Content>]]>" in service.posts[0][1]


def test_five_texts_may_follow_a_message_within_48_hours(clock: VirtualClock) -> None:
    made, _ = standins()
    assert send(made) == 40003  # a stranger
    made.wechat.push_text(OPENID, "不热")
    assert [send(made) for _ in range(6)] == [0, 0, 0, 0, 0, 45047]
    made.wechat.push_text(OPENID, "还是不热")
    assert send(made) == 0
    clock.advance(timedelta(hours=48, seconds=1))
    assert send(made) == 45015
    assert made.heard("wechat", OPENID) == ["您好"] * 6


def test_three_texts_may_follow_a_follow_within_a_minute(clock: VirtualClock) -> None:
    made, _ = standins()
    made.wechat.push_event(OPENID, "subscribe", EventKey="")
    assert [send(made) for _ in range(4)] == [0, 0, 0, 45047]
    clock.advance(timedelta(minutes=2))
    assert send(made) == 45015


def test_who_has_left_hears_nothing() -> None:
    made, _ = standins()
    made.wechat.push_text(OPENID, "不热")
    made.wechat.push_event(OPENID, "unsubscribe")
    assert send(made) == 43004


@pytest.mark.parametrize(("text", "code"), [("", 44004), ("暖" * 683, 45002), ("暖" * 682, 0)])
def test_texts_have_their_limits(text: str, code: int) -> None:
    made, _ = standins()
    made.wechat.push_text(OPENID, "不热")
    assert send(made, text) == code


def test_a_token_stays_the_same_until_shortly_before_its_end(clock: VirtualClock) -> None:
    made, _ = standins()
    ask = (SETTINGS.wechat_appid, SETTINGS.wechat_secret)
    first = made.wechat.token(*ask)["access_token"]
    clock.advance(timedelta(minutes=114))
    assert made.wechat.token(*ask)["access_token"] == first
    clock.advance(timedelta(minutes=2))
    assert made.wechat.token(*ask)["access_token"] != first
    assert made.wechat.check_token(first) is None  # the old one still lives for its last minutes
    clock.advance(timedelta(minutes=5))
    refusal = made.wechat.check_token(first)
    assert refusal is not None
    assert refusal["errcode"] == 42001


def test_wrong_credentials_get_no_token() -> None:
    made, _ = standins()
    assert made.wechat.token("wxother", SETTINGS.wechat_secret)["errcode"] == 40013
    assert made.wechat.token(SETTINGS.wechat_appid, "wrong")["errcode"] == 40125
    assert made.wechat.custom_send("forged", {"touser": OPENID})["errcode"] == 40001


def test_a_reset_forgets_everything() -> None:
    made, _ = standins()
    made.wechat.push_text(OPENID, "不热")
    send(made)
    made.reset()
    assert made.heard("wechat", OPENID) == []
    assert send(made) == 40003
