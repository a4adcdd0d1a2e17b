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


# --- the rest of the account


def token(made: StandIns) -> str:
    return str(made.wechat.token(SETTINGS.wechat_appid, SETTINGS.wechat_secret)["access_token"])


FIELDS = {"thing1": {"value": "暖气不热"}, "character_string3": {"value": "N20261123-0001"}}


def template(made: StandIns, **fields: Any) -> Any:
    data = {"touser": OPENID, "template_id": "tpl", "data": {**FIELDS, **fields}}
    return made.wechat.template_send(data)


def test_a_template_needs_its_id_a_follower_and_fitting_fields() -> None:
    made, _ = standins()
    assert template(made)["errcode"] == 40003
    made.wechat.push_event(OPENID, "subscribe", EventKey="")
    assert template(made)["errcode"] == 40037
    made.wechat.account.templates["tpl"] = ("thing1", "character_string3")
    assert template(made, thing1={"value": "暖" * 21})["errcode"] == 47003
    assert template(made, character_string3={"value": "单号"})["errcode"] == 47003
    assert template(made)["errcode"] == 0
    assert made.heard("wechat", OPENID)[-1] == "暖气不热\nN20261123-0001"
    made.wechat.push_event(OPENID, "unsubscribe")
    assert template(made)["errcode"] == 43004


def test_a_client_msg_id_is_one_message_for_ten_minutes(clock: VirtualClock) -> None:
    made, _ = standins()
    made.wechat.push_event(OPENID, "subscribe", EventKey="")
    made.wechat.account.templates["tpl"] = ("thing1",)
    data = {"touser": OPENID, "template_id": "tpl", "client_msg_id": "c-1", "data": FIELDS}
    first, second = (made.wechat.account.send_template(data)["msgid"] for _ in range(2))
    clock.advance(timedelta(minutes=11))
    assert first == second != made.wechat.account.send_template(data)["msgid"]


def test_a_finished_template_is_reported_once() -> None:
    made, service = standins(settings=replace(SETTINGS, wechat_mode="plain"))
    made.wechat.push_event(OPENID, "subscribe", EventKey="")
    made.wechat.account.templates["tpl"] = ("thing1",)
    number = template(made)["msgid"]
    made.wechat.report_jobs("failed:user block")
    made.wechat.report_jobs()
    reports = [body.decode() for _, body in service.posts if b"TEMPLATESENDJOBFINISH" in body]
    assert len(reports) == 1
    assert f"<MsgID>{number}</MsgID>" in reports[0]


@pytest.mark.parametrize(("long_term", "codes"), [(True, [0, 0]), (False, [0, 43101])])
def test_a_notice_needs_a_subscription(long_term: bool, codes: list[int]) -> None:
    made, _ = standins()
    made.wechat.push_event(OPENID, "subscribe", EventKey="")
    made.wechat.account.notices["tpl"] = ("thing1",)
    data = {"touser": OPENID, "template_id": "tpl", "data": FIELDS}
    assert made.wechat.notice_send(data)["errcode"] == 43101
    if long_term:
        made.wechat.account.long_term.add("tpl")
    made.wechat.subscribe(OPENID, "tpl")
    assert [made.wechat.notice_send(data)["errcode"] for _ in range(2)] == codes


def test_a_daily_quota_ends_at_midnight_in_china(clock: VirtualClock) -> None:
    made, _ = standins()
    made.wechat.push_text(OPENID, "不热")
    made.wechat.account.limits["custom/send"] = 1
    assert [send(made), send(made)] == [0, 45009]
    clock.advance(timedelta(hours=14, seconds=1))  # it was ten in the morning
    assert send(made) == 0


def test_an_address_off_the_list_gets_no_token() -> None:
    made, _ = standins()
    made.wechat.account.on_ip_list = False
    answer = made.wechat.token(SETTINGS.wechat_appid, SETTINGS.wechat_secret)
    assert answer["errcode"] == 40164
    assert "203.0.113.7" in answer["errmsg"]


def test_media_are_kept_for_three_days(clock: VirtualClock) -> None:
    made, _ = standins()
    media_id = made.wechat.account.keep(b"photo", "image/jpeg")
    clock.advance(timedelta(days=3) - timedelta(seconds=1))
    assert made.wechat.account.medium(media_id) is not None
    clock.advance(timedelta(seconds=2))
    assert made.wechat.account.medium(media_id) is None


@pytest.mark.parametrize(
    ("data", "code"),
    [
        ({"action_name": "QR_LIMIT_STR_SCENE", "scene": "b/C-1/3"}, None),
        ({"action_name": "QR_LIMIT_STR_SCENE", "scene": "x" * 65}, 40053),
        ({"action_name": "QR_LIMIT_SCENE", "scene": "b/C-1/3"}, 40053),
        ({"action_name": "QR_STR_SCENE", "scene": "b/C-1/3", "expire_seconds": 2_592_001}, 40052),
    ],
)
def test_codes_have_their_limits(data: dict[str, Any], code: int | None) -> None:
    made, _ = standins()
    scene = data.pop("scene")
    answer = made.wechat.account.create_code({**data, "action_info": {"scene": {"scene_str": scene}}})
    assert answer.get("errcode") == code


def test_a_code_brings_its_scene_with_following_or_scanning() -> None:
    made, service = standins(settings=replace(SETTINGS, wechat_mode="plain"))
    made.wechat.scan(OPENID, "b/C-1/3")
    made.wechat.scan(OPENID, "b/C-1/3")
    first, second = (body.decode() for _, body in service.posts)
    assert "<![CDATA[qrscene_b/C-1/3]]>" in first
    assert "<![CDATA[SCAN]]>" in second
    assert "<![CDATA[b/C-1/3]]>" in second
