"""What WeChat pushes: who may push, and what each push becomes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot import clock as service_clock
from bot.channels import BadRequest, BadSignature, Grant, Inbound, Report
from bot.channels.wechat import WeChat, _Cipher
from bot.channels.wechat_push import translate
from tests.channels.conftest import wechat_channel
from tests.channels.helpers import TEXT_PUSH, WECHAT, plain_push, request_for, sealed_push

NOW = 1795399200  # 2026-11-23 02:00 UTC
PLAIN = replace(WECHAT, wechat_mode="plain", wechat_aes_key="")
HEAD = (
    "<ToUserName><![CDATA[gh_1]]></ToUserName><FromUserName><![CDATA[oResident]]></FromUserName>"
    f"<CreateTime>{NOW}</CreateTime>"
)

pytestmark = pytest.mark.usefixtures("clock")


def seal(xml: str, appid: str = WECHAT.wechat_appid) -> str:
    return str(_Cipher(wechat_channel(WECHAT)._crypto.key).encrypt(xml, appid).decode())


def read_one(channel: WeChat, request: Any) -> Inbound:
    [found] = channel.read(request)
    assert isinstance(found, Inbound)
    return found


def push(fields: str) -> list[Inbound | Report]:
    return translate("wechat", f"<xml>{HEAD}{fields}</xml>")


def message(fields: str) -> Inbound:
    found = push(fields)[0]
    assert isinstance(found, Inbound)
    return found


# --- who may push


def test_a_plain_push_is_read() -> None:
    found = read_one(wechat_channel(PLAIN), plain_push(TEXT_PUSH, NOW))
    assert found == Inbound(
        channel="wechat",
        medium="wechat",
        provider_id="msg:gh_97417a04a28d:1234567890123456",
        sender="o9AgO5Kd5ggOC-bXrbNODIiE3bGY",
        recipient="gh_97417a04a28d",
        kind="text",
        text="家里暖气不热",
        sent_at=datetime(2026, 11, 23, 2, 0, tzinfo=UTC),
        grant=Grant("message", 5, timedelta(hours=48)),
    )


def test_a_safe_push_is_read() -> None:
    assert read_one(wechat_channel(WECHAT), sealed_push(seal(TEXT_PUSH), NOW)).text == "家里暖气不热"


def test_in_compatible_mode_only_the_encrypted_part_is_read() -> None:
    channel = wechat_channel(replace(WECHAT, wechat_mode="compatible"))
    forged = "<MsgType>text</MsgType><Content>不是我写的</Content><FromUserName>oAnother</FromUserName><MsgId>9</MsgId>"
    found = read_one(channel, sealed_push(seal(TEXT_PUSH), NOW, extra=forged))
    assert found.text == "家里暖气不热"
    assert found.sender == "o9AgO5Kd5ggOC-bXrbNODIiE3bGY"


def test_plain_mode_reads_encrypted_pushes_while_the_operator_changes_over() -> None:
    channel = wechat_channel(replace(WECHAT, wechat_mode="plain"))
    push = sealed_push(seal(TEXT_PUSH), NOW)
    found = read_one(channel, push)
    assert found.text == "家里暖气不热"
    assert b"<Encrypt>" in channel.answer(push, found, "收到", "1").data


@pytest.mark.parametrize("mode", ["safe", "compatible"])
def test_a_plain_push_opens_no_encrypted_door(mode: str) -> None:
    with pytest.raises(BadSignature):
        wechat_channel(replace(WECHAT, wechat_mode=mode)).read(plain_push(TEXT_PUSH, NOW))


def test_a_url_signature_does_not_pass_for_an_empty_encrypted_body() -> None:
    """With nothing in <Encrypt>, msg_signature is the same sum as the URL's own signature."""
    push = sealed_push("", NOW)
    with pytest.raises(BadSignature):
        wechat_channel(WECHAT).read(push)


@pytest.mark.parametrize(
    "query", [{"signature": ""}, {"signature": "f" * 40}, {"signature": "信" * 40}, {"nonce": "1"}]
)
def test_a_false_plain_signature_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(BadSignature):
        wechat_channel(PLAIN).read(plain_push(TEXT_PUSH, NOW, **query))


@pytest.mark.parametrize("query", [{"msg_signature": ""}, {"msg_signature": "f" * 40}, {"signature": "f" * 40}])
def test_a_false_safe_signature_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(BadSignature):
        wechat_channel(WECHAT).read(sealed_push(seal(TEXT_PUSH), NOW, **query))


def test_an_unsigned_push_is_refused() -> None:
    for channel in (wechat_channel(PLAIN), wechat_channel(WECHAT)):
        with pytest.raises(BadSignature):
            channel.read(request_for("POST", "/channels/wechat", TEXT_PUSH.encode()))


def test_another_accounts_push_is_refused() -> None:
    with pytest.raises(BadSignature):
        wechat_channel(WECHAT).read(sealed_push(seal(TEXT_PUSH, "wxanotheraccount00"), NOW))


