"""Places at run time: rows of the database, read into the matcher's Gazetteer; and who a place belongs to."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from datetime import date, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot import clock
from bot.database import Database
from bot.models import Building, Community, Company, Counter, Station
from bot.rules import in_force
from bot.settings import Settings
from nlu.gazetteer import Gazetteer, Server

REFRESH_SECONDS = 5.0
VERSION = "gazetteer"  # the counter that says how often places have been imported


@dataclass(frozen=True, slots=True)
class Place:
    """Who is responsible for a building of the network."""

    district: str | None
    station_id: int | None
    team_id: int | None


def route(session: Session, community: str | None, building: str | None) -> Place | None:
    """The station and team of an address; None for a community that the gazetteer does not have."""
    if not community:
        return None
    row = session.scalar(select(Community).where(Community.name == community))
    if row is None:
        return None
    station_id = row.station_id
    if building:
        own = select(Building.station_id).where(Building.community_id == row.id, Building.number == building.upper())
        station_id = session.scalar(own) or station_id
    station = session.get(Station, station_id) if station_id else None
    return Place(row.district, station_id, (station.team_id if station else None) or row.team_id)


class GazetteerSource:
    """Gives the current Gazetteer to a process; safe to share between threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._checked = 0.0
        self._version: tuple[int, int, int, date] | None = None
        self._gazetteer = Gazetteer()

    def current(self) -> Gazetteer:
        """The places as they stand; at most REFRESH_SECONDS old."""
        if self._version is not None and time.monotonic() - self._checked < REFRESH_SECONDS:
            return self._gazetteer
        with self._lock:
            if self._version is None or time.monotonic() - self._checked >= REFRESH_SECONDS:
                self._refresh()
        return self._gazetteer

    def _refresh(self) -> None:
        with self._database.reading() as session:
            version = (
                session.scalar(select(func.max(Community.id))) or 0,
                session.scalar(select(func.max(Building.id))) or 0,
                session.scalar(select(Counter.value).where(Counter.name == VERSION)) or 0,
                clock.local_day(clock.now(), Settings().zone),  # a number may have grown too old to be told
            )
            if version != self._version:
                self._gazetteer = _read(session)
                self._version = version
        self._checked = time.monotonic()


# Columns rather than objects: a network has thousands of buildings, and each process reads them after each import.
_COMMUNITIES = select(
    Community.id,
    Community.name,
    Community.aliases,
    Community.district,
    Community.latitude,
    Community.longitude,
    Community.company_id,
)
_BUILDINGS = select(Building.community_id, Building.number, Building.units, Building.floors)


def _servers(session: Session) -> dict[int, Server]:
    """The companies that are not ours; a number is told only where somebody dialled it not long ago."""
    now = clock.now()
    days = int(in_force(session, "places", now).get("phone_valid_days", 0))
    oldest = clock.local_day(now, Settings().zone) - timedelta(days=days)
    return {
        row.id: Server(row.name, row.phone if row.phone_checked and row.phone_checked >= oldest else None, row.self_run)
        for row in session.scalars(select(Company).where(Company.ours.is_(False)))
    }


def _read(session: Session) -> Gazetteer:
    servers = _servers(session)
    communities = [
        {**row._asdict(), "server": servers.get(row.company_id or 0)} for row in session.execute(_COMMUNITIES)
    ]
    buildings = [row._asdict() for row in session.execute(_BUILDINGS)]
    return Gazetteer.from_rows(communities, buildings)
