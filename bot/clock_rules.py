"""The rules `clocks`, `calendar` and `season` as values: which clocks a ticket has, and in which calendar they count."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from bot.calendar import Calendar, Meter
from handlers.dialogue.types import Season

CALENDARS = ("always", "season", "office")


@dataclass(frozen=True)
class Limit:
    """How much time there is, and the name of the calendar it is counted in."""

    span: timedelta
    calendar: str


@dataclass(frozen=True)
class Plan:
    """The limits by clock of the tickets that it fits."""

    intents: frozenset[str]
    severity: frozenset[str]  # empty: any
    in_season: bool | None  # None: always
    limits: Mapping[str, Limit]

    def fits(self, intent: str, severity: str | None, in_season: bool) -> bool:
        """Whether this plan is for such a ticket."""
        return (
            intent in self.intents
            and (not self.severity or severity in self.severity)
            and self.in_season in (None, in_season)
        )


@dataclass(frozen=True)
class Rung:
    """One step of the ladder: at this share of a limit, people of this role hear of it."""

    share: float
    name: str
    role: str


@dataclass(frozen=True)
class ClockRules:
    """Everything that decides over clocks."""

    names: Mapping[str, str]
    plans: tuple[Plan, ...]
    word: Limit
    ladder: tuple[Rung, ...]
    hours: tuple[tuple[int, int], ...]
    weekdays: frozenset[int]
    holidays: frozenset[date]
    workdays: frozenset[date]
    arranged: frozenset[int]  # years whose notice with the moved working days is entered
    seasons: tuple[Season, ...] = field(default=())

    def _areas(self, district: str | None) -> tuple[Season, ...]:
        own = tuple(season for season in self.seasons if season.area == district)
        return own or tuple(season for season in self.seasons if season.area == "*")

    def in_season(self, day: date, district: str | None) -> bool:
        """Whether a local day belongs to a heating season of the district."""
        return any(season.start <= day <= season.end for season in self._areas(district))

    def calendar(self, name: str, zone: ZoneInfo, district: str | None) -> Calendar:
        """The calendar of this name for a district."""
        if name == "always":
            return Calendar(zone, always=True)
        seasons = tuple((s.start, s.end) for s in self._areas(district)) if name == "season" else ()
        return Calendar(zone, self.hours, self.weekdays, self.holidays, self.workdays, seasons)

    def limits(
        self,
        intents: Iterable[str],
        severity: str | None,
        since: datetime,
        zone: ZoneInfo,
        district: str | None,
    ) -> dict[str, Limit]:
        """The clocks of a ticket and their limits: of several intents the one that ends first counts."""
        in_season = self.in_season(since.astimezone(zone).date(), district)
        chosen: dict[str, tuple[datetime, Limit]] = {}
        for intent in intents:
            plan = next((plan for plan in self.plans if plan.fits(intent, severity, in_season)), None)
            for kind, limit in plan.limits.items() if plan else ():
                ends = self.calendar(limit.calendar, zone, district).after(since, limit.span)
                if kind not in chosen or ends < chosen[kind][0]:
                    chosen[kind] = (ends, limit)
        return {kind: limit for kind, (_, limit) in chosen.items()}

    def rungs_reached(self, meter: Meter, now: datetime) -> int:
        """How many steps of the ladder lie behind."""
        moments = (meter.reaches(rung.share) for rung in self.ladder)
        return sum(1 for moment in moments if moment is not None and moment <= now)


def read(raw: Mapping[str, Mapping[str, Any]], seasons: tuple[Season, ...]) -> ClockRules:
    """The rules from their rows. Raises KeyError or ValueError for one that is incomplete or wrong."""
    clocks, calendar = raw["clocks"], raw["calendar"]
    years = calendar["years"]
    return ClockRules(
        names={kind: str(row["name"]) for kind, row in clocks["clocks"].items()},
        plans=tuple(_plan(row) for row in clocks["plans"]),
        word=_limit(clocks["word"]),
        ladder=tuple(sorted((_rung(row) for row in clocks["ladder"]), key=lambda rung: rung.share)),
        hours=_hours(calendar["hours"]),
        weekdays=frozenset(int(day) for day in calendar["weekdays"]),
        holidays=frozenset(day for year in years.values() for row in year["holidays"] for day in _days(row)),
        workdays=frozenset(date.fromisoformat(str(day)) for year in years.values() for day in year["workdays"]),
        arranged=frozenset(int(year) for year, row in years.items() if row["arranged"]),
        seasons=seasons,
    )


def _plan(row: Mapping[str, Any]) -> Plan:
    return Plan(
        intents=frozenset(row["intents"]),
        severity=frozenset(row.get("severity", ())),
        in_season=row.get("in_season"),
        limits={kind: _limit(limit) for kind, limit in row["limits"].items()},
    )


def _limit(row: Mapping[str, Any]) -> Limit:
    if row["calendar"] not in CALENDARS:
        raise ValueError(f"There is no calendar {row['calendar']!r}; there are {', '.join(CALENDARS)}.")
    span = timedelta(minutes=float(row["minutes"]))
    if span <= timedelta(0):
        raise ValueError("A limit is longer than nothing.")
    return Limit(span, str(row["calendar"]))


def _rung(row: Mapping[str, Any]) -> Rung:
    return Rung(float(row["share"]), str(row["name"]), str(row["role"]))


def _hours(rows: Iterable[Iterable[str]]) -> tuple[tuple[int, int], ...]:
    spans = sorted((_minutes(first), _minutes(last)) for first, last in rows)
    before = [0, *(last for _, last in spans)]
    if not spans or any(first >= last or first < end for (first, last), end in zip(spans, before, strict=False)):
        raise ValueError("The hours of a day follow one another and do not overlap.")
    return tuple(spans)


def _minutes(told: str) -> int:
    hour, _, minute = told.partition(":")
    minutes = int(hour) * 60 + int(minute)
    if not 0 <= minutes <= 1440:
        raise ValueError(f"{told} is no time of a day.")
    return minutes


def _days(row: Mapping[str, Any]) -> list[date]:
    first, last = date.fromisoformat(str(row["from"])), date.fromisoformat(str(row["to"]))
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
