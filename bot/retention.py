"""How long personal data are kept, and that they go then: in chunks, at night, never what an open ticket needs.

Residents are told the time at the first word; data/rules/retention.yml says it, here it is done. A night's pass is a
chain of tasks of one short transaction each, so that no webhook waits behind it; the last one finds nothing more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from bot import clock
from bot.change import Context
from bot.models import Task
from bot.retention_rows import SOURCES
from bot.rules import RuleBook
from bot.services import Services
from bot.upsert import insert_ignoring
from handlers.dialogue.types import Season

TASK = "retention"
YEAR = timedelta(days=365)  # a season that the rules do not know


@dataclass(frozen=True, slots=True)
class Period:
    """How long one kind is kept: until so many seasons have ended, or so many days."""

    name: str
    seasons: int
    days: int | None

    def ends(self, seasons: Sequence[Season], now: datetime, zone: ZoneInfo) -> datetime:
        """What is older than this moment is past its time."""
        if self.days is not None:
            return now - timedelta(days=self.days)
        today, longest = now.astimezone(zone).date(), now - self.seasons * YEAR
        over = sorted(day for day in _last_days(seasons) if day < today)
        if len(over) < self.seasons:
            return longest
        return max(longest, datetime.combine(over[-self.seasons] + timedelta(days=1), time(), zone))


def _last_days(seasons: Sequence[Season]) -> list[date]:
    """The last day of each season, wherever it lasts longest."""
    last: dict[int, date] = {}
    for season in seasons:
        last[season.start.year] = max(season.end, last.get(season.start.year, season.end))
    return list(last.values())


@dataclass(frozen=True, slots=True)
class Plan:
    """The rule `retention` as it stands."""

    at: time  # local
    chunk: int
    pause: timedelta
    kinds: Mapping[str, Period]


def plan(raw: Mapping[str, Any]) -> Plan:
    """Read the rule's body."""
    kinds = {
        kind: Period(str(row["name"]), int(row.get("seasons", 1)), row.get("days"))
        for kind, row in raw["kinds"].items()
    }
    return Plan(time.fromisoformat(raw["at"]), int(raw["chunk"]), timedelta(seconds=float(raw["pause_seconds"])), kinds)


@dataclass(frozen=True, slots=True)
class Due:
    """What would go of one kind: everything before a moment, so many rows."""

    kind: str
    name: str
    before: datetime
    rows: int


def due(context: Context) -> list[Due]:
    """What a pass would take away now, in numbers."""
    rule, found = _plan(context.book), dict.fromkeys(_plan(context.book).kinds, 0)
    ends = _ends(context, rule)
    for source in SOURCES:
        rows = source.due(ends[source.kind]).subquery()
        found[source.kind] += context.session.scalar(select(func.count()).select_from(rows)) or 0
    return [Due(kind, rule.kinds[kind].name, ends[kind], count) for kind, count in found.items()]


def _plan(book: RuleBook) -> Plan:
    return plan(book.raw["retention"])


def _ends(context: Context, rule: Plan) -> dict[str, datetime]:
    seasons = context.book.dialogue.seasons
    return {kind: period.ends(seasons, context.now, context.zone) for kind, period in rule.kinds.items()}


def clear_some(context: Context) -> int:
    """Take away one chunk of what is due, in the caller's transaction; returns how many rows, 0 when nothing is left."""
    rule = _plan(context.book)
    ends = _ends(context, rule)
    for source in SOURCES:
        ids = context.session.scalars(source.due(ends[source.kind]).limit(rule.chunk)).all()
        if ids:
            source.clear(context.session, ids, context.now)
            return len(ids)
    return 0


# --- every night


def see_to(services: Services) -> None:
    """Make sure that the coming night has its pass; cheap where it has."""
    now, rule = clock.now(), _plan(services.rules.current())
    begins = _next(now, rule.at, services.settings.zone)
    ref = f"{begins:%Y-%m-%d}"
    with services.database.reading() as session:
        if session.scalar(select(Task.id).where(Task.kind == TASK, Task.ref == ref)) is not None:
            return
    with services.database.transaction() as session:
        insert_ignoring(session, Task, [_task(ref, begins)], ["kind", "ref"])


def _next(now: datetime, at: time, zone: ZoneInfo) -> datetime:
    local = now.astimezone(zone)
    today = datetime.combine(local.date(), at, zone)
    return today if today > local else today + timedelta(days=1)


def _task(ref: str, begins: datetime) -> dict[str, Any]:
    return {"kind": TASK, "ref": ref, "lane": 2, "due_at": begins, "attempts": 0}


def carry_on(context: Context, ref: str) -> None:
    """One chunk of a night's pass; the next follows a moment later, until nothing is left."""
    if not clear_some(context):
        return
    night, _, chunk = ref.partition("/")
    following = _task(f"{night}/{int(chunk or 0) + 1}", context.now + _plan(context.book).pause)
    insert_ignoring(context.session, Task, [following], ["kind", "ref"])
