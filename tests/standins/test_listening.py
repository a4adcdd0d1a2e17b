"""Voice messages without words: kept, played at the desk, written down, and then served like any report."""

from __future__ import annotations

import array
import io
import math
import wave
from datetime import timedelta

import av
import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from bot import staff, voice
from bot.clock import VirtualClock
from bot.models import Callback, Delivery, Message, Review, Staff, Ticket
from bot.push_models import Media
from tests.desk.conftest import Desk
from tests.standins.service import Trial

OPENID = "oWhoSpeaks00000000000000000x"
PASSWORD = "warm-winter-2026"
RATE = 8000  # samples a second, as WeChat records


def amr(seconds: float = 1.0) -> bytes:
    """A tone as a telephone records it."""
    out, count = io.BytesIO(), int(seconds * RATE)
    with av.open(out, "w", format="amr") as written:
        stream = written.add_stream("libopencore_amrnb", rate=RATE, layout="mono")
        stream.bit_rate = 12200
        frame = av.AudioFrame(format="s16", layout="mono", samples=count)
        frame.sample_rate, frame.pts = RATE, 0
        frame.planes[0].update(array.array("h", [int(8000 * math.sin(i / 8)) for i in range(count)]).tobytes())
        for piece in av.AudioResampler("s16", "mono", RATE, frame_size=160).resample(frame):
            written.mux(stream.encode(piece))
        written.mux(stream.encode(None))
    return out.getvalue()


def speak(trial: Trial, content: bytes | None = None) -> str | None:
    content = amr() if content is None else content
    return trial.standins.wechat.push_media(OPENID, "voice", content, "audio/amr", Format="amr", Recognition="")


@pytest.fixture
def desk(trial: Trial) -> Desk:
    with trial.services.database.transaction() as session:
        staff.add(session, "管理员甲", PASSWORD, "administrator")
        staff.add(session, "小王", PASSWORD, "agent")
    browser = Desk(trial.app.test_client(), trial.services)
    browser.log_in("小王", PASSWORD)
    return browser


def review_id(trial: Trial) -> int:
    with trial.services.database.reading() as session:
        return session.scalars(select(Review.id).order_by(Review.id.desc())).first() or 0


def play(trial: Trial, client: FlaskClient) -> tuple[str | None, bytes]:
    with trial.services.database.reading() as session:
        media_id = session.scalars(select(Media.id)).one()
    response = client.get(f"/desk/media/{media_id}")
    return response.content_type, response.data


def test_what_wechat_records_plays_in_a_browser(trial: Trial, desk: Desk) -> None:
    assert speak(trial, amr(1.5)) == "语音收到，有人会听，不用打字。\n想让人打电话给您，回复1。"
    trial.drain()
    kind, content = play(trial, desk.client)
    assert kind == "audio/wav"
    with wave.open(io.BytesIO(content)) as sound:
        assert sound.getframerate() == RATE
        assert sound.getnframes() / RATE == pytest.approx(1.5, abs=0.1)
    assert "<audio controls" in desk.get("/desk/listen")


@pytest.mark.parametrize("content", [b"#!AMR\n", b"#!AMR\nxxxxxxxx", b"#!AMR\n" + b"\xff" * 500])
def test_a_broken_recording_is_a_file_to_be_saved(trial: Trial, desk: Desk, content: bytes) -> None:
    speak(trial, content)
    trial.drain()
    kind, found = play(trial, desk.client)
    assert (kind, found) in {("application/octet-stream", content)} or kind == "audio/wav"


def test_bytes_that_are_no_recording_are_refused() -> None:
    with pytest.raises(voice.VoiceError):
        voice.wav(b"#!AMR\nxxxxxxxx")


