"""Time: one clock, aware, in UTC, told in China."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy.exc import StatementError

from bot import clock as service_clock
from bot.clock import VirtualClock, local_day
from bot.models import Contact
from tests.bot.helpers import Core

CHINA = ZoneInfo("Asia/Shanghai")


def test_the_clock_stands_still_until_it_is_moved(clock: VirtualClock) -> None:
    before = service_clock.now()
    assert service_clock.now() == before
    clock.advance(timedelta(minutes=1))
    assert service_clock.now() - before == timedelta(minutes=1)


def test_the_systems_clock_is_aware_and_comes_back(clock: VirtualClock) -> None:
    service_clock.use(None)
    now = service_clock.now()
    assert now.utcoffset() == timedelta(0)
    assert abs(now - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_virtual_clock_may_start_in_any_zone() -> None:
    assert VirtualClock(datetime(2026, 11, 23, 10, tzinfo=CHINA))() == datetime(2026, 11, 23, 2, tzinfo=UTC)


@pytest.mark.parametrize(("hour", "day"), [(15, 23), (16, 24)])
def test_a_day_ends_at_midnight_in_china(hour: int, day: int) -> None:
    assert local_day(datetime(2026, 11, 23, hour, 59 * (hour == 15), tzinfo=UTC), CHINA) == date(2026, 11, day)


def test_times_come_back_from_the_database_as_they_went_in(core: Core, clock: VirtualClock) -> None:
    clock.advance(timedelta(microseconds=123456))
    core.receive()
    contact = core.one(Contact)
    assert contact.created_at == clock()
    assert contact.created_at.utcoffset() == timedelta(0)


def test_a_naive_time_is_refused(core: Core) -> None:
    core.receive()
    with pytest.raises(StatementError, match="naive"), core.services.database.transaction() as session:
        session.get_one(Contact, core.one(Contact).id).due_at = datetime(2026, 11, 23)  # noqa: DTZ001
