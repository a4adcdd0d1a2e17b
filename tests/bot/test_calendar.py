"""Working time is exact: office hours, holidays, make-up Saturdays, seasons round the clock, and waits that never count."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot import clock_rules
from bot.calendar import Calendar, Meter, NeverOpen
from bot.rules import shipped, shipped_dialogue_rules

CHINA = ZoneInfo("Asia/Shanghai")
RAW = json.loads(json.dumps(shipped(), default=str))
RULES = clock_rules.read(RAW, shipped_dialogue_rules().seasons)
OFFICE = RULES.calendar("office", CHINA, None)
SEASON = RULES.calendar("season", CHINA, None)
ALWAYS = RULES.calendar("always", CHINA, None)
HOUR = timedelta(hours=1)
NOTHING = timedelta(0)


def at(told: str, zone: ZoneInfo = CHINA) -> datetime:
    """A local moment, 2026-10-10 08:30."""
    return datetime.strptime(told, "%Y-%m-%d %H:%M").replace(tzinfo=zone).astimezone(UTC)


# --- days


@pytest.mark.parametrize(
    ("day", "works", "why"),
    [
        ("2026-10-09", True, "an ordinary Friday"),
        ("2026-10-10", True, "a make-up Saturday"),
        ("2026-10-11", False, "a Sunday"),
        ("2026-09-20", True, "a make-up Sunday"),
        ("2026-02-14", True, "the make-up Saturday before the Spring Festival"),
        ("2026-02-28", True, "the one after it"),
        ("2026-02-16", False, "a Monday of the Spring Festival"),
        ("2026-10-07", False, "the last day of the October holiday"),
        ("2026-10-08", True, "the day after"),
        ("2026-01-02", False, "a Friday of the New Year's holiday"),
        ("2027-01-01", False, "a holiday by law, the notice of that year not being known"),
        ("2027-01-04", True, "an ordinary Monday of that year"),
        ("2028-05-01", True, "nothing is known of that year: the weekday rule"),
    ],
)
def test_holidays_and_make_up_days_are_those_of_the_notice(day: str, works: bool, why: str) -> None:
    assert OFFICE.is_workday(date.fromisoformat(day)) is works, why


def test_the_notice_of_2026_is_entered_and_that_of_2027_is_said_to_be_missing() -> None:
    assert RULES.arranged == {2026}


def test_the_days_off_of_2026_are_as_many_as_the_notice_says() -> None:
    assert len([day for day in RULES.holidays if day.year == 2026]) == 3 + 9 + 3 + 5 + 3 + 3 + 7
    assert len([day for day in RULES.workdays if day.year == 2026]) == 6


# --- hours


def test_the_closing_minute_counts_and_nothing_after_it() -> None:
    # chatwoot#15647: the closing minute was lost.
    assert OFFICE.after(at("2026-10-09 16:30"), HOUR) == at("2026-10-09 17:30")
    assert OFFICE.between(at("2026-10-09 17:29"), at("2026-10-09 17:31")) == timedelta(minutes=1)
    assert OFFICE.between(at("2026-10-09 17:30"), at("2026-10-10 08:30")) == NOTHING


def test_a_second_more_than_the_day_has_goes_over_to_the_next_working_day() -> None:
    assert OFFICE.after(at("2026-10-09 16:30"), HOUR + timedelta(seconds=1)) == at("2026-10-10 08:30") + timedelta(
        seconds=1
    )


def test_the_noon_break_is_not_counted() -> None:
    # chatwoot#14009: one period a day.
    assert OFFICE.between(at("2026-10-09 11:00"), at("2026-10-09 15:00")) == 2 * HOUR
    assert OFFICE.after(at("2026-10-09 11:30"), HOUR) == at("2026-10-09 14:30")


def test_a_make_up_saturday_is_worked_over_a_friday_night() -> None:
    assert OFFICE.after(at("2026-10-09 17:00"), HOUR) == at("2026-10-10 09:00")
    assert OFFICE.between(at("2026-10-09 17:00"), at("2026-10-12 08:30")) == timedelta(minutes=30) + 7 * HOUR


def test_a_long_holiday_is_stepped_over() -> None:
    assert OFFICE.after(at("2026-02-14 17:00"), HOUR) == at("2026-02-24 09:00")


def test_day_and_night_have_no_gap_at_midnight() -> None:
    # zammad#3180: 24/7 was shut for one minute at midnight.
    for calendar, day in ((ALWAYS, "2026-06-01"), (SEASON, "2026-12-01")):
        before, behind = at(f"{day} 23:59"), at(f"{day} 23:59") + timedelta(minutes=2)
        assert calendar.between(before, behind) == timedelta(minutes=2)
        assert calendar.after(before, timedelta(minutes=2)) == behind


def test_around_the_clock_spelt_as_hours_has_no_gap_either() -> None:
    whole = Calendar(CHINA, ((0, 1440),), frozenset(range(1, 8)))
    assert whole.between(at("2026-06-01 12:00"), at("2026-06-04 12:00")) == timedelta(days=3)
    assert whole.after(at("2026-06-01 12:00"), timedelta(days=3)) == at("2026-06-04 12:00")


def test_the_season_begins_and_ends_at_midnight() -> None:
    # Saturday 14 November 2026 is not yet the season, Sunday the 15th is.
    assert SEASON.between(at("2026-11-14 12:00"), at("2026-11-15 01:00")) == HOUR
    assert SEASON.after(at("2026-11-13 17:00"), HOUR) == at("2026-11-15 00:30")
    # The last day is 14 March 2027, a Sunday; on Monday the office hours count again.
    assert SEASON.between(at("2027-03-14 23:00"), at("2027-03-15 09:30")) == 2 * HOUR


def test_an_area_with_a_season_of_its_own_keeps_to_it() -> None:
    from handlers.dialogue.types import Season

    own = Season("上街区", date(2026, 11, 1), date(2027, 3, 31))
    rules = clock_rules.read(RAW, (*shipped_dialogue_rules().seasons, own))
    night = (at("2026-11-07 02:00"), at("2026-11-07 03:00"))
    assert rules.calendar("season", CHINA, "上街区").between(*night) == HOUR
    assert rules.calendar("season", CHINA, "金水区").between(*night) == NOTHING


def test_a_calendar_that_never_opens_says_so_instead_of_searching_for_ever() -> None:
    with pytest.raises(NeverOpen):
        Calendar(CHINA).after(at("2026-10-10 12:00"), HOUR)


@pytest.mark.parametrize(
    "hours",
    [[], [["12:00", "08:00"]], [["08:00", "12:00"], ["11:00", "17:00"]], [["08:00", "25:00"]]],
)
def test_hours_that_make_no_sense_are_refused(hours: list[list[str]]) -> None:
    with pytest.raises(ValueError, match=r"hours|time"):
        clock_rules.read({**RAW, "calendar": {**RAW["calendar"], "hours": hours}}, ())


def test_a_zone_with_summer_time_counts_the_hours_that_there_were() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    whole = Calendar(berlin, ((0, 1440),), frozenset(range(1, 8)))
    assert whole.between(at("2026-03-28 12:00", berlin), at("2026-03-29 12:00", berlin)) == 23 * HOUR


# --- the clock as arithmetic

# Hypothesis wants bounds without a zone and puts the zone on itself.
moments = st.datetimes(datetime(2026, 1, 1), datetime(2027, 12, 1), timezones=st.just(UTC))  # noqa: DTZ001
spans = st.timedeltas(timedelta(seconds=1), timedelta(days=20))
calendars = st.sampled_from([OFFICE, SEASON, ALWAYS])
waits = st.lists(
    st.tuples(moments, st.timedeltas(NOTHING, timedelta(days=9))).map(lambda w: (w[0], w[0] + w[1])), max_size=4
)
thorough = settings(max_examples=120, deadline=None)


@thorough
@given(calendars, moments, spans)
def test_after_and_between_are_each_others_inverse(calendar: Calendar, begin: datetime, span: timedelta) -> None:
    end = calendar.after(begin, span)
    assert calendar.between(begin, end) == span
    assert calendar.between(begin, end - timedelta(microseconds=1)) < span


@thorough
@given(calendars, st.lists(moments, min_size=3, max_size=3))
def test_open_time_adds_up(calendar: Calendar, three: list[datetime]) -> None:
    first, second, third = sorted(three)
    assert calendar.between(first, second) + calendar.between(second, third) == calendar.between(first, third)
    assert NOTHING <= calendar.between(first, third) <= third - first
    assert calendar.between(third, first) == NOTHING


@thorough
@given(calendars, moments, spans, waits, moments)
def test_a_clock_never_runs_backwards(
    calendar: Calendar, begin: datetime, limit: timedelta, rested: list[tuple[datetime, datetime]], now: datetime
) -> None:
    meter = Meter(calendar, limit, begin, tuple(rested))
    assert NOTHING <= meter.used(now) <= meter.used(now + timedelta(hours=7))


@thorough
@given(calendars, moments, spans, waits)
def test_waiting_never_shortens_a_limit(
    calendar: Calendar, begin: datetime, limit: timedelta, rested: list[tuple[datetime, datetime]]
) -> None:
    before = Meter(calendar, limit, begin).reaches()
    behind = Meter(calendar, limit, begin, tuple(rested)).reaches()
    assert before is not None
    assert behind is not None
    assert behind >= before
    assert Meter(calendar, limit, begin, tuple(rested)).used(behind) == limit


@thorough
@given(calendars, moments, spans, waits, st.randoms(use_true_random=False), moments)
def test_the_order_of_waits_changes_nothing(
    calendar: Calendar,
    begin: datetime,
    limit: timedelta,
    rested: list[tuple[datetime, datetime]],
    chance: object,
    now: datetime,
) -> None:
    shuffled = [*rested, *rested]  # one told twice is one
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (Meter(calendar, limit, begin, tuple(told)) for told in (rested, shuffled))
    assert one.reaches() == other.reaches()
    assert one.used(now) == other.used(now)


@thorough
@given(calendars, moments, spans, waits, moments)
def test_a_wait_that_lasts_stands_still(
    calendar: Calendar, begin: datetime, limit: timedelta, rested: list[tuple[datetime, datetime]], since: datetime
) -> None:
    meter = Meter(calendar, limit, begin, (*rested, (since, None)))
    later = max(since, begin)
    assert meter.used(later) == meter.used(later + timedelta(days=30))
    reached = meter.reaches()
    assert (reached is None) == (meter.used(later) < limit)


@thorough
@given(moments, spans, moments)
def test_a_transfer_is_as_if_it_had_been_so_from_the_start(begin: datetime, limit: timedelta, paused: datetime) -> None:
    wait = ((paused, paused + timedelta(hours=5)),)
    stricter = Meter(ALWAYS, limit / 2, begin, wait)
    assert stricter.reaches() == Meter(ALWAYS, limit, begin, wait).reaches(0.5)
