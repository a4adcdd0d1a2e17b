"""Missed calls through the real doors: kept once, owed a call, answered by one text; what is then reported settles them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select

from bot import unlink
from bot.call_models import MissedCall
from bot.channels import calls
from bot.clock import VirtualClock
from bot.database import Database
from bot.models import Callback, Contact, Ticket
from bot.settings import Settings, SettingsError
from bot.sms_templates import wordings
from bot.texts import render
from tests.desk.conftest import Desk
from tests.standins.service import Trial, build

SECRET = "c" * 24
DOOR = f"/calls/{SECRET}/missed"
MOBILE, OTHER, LANDLINE = "+8619900001234", "+8619900005678", "+8637166120000"
WHOLE = "阳光花园3号楼2单元501，暖气不热"


@dataclass
class Switchboard:
    """A service, and the telephone system that tells it of missed calls."""

    trial: Trial

    def post(self, body: Any, door: str = DOOR, address: str = "127.0.0.1") -> tuple[int, str]:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = self.trial.app.test_client().post(door, data=raw, environ_base={"REMOTE_ADDR": address})
        return sent.status_code, sent.get_data(as_text=True)

    def rings(self, caller: str = "19900001234", call_id: str = "call-1", **more: Any) -> None:
        """A call that nobody picks up, and all that follows of it."""
        status, _ = self.post({"caller": caller, "call_id": call_id, **more})
        assert status == 200
        self.trial.drain()

    def heard(self, number: str = MOBILE) -> list[str]:
        return self.trial.standins.heard("sms", number)

    def asked(self) -> int:
        """How often the phone has had the text that answers a missed call."""
        return self.heard().count(self.text())

    def calls(self) -> list[MissedCall]:
        with self.trial.services.database.reading() as session:
            rows = list(session.scalars(select(MissedCall).order_by(MissedCall.id)))
            session.expunge_all()
            return rows

    def owed(self) -> list[Callback]:
        """The calls that are still owed."""
        with self.trial.services.database.reading() as session:
            rows = list(session.scalars(select(Callback).where(Callback.done_at.is_(None)).order_by(Callback.id)))
            session.expunge_all()
            return rows

    def ticket(self) -> Ticket:
        with self.trial.services.database.reading() as session:
            row = session.scalars(select(Ticket)).one()
            session.expunge_all()
            return row

    def text(self) -> str:
        return render(self.trial.services.rules.current(), "call.missed", "sms", {})


@pytest.fixture
def board(settings: Settings, database: Database, clock: VirtualClock) -> Switchboard:
    return Switchboard(build(replace(settings, calls_callback_secret=SECRET), database))


@pytest.fixture
def desk(board: Switchboard) -> Iterator[Desk]:
    with board.trial.app.test_client() as client:
        found = Desk(client, board.trial.services)
        found.enter("agent")
        yield found


# --- the door


@pytest.mark.parametrize("door", ["/calls/wrong/missed", f"/calls/{SECRET}x/missed", "/calls/c/missed"])
def test_a_false_secret_is_refused_and_nothing_is_kept(board: Switchboard, door: str) -> None:
    assert board.post({"caller": "19900001234", "call_id": "1"}, door)[0] == 403
    assert board.calls() == []


def test_without_its_secret_there_is_no_door(settings: Settings, database: Database, clock: VirtualClock) -> None:
    assert Switchboard(build(settings, database)).post({"caller": "19900001234"})[0] == 404


def test_only_listed_networks_may_tell(settings: Settings, database: Database, clock: VirtualClock) -> None:
    narrowed = replace(settings, calls_callback_secret=SECRET, calls_allowed_ips="10.1.0.0/16")
    board = Switchboard(build(narrowed, database))
    assert board.post({"caller": "19900001234", "call_id": "1"}, address="10.2.0.1")[0] == 403
    assert board.post({"caller": "19900001234", "call_id": "1"}, address="10.1.0.1")[0] == 200
    assert len(board.calls()) == 1


@pytest.mark.parametrize(
    ("false", "named"),
    [
        ({"calls_callback_secret": "short"}, "HEATLINE_CALLS_CALLBACK_SECRET"),
        ({"calls_allowed_ips": "?"}, "ALLOWED_IPS"),
    ],
)
def test_a_door_that_would_not_hold_is_refused(settings: Settings, false: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        calls.create(replace(settings, **{"calls_callback_secret": SECRET, **false}))


@pytest.mark.parametrize(
    "body",
    [
        {"caller": "19900001234", "call_id": "1", "time": "2026-11-23 09:58:00"},
        {"caller_number": "+8619900001234", "uuid": "1", "start_time": 1795399080},
        [{"ani": "008619900001234", "callId": "1", "timestamp": 1795399080000}],
        {"calls": [{"from": "199 0000 1234", "CallSid": "1", "called_at": "2026-11-23T09:58:00+08:00"}]},
    ],
)
def test_telephone_systems_name_things_differently(board: Switchboard, body: Any) -> None:
    assert board.post(body)[0] == 200
    [call] = board.calls()
    assert (call.call_id, str(call.rang_at)) == ("1", "2026-11-23 01:58:00+00:00")
    board.trial.drain()
    assert board.heard() == [board.text()]


def test_a_form_is_read_as_well(board: Switchboard) -> None:
    sent = board.trial.app.test_client().post(DOOR, data={"caller": "19900001234", "call_id": "9"})
    assert (sent.status_code, sent.get_json()) == (200, {"new": 1, "known": 0, "unreadable": 0})


def test_a_withheld_number_is_counted_and_cannot_be_answered(board: Switchboard) -> None:
    status, said = board.post([{"caller": "anonymous", "call_id": "1"}, {"caller": "19900001234", "call_id": "2"}])
    assert (status, json.loads(said)) == (200, {"new": 1, "known": 0, "unreadable": 1})


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
_CALLS = st.dictionaries(st.sampled_from(["caller", "call_id", "time", "calls", "x"]), _VALUES, max_size=4)


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=_CALLS | st.lists(_CALLS | _VALUES, max_size=3) | st.binary(max_size=30))
def test_no_body_is_ever_an_error(board: Switchboard, body: Any) -> None:
    assert board.post(body)[0] == 200


def test_what_could_not_be_stored_is_not_thanked_for(board: Switchboard, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(board.trial.services.database, "transaction", _no_database)
        assert board.post({"caller": "19900001234", "call_id": "1"})[0] == 503
    board.rings()
    assert len(board.calls()) == 1


def _no_database() -> Any:
    raise RuntimeError("the database is away, said +8619900001234")


def test_no_number_reaches_the_log(board: Switchboard, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    board.rings()
    board.post({"caller": "19900001234", "call_id": "x"}, "/calls/wrong/missed")
    assert "9900001234" not in caplog.text


# --- what follows of one


def test_a_missed_call_is_texted_once_and_owed_a_call(board: Switchboard) -> None:
    board.rings()
    assert board.heard() == [board.text()]
    assert [row.reason for row in board.owed()] == ["missed"]


def test_the_same_call_told_again_changes_nothing(board: Switchboard) -> None:
    for _ in range(3):
        board.rings()
    assert len(board.calls()) == 1
    assert len(board.heard()) == len(board.owed()) == 1


def test_who_rings_again_within_hours_is_texted_once(board: Switchboard, clock: VirtualClock) -> None:
    for number in range(3):
        board.rings(call_id=f"call-{number}")
        clock.advance(timedelta(minutes=30))
    assert len(board.calls()) == 3
    assert (board.asked(), len(board.owed())) == (1, 1)
    clock.advance(timedelta(hours=4))
    board.rings(call_id="call-9")
    assert board.asked() == 2


def test_a_landline_is_only_called_back(board: Switchboard) -> None:
    board.rings("0371-66120000")
    assert board.heard(LANDLINE) == []
    assert board.trial.deliveries() == []
    assert [row.reason for row in board.owed()] == ["missed"]


@pytest.mark.parametrize("why", ["opted_out_at", "unreachable_at"])
def test_who_refuses_texts_or_gets_none_is_only_called_back(board: Switchboard, clock: VirtualClock, why: str) -> None:
    board.trial.standins.twilio.send_sms(MOBILE, "你好")
    board.trial.drain()
    with board.trial.services.database.transaction() as session:
        contact = session.scalars(select(Contact)).one()
        setattr(contact, why, board.trial.services.context(session).now)
    clock.advance(timedelta(minutes=5))
    before = board.heard()
    board.rings()
    assert board.heard() == before
    assert [row.reason for row in board.owed()] == ["missed"]


def test_a_call_of_long_ago_is_called_back_and_not_texted(board: Switchboard) -> None:
    board.rings(time="2026-11-21 09:00:00")
    assert board.heard() == []
    assert len(board.owed()) == 1


def test_at_night_who_has_just_rung_is_answered(board: Switchboard, clock: VirtualClock) -> None:
    clock.advance(timedelta(hours=13))  # 23:00
    board.rings(time="2026-11-23 22:40:00")
    assert board.heard() == [board.text()]


def test_at_night_who_rang_before_is_answered_in_the_morning(board: Switchboard, clock: VirtualClock) -> None:
    clock.advance(timedelta(hours=13))
    board.rings(time="2026-11-23 22:10:00")
    assert board.heard() == []
    clock.advance(timedelta(hours=9))
    board.trial.drain()
    assert board.asked() == 1


def test_a_time_ahead_of_ours_is_now(board: Switchboard) -> None:
    board.rings(time="2031-01-01 00:00:00")
    [call] = board.calls()
    assert call.rang_at == call.noted_at


def test_the_text_is_one_message_and_can_be_registered(board: Switchboard) -> None:
    assert len(f"【某某热力公司】{board.text()}") <= 70
    assert "call.missed" in {wording.key for wording in wordings(board.trial.services.rules.current())}


# --- how it ends


def test_the_answer_to_the_text_is_a_report_and_settles_the_call(board: Switchboard) -> None:
    board.rings()
    board.trial.standins.twilio.send_sms(MOBILE, WHOLE)
    board.trial.drain()
    made = board.ticket()
    assert (made.intent, made.community) == ("no_heat", "阳光花园")
    [call] = board.calls()
    assert (call.ticket_id, call.settled_at is not None) == (made.id, True)
    assert board.owed() == []


def test_a_report_by_another_number_settles_nothing(board: Switchboard) -> None:
    board.rings()
    board.trial.standins.twilio.send_sms(OTHER, WHOLE)
    board.trial.drain()
    assert [call.settled_at for call in board.calls()] == [None]
    assert len(board.owed()) == 1


def test_a_word_that_reports_nothing_leaves_the_call_owed(board: Switchboard) -> None:
    board.rings()
    board.trial.standins.twilio.send_sms(MOBILE, "谢谢")
    board.trial.drain()
    assert [row.reason for row in board.owed()] == ["missed"]


def test_who_reported_before_the_morning_is_not_texted_then(board: Switchboard, clock: VirtualClock) -> None:
    clock.advance(timedelta(hours=13))
    board.rings(time="2026-11-23 22:10:00")
    board.trial.standins.twilio.send_sms(MOBILE, WHOLE)
    board.trial.drain()
    clock.advance(timedelta(hours=9))
    board.trial.drain()
    assert board.asked() == 0


def test_who_has_written_since_is_neither_texted_nor_called(board: Switchboard, clock: VirtualClock) -> None:
    board.trial.standins.twilio.send_sms(MOBILE, WHOLE)
    board.trial.drain()
    before = board.heard()
    board.rings(time="2026-11-23 09:30:00")  # told late
    assert board.heard() == before
    assert board.owed() == []
    assert [call.settled_at is not None for call in board.calls()] == [True]


def test_a_call_that_gets_through_settles_those_that_did_not(
    board: Switchboard, desk: Desk, clock: VirtualClock
) -> None:
    board.rings()
    clock.advance(timedelta(minutes=5))
    page = desk.send("/desk/phone", "/desk/phone", phone="19900001234")
    assert "没接到" in page.text
    desk.send(page.request.path, "/desk/phone/say", text=WHOLE)
    [call] = board.calls()
    assert call.ticket_id == board.ticket().id
    assert board.owed() == []


def test_the_call_back_list_shows_it_and_a_call_that_is_made_settles_it(board: Switchboard, desk: Desk) -> None:
    board.rings()
    board.rings(call_id="call-2")
    page = desk.get("/desk/callbacks")
    assert "未接来电" in page
    assert "打来 2 次" in page
    assert "已发短信" in page
    [owed] = board.owed()
    desk.send("/desk/callbacks", f"/desk/callbacks/{owed.id}", note="说好了，已报修")
    assert board.owed() == []
    assert all(call.settled_at for call in board.calls())


def test_who_is_forgotten_leaves_no_missed_call_behind(board: Switchboard) -> None:
    board.rings()
    with board.trial.services.database.transaction() as session:
        contact = session.scalars(select(Contact)).one()
        unlink.anonymise(session, contact, board.trial.services.context(session).now)
    assert board.calls() == []


# --- the pasted list


def paste(desk: Desk, text: str) -> Any:
    return desk.send("/desk/missed", "/desk/missed", calls=text)


def test_a_pasted_list_is_kept_texted_and_listed(board: Switchboard, desk: Desk) -> None:
    answer = paste(desk, "19900001234 09:40\n0371-66120000 2026-11-23 08:15\n\n")
    assert "记下 2 个未接来电，发短信 1 个；0 个以前记过。" in answer.text
    board.trial.drain()
    assert (board.heard(), board.heard(LANDLINE)) == ([board.text()], [])
    assert len(board.owed()) == 2
    assert "199 0000 1234" in desk.get("/desk/missed")
    assert {call.noted_by is not None for call in board.calls()} == {True}


def test_a_list_that_is_pasted_twice_counts_once(board: Switchboard, desk: Desk, clock: VirtualClock) -> None:
    paste(desk, "19900001234\n19900005678 09:40")
    clock.advance(timedelta(minutes=5))
    assert "记下 0 个未接来电，发短信 0 个；2 个以前记过。" in paste(desk, "19900001234\n19900005678 09:40").text
    assert len(board.calls()) == 2


@pytest.mark.parametrize(
    ("line", "at"),
    [
        ("19900001234 09:40", "2026-11-23 01:40"),
        ("199 0000 1234，09：40", "2026-11-23 01:40"),
        ("+86 19900001234\t11-22 23:05:59", "2026-11-22 15:05"),
        ("19900001234,2026/11/23 00:10", "2026-11-22 16:10"),
        ("19900001234 18:30", "2026-11-22 10:30"),  # ahead of 10:00, hence yesterday's
        ("19900001234 12-31 08:00", "2025-12-31 00:00"),  # … or last year's
        ("19900001234", "2026-11-23 02:00"),
    ],
)
def test_times_are_read_as_people_write_them(board: Switchboard, desk: Desk, line: str, at: str) -> None:
    paste(desk, line)
    [call] = board.calls()
    assert f"{call.rang_at:%Y-%m-%d %H:%M}" == at


def test_lines_that_cannot_be_read_stay_in_the_form(board: Switchboard, desk: Desk) -> None:
    answer = paste(desk, "19900001234\n匿名\n19900005678 25:61\n2月30日 19900005678")
    assert answer.status_code == 422
    assert "有 3 行没记下" in answer.text
    assert ">匿名\n19900005678 25:61\n2月30日 19900005678</textarea>" in answer.text
    assert len(board.calls()) == 1
