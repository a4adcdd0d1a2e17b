"""What may be imported: each table's columns, what they must hold, and their headings in Chinese."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from bot.channels.phone import normalise
from bot.duty_models import MEMBER_ROLES

Row = dict[str, str]
Known = Mapping[str, set[str]]
YES, NO = frozenset({"1", "yes", "true", "是", "有"}), frozenset({"", "0", "no", "false", "否", "无"})
ROLES = {"worker": "worker", "duty": "duty", "supervisor": "supervisor", "维修工": "worker", "责任人": "worker"} | {
    "值班": "duty",
    "值班员": "duty",
    "主管": "supervisor",
}


@dataclass(frozen=True, slots=True)
class Table:
    """One table: `sheet` is its name in a workbook; `refers` says which column names a row of which table by its id."""

    name: str
    sheet: str
    columns: Mapping[str, str]  # column → heading in Chinese
    required: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]
    refers: Mapping[str, str] = field(default_factory=dict)
    numbers: tuple[str, ...] = ()
    checks: Mapping[str, Callable[[str], str | None]] = field(default_factory=dict)


def _yes_or_no(value: str) -> str | None:
    return None if value.lower() in YES | NO else "is neither yes nor no (是, 否)"


def _phone(value: str) -> str | None:
    return None if normalise(value).startswith("+") else "is no telephone number"


def _role(value: str) -> str | None:
    return None if value in ROLES else f"is none of {', '.join(MEMBER_ROLES)} (维修工, 值班员, 主管)"


def _day(value: str) -> str | None:
    try:
        date.fromisoformat(value[:10])
    except ValueError:
        return "is no date such as 2026-11-15"
    return None


def _moment(value: str) -> str | None:
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return "is no time such as 2026-11-15 08:00"
    return None


def is_yes(value: str | None) -> bool:
    """Whether a cell says yes."""
    return (value or "").lower() in YES


TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        Table(
            "companies",
            "公司",
            {
                "id": "编号",
                "name": "名称",
                "ours": "本公司",
                "self_run": "自管",
                "phone": "电话",
                "phone_checked": "核实日期",
            },
            ("id", "name"),
            (("id",), ("name",)),
            checks={"ours": _yes_or_no, "self_run": _yes_or_no, "phone_checked": _day},
        ),
        Table(
            "branches",
            "分公司",
            {"id": "编号", "name": "名称", "company": "公司"},
            ("id", "name"),
            (("id",),),
            {"company": "companies"},
        ),
        Table(
            "teams",
            "班组",
            {"id": "编号", "name": "名称", "branch": "分公司"},
            ("id", "name"),
            (("id",),),
            {"branch": "branches"},
        ),
        Table(
            "members",
            "人员",
            {"id": "编号", "name": "姓名", "role": "岗位", "team": "班组", "phone": "电话", "active": "在岗"},
            ("id", "name"),
            (("id",),),
            {"team": "teams"},
            checks={"role": _role, "phone": _phone, "active": _yes_or_no},
        ),
        Table(
            "stations",
            "换热站",
            {"id": "编号", "name": "名称", "team": "班组"},
            ("id", "name"),
            (("id",),),
            {"team": "teams"},
        ),
        Table(
            "communities",
            "小区",
            {
                "id": "编号",
                "name": "名称",
                "aliases": "别名",
                "district": "区",
                "phase_of": "所属小区",
                "latitude": "纬度",
                "longitude": "经度",
                "station": "换热站",
                "team": "班组",
                "company": "公司",
            },
            ("id", "name"),
            (("id",), ("name",)),
            {"station": "stations", "team": "teams", "company": "companies", "phase_of": "communities"},
            ("latitude", "longitude"),
        ),
        Table(
            "buildings",
            "楼栋",
            {"community_id": "小区", "number": "楼号", "units": "单元", "floors": "层数", "station": "换热站"},
            ("community_id", "number"),
            (("community_id", "number"),),
            {"community_id": "communities", "station": "stations"},
            ("floors",),
        ),
        Table(
            "responsible",
            "责任人",
            {"community_id": "小区", "building": "楼号", "worker": "责任人", "stand_in": "替班"},
            ("community_id", "worker"),
            (("community_id", "building"),),
            {"community_id": "communities", "worker": "members", "stand_in": "members"},
        ),
        Table(
            "shifts",
            "值班",
            {"member": "人员", "team": "班组", "starts": "开始", "ends": "结束", "rank": "顺序"},
            ("member", "starts", "ends"),
            (("member", "starts"),),
            {"member": "members", "team": "teams"},
            ("rank",),
            {"starts": _moment, "ends": _moment},
        ),
    )
}
LONGEST = {"id": 32, "name": 64, "district": 32, "number": 16, "phone": 32}  # as the columns have room for it


def wrong(table: Table, row: Row, known: Known) -> Iterator[str]:
    """What is wrong with a row by itself, one sentence for each."""
    if "more" in row:
        yield "the row has more columns than the first line names."
    for column in table.required:
        if not row.get(column):
            yield f"{column} is empty."
    for column, longest in LONGEST.items():
        if len(row.get(column, "")) > longest:
            yield f"{column} is too long ({longest} characters at most)."
    for column in table.numbers:
        if row.get(column) and not _is_number(row[column]):
            yield f"{column} {row[column]} is not a number."
    for column, other in table.refers.items():
        if row.get(column) and row[column] not in known[other]:
            yield f"{column} {row[column]} is not in {other}.csv."
    for column, check in table.checks.items():
        if row.get(column) and (said := check(row[column])) is not None:
            # Phones are personal; the line says where to look.
            yield f"{column}{'' if column == 'phone' else ' ' + row[column]} {said}."
    if table.name == "shifts" and _ends_too_early(row):
        yield "ends is not after starts."


def _ends_too_early(row: Row) -> bool:
    starts, ends = row.get("starts", ""), row.get("ends", "")
    if _moment(starts) or _moment(ends):
        return False  # said already
    return datetime.fromisoformat(ends) <= datetime.fromisoformat(starts)


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(float(value))
    except ValueError:
        return False


def keys(table: Table, row: Row) -> list[tuple[str, str]]:
    """What no two rows of a table may have in common."""
    found = []
    for columns in table.unique:
        values = [row.get(column, "") for column in columns]
        value = " ".join(
            part.upper() if column in ("number", "building") else part
            for column, part in zip(columns, values, strict=True)
        )
        found.append((columns[-1], value.strip()))
    return found
