"""The doors, through signed requests: nothing false is stored, nothing true is lost, nobody sees an error page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from urllib.parse import urlencode

import pytest
from flask import Flask
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from bot import conversation, intake, worker
from bot.app import create_app
from bot.channels import sms_twilio, wechat
from bot.channels.wechat_push import parse_xml
from bot.clock import VirtualClock
from bot.models import Contact, Delivery, Message
from bot.passive import PassiveMarker
from bot.services import Services
from bot.standins import DEMO_CREDENTIALS
from bot.standins.phones import Phones
from bot.standins.transport import AppTransport, session_into
from bot.standins.twilio import TwilioStandIn, read_twiml
from bot.standins.wechat import Push, WeChatStandIn, document
from tests.bot.helpers import PHONE, Core, together

BASE = "http://127.0.0.1:8000"
OPENID = "oWebhook0000000000000000001x"
LIMIT = 64 * 1024


@dataclass
class Door:
    """The application, and both providers that post to it."""

    core: Core
    app: Flask
    wechat: WeChatStandIn
    twilio: TwilioStandIn

    def push(self, push: Push) -> TestResponse:
        """Post a signed push of WeChat."""
        return self.app.test_client().post(
            push.target, data=push.body, headers={"Content-Type": "text/xml"}, buffered=True
        )

    def text(self, text: str, number: str = "1", **fields: str) -> Push:
        """A signed push of a text, or of what `fields` make of it."""
        known = {
            "ToUserName": "gh_heatlinedemo",
            "FromUserName": OPENID,
            "CreateTime": "1795399200",
            "MsgType": "text",
            "Content": text,
            "MsgId": number,
        }
        return self.wechat.sign(document({**known, **fields}))

    def sms(self, text: str, sid: str = "SM" + "1" * 32, **fields: str) -> TestResponse:
        """Post a signed form of Twilio."""
        form = self.twilio.form(PHONE, text, sid, **fields)
        return self.post(form, self.twilio.sign("/channels/twilio", form))

    def post(self, form: dict[str, str], headers: dict[str, str], path: str = "/channels/twilio") -> TestResponse:
        """Post a form."""
        return self.app.test_client().post(path, data=urlencode(form), headers=headers, base_url=BASE, buffered=True)

    def stored(self) -> int:
        """How many messages there are."""
        return len(self.core.rows(Message))

    def reads(self, response: TestResponse) -> str:
        """What a WeChat resident reads of an answer."""
        xml = parse_xml(response.get_data())
        reply = parse_xml(self.wechat._cipher().decrypt(xml["Encrypt"], self.wechat.settings.wechat_appid))
        return str(reply["Content"])


@pytest.fixture
def door(core: Core) -> Iterator[Door]:
    doors = {"public_url": BASE, "wechat_api": BASE, "twilio_api": BASE, "twilio_allow_mainland": "1"}
    settings = replace(core.services.settings, **doors, **DEMO_CREDENTIALS)
    services: Services = core.services
    services.settings = settings
    app = create_app(services)
    http = session_into(app)
    made = [wechat.create(settings, services.database, http), sms_twilio.create(settings, services.database, http)]
    services.channels = {channel.name: channel for channel in made if channel is not None}
    transport, phones = AppTransport(app), Phones()
    yield Door(core, app, WeChatStandIn(settings, transport, phones), TwilioStandIn(settings, transport, phones))
    marker: PassiveMarker = app.extensions["heatline_passive"]
    marker.flush()


# --- signatures


def test_a_truly_signed_message_is_stored_and_answered_within_the_response(door: Door) -> None:
    assert "您好" in door.reads(door.push(door.text("你好")))
    [(text, callback)] = read_twiml_of(door.sms("你好"))
    assert "您好" in text
    assert callback
    assert door.stored() == 2


def read_twiml_of(response: TestResponse) -> list[tuple[str, str | None]]:
    """Texts and callbacks of a TwiML answer."""
    from bot.standins.transport import Answer

    return read_twiml(Answer(response.status_code, response.get_data(as_text=True), response.content_type or ""))


@pytest.mark.parametrize("spoilt", ["msg_signature", "signature", "timestamp", "nonce", "body"])
def test_a_false_wechat_signature_is_403_and_stores_nothing(door: Door, spoilt: str) -> None:
    push = door.text("你好")
    if spoilt == "body":
        push = replace(push, body=push.body.replace(b"<Encrypt><![CDATA[", b"<Encrypt><![CDATA[A"))
    else:
        push = replace(push, query={**push.query, spoilt: "1795399201"})
    assert door.push(push).status_code == 403
    assert door.stored() == 0
    assert door.core.rows(Contact) == []


def test_an_old_wechat_push_is_403(door: Door, clock: VirtualClock) -> None:
    push = door.text("你好")
    clock.advance(timedelta(minutes=11))
    assert door.push(push).status_code == 403


@pytest.mark.parametrize("headers", [{}, {"X-Twilio-Signature": "x"}, {"X-Twilio-Signature": "é"}])
def test_a_missing_or_false_twilio_signature_is_403_and_stores_nothing(door: Door, headers: dict[str, str]) -> None:
    form = door.twilio.form(PHONE, "你好")
    headers = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
    for path in ("/channels/twilio", "/channels/twilio/status", "/channels/twilio/status/1"):
        assert door.post(form, headers, path).status_code == 403
    assert door.stored() == 0


def test_a_changed_form_is_403(door: Door) -> None:
    form = door.twilio.form(PHONE, "你好")
    headers = door.twilio.sign("/channels/twilio", form)
    assert door.post({**form, "Body": "别的"}, headers).status_code == 403


def test_a_channel_that_is_switched_off_is_not_there(door: Door) -> None:
    push = door.text("你好")
    door.core.services.channels = {}
    assert door.push(push).status_code == 404
    assert door.sms("你好").status_code == 404
    assert door.app.test_client().get("/channels/wechat").status_code == 404


# --- what is no message


@pytest.mark.parametrize("path", ["/channels/wechat", "/channels/twilio", "/channels/twilio/status"])
@pytest.mark.parametrize("kind", ["text/xml", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_more_than_64_kib_is_refused_unread(door: Door, path: str, kind: str) -> None:
    body = b"a=" + b"b" * LIMIT
    response = door.app.test_client().post(path, data=body, headers={"Content-Type": kind})
    assert response.status_code == 413
    assert door.stored() == 0


MALFORMED = [b"", b"<", b"<xml>", b"<xml></xml>", b"\xff\xfe\x00", b"{}", b"<xml><Encrypt>", b"x" * 5000, b"&" * 2000]


@pytest.mark.parametrize("path", ["/channels/wechat", "/channels/twilio", "/channels/twilio/status/9"])
@pytest.mark.parametrize("kind", ["text/xml", "application/x-www-form-urlencoded", "multipart/form-data", "é", ""])
def test_malformed_bodies_are_never_an_error_of_ours(door: Door, path: str, kind: str) -> None:
    for body in MALFORMED:
        response = door.app.test_client().post(path, data=body, headers={"Content-Type": kind})
        assert response.status_code in (400, 403), body
    assert door.stored() == 0


@pytest.mark.parametrize(
    "xml",
    ["", "<", "<xml>", "<xml><MsgType>text</MsgType></xml>", "<a/>", "<xml>" + "<a>" * 900, "\ud800", "<!DOCTYPE x>"],
)
def test_whatever_is_truly_signed_is_200_and_kept(door: Door, xml: str) -> None:
    response = door.push(door.wechat.sign(xml.encode("utf-8", "replace").decode()))
    assert response.status_code == 200
    assert response.get_data(as_text=True) == "success"
    assert door.stored() == 1


@pytest.mark.parametrize("fields", [{"MsgId": ""}, {"CreateTime": "x"}, {"Content": ""}, {"ToUserName": ""}])
def test_a_push_with_a_field_missing_is_still_answered(door: Door, fields: dict[str, str]) -> None:
    response = door.push(door.text("你好", **fields))
    assert response.status_code == 200
    assert door.stored() == 1


@pytest.mark.parametrize("msg_type", ["image", "voice", "video", "location", "link", "miniprogrampage", "hologram"])
def test_message_types_without_words_are_kept_and_answered(door: Door, msg_type: str) -> None:
    response = door.push(door.text("", MsgType=msg_type))
    assert door.reads(response)
    assert door.stored() == 1


@pytest.mark.parametrize("event", ["VIEW", "LOCATION", "TEMPLATESENDJOBFINISH", "unsubscribe", "brand_new_event"])
def test_unknown_events_are_kept_and_thanked_for(door: Door, event: str) -> None:
    response = door.push(door.text("", MsgType="event", Event=event))
    assert response.get_data(as_text=True) == "success"
    assert door.stored() == 1


@pytest.mark.parametrize("fields", [{"MessageSid": "x" * 500}, {"Body": "\0"}, {"NumMedia": "seven"}, {"From": ""}])
def test_strange_forms_are_kept(door: Door, fields: dict[str, str]) -> None:
    assert door.sms("你好", **fields).status_code == 200
    assert door.stored() == 1


def test_only_post_brings_messages(door: Door) -> None:
    client = door.app.test_client()
    assert client.put("/channels/wechat").status_code == 405
    assert client.get("/channels/twilio").status_code == 405
    assert client.post("/channels/nobody").status_code == 404


# --- again and at once


def test_a_repeated_push_gets_the_same_answer(door: Door) -> None:
    first = door.reads(door.push(door.text("阳光花园3号楼2单元501不热")))
    again = door.reads(door.push(door.text("阳光花园3号楼2单元501不热")))
    assert first == again
    assert door.stored() == len(door.core.rows(Delivery)) == 1
    assert door.core.one(Delivery).state == "sending"


def test_a_repeated_form_gets_the_same_answer(door: Door) -> None:
    assert read_twiml_of(door.sms("不热")) == read_twiml_of(door.sms("不热"))
    assert len(door.core.rows(Delivery)) == 1


def test_ten_pushes_of_one_message_at_once_have_one_reply(door: Door) -> None:
    push = door.text("阳光花园3号楼2单元501不热")
    responses = together([partial(door.push, push)] * 10)
    assert {response.status_code for response in responses} == {200}
    assert len({door.reads(response) for response in responses}) == 1
    assert door.stored() == len(door.core.rows(Delivery)) == 1


def test_ten_residents_at_once_have_ten_answers(door: Door) -> None:
    pushes = [door.text("你好", str(n), FromUserName=f"oMany{n:023d}") for n in range(10)]
    responses = together([partial(door.push, push) for push in pushes])
    worker.run_messages(door.core.services)
    assert {response.status_code for response in responses} == {200}
    for _ in range(5):
        worker.run_messages(door.core.services)
    assert len(door.core.rows(Delivery)) == 10


def test_a_reply_that_left_is_marked_as_sent(door: Door) -> None:
    door.push(door.text("你好"))
    marker: PassiveMarker = door.app.extensions["heatline_passive"]
    marker.flush()
    assert door.core.one(Delivery).state == "sent"


def test_with_every_slot_taken_a_message_is_left_to_the_worker(door: Door) -> None:
    slots = door.core.services.inline_slots
    taken = 0
    while slots.acquire(blocking=False):
        taken += 1
    response = door.push(door.text("你好"))
    slots.release(taken)
    assert response.get_data(as_text=True) == "success"
    assert door.core.rows(Delivery) == []
    worker.run_messages(door.core.services)
    assert door.core.one(Delivery).state == "queued"


def test_slots_are_given_back_whatever_happens(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    free = door.core.services.inline_slots._value

    def fail(*_args: object, **_how: object) -> None:
        raise OSError("told to fail")

    monkeypatch.setattr(intake, "store", fail)
    for _ in range(3):
        assert door.push(door.text("你好")).status_code == 503
    assert door.core.services.inline_slots._value == free


# --- when something fails


def test_a_turn_that_fails_is_acknowledged_for_the_message_is_kept(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_how: object) -> None:
        raise OSError("told to fail")

    monkeypatch.setattr(conversation, "handle", fail)
    response = door.push(door.text("不热"))
    assert (response.status_code, response.get_data(as_text=True)) == (200, "success")
    assert read_twiml_of(door.sms("不热")) == []
    assert door.stored() == 2


def test_what_cannot_be_stored_is_not_acknowledged(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: object, **_how: object) -> None:
        raise OperationalError("SELECT 1", {}, OSError("database is away"))

    monkeypatch.setattr(intake, "store", away)
    response = door.push(door.text("不热"))
    assert response.status_code == 503
    assert "html" not in response.get_data(as_text=True).lower()
    assert door.sms("不热").status_code == 503


# --- health


def test_healthz_readyz_and_metrics_tell_how_it_is(door: Door, clock: VirtualClock) -> None:
    client = door.app.test_client()
    assert client.get("/healthz").json == {"ok": True}
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json is not None
    assert (ready.json["nlu"], ready.json["channels"]) == ("scripted", {"wechat": "ok", "twilio": "ok"})
    door.push(door.text("阳光花园3号楼2单元501不热"))
    figures = client.get("/metrics").get_data(as_text=True)
    assert 'heatline_tickets{status="received"} 1.0' in figures
    assert "heatline_nlu_up 1.0" in figures


def test_readyz_says_what_is_not_well(door: Door, clock: VirtualClock) -> None:
    client = door.app.test_client()
    door.core.interpreter.down = True
    down = client.get("/readyz")
    assert (down.status_code, down.json and down.json["nlu"]) == (503, "down")
    door.core.interpreter.down = False
    door.core.receive("不热")
    clock.advance(timedelta(minutes=2))
    late = client.get("/readyz")
    assert (late.status_code, late.json and late.json["inbox_age"]) == (503, 120.0)


def test_without_a_database_the_process_says_so_and_still_lives(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_args: object, **_how: object) -> None:
        raise OperationalError("SELECT 1", {}, OSError("database is away"))

    monkeypatch.setattr(door.core.services.database, "reading", away)
    client = door.app.test_client()
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    metrics = client.get("/metrics")
    assert metrics.status_code == 200
    assert "heatline_database_up 0.0" in metrics.get_data(as_text=True)


def test_health_names_nobody(door: Door) -> None:
    door.sms("阳光花园3号楼2单元501不热，电话13812345678")
    told = door.app.test_client().get("/metrics").get_data(as_text=True)
    told += door.app.test_client().get("/readyz").get_data(as_text=True)
    for secret in ("13812345678", PHONE, "阳光花园", door.wechat.settings.wechat_token):
        assert secret not in told
