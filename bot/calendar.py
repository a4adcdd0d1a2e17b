"""Working time: office hours with public holidays and make-up Saturdays (调休), and heating seasons round the clock.

Pure arithmetic on aware datetimes; spans are half open, [begin, end), so that a closing minute counts once and
midnight not at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

DAY = timedelta(days=1)
NOTHING = timedelta(0)
_FARTHEST = 3660  # days that are looked through for open time

Span = tuple[datetime, datetime]


class NeverOpen(ValueError):
    """A calendar has no open time within ten years: its rule is wrong."""


@dataclass(frozen=True)
class Calendar:
    """When a clock counts. `hours`: spans of an ordinary working day in minutes after midnight, 1440 being its end.

    Days of `seasons` (both ends belong to it) are open round the clock; so is every day where `always` is set.
    """

    zone: ZoneInfo
    hours: tuple[tuple[int, int], ...] = ()
    weekdays: frozenset[int] = frozenset()  # 1 Monday … 7 Sunday
    holidays: frozenset[date] = frozenset()
    workdays: frozenset[date] = frozenset()  # 调休: working days that would not be
    seasons: tuple[tuple[date, date], ...] = ()
    always: bool = False

    def is_workday(self, day: date) -> bool:
        """Whether the office works on this local day."""
        return day in self.workdays or (day.isoweekday() in self.weekdays and day not in self.holidays)

    def between(self, begin: datetime, end: datetime) -> timedelta:
        """The open time from `begin` to `end`; none where `end` is not after `begin`."""
        if end <= begin:
            return NOTHING
        if self.always:
            return end - begin
        total = NOTHING
        for opens, closes in self._spans(begin):
            if opens >= end:
                break
            total += min(closes, end) - max(opens, begin)
        return total

    def after(self, begin: datetime, span: timedelta) -> datetime:
        """The first moment at which `span` of open time has passed since `begin`. Raises NeverOpen."""
        if self.always or span <= NOTHING:
            return begin.astimezone(UTC) + max(span, NOTHING)
        for opens, closes in self._spans(begin):
            since = max(opens, begin)
            if closes - since >= span:
                return since + span
            span -= closes - since
        raise NeverOpen("The calendar has no open time; see the rule `calendar`.")

    def _spans(self, begin: datetime) -> Iterator[Span]:
        """The open spans that end after `begin`, in order, in UTC."""
        day = begin.astimezone(self.zone).date()
        for _ in range(_FARTHEST):
            for first, last in self._minutes(day):
                opens, closes = self._moment(day, first), self._moment(day, last)
                if closes > begin:
                    yield opens, closes
            day += DAY

    def _minutes(self, day: date) -> tuple[tuple[int, int], ...]:
        if any(first <= day <= last for first, last in self.seasons):
            return ((0, 1440),)
        return self.hours if self.is_workday(day) else ()

    def _moment(self, day: date, minutes: int) -> datetime:
        days, rest = divmod(minutes, 1440)
        at = time(rest // 60, rest % 60)
        return datetime.combine(day + days * DAY, at, self.zone).astimezone(UTC)


@dataclass(frozen=True)
class Meter:
    """One clock as arithmetic: how much of its limit has been used, and when the rest will be.

    `waits` are the spans in which nothing could be done (waiting for the resident, the property, parts); their end is
    None while one lasts. They may come in any order and overlap: a moment is waited through once.
    """

    calendar: Calendar
    limit: timedelta
    started: datetime
    waits: tuple[tuple[datetime, datetime | None], ...] = ()

    def used(self, now: datetime) -> timedelta:
        """The open time since the start that was not waited through."""
        waited = sum((self.calendar.between(a, b) for a, b in self._waited(now)), NOTHING)
        return self.calendar.between(self.started, now) - waited

    def reaches(self, share: float = 1.0) -> datetime | None:
        """The moment at which this share of the limit is used; None where a wait that lasts comes before it."""
        left, since = self.limit * share, self.started
        for begin, end in self._merged():
            room = self.calendar.between(since, begin)
            if room >= left:
                break
            if end is None:
                return None
            left, since = left - room, end
        return self.calendar.after(since, left)

    def _waited(self, now: datetime) -> list[Span]:
        spans = ((begin, now if end is None else min(end, now)) for begin, end in self._merged())
        return [(begin, end) for begin, end in spans if end > begin]

    def _merged(self) -> list[tuple[datetime, datetime | None]]:
        """The waits after the start, in order, none touching another."""
        merged: list[tuple[datetime, datetime | None]] = []
        for begin, end in sorted(self.waits, key=lambda wait: wait[0]):
            begin = max(begin, self.started)
            if end is not None and end <= begin:
                continue
            if merged and (merged[-1][1] is None or begin <= merged[-1][1]):
                last = merged[-1]
                merged[-1] = (last[0], None if last[1] is None or end is None else max(last[1], end))
            else:
                merged.append((begin, end))
        return merged
