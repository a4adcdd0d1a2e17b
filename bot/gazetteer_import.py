"""The import of places and people, from CSV files or an Excel workbook: all rows, or nothing and an error for each wrong one."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile
from zoneinfo import ZoneInfo

from openpyxl import load_workbook
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import crypto
from bot.channels.phone import normalise
from bot.duty_models import Branch, Member, Shift
from bot.gazetteer import VERSION
from bot.gazetteer_tables import ROLES, TABLES, Row, Table, is_yes, keys, wrong
from bot.models import Base, Building, Community, Company, Station, Team
from bot.settings import Settings
from bot.upsert import count_up

Progress = Callable[[int], None]
Rows = dict[str, list[Row]]
CODED: dict[str, Any] = {
    "companies": Company,
    "branches": Branch,
    "teams": Team,
    "members": Member,
    "stations": Station,
    "communities": Community,
}


class ImportRefused(Exception):
    """Rows are wrong; nothing was changed. `errors` has one sentence for each."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(f"{len(errors)} rows are wrong; nothing was imported.")
        self.errors = errors


# --- reading


def read(path: Path) -> Rows:
    """The rows of a folder of CSV files, of one CSV file named after its table, or of an Excel workbook.

    Raises ImportRefused where it is none of these.
    """
    if path.is_dir():
        found = {name: read_csv(path / f"{name}.csv") for name in TABLES if (path / f"{name}.csv").exists()}
        if not found:
            raise ImportRefused([f"{path} has none of {', '.join(f'{name}.csv' for name in TABLES)}."])
        return found
    if path.suffix.lower() == ".xlsx":
        return read_workbook(path.read_bytes(), path.name)
    if path.suffix.lower() == ".csv" and path.stem in TABLES:
        return {path.stem: read_csv(path)}
    raise ImportRefused(
        [f"{path.name} is neither an .xlsx workbook nor one of {', '.join(f'{n}.csv' for n in TABLES)}."]
    )


def read_csv(path: Path) -> list[Row]:
    """The rows of a CSV file; see `parse_csv`."""
    return parse_csv(path.read_bytes(), path.name)


def parse_csv(content: bytes, name: str) -> list[Row]:
    """The rows of a CSV file, with "line" for where they stand; lines that begin with # say where it came from.

    Raises ImportRefused for a file that is not UTF-8.
    """
    try:
        lines = content.decode("utf-8-sig").splitlines(keepends=True)
    except UnicodeDecodeError:
        raise ImportRefused([f"{name} is not UTF-8; save it as “CSV UTF-8”."]) from None
    places = [place for place, line in enumerate(lines, 1) if not line.startswith("#")]
    reader = csv.reader(lines[place - 1] for place in places)
    table = TABLES.get(name.removesuffix(".csv"))
    return list(_rows(((places[reader.line_num - 1], list(cells)) for cells in reader), table))


def read_workbook(content: bytes, name: str) -> Rows:
    """The sheets of a workbook that are named after a table, in English or Chinese. Raises ImportRefused for no workbook."""
    try:
        book = load_workbook(BytesIO(content), read_only=True, data_only=True)
    except (BadZipFile, KeyError, ValueError, OSError):
        raise ImportRefused([f"{name} cannot be read; save it as an Excel workbook (.xlsx)."]) from None
    found: Rows = {}
    try:
        for table in TABLES.values():
            for title in {table.name, table.sheet} & set(book.sheetnames):
                lines = enumerate(book[title].iter_rows(values_only=True), 1)
                found[table.name] = list(
                    _rows(((number, [_cell(value) for value in cells]) for number, cells in lines), table)
                )
    finally:
        book.close()
    if not found:
        sheets = "、".join(table.sheet for table in TABLES.values())
        raise ImportRefused([f"{name} has no sheet named after a table: {sheets}."])
    return found


