"""At night what can wait waits until the morning, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bot import night, outbox, worker
from bot.channels import Entry, Retry
from bot.clock import VirtualClock
from bot.models import Contact, Delivery, Ticket
from bot.rules import _book, shipped
from tests.bot.helpers import Core, failure

ELEVEN_AT_NIGHT = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)  # 23:00 in China
EIGHT = datetime(2026, 11, 24, 0, 0, tzinfo=UTC)  # 8:00 the next morning
WAITING = ["status.done", "status.waiting", "status.closed", "status.cancelled", "survey.warm", "planned.work"]


def at(clock: VirtualClock, moment: datetime) -> None:
    clock.advance(moment - clock())


def queue(core: Core, key: str, kind: str = "notice", **how: Any) -> int:
    """Queue an entry to the only contact, who wrote at ten in the morning."""
    if not core.rows(Contact):
        core.say("你好")
    with core.services.database.transaction() as session:
        contact = session.get_one(Contact, core.one(Contact).id)
        now = core.services.context(session).now
        occasion = how.pop("occasion", f"test:{key}")
        made = outbox.queue(session, contact, key, occasion=occasion, kind=kind, now=now, entries=[Entry(key)], **how)
    assert made is not None
    return made


def state(core: Core, made: int) -> str:
    worker.run_deliveries(core.services)
    return core.one(Delivery, Delivery.id == made).state


@pytest.mark.parametrize("key", WAITING)
def test_what_can_wait_leaves_at_eight(core: Core, clock: VirtualClock, key: str) -> None:
    core.say("你好")
    at(clock, ELEVEN_AT_NIGHT)
    made = queue(core, key)
    assert state(core, made) == "queued"
    row = core.one(Delivery, Delivery.id == made)
    assert (row.due_at, row.attempts) == (EIGHT, 0)
    at(clock, EIGHT - timedelta(seconds=1))
    assert state(core, made) == "queued"
    at(clock, EIGHT)
    assert state(core, made) == "sent"


@pytest.mark.parametrize("key", ["status.on_site", "status.accepted", "status.reopened"])
def test_a_crew_that_comes_is_told_at_any_hour(core: Core, clock: VirtualClock, key: str) -> None:
    core.say("你好")
    at(clock, ELEVEN_AT_NIGHT)
    assert state(core, queue(core, key)) == "sent"


@pytest.mark.parametrize("kind", ["reply", "urgent"])
def test_answers_and_urgent_texts_are_never_held(core: Core, clock: VirtualClock, kind: str) -> None:
    core.say("你好")
    at(clock, ELEVEN_AT_NIGHT)
    assert state(core, queue(core, "status.closed", kind)) == "sent"


@pytest.mark.parametrize(("minutes", "told"), [(29, "sent"), (30, "sent"), (31, "queued")])
def test_who_wrote_within_half_an_hour_is_awake(core: Core, clock: VirtualClock, minutes: int, told: str) -> None:
    at(clock, ELEVEN_AT_NIGHT - timedelta(minutes=minutes))
    core.say("你好")
    at(clock, ELEVEN_AT_NIGHT)
    assert state(core, queue(core, "status.closed")) == told


@pytest.mark.parametrize(("intent", "told"), [("leak", "sent"), ("danger", "sent"), ("no_heat", "queued")])
def test_leaks_and_dangers_are_told_at_any_hour(core: Core, clock: VirtualClock, intent: str, told: str) -> None:
    number = core.open(intent=intent)
    core.work()
    ticket = core.ticket(number)
    at(clock, ELEVEN_AT_NIGHT)
    assert state(core, queue(core, "status.closed", ticket=ticket)) == told


def test_a_ticket_that_staff_close_at_night_is_told_in_the_morning(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    core.work()
    core.move(number, "dispatched", "accepted")
    worker.run_deliveries(core.services)
    at(clock, ELEVEN_AT_NIGHT)
    core.move(number, "done")
    worker.run_deliveries(core.services)
    assert core.one(Delivery, Delivery.occasion.like("ticket:%"), Delivery.state == "queued").due_at == EIGHT
    assert core.rows(Ticket)[0].status == "done"


def test_a_retry_that_comes_due_at_night_waits_too(core: Core, clock: VirtualClock) -> None:
    core.say("你好")
    at(clock, ELEVEN_AT_NIGHT - timedelta(minutes=61))
    worker.run_deliveries(core.services)
    made = queue(core, "status.closed")
    core.provider.trouble = [failure(Retry, after=3600.0)]
    assert state(core, made) == "queued"
    at(clock, ELEVEN_AT_NIGHT)
    assert state(core, made) == "queued"
    assert core.one(Delivery, Delivery.id == made).due_at == EIGHT


def test_wechat_does_not_rest(core: Core, clock: VirtualClock) -> None:
    core.provider.name = "wechat"
    core.services.channels = {"wechat": core.provider}
    core.receive("你好", "oNight", medium="wechat", channel="wechat")
    core.work()
    at(clock, ELEVEN_AT_NIGHT)
    assert state(core, queue(core, "status.closed")) == "sent"


@pytest.mark.parametrize(
    ("local", "morning"),
    [
        ("21:59:59", None),
        ("22:00", "24T08:00"),
        ("23:59:59", "24T08:00"),
        ("00:00", "23T08:00"),
        ("07:59:59", "23T08:00"),
        ("08:00", None),
        ("12:00", None),
    ],
)
def test_the_night_is_chinas(local: str, morning: str | None) -> None:
    """Whatever the zone of this machine, and exact at both ends."""
    rule = night.read(_book(shipped(), 1, "12345"))
    assert rule is not None
    now = datetime.fromisoformat(f"2026-11-23T{local}+08:00")
    expected = datetime.fromisoformat(f"2026-11-{morning}+08:00") if morning else None
    for moment in (now, now.astimezone(UTC)):
        assert rule.morning(moment) == expected


def test_an_operator_can_set_other_hours() -> None:
    book = _book(shipped(), 1, "12345")
    changed = {**book.raw["night"], "begins": "12:00", "ends": "14:00"}
    rule = night.read(replace(book, raw={**book.raw, "night": changed}))
    assert rule is not None
    assert rule.morning(datetime.fromisoformat("2026-11-23T13:00+08:00")) is not None
    assert rule.morning(datetime.fromisoformat("2026-11-23T23:00+08:00")) is None
    assert night.read(replace(book, raw={})) is None


def test_every_entry_that_waits_is_in_the_catalogue_or_a_family_to_come() -> None:
    book = _book(shipped(), 1, "12345")
    named = [key for key in book.raw["night"]["waits"] if "." in key]
    assert set(named) <= set(book.texts)


def test_what_waits_for_the_morning_is_not_said_when_it_is_true_no_more(core: Core, clock: VirtualClock) -> None:
    number = core.open()
    worker.drain(core.services)
    at(clock, ELEVEN_AT_NIGHT)
    core.move(number, "accepted", "done")
    worker.drain(core.services)
    clock.advance(timedelta(hours=1))
    core.move(number, "reopened")
    at(clock, EIGHT)
    worker.drain(core.services)
    assert not [text for text in core.provider.texts if "处理好了" in text]
    core.move(number, "accepted", "done")
    worker.drain(core.services)
    assert len([text for text in core.provider.texts if "处理好了" in text]) == 1
