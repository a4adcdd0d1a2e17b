"""The same stories for every registered channel, through the real application, on both databases."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from bot.clock import VirtualClock
from tests.channels.stories import Posting, Told
from tests.standins.service import Trial


def answered(posting: Posting, trial: Trial) -> str:
    status, body = posting.send(trial)
    assert status == 200
    return body


def test_a_true_message_is_kept_once_and_answered(told: Told) -> None:
    trial, provider = told
    body = answered(provider.message(trial.standins, "家里暖气不热", 1), trial)
    assert provider.is_thanks(body) != provider.answers_inline
    [message] = trial.messages()
    assert (message.text, message.kind) == ("家里暖气不热", "text")
    trial.drain()
    assert [delivery.state for delivery in trial.deliveries()] == ["sent"]


def test_a_false_signature_is_403_and_keeps_nothing(told: Told) -> None:
    trial, provider = told
    true = provider.message(trial.standins, "家里暖气不热", 1)
    for false in (provider.forged(true), provider.unsigned(true)):
        assert false.send(trial)[0] == 403
    assert trial.messages() == []


def test_a_repeat_changes_nothing_and_is_answered_the_same(told: Told) -> None:
    trial, provider = told
    first, second = (provider.message(trial.standins, "家里暖气不热", 1).send(trial) for _ in range(2))
    trial.drain()
    assert len(trial.messages()) == 1
    assert len(trial.deliveries()) == 1
    assert (provider.is_thanks(first[1]), provider.is_thanks(second[1])) == (not provider.answers_inline,) * 2


def test_ten_at_once_are_one_message_and_one_reply(told: Told) -> None:
    trial, provider = told
    posting = provider.message(trial.standins, "家里暖气不热", 1)
    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: posting.send(trial), range(10)))
    assert {status for status, _ in answers} == {200}
    trial.drain()  # with all inline slots taken, the one that was new may have been left to the worker
    assert len(trial.messages()) == 1
    assert len(trial.deliveries()) == 1


def test_an_unknown_kind_is_kept_and_the_next_message_is_handled(told: Told) -> None:
    trial, provider = told
    answered(provider.unknown(trial.standins), trial)
    answer = answered(provider.message(trial.standins, "家里暖气不热", 2), trial)
    assert provider.is_thanks(answer) != provider.answers_inline
    trial.drain()
    assert [message.kind for message in trial.messages()] == ["other", "text"]
    assert all(message.handled_at for message in trial.messages())


def test_a_truly_signed_but_malformed_post_is_200_and_kept(told: Told) -> None:
    trial, provider = told
    answered(provider.malformed(trial.standins), trial)
    assert len(trial.messages()) == 1


def test_too_large_a_body_is_413_and_keeps_nothing(told: Told) -> None:
    trial, provider = told
    huge = provider.message(trial.standins, "冷" * 50_000, 1)
    assert huge.send(trial)[0] == 413
    assert trial.messages() == []


def test_an_hour_old_post_is_refused_by_wechat_only(told: Told, clock: VirtualClock) -> None:
    """The SMS providers sign no time; their repeats are known by their ids."""
    trial, provider = told
    posting = provider.message(trial.standins, "家里暖气不热", 1)
    clock.advance(timedelta(hours=1))
    assert posting.send(trial)[0] == (403 if provider.address.startswith("o") else 200)


def test_nothing_personal_reaches_the_log(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    trial, provider = told
    answered(provider.message(trial.standins, "家里暖气不热", 1), trial)
    answered(provider.malformed(trial.standins), trial)
    trial.drain()
    known = trial.services.settings
    secrets = (known.wechat_secret, known.aliyun_callback_secret, known.tencent_callback_secret)
    for private in ("不热", provider.address, provider.address[-8:], *secrets):
        assert private not in caplog.text


# --- anything at all

FIELDS = [
    *("ToUserName", "FromUserName", "CreateTime", "MsgType", "Content", "MsgId", "Event", "EventKey", "Ticket"),
    *("MediaId", "Location_X", "Location_Y", "Label", "Recognition", "Status", "MsgID", "List", "PicUrl", "Format"),
    *("MessageSid", "AccountSid", "From", "To", "Body", "NumMedia", "MediaUrl0", "MediaContentType0", "OptOutType"),
    *("phone_number", "content", "send_time", "dest_code", "sequence_id", "mobile", "nationcode", "text", "time"),
]
WORDS = ["text", "event", "image", "location", "subscribe", "SCAN", "TEMPLATESENDJOBFINISH", "STOP", "1", "-1", "1e999"]
SAID = st.dictionaries(st.sampled_from(FIELDS), st.sampled_from(WORDS) | st.text(max_size=20), max_size=9)


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=SAID)
def test_no_post_is_an_error_and_none_is_stored_twice(told: Told, fields: dict[str, str]) -> None:
    trial, provider = told
    posting = provider.body(trial.standins, {name: _sendable(value) for name, value in fields.items()})
    first, _ = posting.send(trial)
    kept = len(trial.messages())
    second, _ = posting.send(trial)
    assert first == second
    assert first in (200, 403)  # 403: the form names another account
    assert len(trial.messages()) == kept
    if first == 403:
        assert "AccountSid" in fields


def _sendable(text: str) -> str:
    """What can stand in a signed XML document: the rest cannot be written, let alone signed."""
    return "".join(c for c in text if c in "\t\n" or " " <= c < "\ud800" or "\ue000" <= c < "\ufffe")


@hypothesis_settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=200), query=st.text(alphabet="abc=&%/?0", max_size=20))
def test_no_unsigned_bytes_are_an_error_or_stored(told: Told, body: bytes, query: str) -> None:
    trial, provider = told
    true = provider.unsigned(provider.message(trial.standins, "家里暖气不热", 1))
    target = true.target.split("?")[0] + (f"?{query}" if query else "")
    status, _ = Posting(target, body, true.headers).send(trial)
    assert status == 403
    assert trial.messages() == []
