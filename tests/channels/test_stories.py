"""The same stories for every registered channel, through the real application, on both databases."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from bot.clock import VirtualClock
from bot.database import Database
from bot.settings import Settings
from tests.channels.mainland import connected
from tests.channels.stories import PROVIDERS, Posting, Provider
from tests.standins.service import Trial

MODES = [
    ("wechat", "safe"),
    ("wechat", "compatible"),
    ("wechat", "plain"),
    ("twilio", "safe"),
    ("aliyun", "safe"),
    ("tencent", "safe"),
]


@pytest.fixture(params=MODES, ids="-".join)
def told(
    request: pytest.FixtureRequest, settings: Settings, database: Database, clock: VirtualClock
) -> Iterator[tuple[Trial, Provider]]:
    name, mode = request.param
    with connected(settings, database, mode) as line:
        yield line.trial, PROVIDERS[name]
        line.trial.drain()


Told = tuple[Trial, Provider]


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
