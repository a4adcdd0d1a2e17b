"""退订 by SMS: who is left alone, who is still answered, and who has opted out of nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from bot import outbox
from bot.clock import VirtualClock
from bot.database import Database
from bot.models import Callback, Contact
from bot.settings import Settings
from bot.standins.twilio import STOPPED
from nlu.gazetteer import Gazetteer
from nlu.interpreter import RasaInterpreter
from nlu.types import Understanding
from tests.channels.mainland import Mainland, connected
from tests.standins.service import Trial, WordInterpreter

PHONE = "+8619900001234"
REPORT = "阳光花园3号楼2单元501，暖气不热"


class Rules(RasaInterpreter):
    """The real interpreter's own rules; a few words stand in for its server."""

    def understand(self, text: str, gazetteer: Gazetteer | None = None) -> Understanding:
        """What a rule decides, else what a word means."""
        try:
            return super().understand(text, gazetteer or Gazetteer())
        except AssertionError:
            return WordInterpreter().understand(text, gazetteer)

    def _parse(self, text: str) -> Any:
        raise AssertionError("no rule knew this")


@pytest.fixture
def line(settings: Settings, database: Database, clock: VirtualClock) -> Iterator[Mainland]:
    with connected(settings, database) as made:
        made.trial.services.interpreter = Rules("http://127.0.0.1:1", "")
        yield made


def opted_out(trial: Trial) -> bool:
    with trial.services.database.reading() as session:
        return session.scalars(select(Contact.opted_out_at)).one() is not None


def notice(trial: Trial, occasion: str, kind: str = "notice") -> str:
    """Send something to the only contact; returns what became of it."""
    with trial.services.database.transaction() as session:
        contact, now = session.scalars(select(Contact)).one(), trial.services.context(session).now
        made = outbox.queue(session, contact, "通知", occasion=occasion, kind=kind, now=now)
    trial.drain()
    return next(row.state for row in trial.deliveries() if row.id == made)


@pytest.mark.parametrize("said", ["退订", "TD", "td。", " T", "ｔｄ", "Ｔ", "STOP", "Stop!", "ＳＴＯＰ", "R", "拒收"])
def test_the_whole_message_opts_out_in_any_case_and_width(line: Mainland, said: str) -> None:
    line.trial.standins.twilio.send_sms(PHONE, said)
    line.trial.drain()
    assert opted_out(line.trial)
    assert any("已退订" in text for text in line.heard(PHONE))
    assert notice(line.trial, "test:1") == "suppressed"
    assert notice(line.trial, "test:2", "urgent") == "sent"


@pytest.mark.parametrize("said", ["暖气停了", "停了", "T恤湿了", "我不退订", "怎么退订？", "stop漏水", "谢谢"])
def test_a_word_within_a_sentence_opts_nobody_out(line: Mainland, said: str) -> None:
    line.trial.standins.twilio.send_sms(PHONE, said)
    line.trial.drain()
    assert not opted_out(line.trial)
    assert notice(line.trial, "test:1") == "sent"


def test_who_opted_out_and_reports_something_is_answered(line: Mainland, clock: VirtualClock) -> None:
    line.trial.standins.twilio.send_sms(PHONE, "退订")
    line.trial.drain()
    clock.advance(timedelta(minutes=1))
    line.trial.standins.twilio.send_sms(PHONE, REPORT)
    line.trial.drain()
    assert "N20261123-0001" in line.heard(PHONE)[-1]
    assert opted_out(line.trial)


@pytest.mark.parametrize("said", ["恢复通知", "START", " start "])
def test_the_way_back_is_one_word(line: Mainland, clock: VirtualClock, said: str) -> None:
    line.trial.standins.twilio.send_sms(PHONE, "退订")
    line.trial.drain()
    clock.advance(timedelta(minutes=1))
    line.trial.standins.twilio.send_sms(PHONE, said)
    line.trial.drain()
    assert not opted_out(line.trial)
    assert notice(line.trial, "test:1") == "sent"


def test_advanced_opt_out_is_kept_here_too_and_not_answered_twice(line: Mainland, clock: VirtualClock) -> None:
    twilio = line.trial.standins.twilio
    twilio.advanced_opt_out = True
    for said in ("退订", "STOP"):
        assert twilio.send_sms(PHONE, said) is None
        clock.advance(timedelta(minutes=1))
    line.trial.drain()
    assert line.heard(PHONE) == [STOPPED, STOPPED]
    assert [message.kind for message in line.trial.messages()] == ["stop", "stop"]
    assert line.trial.deliveries() == []
    assert opted_out(line.trial)
    assert twilio.send_sms(PHONE, "START") is None
    line.trial.drain()
    assert not opted_out(line.trial)
    assert notice(line.trial, "test:1") == "sent"


def test_help_that_twilio_has_given_is_not_given_again(line: Mainland) -> None:
    twilio = line.trial.standins.twilio
    twilio.advanced_opt_out = True
    assert twilio.send_sms(PHONE, "HELP") is None
    line.trial.drain()
    assert line.trial.deliveries() == []
    assert all(message.handled_at for message in line.trial.messages())


@pytest.mark.parametrize("name", ["aliyun", "tencent"])
def test_a_provider_of_the_mainland_that_blocks_an_answer_makes_it_a_call(
    line: Mainland, clock: VirtualClock, name: str
) -> None:
    known: Any = {"aliyun": line.aliyun, "tencent": line.tencent}[name]
    known.send_sms(PHONE, "退订")
    line.trial.drain()
    known.opted_out |= {PHONE, PHONE.removeprefix("+86")}
    clock.advance(timedelta(minutes=1))
    known.send_sms(PHONE, "谢谢")
    line.trial.drain()
    with line.trial.services.database.reading() as session:
        assert session.scalars(select(Callback)).all() == []  # nobody is called for a thank you
    clock.advance(timedelta(minutes=1))
    known.send_sms(PHONE, "家里暖气不热")
    line.trial.drain()
    with line.trial.services.database.reading() as session:
        assert [call.reason for call in session.scalars(select(Callback))] == ["unreached"]
