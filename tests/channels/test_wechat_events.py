"""What events and media bring besides a text: reports, subscriptions, what may be pushed now, what has to be fetched."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from bot.channels import MediaRef, Report, wechat
from bot.database import Database
from tests.channels.helpers import WECHAT
from tests.channels.test_wechat_reading import message, push


@pytest.mark.parametrize("times", [1, 2])
def test_every_notice_of_a_sent_event_is_a_report(times: int) -> None:
    items = "".join(
        f"<List><TemplateId>t</TemplateId><MsgID>{number}</MsgID><ErrorCode>{code}</ErrorCode>"
        f"<ErrorStatus>{status}</ErrorStatus></List>"
        for number, code, status in [(1, "0", "success"), (2, "43101", "user refuse to accept the msg")][:times]
    )
    wrapped = f"<SubscribeMsgSentEvent>{items}</SubscribeMsgSentEvent>"
    found = push(f"<MsgType>event</MsgType><Event>subscribe_msg_sent_event</Event>{wrapped}")
    reports = [item for item in found if isinstance(item, Report)]
    told = [(report.provider_ref, report.state) for report in reports]
    assert told == [("notice:1", "delivered"), ("notice:2", "failed")][:times]


def test_two_sent_events_of_one_second_are_two_messages_and_a_repeat_is_one() -> None:
    def sent(number: int) -> str:
        item = f"<List><TemplateId>t</TemplateId><MsgID>{number}</MsgID><ErrorCode>0</ErrorCode></List>"
        wrapped = f"<SubscribeMsgSentEvent>{item}</SubscribeMsgSentEvent>"
        return message(f"<MsgType>event</MsgType><Event>subscribe_msg_sent_event</Event>{wrapped}").provider_id

    assert sent(1) == sent(1)
    assert sent(1) != sent(2)


@pytest.mark.parametrize("wrapper", ["SubscribeMsgPopupEvent", "SubscribeMsgChangeEvent"])
@pytest.mark.parametrize("times", [1, 2])
def test_subscriptions_are_read_in_all_their_shapes(wrapper: str, times: int) -> None:
    item = "<List><TemplateId>t</TemplateId><SubscribeStatusString>{}</SubscribeStatusString></List>"
    items = "".join([item.format("accept"), item.format("reject")][:times])
    event = "<MsgType>event</MsgType><Event>subscribe_msg_change_event</Event>"
    found = message(f"{event}<{wrapper}>{items}</{wrapper}>")
    accepted = [{"template": "t", "accepted": True}, {"template": "t", "accepted": False}]
    assert found.payload["subscriptions"] == accepted[:times]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ("<MsgType>text</MsgType><Content>x</Content>", "message"),
        ("<MsgType>image</MsgType><MediaId>m</MediaId>", "message"),
        ("<MsgType>text</MsgType><Content>x</Content><bizmsgmenuid>1</bizmsgmenuid>", "action"),
        ("<MsgType>event</MsgType><Event>subscribe</Event>", "action"),
        ("<MsgType>event</MsgType><Event>SCAN</Event><EventKey>7</EventKey>", "action"),
        ("<MsgType>event</MsgType><Event>CLICK</Event><EventKey>leak</EventKey>", "action"),
        ("<MsgType>event</MsgType><Event>VIEW</Event><EventKey>http://x</EventKey>", None),
        ("<MsgType>event</MsgType><Event>LOCATION</Event>", None),
        ("<MsgType>event</MsgType><Event>unsubscribe</Event>", None),
        ("<MsgType>event</MsgType><Event>TEMPLATESENDJOBFINISH</Event><MsgID>1</MsgID>", None),
    ],
)
def test_an_act_opens_the_window_that_wechat_opens(fields: str, name: str | None) -> None:
    grant = message(fields).grant
    assert (grant.name if grant else None) == name


@pytest.mark.parametrize(
    ("kind", "ours"), [("image", "image"), ("voice", "voice"), ("video", "video"), ("shortvideo", "video")]
)
def test_what_has_to_be_fetched_is_named_with_its_time(kind: str, ours: str) -> None:
    found = message(f"<MsgType>{kind}</MsgType><MediaId>m-1</MediaId><ThumbMediaId>t</ThumbMediaId><MsgId>1</MsgId>")
    assert found.media == (MediaRef(ours, "m-1", timedelta(days=3)),)


@pytest.mark.parametrize(
    ("event", "key", "text"),
    [("subscribe", "qrscene_b/C-1/3", "b/C-1/3"), ("SCAN", "b/C-1/3", "b/C-1/3"), ("CLICK", "leak", "leak")],
)
def test_what_was_scanned_or_tapped_is_the_text(event: str, key: str, text: str) -> None:
    assert message(f"<MsgType>event</MsgType><Event>{event}</Event><EventKey>{key}</EventKey>").text == text


def test_the_key_of_an_event_does_not_hold_the_openid() -> None:
    assert "oResident" not in message("<MsgType>event</MsgType><Event>subscribe</Event>").provider_id


@pytest.mark.parametrize(("mode", "warned"), [("plain", True), ("compatible", True), ("safe", False)])
def test_a_mode_that_is_not_for_production_is_warned_of_at_the_start(
    mode: str, warned: bool, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    wechat.create(replace(WECHAT, wechat_mode=mode), database)
    assert (f"HEATLINE_WECHAT_MODE is {mode}" in caplog.text) == warned
