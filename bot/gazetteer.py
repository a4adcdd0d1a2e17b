"""Places at run time: rows of the database, read into the matcher's Gazetteer; their import; and who a place belongs to."""

from __future__ import annotations

import csv
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot.database import Database
from bot.models import Base, Building, Community, Counter, Station, Team
from bot.upsert import count_up
from nlu.gazetteer import Gazetteer

REFRESH_SECONDS = 5.0
TABLES = ("teams", "stations", "communities", "buildings")
_VERSION = "gazetteer"  # the counter that says how often places have been imported
_REFERENCES = {"team": "teams", "station": "stations", "community_id": "communities"}
_NUMBERS = ("latitude", "longitude", "floors")
_LONGEST = {"id": 32, "name": 64, "district": 32, "number": 16}  # as the columns have room for it
_REQUIRED = {
    "teams": ("id", "name"),
    "stations": ("id", "name"),
    "communities": ("id", "name"),
    "buildings": ("community_id", "number"),
}


Row = dict[str, str]


class ImportRefused(Exception):
    """Rows are wrong; nothing was changed. `errors` has one sentence for each."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(f"{len(errors)} rows are wrong; nothing was imported.")
        self.errors = errors


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
        self._version: tuple[int, int, int] | None = None
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
                session.scalar(select(Counter.value).where(Counter.name == _VERSION)) or 0,
            )
            if version != self._version:
                self._gazetteer = _read(session)
                self._version = version
        self._checked = time.monotonic()


def _read(session: Session) -> Gazetteer:
    communities = [
        {
            "id": row.id,
            "name": row.name,
            "aliases": row.aliases,
            "district": row.district,
            "latitude": row.latitude,
            "longitude": row.longitude,
        }
        for row in session.scalars(select(Community))
    ]
    buildings = [
        {"community_id": row.community_id, "number": row.number, "units": row.units, "floors": row.floors}
        for row in session.scalars(select(Building))
    ]
    return Gazetteer.from_rows(communities, buildings)


def import_folder(session: Session, folder: Path, progress: Callable[[int], None] | None = None) -> dict[str, int]:
    """Import teams.csv, stations.csv, communities.csv and buildings.csv, those that are there, in that order.

    Every row is validated first; raises ImportRefused and changes nothing where one is wrong. Existing rows are
    updated. Returns the number of rows by table.
    """
    tables = {name: read_csv(folder / f"{name}.csv") for name in TABLES if (folder / f"{name}.csv").exists()}
    if not tables:
        raise ImportRefused([f"{folder} has none of {', '.join(f'{name}.csv' for name in TABLES)}."])
    known = _known(session, tables)
    errors = [error for name, rows in tables.items() for error in _errors(name, rows, known)]
    errors += _taken_names(session, tables.get("communities", []))
    if errors:
        raise ImportRefused(errors)
    for name, rows in tables.items():
        _IMPORT[name](session, rows, progress or (lambda done: None))
    count_up(session, _VERSION)  # running processes look whether it has changed
    return {name: len(rows) for name, rows in tables.items()}


def read_csv(path: Path) -> list[Row]:
    """The rows of a CSV file, with "line" for where they stand; lines that begin with # say where it came from.

    Raises ImportRefused for a file that is not UTF-8.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError:
        raise ImportRefused([f"{path.name} is not UTF-8; save it as “CSV UTF-8”."]) from None
    places = [place for place, line in enumerate(lines, 1) if not line.startswith("#")]
    reader = csv.DictReader((lines[place - 1] for place in places), restkey="more")
    rows = []
    for row in reader:
        given = {name: (value or "").strip() for name, value in row.items() if isinstance(value, str | None)}
        if row.get("more"):
            given["more"] = "more"
        rows.append({**given, "line": str(places[reader.line_num - 1])})
    return rows


def _known(session: Session, tables: Mapping[str, list[Row]]) -> dict[str, set[str]]:
    """The ids that a row may refer to: those of the files and those that are there already."""
    there: dict[str, type[Team] | type[Station] | type[Community]] = {
        "teams": Team,
        "stations": Station,
        "communities": Community,
    }
    return {
        name: {row.get("id", "") for row in tables.get(name, [])} | set(session.scalars(select(model.code)))
        for name, model in there.items()
    }


def _errors(name: str, rows: list[Row], known: Mapping[str, set[str]]) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    for row in rows:
        for wrong in _wrong(name, row, known):
            yield f"{name}.csv line {row['line']}: {wrong}"
        for key in _keys(name, row):
            if key in seen:
                yield f"{name}.csv line {row['line']}: {key[1]} occurs twice."
            seen.add(key)


