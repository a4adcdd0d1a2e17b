"""The one clock of the service, so that a replay can run on virtual time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo


class VirtualClock:
    """A clock that stands still until it is moved; `now` is aware UTC."""

    def __init__(self, start: datetime) -> None:
        self.current = start.astimezone(UTC)

    def __call__(self) -> datetime:
        return self.current

    def advance(self, delta: timedelta) -> None:
        self.current += delta


def _system() -> datetime:
    return datetime.now(UTC)


_source: Callable[[], datetime] = _system


def now() -> datetime:
    """The present moment, aware, UTC."""
    return _source()


def use(source: Callable[[], datetime] | None) -> None:
    """Replace the time source (replay, tests); None brings the system's clock back."""
    global _source
    _source = source or _system


def local_day(moment: datetime, zone: ZoneInfo) -> date:
    """The calendar day of `moment` (aware) in the operator's time zone."""
    return moment.astimezone(zone).date()