def test_what_was_heard_is_served_like_a_report(trial: Trial, desk: Desk) -> None:
    speak(trial)
    trial.drain()
    words = "阳光花园3号楼2单元501，暖气不热"
    page = desk.send("/desk/listen", f"/desk/listen/{review_id(trial)}", words=words)
    assert "正按住户的话办理" in page.text
    trial.drain()
    with trial.services.database.reading() as session:
        ticket = session.scalars(select(Ticket)).one()
        told = session.scalars(select(Delivery).order_by(Delivery.id.desc())).first()
        assert (ticket.building, ticket.room) == ("3", "501")
        assert told is not None
        assert ticket.number in told.text
        assert told.state == "sent"
        assert session.scalars(select(Callback.done_at).where(Callback.reason == "voice")).one() is not None
    assert "没有要听的语音" in desk.get("/desk/listen")


def test_what_two_wrote_down_at_once_is_one_report(trial: Trial, desk: Desk) -> None:
    speak(trial)
    trial.drain()
    page, action = desk.get("/desk/listen"), f"/desk/listen/{review_id(trial)}"
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    first, second = (
        desk.client.post(action, data={"csrf_token": token, "words": words}, follow_redirects=True).text
        for words in ("阳光花园3号楼2单元501，暖气不热", "阳光花园3号楼2单元502，暖气不热")
    )
    trial.drain()
    assert "正按住户的话办理" in first
    assert "已经有人听写过了" in second
    with trial.services.database.reading() as session:
        assert session.scalars(select(Ticket.room)).all() == ["501"]
        assert len(session.scalars(select(Message)).all()) == 2


def test_danger_that_was_heard_is_answered_first(trial: Trial, desk: Desk) -> None:
    speak(trial)
    trial.drain()
    desk.send("/desk/listen", f"/desk/listen/{review_id(trial)}", words="屋里一股煤气味，头晕")
    trial.drain()
    with trial.services.database.reading() as session:
        assert session.scalars(select(Ticket.urgent)).one()


def test_who_cannot_be_made_out_is_asked_once_to_say_it_again(trial: Trial, desk: Desk) -> None:
    speak(trial)
    trial.drain()
    page, action = desk.get("/desk/listen"), f"/desk/listen/{review_id(trial)}/again"
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    for _ in range(2):
        desk.client.post(action, data={"csrf_token": token})
    trial.drain()
    with trial.services.database.reading() as session:
        told = [text for text in session.scalars(select(Delivery.text)) if "没听清" in text]
    assert len(told) == 1


def test_who_would_rather_be_called_answers_1(trial: Trial) -> None:
    speak(trial)
    answer = trial.standins.wechat.push_text(OPENID, "1")
    assert "打电话给您" in (answer or "")
    with trial.services.database.reading() as session:
        assert {"voice", "misunderstood"} & set(session.scalars(select(Callback.reason)))
        assert len(session.scalars(select(Callback.id)).all()) == 2


def test_the_hearing_is_owed_until_the_last_recording_is_done(trial: Trial, desk: Desk) -> None:
    speak(trial)
    speak(trial, amr(0.5))
    trial.drain()
    for left in (1, 0):
        with trial.services.database.reading() as session:
            waiting = session.scalars(select(Review.id).where(Review.decided_at.is_(None)).order_by(Review.id)).all()
        desk.send("/desk/listen", f"/desk/listen/{waiting[0]}/nothing")
        with trial.services.database.reading() as session:
            done = session.scalars(select(Callback.done_at).where(Callback.reason == "voice")).one()
        assert (done is None) == bool(left)


def test_who_is_late_with_listening_is_told_of(trial: Trial, clock: VirtualClock) -> None:
    speak(trial)
    trial.drain()
    clock.advance(timedelta(minutes=16))
    trial.drain()
    with trial.services.database.reading() as session:
        assert session.scalars(select(Callback.escalated_at).where(Callback.reason == "voice")).one() is not None


def test_recordings_are_for_those_who_talk_with_residents(trial: Trial, desk: Desk) -> None:
    with trial.services.database.transaction() as session:
        staff.add(session, "小核", PASSWORD, "reviewer")
        assert session.scalars(select(Staff.name)).all()
    other = Desk(trial.app.test_client(), trial.services)
    other.log_in("小核", PASSWORD)
    assert other.client.get("/desk/listen").status_code == 403