@pytest.mark.parametrize("off", [601, -601, 86_400])
def test_a_stale_push_is_refused(off: int) -> None:
    with pytest.raises(BadSignature):
        wechat_channel(PLAIN).read(plain_push(TEXT_PUSH, NOW + off))
    with pytest.raises(BadSignature):
        wechat_channel(WECHAT).read(sealed_push(seal(TEXT_PUSH), NOW + off))


@pytest.mark.parametrize("off", [600, -600, 0])
def test_a_push_within_ten_minutes_is_read(off: int) -> None:
    assert read_one(wechat_channel(PLAIN), plain_push(TEXT_PUSH, NOW + off)).kind == "text"


def test_the_url_check_refuses_a_false_signature() -> None:
    with pytest.raises(BadSignature):
        wechat_channel(WECHAT).verify_url(
            request_for("GET", "/channels/wechat?signature=0&timestamp=1&nonce=2&echostr=3")
        )


# --- what a push becomes


@pytest.mark.parametrize(
    ("fields", "kind", "text"),
    [
        ("<MsgType>text</MsgType><Content><![CDATA[ 不热 \n]]></Content><MsgId>1</MsgId>", "text", " 不热 \n"),
        ("<MsgType>image</MsgType><PicUrl>http://p</PicUrl><MediaId>m</MediaId><MsgId>1</MsgId>", "image", ""),
        ("<MsgType>voice</MsgType><MediaId>m</MediaId><Format>amr</Format><MsgId>1</MsgId>", "voice", ""),
        ("<MsgType>voice</MsgType><Recognition>家里冷</Recognition><MsgId>1</MsgId>", "voice", "家里冷"),
        ("<MsgType>voice</MsgType><Recognition/><MsgId>1</MsgId>", "voice", ""),
        ("<MsgType>video</MsgType><MediaId>m</MediaId><MsgId>1</MsgId>", "video", ""),
        ("<MsgType>shortvideo</MsgType><MediaId>m</MediaId><MsgId>1</MsgId>", "video", ""),
        ("<MsgType>location</MsgType><Label>阳光花园3号楼</Label><MsgId>1</MsgId>", "location", "阳光花园3号楼"),
        ("<MsgType>link</MsgType><Title>通知</Title><Url>http://u</Url><MsgId>1</MsgId>", "link", "通知"),
        ("<MsgType>hologram</MsgType><MsgId>1</MsgId>", "other", ""),
    ],
)
def test_every_message_type_is_kept(fields: str, kind: str, text: str) -> None:
    found = message(fields)
    assert (found.kind, found.text, found.provider_id) == (kind, text, "msg:gh_1:1")


@pytest.mark.parametrize(
    ("event", "kind"),
    [
        ("subscribe", "follow"),
        ("unsubscribe", "unfollow"),
        ("SCAN", "scan"),
        ("CLICK", "click"),
        ("VIEW", "other_event"),
        ("LOCATION", "other_event"),
        ("scancode_push", "other_event"),
        ("subscribe_msg_popup_event", "subscription"),
        ("subscribe_msg_change_event", "subscription"),
        ("subscribe_msg_sent_event", "report"),
        ("user_authorization_revoke", "other_event"),
        ("an_event_of_tomorrow", "other_event"),
    ],
)
def test_every_event_is_kept(event: str, kind: str) -> None:
    assert message(f"<MsgType>event</MsgType><Event>{event}</Event>").kind == kind


def test_create_time_is_in_seconds() -> None:
    found = message("<MsgType>text</MsgType><Content>x</Content><MsgId>1</MsgId>")
    assert found.sent_at == datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def test_two_events_of_one_second_are_two() -> None:
    first = message("<MsgType>event</MsgType><Event>subscribe</Event><EventKey>qrscene_7</EventKey>")
    second = message("<MsgType>event</MsgType><Event>SCAN</Event><EventKey>7</EventKey>")
    again = message("<MsgType>event</MsgType><Event>SCAN</Event><EventKey>7</EventKey>")
    assert first.provider_id.endswith(f":{NOW}:subscribe:qrscene_7")
    assert first.provider_id != second.provider_id == again.provider_id


def test_a_sent_template_and_a_message_of_the_same_number_are_two() -> None:
    done = push("<MsgType>event</MsgType><Event>TEMPLATESENDJOBFINISH</Event><MsgID>1</MsgID><Status>success</Status>")
    text = message("<MsgType>text</MsgType><Content>x</Content><MsgId>1</MsgId>")
    assert isinstance(done[0], Inbound)
    assert done[0].provider_id != text.provider_id


@pytest.mark.parametrize(
    ("status", "state", "code"),
    [("success", "delivered", None), ("failed:user block", "failed", "failed:user block")],
)
def test_a_finished_template_is_a_report(status: str, state: str, code: str | None) -> None:
    found = push(
        f"<MsgType>event</MsgType><Event>TEMPLATESENDJOBFINISH</Event><MsgID>200</MsgID><Status>{status}</Status>"
    )
    at = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
    assert found[1] == Report("wechat", "template:200", state, code=code, at=at)
    assert isinstance(found[1], Report)
    assert (found[1].failure is None) == (state == "delivered")


