"""Nothing that a resident wrote, is or lives at reaches a log or an exception, whatever goes well or wrong."""

from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from sqlalchemy.exc import OperationalError

from bot import conversation, intake, outbox, worker
from bot.clock import VirtualClock
from bot.database import Database
from bot.models import Contact, Delivery, Review
from bot.passive import PassiveMarker
from bot.settings import Settings
from handlers.dialogue.types import Outcome, Turn
from tests.standins.service import Trial, build

OPENID = "oPrivate000000000000000001x"
PHONE = "+8619900004321"
TYPED = "13812345678"
ROOM = "2809"
TEXT = f"阳光花园3号楼2单元{ROOM}暖气不热，找王秀英，电话{TYPED}"
SECRETS = (OPENID, PHONE, PHONE.removeprefix("+86"), TYPED, ROOM, "王秀英", "阳光花园", "暖气不热")


@pytest.fixture
def trial(settings: Settings, database: Database, clock: VirtualClock, caplog: pytest.LogCaptureFixture) -> Trial:
    """A service whose every word to any log is caught."""
    caplog.set_level(logging.DEBUG)
    return build(settings, database)


def converse(trial: Trial) -> None:
    """Both residents report, the queues run, a status is told."""
    trial.standins.wechat.push_text(OPENID, TEXT)
    trial.standins.twilio.send_sms(PHONE, TEXT)
    trial.drain()


def assert_private(caplog: pytest.LogCaptureFixture) -> None:
    """No record, with its traceback and its extras, holds a secret or the settings' own."""
    formatter = logging.Formatter("%(message)s")
    for record in caplog.records:
        told = formatter.format(record) + str({k: v for k, v in vars(record).items() if k not in ("exc_info", "args")})
        for secret in (*SECRETS, "heatline-demo", "0" * 32, "demo" + "A" * 39):
            assert secret not in told, f"{record.name}: {told[:400]}"


def test_a_conversation_leaves_nothing_personal_in_the_log(trial: Trial, caplog: pytest.LogCaptureFixture) -> None:
    converse(trial)
    trial.standins.twilio.report_all()
    assert any(ROOM in row.text for row in trial.deliveries())
    assert_private(caplog)


def test_a_handler_that_chokes_on_a_message_does_not_quote_it(
    trial: Trial, clock: VirtualClock, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def choke(turn: Turn) -> Outcome:
        try:
            return Outcome((), turn.conversation, misspelt=int(turn.text))  # type: ignore[call-arg]
        except ValueError as error:
            raise RuntimeError(f"cannot read {turn.text}, {error}") from error

    monkeypatch.setattr(conversation, "respond", choke)
    converse(trial)
    for _ in range(4):
        clock.advance(timedelta(seconds=5))
        trial.drain()
    with trial.services.database.reading() as session:
        assert session.query(Review).count() == 2
    assert "RuntimeError" in caplog.text
    assert "ValueError" in caplog.text
    assert "choke" in caplog.text
    assert_private(caplog)


def test_a_database_that_refuses_a_row_does_not_quote_it(
    trial: Trial, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: object, **_how: object) -> None:
        raise OperationalError(f"INSERT … {TEXT}", {"text": TEXT, "address": PHONE}, OSError(TEXT))

    monkeypatch.setattr(intake, "store", refuse)
    assert trial.standins.wechat.push_text(OPENID, TEXT) is None
    assert trial.standins.twilio.send_sms(PHONE, TEXT) is None
    assert "OperationalError" in caplog.text
    assert_private(caplog)


def test_a_channel_that_breaks_does_not_quote_what_it_was_to_send(
    trial: Trial, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    converse(trial)
    channel = trial.services.channels["twilio"]

    def fail(outgoing: object) -> None:
        raise ValueError(f"cannot send {outgoing}")

    monkeypatch.setattr(channel, "send", fail)
    with trial.services.database.transaction() as session:
        contact = session.query(Contact).filter(Contact.medium == "sms").one()
        now = trial.services.context(session).now
        outbox.queue(session, contact, TEXT, occasion="test:1", kind="notice", now=now)
    worker.run_deliveries(trial.services)
    assert trial.deliveries()[-1].state == "unknown"
    assert TYPED not in (trial.deliveries()[-1].error or "")
    assert_private(caplog)


@pytest.mark.parametrize("job", ["run_messages", "run_deliveries", "run_tasks"])
def test_a_queue_that_fails_quotes_nothing(
    trial: Trial, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, job: str
) -> None:
    running = worker.Worker(trial.services)

    def fail(_services: object) -> int:
        running._stop.set()
        raise OperationalError(TEXT, {"address": PHONE}, OSError(TYPED))

    monkeypatch.setattr(running, "_services", trial.services)
    fail.__name__ = job
    running._loop(fail)
    assert job in caplog.text
    assert_private(caplog)


def test_passive_replies_that_cannot_be_noted_are_not_quoted(
    trial: Trial, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker: PassiveMarker = trial.app.extensions["heatline_passive"]
    trial.standins.wechat.push_text(OPENID, TEXT)
    marker.flush()
    assert_private(caplog)


def test_provider_calls_are_not_logged_with_whom_they_reach(trial: Trial, caplog: pytest.LogCaptureFixture) -> None:
    converse(trial)
    trial.standins.wechat.fail(45015)
    trial.standins.twilio.fail(21610)
    with trial.services.database.transaction() as session:
        for contact in session.query(Contact):
            now = trial.services.context(session).now
            outbox.queue(session, contact, TEXT, occasion="test:1", kind="notice", now=now)
    worker.run_deliveries(trial.services)
    errors = [row.error or "" for row in trial.deliveries()]
    assert sum("450" in error or "216" in error for error in errors) == 2
    assert not any(secret in error for error in errors for secret in SECRETS)
    assert_private(caplog)


def test_reprs_of_rows_show_no_content(trial: Trial) -> None:
    converse(trial)
    with trial.services.database.reading() as session:
        shown = repr([*session.query(Contact), *session.query(Delivery)])
    assert not any(secret in shown for secret in SECRETS)
