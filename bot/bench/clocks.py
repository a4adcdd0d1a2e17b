"""`heatline bench clocks`: how long one pass over the clocks of many open tickets takes, and what raising one costs."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import insert

from bot import clock, escalations, services
from bot.bench.machine import fresh
from bot.clock_models import Clock
from bot.models import Contact, Resident, Ticket
from bot.services import Services
from bot.settings import Settings

START = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)  # 10:00 in China, in the season
LIMITS = {"contact": 7200, "on_site": 21600, "warm": 86400}  # seconds, as of a cold home
PASSES = 20
CHUNK = 1000


@dataclass(frozen=True)
class Result:
    """What was measured; times in milliseconds."""

    database: str
    open_tickets: int
    clocks: int
    pass_with_nothing_due: float  # the median of PASSES
    due: int
    pass_with_some_due: float  # all of them raised, in as many transactions as it takes
    each_raised: float

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


def run(settings: Settings, *, database_url: str | None, tickets: int, due: int) -> Result:
    """Fill a fresh database with open tickets whose clocks run, and time passes over them."""
    with fresh(settings, database_url) as plain, _virtual_time() as moment:
        built = services.create(plain)
        try:
            _fill(built, tickets, due)
            idle = statistics.median(_timed(built)[0] for _ in range(PASSES))
            moment.advance(timedelta(minutes=1))  # now `due` of them are
            seconds, raised = 0.0, 0
            while (one := _timed(built))[1]:
                seconds, raised = seconds + one[0], raised + one[1]
        finally:
            built.database.dispose()
    return Result(
        database="sqlite" if built.database.is_sqlite else "postgresql",
        open_tickets=tickets,
        clocks=tickets * len(LIMITS),
        pass_with_nothing_due=round(idle * 1000, 2),
        due=raised,
        pass_with_some_due=round(seconds * 1000, 1),
        each_raised=round(seconds * 1000 / raised, 2) if raised else 0.0,
    )


@contextmanager
def _virtual_time() -> Iterator[clock.VirtualClock]:
    virtual = clock.VirtualClock(START)
    clock.use(virtual)
    try:
        yield virtual
    finally:
        clock.use(None)


def _timed(built: Services) -> tuple[float, int]:
    began = time.perf_counter()
    found = escalations.run(built)
    return time.perf_counter() - began, found


def _fill(built: Services, tickets: int, due: int) -> None:
    """Open tickets, each with three running clocks; `due` of them have a step within the next minute."""
    with built.database.transaction() as session:
        resident = Resident(created_at=START)
        session.add(resident)
        session.flush()
        contact = Contact(resident_id=resident.id, medium="sms", channel="twilio", address_hash="bench")
        contact.created_at = START
        session.add(contact)
        session.flush()
        contact_id = contact.id
    for first in range(0, tickets, CHUNK):
        numbers = range(first, min(first + CHUNK, tickets))
        with built.database.transaction() as session:
            rows = [_ticket(contact_id, number, tickets, due) for number in numbers]
            ids = session.scalars(insert(Ticket).returning(Ticket.id, sort_by_parameter_order=True), rows).all()
            clocks = [row for key, ticket in zip(ids, rows, strict=True) for row in _clocks(key, ticket["opened_at"])]
            session.execute(insert(Clock), clocks)


def _ticket(contact_id: int, number: int, tickets: int, due: int) -> dict[str, Any]:
    # Half of two hours is when a first step falls due: the due ones were opened just under an hour ago.
    late = number % max(1, tickets // max(1, due)) == 0 and number // max(1, tickets // max(1, due)) < due
    opened = START - timedelta(minutes=59, seconds=30) if late else START - timedelta(seconds=number % 1800)
    return {
        "number": f"B{number:08d}",
        "intent": "no_heat",
        "fault": "cold",
        "also": [],
        "contact_id": contact_id,
        "community": "阳光花园",
        "building": str(number % 40),
        "opened_at": opened,
        "status_at": opened,
    }


def _clocks(ticket_id: int, opened: datetime) -> list[dict[str, Any]]:
    return [
        {
            "ticket_id": ticket_id,
            "kind": kind,
            "calendar": "season",
            "seconds": seconds,
            "started_at": opened,
            "due_at": opened + timedelta(seconds=seconds),
            "rungs": 0,
            "next_at": opened + timedelta(seconds=seconds / 2),
        }
        for kind, seconds in LIMITS.items()
    ]