def test_a_menu_item_that_was_tapped_keeps_its_id() -> None:
    found = message("<MsgType>text</MsgType><Content>对</Content><MsgId>1</MsgId><bizmsgmenuid>101</bizmsgmenuid>")
    assert found.payload == {"bizmsgmenuid": "101"}


@pytest.mark.parametrize("times", [1, 2])
def test_a_list_of_one_and_of_several_look_the_same(times: int) -> None:
    item = "<List><TemplateId>t</TemplateId><SubscribeStatusString>accept</SubscribeStatusString></List>"
    fields = f"<SubscribeMsgPopupEvent>{item * times}</SubscribeMsgPopupEvent>"
    found = message(f"<MsgType>event</MsgType><Event>subscribe_msg_popup_event</Event>{fields}")
    listed = found.payload["SubscribeMsgPopupEvent"]["List"]
    assert listed == [{"TemplateId": "t", "SubscribeStatusString": "accept"}] * times


def test_an_automatic_position_is_not_kept() -> None:
    found = message(
        "<MsgType>event</MsgType><Event>LOCATION</Event><Latitude>34.7</Latitude><Longitude>113</Longitude>"
    )
    assert "34.7" not in str(found.payload)


def test_a_very_long_event_key_still_gives_an_id_of_its_own() -> None:
    long = "k" * 300
    first = message(f"<MsgType>event</MsgType><Event>VIEW</Event><EventKey>{long}a</EventKey>")
    second = message(f"<MsgType>event</MsgType><Event>VIEW</Event><EventKey>{long}b</EventKey>")
    assert len(first.provider_id) <= 128
    assert first.provider_id != second.provider_id


# --- hostile pushes

BOMB = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]><xml><FromUserName>&b;</FromUserName></xml>'
FILE = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><Content>&a;</Content></xml>'


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<xml/>",
        b"<xml></xml>",
        b"not xml",
        b'{"FromUserName": "o"}',
        b"\xff\xfe\x00",
        BOMB.encode(),
        FILE.encode(),
        b"<xml>" + b"<a>" * 9000 + b"</a>" * 9000 + b"</xml>",
        b"<xml><FromUserName><a>o</a></FromUserName><MsgType>text</MsgType></xml>",
        b"<xml><FromUserName>o</FromUserName><MsgType><a/></MsgType></xml>",
        b"<html>o</html>",
        b"<?xml version='1.0' encoding='gb2312'?><xml/>",
    ],
)
def test_a_truly_signed_push_that_nobody_can_read_is_kept(body: bytes) -> None:
    found = read_one(wechat_channel(PLAIN), plain_push(body, NOW))
    assert found.kind == "other_event"
    assert found.provider_id.startswith("raw:")


@pytest.mark.parametrize(
    "fields",
    [
        "<MsgType>text</MsgType><Content><b>x</b></Content><MsgId>1</MsgId>",
        "<MsgType>text</MsgType><MsgId><x/></MsgId>",
        "<MsgType>text</MsgType><Content>a</Content><Content>b</Content><MsgId>1</MsgId>",
        "<MsgType>text</MsgType>" + "<a>" * 5000 + "</a>" * 5000,
        "<MsgType>event</MsgType>",
        "<MsgType>event</MsgType><Event><x/></Event><EventKey><y/></EventKey>",
    ],
)
def test_fields_of_the_wrong_type_do_no_harm(fields: str) -> None:
    assert message(fields).sender == "oResident"


@pytest.mark.parametrize("stamp", ["", "x", "-1", "9" * 30, "1e9", "１７９５３９９２００", "1795399200000000"])
def test_a_create_time_that_is_no_time_is_no_time(stamp: str) -> None:
    xml = f"<xml><FromUserName>o</FromUserName><MsgType>text</MsgType><CreateTime>{stamp}</CreateTime></xml>"
    found = translate("wechat", xml)[0]
    assert isinstance(found, Inbound)
    assert found.sent_at is None


@pytest.mark.parametrize("encrypted", ["x", "AAAA", "!!!", "A" * 64, "é" * 8])
def test_a_truly_signed_push_that_cannot_be_decrypted_is_kept_or_refused(encrypted: str) -> None:
    try:
        found = read_one(wechat_channel(WECHAT), sealed_push(encrypted, NOW))
    except BadSignature:
        return
    assert found.kind == "other_event"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=300) | st.text(max_size=100).map(lambda t: f"<xml>{HEAD}{t}</xml>".encode()))
def test_no_body_breaks_the_door(body: bytes) -> None:
    service_clock.use(service_clock.VirtualClock(datetime.fromtimestamp(NOW, UTC)))
    assert len(wechat_channel(PLAIN).read(plain_push(body, NOW))) == 1
    with pytest.raises(BadRequest):
        wechat_channel(WECHAT).read(plain_push(body, NOW))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(["FromUserName", "MsgType", "Content", "Event", "MsgId", "Status", "CreateTime"]),
    value=st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=40),
)
def test_no_field_breaks_the_translation(name: str, value: str) -> None:
    escaped = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for kind in ("text", "event"):
        assert translate("wechat", f"<xml>{HEAD}<MsgType>{kind}</MsgType><{name}>{escaped}</{name}></xml>")