def _cell(value: object) -> str:
    """A cell as it would stand in a CSV file: 3.0 is 3, a time is written as one."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime | date):
        return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat()
    return str(value)


def _rows(lines: Iterator[tuple[int, list[str]]], table: Table | None) -> Iterator[Row]:
    """Rows by the headings of the first line that is not empty; empty lines are left out."""
    headings: list[str] | None = None
    chinese = {said: column for column, said in table.columns.items()} if table else {}
    for number, raw in lines:
        cells = [cell.strip() for cell in raw]
        if not any(cells) or cells[0].startswith("#"):
            continue
        if headings is None:
            headings = [chinese.get(cell, cell) for cell in cells]
            continue
        row = {name: value for name, value in zip(headings, cells, strict=False) if name}
        if any(cells[len(headings) :]):
            row["more"] = "more"
        yield {**row, "line": str(number)}


# --- checking


def check(session: Session, tables: Mapping[str, list[Row]]) -> None:
    """Raises ImportRefused with a sentence for every wrong row."""
    known = {
        name: {row.get("id", "") for row in tables.get(name, [])} | set(session.scalars(select(model.code)))
        for name, model in CODED.items()
    }
    errors = [error for name, rows in tables.items() for error in _errors(TABLES[name], rows, known)]
    errors += _taken_names(session, tables.get("communities", []))
    errors += _no_buildings(session, tables)
    if errors:
        raise ImportRefused(errors)


def _errors(table: Table, rows: list[Row], known: Mapping[str, set[str]]) -> Iterator[str]:
    seen: set[tuple[str, str]] = set()
    for row in rows:
        where = f"{table.name}.csv line {row['line']}"
        for said in wrong(table, row, known):
            yield f"{where}: {said}"
        for key in keys(table, row):
            if key in seen:
                yield f"{where}: {key[1]} occurs twice."
            seen.add(key)


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


def _no_buildings(session: Session, tables: Mapping[str, list[Row]]) -> list[str]:
    """Responsible workers of buildings that there are not."""
    rows = [row for row in tables.get("responsible", []) if row.get("building")]
    if not rows:
        return []
    stored = session.execute(
        select(Community.code, Building.number).join(Building, Building.community_id == Community.id)
    )
    known = {(code, number) for code, number in stored}
    known |= {(row.get("community_id", ""), row.get("number", "").upper()) for row in tables.get("buildings", [])}
    return [
        f"responsible.csv line {row['line']}: building {row['building']} of {row['community_id']} is not in buildings.csv."
        for row in rows
        if (row.get("community_id"), row["building"].upper()) not in known
    ]


# --- writing


def import_path(session: Session, path: Path, progress: Progress | None = None) -> dict[str, int]:
    """Read, check and write; see `import_rows`."""
    return import_rows(session, read(path), progress)


def import_rows(session: Session, tables: Mapping[str, list[Row]], progress: Progress | None = None) -> dict[str, int]:
    """Write the rows of some tables; existing ones are updated. Returns the number of rows by table.

    Raises ImportRefused and changes nothing where a row is wrong.
    """
    check(session, tables)
    for name in TABLES:
        if name in tables:
            _WRITE[name](session, tables[name], progress or (lambda done: None))
            session.flush()
    count_up(session, VERSION)  # running processes look whether it has changed
    return {name: len(rows) for name, rows in tables.items()}


def _ids(session: Session, name: str) -> dict[str, int]:
    model = CODED[name]
    return {row.code: row.id for row in session.execute(select(model.code, model.id))}


def _put(row: Base | None, model: type[Base], session: Session, values: dict[str, Any]) -> None:
    """Change a row, or add it; a value that stays the same writes nothing."""
    if row is None:
        session.add(model(**values))
        return
    for name, value in values.items():
        if getattr(row, name) != value:
            setattr(row, name, value)


def _coded(name: str, values: Callable[[Row, Mapping[str, Mapping[str, int]]], dict[str, Any]]) -> Any:
    """The writer of a table whose rows have an id of their own."""

    def write(session: Session, rows: list[Row], progress: Progress) -> None:
        model, refers = CODED[name], TABLES[name].refers
        ids = {other: _ids(session, other) for other in set(refers.values())}
        there = {row.code: row for row in session.scalars(select(model))}
        for row in rows:
            _put(there.get(row["id"]), model, session, {"code": row["id"], **values(row, ids)})
            progress(1)

    return write


def _company(row: Row, _ids: object) -> dict[str, Any]:
    checked = row.get("phone_checked")
    return {
        "name": row["name"],
        "ours": is_yes(row.get("ours")),
        "self_run": is_yes(row.get("self_run")),
        "phone": row.get("phone") or None,
        "phone_checked": date.fromisoformat(checked[:10]) if checked else None,
    }


def _member(row: Row, ids: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    phone = normalise(row["phone"]) if row.get("phone") else None
    return {
        "name": row["name"],
        "role": ROLES.get(row.get("role") or "worker", "worker"),
        "team_id": ids["teams"].get(row.get("team") or ""),
        "phone": phone,
        "phone_hash": crypto.blind_index("sms", phone) if phone else None,
        "active": is_yes(row.get("active") or "1"),
    }


def _community(row: Row, ids: Mapping[str, Mapping[str, int]]) -> dict[str, Any]:
    return {
        "name": row["name"],
        "district": row.get("district") or None,
        "aliases": _split(row.get("aliases")),
        "latitude": _float(row.get("latitude")),
        "longitude": _float(row.get("longitude")),
        "station_id": ids["stations"].get(row.get("station") or ""),
        "team_id": ids["teams"].get(row.get("team") or ""),
        "company_id": ids["companies"].get(row.get("company") or ""),
    }


def _write_communities(session: Session, rows: list[Row], progress: Progress) -> None:
    _coded("communities", _community)(session, rows, progress)
    session.flush()
    ids = _ids(session, "communities")  # a phase may stand before the estate that it belongs to
    for row in rows:
        if "phase_of" in row:
            session.get_one(Community, ids[row["id"]]).phase_of_id = ids.get(row["phase_of"])


def _write_buildings(session: Session, rows: list[Row], progress: Progress) -> None:
    communities, stations = _ids(session, "communities"), _ids(session, "stations")
    there = {(row.community_id, row.number): row for row in session.scalars(select(Building))}
    for row in rows:
        floors = _float(row.get("floors"))
        community_id, number = communities[row["community_id"]], row["number"].upper()
        values = {
            "community_id": community_id,
            "number": number,
            "units": _split(row.get("units")),
            "floors": int(floors) if floors is not None else None,
            "station_id": stations.get(row.get("station") or ""),
        }
        _put(there.get((community_id, number)), Building, session, values)
        progress(1)


def _write_responsible(session: Session, rows: list[Row], progress: Progress) -> None:
    communities, members = _ids(session, "communities"), _ids(session, "members")
    for row in rows:
        place: Community | Building = session.get_one(Community, communities[row["community_id"]])
        if row.get("building"):
            number = row["building"].upper()
            query = select(Building).where(Building.community_id == place.id, Building.number == number)
            place = session.scalars(query).one()
        place.member_id, place.stand_in_id = members[row["worker"]], members.get(row.get("stand_in") or "")
        progress(1)


def _write_shifts(session: Session, rows: list[Row], progress: Progress) -> None:
    members, teams, zone = _ids(session, "members"), _ids(session, "teams"), Settings().zone
    for row in rows:
        member_id, starts = members[row["member"]], moment(row["starts"], zone)
        there = session.scalar(select(Shift).where(Shift.member_id == member_id, Shift.starts_at == starts))
        values = {
            "member_id": member_id,
            "team_id": teams.get(row.get("team") or ""),
            "starts_at": starts,
            "ends_at": moment(row["ends"], zone),
            "line": int(float(row.get("rank") or 1)),
        }
        _put(there, Shift, session, values)
        progress(1)


def moment(value: str, zone: ZoneInfo) -> datetime:
    """A local time such as 2026-11-15 08:00, as an aware one in UTC."""
    parsed = datetime.fromisoformat(value)
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=zone)).astimezone(UTC)


_WRITE: dict[str, Callable[[Session, list[Row], Progress], None]] = {
    "companies": _coded("companies", _company),
    "branches": _coded(
        "branches", lambda row, ids: {"name": row["name"], "company_id": ids["companies"].get(row.get("company") or "")}
    ),
    "teams": _coded(
        "teams", lambda row, ids: {"name": row["name"], "branch_id": ids["branches"].get(row.get("branch") or "")}
    ),
    "members": _coded("members", _member),
    "stations": _coded(
        "stations", lambda row, ids: {"name": row["name"], "team_id": ids["teams"].get(row.get("team") or "")}
    ),
    "communities": _write_communities,
    "buildings": _write_buildings,
    "responsible": _write_responsible,
    "shifts": _write_shifts,
}


def _split(value: str | None) -> list[str]:
    return [item.strip() for item in (value or "").split("|") if item.strip()]


def _float(value: str | None) -> float | None:
    return float(value) if value else None