def _wrong(name: str, row: Row, known: Mapping[str, set[str]]) -> Iterator[str]:
    """What is wrong with a row by itself."""
    if "more" in row:
        yield "the row has more columns than the first line names."
    for column in _REQUIRED[name]:
        if not row.get(column):
            yield f"{column} is empty."
    for column, longest in _LONGEST.items():
        if len(row.get(column, "")) > longest:
            yield f"{column} is too long ({longest} characters at most)."
    for column in _NUMBERS:
        if row.get(column) and not _is_number(row[column]):
            yield f"{column} {row[column]} is not a number."
    for column, table in _REFERENCES.items():
        if row.get(column) and row[column] not in known[table]:
            yield f"{column} {row[column]} is not in {table}.csv."


def _keys(name: str, row: Row) -> list[tuple[str, str]]:
    """What no two rows of a file may have in common."""
    if name == "buildings":
        return [("number", f"{row.get('community_id', '')} {row.get('number', '').upper()}")]
    keys = [("id", row.get("id", ""))]
    return [*keys, ("name", row.get("name", ""))] if name == "communities" else keys


def _taken_names(session: Session, rows: list[Row]) -> list[str]:
    """Estates that are there already under another id; a name must say which estate is meant."""
    ids = {community.name: community.code for community in session.scalars(select(Community))}
    moved = {row.get("id"): row.get("name") for row in rows}
    return [
        f"communities.csv line {row['line']}: {row['name']} is there already as {ids[row['name']]}."
        for row in rows
        if row.get("name") in ids
        and ids[row["name"]] != row.get("id")
        and moved.get(ids[row["name"]], row["name"]) == row["name"]
    ]


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def _upsert(session: Session, model: type[Base], where: dict[str, Any], values: dict[str, Any]) -> None:
    row = session.scalar(select(model).filter_by(**where))
    if row is None:
        session.add(model(**where, **values))
    else:
        for name, value in values.items():
            setattr(row, name, value)


def _ids(session: Session, model: type[Team] | type[Station] | type[Community]) -> dict[str, int]:
    return {row.code: row.id for row in session.execute(select(model.code, model.id))}


def _import_teams(session: Session, rows: list[Row], progress: Callable[[int], None]) -> None:
    for row in rows:
        _upsert(session, Team, {"code": row["id"]}, {"name": row["name"]})
        progress(1)
    session.flush()


def _import_stations(session: Session, rows: list[Row], progress: Callable[[int], None]) -> None:
    teams = _ids(session, Team)
    for row in rows:
        values = {"name": row["name"], "team_id": teams.get(row.get("team") or "")}
        _upsert(session, Station, {"code": row["id"]}, values)
        progress(1)
    session.flush()


def _import_communities(session: Session, rows: list[Row], progress: Callable[[int], None]) -> None:
    teams, stations = _ids(session, Team), _ids(session, Station)
    for row in rows:
        values = {
            "name": row["name"].strip(),
            "district": row.get("district") or None,
            "aliases": _split(row.get("aliases")),
            "latitude": _float(row.get("latitude")),
            "longitude": _float(row.get("longitude")),
            "station_id": stations.get(row.get("station") or ""),
            "team_id": teams.get(row.get("team") or ""),
        }
        _upsert(session, Community, {"code": row["id"]}, values)
        progress(1)
    session.flush()


def _import_buildings(session: Session, rows: list[Row], progress: Callable[[int], None]) -> None:
    communities, stations = _ids(session, Community), _ids(session, Station)
    for row in rows:
        floors = _float(row.get("floors"))
        values = {
            "units": _split(row.get("units")),
            "floors": int(floors) if floors is not None else None,
            "station_id": stations.get(row.get("station") or ""),
        }
        where = {"community_id": communities[row["community_id"]], "number": row["number"].strip().upper()}
        _upsert(session, Building, where, values)
        progress(1)
    session.flush()


_IMPORT: dict[str, Callable[[Session, list[Row], Callable[[int], None]], None]] = {
    "teams": _import_teams,
    "stations": _import_stations,
    "communities": _import_communities,
    "buildings": _import_buildings,
}


def _split(value: str | None) -> list[str]:
    return [item.strip() for item in (value or "").split("|") if item.strip()]


def _float(value: str | None) -> float | None:
    return float(value) if value else None
