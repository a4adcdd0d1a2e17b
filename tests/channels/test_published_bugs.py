"""Channel bugs that others have published, each as the claim that it does not happen here; through the real endpoints.

The name before each test is where the bug was seen: repository and issue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from bot import clock as service_clock
from bot import inbox, outbox, tickets, worker
from bot.channels import sms_twilio
from bot.channels.sms_twilio import STATES
from bot.clock import VirtualClock
from bot.database import Database
from bot.inbox import LEASE
from bot.models import Callback, ChannelState, Contact, Delivery, Message, Resident, Staff, Ticket, Update
from bot.settings import Settings
from bot.standins.transport import session_into
from tests.channels.mainland import Mainland, connected
from tests.channels.stories import Told
from tests.standins.service import Trial

OPENID = "oPublishedBugs00000000000000"
PHONE = "+8619900001234"
HOME = "阳光花园3号楼2单元501，暖气不热"


@pytest.fixture
def line(settings: Settings, database: Database, clock: VirtualClock) -> Iterator[Mainland]:
    with connected(settings, database) as made:
        yield made


@pytest.fixture
def trial(line: Mainland) -> Trial:
    return line.trial


def rows(trial: Trial, model: Any, *where: Any) -> list[Any]:
    """The rows of a table that fit, oldest first; detached."""
    with trial.services.database.reading() as session:
        found = list(session.scalars(select(model).where(*where).order_by(model.id)))
        session.expunge_all()
        return found


def notify(trial: Trial, phone: str, occasion: str, text: str = "今晚检修，暖气会凉一会儿") -> None:
    """Queue a notice to the contact with this phone."""
    with trial.services.database.transaction() as session:
        contact = next(c for c in session.scalars(select(Contact)) if c.address == phone)
        now = trial.services.context(session).now
        outbox.queue(session, contact, text, occasion=occasion, kind="notice", now=now)


def broadcast(trial: Trial, count: int) -> list[str]:
    """A notice is queued for as many residents, whom nobody has written to before; returns their phones."""
    phones = [f"+8619900{number:06d}" for number in range(count)]
    for phone in phones:
        trial.standins.twilio.send_sms(phone, "谢谢")
    trial.drain()
    trial.standins.twilio.messages.clear()
    for phone in phones:
        notify(trial, phone, "broadcast:1")
    return phones


def told_to(trial: Trial) -> list[str]:
    """Whom Twilio was asked to text, in order."""
    return [message.to for message in trial.standins.twilio.messages.values()]


# --- inbound


# chatwoot#15450, zammad#5164, rasa#3882, evolution-api#2675
def test_one_id_in_turn_and_ten_at_once_is_one_message_and_one_reply(told: Told) -> None:
    posting = told.provider.message(told.trial.standins, "家里暖气不热", 1)
    for _ in range(3):
        assert posting.send(told.trial)[0] == 200
    with ThreadPoolExecutor(10) as pool:
        assert {status for status, _ in pool.map(lambda _: posting.send(told.trial), range(10))} == {200}
    told.trial.drain()
    assert (len(told.trial.messages()), len(told.trial.deliveries())) == (1, 1)


# chatwoot#13619, #13638, #14125
@pytest.mark.parametrize("service", [{}, {"MessagingServiceSid": "MG" + "c" * 32}], ids=["a number", "a service"])
@pytest.mark.parametrize("key", [{}, {"twilio_api_key_sid": "SK" + "2" * 32, "twilio_api_key_secret": "of-the-key"}])
def test_true_posts_pass_behind_a_proxy_whoever_carries_them(
    trial: Trial, service: dict[str, str], key: dict[str, str]
) -> None:
    """TLS ends at a proxy: Twilio signs https and the public name, and we see http and an inner address."""
    known = replace(trial.services.settings, public_url="https://heat.example.cn", **key)
    made = sms_twilio.create(known, trial.services.database, session_into(trial.app))
    assert made is not None
    trial.services.channels = {**trial.services.channels, "twilio": made}
    trial.standins.twilio.settings = known
    form = trial.standins.twilio.form(PHONE, HOME, "SM" + "1" * 32, **service)
    headers = trial.standins.twilio.sign("/channels/twilio", form)
    inner = {"base_url": "http://10.0.0.7:8000", "data": form}
    client = trial.app.test_client()
    assert client.post("/channels/twilio", headers=headers, **inner).status_code == 200
    for false in ({}, {"X-Twilio-Signature": ""}, {"X-Twilio-Signature": headers["X-Twilio-Signature"][::-1]}):
        assert client.post("/channels/twilio", headers=false, **inner).status_code == 403
    assert [message.text for message in trial.messages()] == [HOME]


# courier, handlers/wechat: POST unsigned, CreateTime read as milliseconds
def test_an_unsigned_post_is_refused_and_a_message_has_the_day_it_was_sent(told: Told) -> None:
    true = told.provider.message(told.trial.standins, "家里暖气不热", 1)
    assert told.provider.unsigned(true).send(told.trial)[0] == 403
    assert told.trial.messages() == []
    assert true.send(told.trial)[0] == 200
    [message] = told.trial.messages()
    sent = message.sent_at or message.received_at
    assert abs(sent - service_clock.now()) < timedelta(days=400)  # captured samples are from this year or the last


# zammad#5439
def test_an_unsupported_kind_is_kept_answered_and_does_not_block_the_channel(told: Told) -> None:
    assert told.provider.unknown(told.trial.standins).send(told.trial)[0] == 200
    told.trial.drain()
    assert len(told.trial.deliveries()) == 1
    assert told.provider.message(told.trial.standins, "家里暖气不热", 2).send(told.trial)[0] == 200
    told.trial.drain()
    assert all(message.handled_at for message in told.trial.messages())
    assert len(told.trial.deliveries()) == 2


# rasa, channels/twilio.py: a post without Body is a 500, and MessageSid is not looked at
def test_a_photo_without_text_is_a_message(trial: Trial) -> None:
    form = trial.standins.twilio.form(PHONE, "", "SM" + "1" * 32, NumMedia="1", MediaUrl0="https://m/0")
    form["MediaContentType0"] = "image/jpeg"
    del form["Body"]
    for _ in range(2):
        answer = trial.app.test_client().post(
            "/channels/twilio", data=form, headers=trial.standins.twilio.sign("/channels/twilio", form)
        )
        assert answer.status_code == 200
    assert [message.kind for message in trial.messages()] == ["image"]
    assert len(trial.deliveries()) == 1


def _refuse(line: Mainland, name: str) -> None:
    refusals: dict[str, Callable[[], None]] = {
        "wechat": lambda: line.trial.standins.wechat.fail(40125, call="stable_token", times=9),
        "twilio": lambda: line.trial.standins.twilio.fail(20003, 401),
        "aliyun": lambda: line.aliyun.fail("InvalidAccessKeyId.NotFound", 404),
        "tencent": lambda: line.tencent.fail("AuthFailure.SecretIdNotFound"),
    }
    refusals[name]()


# zammad#5352
@pytest.mark.parametrize("name", ["wechat", "twilio", "aliyun", "tencent"])
def test_a_refused_credential_turns_the_channel_red_until_it_works_again(
    line: Mainland, clock: VirtualClock, name: str
) -> None:
    trial = line.trial
    speak: dict[str, Callable[[], Any]] = {
        "wechat": lambda: trial.standins.wechat.push_text(OPENID, "你好"),
        "twilio": lambda: trial.standins.twilio.send_sms(PHONE, "你好"),
        "aliyun": lambda: line.aliyun.send_sms(PHONE, "你好"),
        "tencent": lambda: line.tencent.send_sms(PHONE, "你好"),
    }
    speak[name]()
    trial.drain()
    _refuse(line, name)
    address = OPENID if name == "wechat" else PHONE
    notify(trial, address, "test:1", "短话")
    trial.drain()
    [red] = [row for row in _states(trial) if row.channel == name]
    assert (red.ok, bool(red.reason)) == (False, True)
    assert rows(trial, Delivery, Delivery.kind == "notice")[0].state != "sent"
    assert trial.app.test_client().get("/readyz").json["channels"][name] == red.reason  # type: ignore[index]


def _states(trial: Trial) -> list[ChannelState]:
    with trial.services.database.reading() as session:
        found = list(session.scalars(select(ChannelState)))
        session.expunge_all()
        return found


# rasa#5396, #7921, #4918, #4047, #7979
def test_a_killed_worker_frees_the_turn_and_messages_stay_in_order(told: Told, clock: VirtualClock) -> None:
    trial, provider = told
    trial.interpreter.down = True
    for number, text in enumerate(("你好", "家里暖气不热", "谢谢"), 1):
        provider.message(trial.standins, text, number).send(trial)
        clock.advance(timedelta(seconds=11))
    trial.interpreter.down = False
    assert inbox.claim_next(trial.services.database)  # a worker takes the contact and dies
    trial.drain()
    assert not [message for message in trial.messages() if message.handled_at]
    clock.advance(LEASE + timedelta(seconds=1))
    trial.drain()
    assert all(message.handled_at for message in trial.messages())
    answers = [row.message_id or 0 for row in trial.deliveries() if row.occasion.startswith("message:")]
    assert answers == sorted(answers)
    assert len(answers) == 3


# chatwoot#9685, rasa-agent-bot-demo#12
def test_while_a_person_talks_the_bot_is_silent_until_given_back(told: Told, clock: VirtualClock) -> None:
    trial, provider = told
    provider.message(trial.standins, "家里暖气不热", 1).send(trial)
    trial.drain()
    before = len(trial.deliveries())
    with trial.services.database.transaction() as session:
        session.add(Staff(name="值班", password_hash="x", role="agent", active=True, created_at=service_clock.now()))
        session.flush()
        session.execute(update(Contact).values(taken_over_by=session.scalar(select(Staff.id))))
    clock.advance(timedelta(minutes=1))
    provider.message(trial.standins, "你好", 2).send(trial)
    trial.drain()
    assert len(trial.deliveries()) == before
    assert len(trial.messages()) == 2
    with trial.services.database.transaction() as session:
        session.execute(update(Contact).values(taken_over_by=None))
    clock.advance(timedelta(minutes=1))
    provider.message(trial.standins, "谢谢", 3).send(trial)
    trial.drain()
    assert len(trial.deliveries()) == before + 1


# fixmystreet#659, #501
def test_danger_is_answered_with_the_number_before_any_question(told: Told) -> None:
    told.trial.interpreter.down = True  # not even understanding is waited for
    told.provider.message(told.trial.standins, "家里有煤气味", 1).send(told.trial)
    told.trial.drain()
    text = told.trial.deliveries()[0].text
    assert "119" in text
    assert "小区" not in text.split("119")[0]


# --- outbound


# courier, WeChat Send: HTTP 200 with an errcode counts as sent
@pytest.mark.parametrize("code", [45015, 45047, 40003, 48002, 45009, 48001])
def test_an_errcode_inside_a_200_is_not_sent(trial: Trial, code: int) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    trial.standins.wechat.fail(code, times=9)
    notify(trial, OPENID, "test:1")
    trial.drain()
    assert rows(trial, Delivery, Delivery.kind == "notice")[0].state not in ("sent", "delivered")
    assert "今晚检修，暖气会凉一会儿" not in trial.standins.heard("wechat", OPENID)


# chatwoot#9516, #10191, #11569
def test_outside_the_window_nothing_is_marked_sent(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    trial.drain()
    clock.advance(timedelta(hours=49))
    notify(trial, OPENID, "test:1")
    trial.drain()
    assert rows(trial, Delivery, Delivery.kind == "notice")[0].state not in ("sent", "delivered")


# chatwoot#9000
def test_one_bad_number_of_a_broadcast_fails_alone(trial: Trial) -> None:
    phones = broadcast(trial, 12)
    trial.standins.twilio.fail(21211, to=phones[5])
    trial.drain()
    assert sorted(told_to(trial)) == sorted(set(phones) - {phones[5]})
    states = [row.state for row in rows(trial, Delivery, Delivery.kind == "notice")]
    assert (states.count("sent"), len(states)) == (11, 12)


# chatwoot#12821, #15867
def test_two_workers_and_a_crash_midway_tell_each_recipient_at_most_once(trial: Trial, clock: VirtualClock) -> None:
    phones = broadcast(trial, 30)
    assert len(outbox.claim(trial.services.database, limit=5)) == 5  # a worker that dies with five in its hands
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda _: [worker.run_deliveries(trial.services) for _ in range(10)], range(2)))
    clock.advance(timedelta(minutes=5))
    trial.drain()
    assert len(told_to(trial)) == len(set(told_to(trial))) == 25
    states = [row.state for row in rows(trial, Delivery, Delivery.kind == "notice")]
    # What the dead worker held may have gone out: nobody is told twice, and the desk sees those five.
    assert (states.count("sent"), states.count("unknown")) == (25, 5)
    assert set(told_to(trial)) <= set(phones)


# chatwoot#4897
def test_a_long_broadcast_goes_on_after_a_restart(trial: Trial, clock: VirtualClock) -> None:
    phones = broadcast(trial, 60)
    worker.run_deliveries(trial.services)
    assert 0 < len(told_to(trial)) < 60
    clock.advance(timedelta(hours=1))  # the process was away; nothing of the broadcast was in its memory
    trial.drain()
    assert sorted(told_to(trial)) == sorted(phones)


# chatwoot#14120
def test_sending_again_makes_a_call_or_stays_failed(trial: Trial) -> None:
    trial.standins.twilio.send_sms(PHONE, "谢谢")
    trial.drain()
    trial.standins.twilio.messages.clear()
    trial.standins.twilio.fail(21617, times=2)
    notify(trial, PHONE, "test:1")
    trial.drain()
    [made] = rows(trial, Delivery, Delivery.kind == "notice")
    for state, sent in (("failed", 0), ("sent", 1)):
        with trial.services.database.transaction() as session:
            assert outbox.requeue(session, made.id)
        trial.drain()
        assert rows(trial, Delivery, Delivery.id == made.id)[0].state == state
        assert len(told_to(trial)) == sent


# chatwoot#8097
@pytest.mark.parametrize("status", [*sorted(STATES), "receiving", "teleported", ""])
def test_every_status_is_taken_and_a_terminal_state_never_goes_back(trial: Trial, status: str) -> None:
    trial.standins.twilio.send_sms(PHONE, "谢谢")
    trial.drain()
    notify(trial, PHONE, "test:1")
    trial.drain()
    sid = list(trial.standins.twilio.messages)[-1]
    for told in (status, "delivered", status, status):
        answer = trial.standins.twilio.report(sid, told)
        assert answer is not None
        assert answer.status == 200
    assert rows(trial, Delivery, Delivery.kind == "notice")[0].state == "delivered"


# zammad#2527, #5841, #4834
def test_a_notice_changes_no_ticket_and_one_change_is_one_notice(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.twilio.send_sms(PHONE, HOME)
    trial.drain()
    [ticket] = rows(trial, Ticket)
    with trial.services.database.transaction() as session:
        moved = session.get_one(Ticket, ticket.id)
        tickets.move(trial.services.context(session), moved, "accepted", tickets.Actor("staff"))
    trial.drain()
    trial.standins.twilio.report_all()
    trial.drain()
    assert len(rows(trial, Delivery, Delivery.kind == "notice")) == 1
    assert [update.to_status for update in rows(trial, Update, Update.kind == "moved")][-1] == "accepted"


# zammad#4834: notice of a change that failed
def test_a_change_that_fails_is_told_to_nobody(trial: Trial) -> None:
    trial.standins.twilio.send_sms(PHONE, HOME)
    trial.drain()
    [ticket] = rows(trial, Ticket)

    def fail() -> None:
        with trial.services.database.transaction() as session:
            moved = session.get_one(Ticket, ticket.id)
            tickets.move(trial.services.context(session), moved, "accepted", tickets.Actor("staff"))
            raise RuntimeError("the database goes away")

    with pytest.raises(RuntimeError):
        fail()
    trial.drain()
    assert rows(trial, Delivery, Delivery.kind == "notice") == []


# fixmystreet#4007
def test_the_same_move_twice_is_told_once(trial: Trial) -> None:
    trial.standins.twilio.send_sms(PHONE, HOME)
    trial.drain()
    [ticket] = rows(trial, Ticket)
    for _ in range(2):
        try:
            with trial.services.database.transaction() as session:
                moved = session.get_one(Ticket, ticket.id)
                tickets.move(trial.services.context(session), moved, "accepted", tickets.Actor("staff"))
        except tickets.MoveRefused:
            continue
    trial.drain()
    assert len(rows(trial, Delivery, Delivery.kind == "notice")) == 1


# --- and the claims beside them


def test_a_number_is_one_contact_through_every_provider_and_spelling(line: Mainland, clock: VirtualClock) -> None:
    line.trial.standins.twilio.send_sms(PHONE, "你好")
    clock.advance(timedelta(minutes=1))
    line.aliyun.send_sms(PHONE, "你好")
    clock.advance(timedelta(minutes=1))
    line.tencent.post(line.tencent.reply(PHONE, "你好") | {"mobile": PHONE, "nationcode": ""})
    clock.advance(timedelta(minutes=1))
    line.aliyun.post([line.aliyun.up(PHONE, "你好") | {"phone_number": f"86{PHONE[3:]}"}])
    line.trial.drain()
    assert len(rows(line.trial, Message)) == 4
    assert len(rows(line.trial, Contact)) == len(rows(line.trial, Resident)) == 1


def test_production_sends_nothing_to_the_mainland_by_twilio_and_a_person_calls(line: Mainland) -> None:
    trial = line.trial
    known = replace(trial.services.settings, demo="0", twilio_allow_mainland="0")
    made = sms_twilio.create(known, trial.services.database, session_into(trial.app))
    assert made is not None
    trial.services.channels = {**trial.services.channels, "twilio": made}
    trial.standins.twilio.send_sms(PHONE, "谢谢")
    trial.drain()
    assert told_to(trial) == []  # neither by the API nor in the webhook's own response
    with trial.services.database.transaction() as session:
        contact = session.scalars(select(Contact)).one()
        now = trial.services.context(session).now
        outbox.queue(session, contact, "答复", occasion="test:1", kind="reply", now=now)
    trial.drain()
    assert told_to(trial) == []
    held = rows(trial, Delivery, Delivery.occasion == "test:1")[0]
    assert "HEATLINE_TWILIO_ALLOW_MAINLAND" in held.error
    assert [call.reason for call in rows(trial, Callback)] == ["unreached"]
    assert "passive" not in {row.via for row in rows(trial, Delivery)}
