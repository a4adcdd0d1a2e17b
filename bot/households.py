"""The company's books of homes: account number, address and registered phone, imported so that residents can prove a home.

CSV with the columns account_no, community, building, unit, room, phone; unit and phone may be empty. Every row is
checked first, and a wrong one means that nothing is changed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import crypto, standing
from bot.channels.phone import is_possible, normalise
from bot.models import Household
from bot.upsert import put
from handlers.dialogue.types import Address
from nlu.places import Gazetteer, parse_address

COLUMNS = ("account_no", "community", "building", "unit", "room", "phone")
_ACCOUNT = re.compile(r"\d{6,20}")


class BooksRefused(Exception):
    """Rows are wrong; nothing was changed. `errors` has one sentence for each, without the row's personal data."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(f"{len(errors)} rows are wrong; nothing was imported.")
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Entry:
    """One home as the books have it."""

    account: str
    address: Address
    phone: str | None


def read(path: Path, places: Gazetteer) -> list[Entry]:
    """The homes of a file. Raises BooksRefused with what is wrong in which row."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(line for line in file if not line.startswith("#"))
        missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
        if missing:
            raise BooksRefused([f"{path.name}: the column {name} is missing" for name in missing])
        rows = [{name: (row.get(name) or "").strip() for name in COLUMNS} for row in reader]
    errors, entries = [], []
    seen: dict[str, int] = {}
    for number, row in enumerate(rows, start=2):
        wrong = _wrong(row, places)
        twice = [f"is the same as in row {seen[key]}" for key in _keys(row) if key in seen]
        errors += [f"row {number}: {what}" for what in (*wrong, *twice)]
        seen |= dict.fromkeys(_keys(row), number)
        entries.append(_entry(row, places))
    if errors:
        raise BooksRefused(errors)
    return entries


def load(session: Session, entries: list[Entry], done: Callable[[int], object] = lambda count: None) -> int:
    """Put homes into the books; what the books had of the same home or account is replaced. Returns how many."""
    for entry in entries:
        home_id = standing.home_at(session, entry.address)
        account = crypto.blind_index("account", entry.account)
        moved = session.scalar(select(Household).where(Household.account_hash == account))
        if moved is not None and moved.home_id != home_id:
            session.delete(moved)
            session.flush()
        row = {
            "home_id": home_id,
            "account_hash": account,
            "phone": entry.phone,
            "phone_tail_hash": crypto.blind_index("phone tail", entry.phone[-4:]) if entry.phone else None,
        }
        put(session, Household, row, ["home_id"])
        done(1)
    return len(entries)


def _wrong(row: Mapping[str, str], places: Gazetteer) -> list[str]:
    wrong = []
    if not _ACCOUNT.fullmatch(row["account_no"]):
        wrong.append("account_no must be 6 to 20 digits")
    if not row["room"] or not row["building"]:
        wrong.append("building and room are needed")
    if places.community(row["community"]) is None and places.resolve(row["community"]) is None:
        wrong.append(f"the gazetteer has no community {row['community']!r}")
    if row["phone"] and not is_possible(row["phone"]):
        wrong.append("phone is not a telephone number")
    return wrong


def _keys(row: Mapping[str, str]) -> tuple[str, ...]:
    """What two rows may not have in common."""
    address = "|".join(row[name] for name in ("community", "building", "unit", "room"))
    return f"account {row['account_no']}", f"home {address}"


def _entry(row: Mapping[str, str], places: Gazetteer) -> Entry:
    sure = places.resolve(row["community"])
    name = sure.value if sure else row["community"]
    known = places.community(name)
    building, unit = parse_address(row["building"]).building, parse_address(row["unit"]).unit
    address = Address(
        district=known.district if known else None,
        community=known.name if known else name,
        building=building or row["building"].upper() or None,
        unit=unit or row["unit"] or None,
        room=row["room"].removesuffix("室") or None,
        known=known is not None,
    )
    return Entry(row["account_no"], address, normalise(row["phone"]) if row["phone"] else None)
