"""Places are imported whole or not at all, and a running process notices."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from openpyxl import Workbook
from sqlalchemy import func, select

from bot import gazetteer, roster
from bot.database import Database
from bot.duty_models import Member, Shift
from bot.gazetteer import GazetteerSource, route
from bot.gazetteer_import import ImportRefused, import_path
from bot.models import Base, Building, Community, Station, Team
from bot.roster import Where
from bot.rules import DATA

GOOD = {
    "teams": "# from the operator\nid,name\nT1,一班\nT2,二班\n",
    "stations": "id,name,team\nS1,一号站,T1\nS2,二号站,T2\n",
    "communities": "id,name,aliases,district,latitude,longitude,station,team\n"
    "C1,新星小区,新星|星星园,二七区,34.75,113.65,S1,\nC2,老街院,,二七区,,,,T2\n",
    "buildings": "community_id,number,units,floors,station\nC1,1,1|2,6,\nC1,3a,,18,S2\n",
}


def folder_of(tmp_path: Path, **changes: str) -> Path:
    """A folder of the good files, some of them changed; an empty text leaves a file out."""
    folder = tmp_path / "places"
    folder.mkdir(exist_ok=True)
    for name, text in {**GOOD, **changes}.items():
        if text:
            (folder / f"{name}.csv").write_text(text, encoding="utf-8")
        else:
            (folder / f"{name}.csv").unlink(missing_ok=True)
    return folder


def bring(database: Database, folder: Path) -> dict[str, int]:
    with database.transaction() as session:
        return import_path(session, folder)


def counts(database: Database) -> list[int]:
    tables: tuple[type[Base], ...] = (Team, Station, Community, Building)
    with database.reading() as session:
        return [session.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


def test_every_row_comes_in(database: Database, tmp_path: Path) -> None:
    before = counts(database)
    assert bring(database, folder_of(tmp_path)) == {"teams": 2, "stations": 2, "communities": 2, "buildings": 2}
    assert [now - then for now, then in zip(counts(database), before, strict=True)] == [2, 2, 2, 2]
    with database.reading() as session:
        assert session.scalars(select(Community).where(Community.code == "C1")).one().aliases == ["新星", "星星园"]


def test_a_second_import_changes_nothing(database: Database, tmp_path: Path) -> None:
    bring(database, folder_of(tmp_path))
    before = counts(database)
    bring(database, folder_of(tmp_path))
    assert counts(database) == before


def test_a_changed_row_is_updated(database: Database, tmp_path: Path) -> None:
    bring(database, folder_of(tmp_path))
    bring(database, folder_of(tmp_path, teams="id,name\nT1,新一班\n", stations="", communities="", buildings=""))
    with database.reading() as session:
        assert session.scalars(select(Team.name).where(Team.code == "T1")).one() == "新一班"


def test_a_building_may_name_an_estate_that_is_there_already(database: Database, tmp_path: Path) -> None:
    bring(database, folder_of(tmp_path))
    later = folder_of(tmp_path, teams="", stations="", communities="", buildings="community_id,number\nC1,9\n")
    assert bring(database, later) == {"buildings": 1}


@pytest.mark.parametrize(
    ("table", "text", "says"),
    [
        ("teams", "id,name\nT1,\n", "teams.csv line 2: name is empty."),
        ("teams", "# a\n# b\nid,name\nT1,一\n,二\n", "teams.csv line 5: id is empty."),
        ("teams", "id\nT1\n", "name is empty"),
        ("teams", "id,name\nT1,一\nT1,二\n", "T1 occurs twice"),
        ("teams", "id,name\nT1,一\n T1 ,二\n", "T1 occurs twice"),
        ("teams", f"id,name\nT1,{'长' * 80}\n", "name is too long"),
        ("stations", "id,name,team\nS1,一号站,T9\n", "team T9 is not in teams.csv"),
        ("communities", "id,name,latitude\nC1,新星小区,north\n", "latitude north is not a number"),
        ("communities", "id,name\nC1,新星小区\nC2,新星小区\n", "新星小区 occurs twice"),
        ("communities", "id,name\nC1,阳光花园\n", "阳光花园"),
        ("communities", "id,name,station\nC1,新星小区,S9\n", "station S9 is not in stations.csv"),
        ("buildings", "community_id,number\nC1,3A\nC1,3a\n", "C1 3A occurs twice"),
        ("buildings", "community_id,number\nC9,1\n", "community_id C9 is not in communities.csv"),
        ("buildings", "community_id,number,floors\nC1,1,many\n", "floors many is not a number"),
        ("buildings", "community_id,number\nC1,1,2,3,4\n", "more columns"),
    ],
)
def test_a_wrong_row_is_named_and_nothing_is_changed(
    database: Database, tmp_path: Path, table: str, text: str, says: str
) -> None:
    before = counts(database)
    with pytest.raises(ImportRefused) as refused:
        bring(database, folder_of(tmp_path, **{table: text}))
    assert any(says in error for error in refused.value.errors), refused.value.errors
    assert counts(database) == before


def test_a_reference_to_nothing_is_wrong_without_its_file_too(database: Database, tmp_path: Path) -> None:
    alone = folder_of(tmp_path, teams="", stations="", communities="", buildings="community_id,number\nC9,1\n")
    with pytest.raises(ImportRefused) as refused:
        bring(database, alone)
    assert "C9" in refused.value.errors[0]


def test_a_file_that_a_spreadsheet_saved_in_gbk_is_refused_with_a_word_of_advice(
    database: Database, tmp_path: Path
) -> None:
    folder = folder_of(tmp_path)
    (folder / "teams.csv").write_bytes("id,name\nT1,一班\n".encode("gbk"))
    with pytest.raises(ImportRefused) as refused:
        bring(database, folder)
    assert "UTF-8" in refused.value.errors[0]


def test_an_empty_folder_is_refused(database: Database, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="nothing was imported"):
        bring(database, tmp_path)


def test_a_running_process_notices_new_and_changed_places(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gazetteer, "REFRESH_SECONDS", 0.0)
    source = GazetteerSource(database)
    assert source.current().community("新星小区") is None
    bring(database, folder_of(tmp_path))
    assert source.current().community("新星小区") is not None
    changed = GOOD["communities"].replace("星星园", "明星园")
    bring(database, folder_of(tmp_path, communities=changed))
    assert source.current().community("明星园") is not None
    assert source.current() is source.current()


def test_a_building_has_its_own_station_else_that_of_its_estate(database: Database, tmp_path: Path) -> None:
    bring(database, folder_of(tmp_path))
    with database.reading() as session:
        names = {team.id: team.name for team in session.scalars(select(Team))}
        places = [route(session, "新星小区", number) for number in ("1", "3a", "77", None)]
        assert [names[place.team_id] for place in places if place and place.team_id] == ["一班", "二班", "一班", "一班"]
        own = route(session, "老街院", None)
        assert own is not None
        assert own.team_id is not None
        assert route(session, "没有的小区", "1") is None


def test_the_shipped_folder_can_be_imported_again(database: Database) -> None:
    before = counts(database)
    bring(database, DATA / "gazetteer")
    assert counts(database) == before


# --- people, companies, and workbooks

PEOPLE = {
    "companies": "id,name,ours,self_run,phone,phone_checked\nCO1,邻城热力,否,否,037100000001,2026-11-10\n",
    "branches": "id,name,company\nB1,东区分公司,CO1\n",
    "members": "id,name,role,team,phone,active\nM1,甲,worker,T1,14000000201,yes\nM2,乙,主管,,,是\n",
    "responsible": "community_id,building,worker,stand_in\nC1,,M1,M2\nC1,1,M2,\n",
    "shifts": "member,team,starts,ends,rank\nM1,T1,2026-11-23 08:00,2026-11-23 20:00,1\n",
}


def test_people_and_their_rosters_come_in_with_the_places(database: Database, tmp_path: Path) -> None:
    counted = bring(database, folder_of(tmp_path, **PEOPLE))
    assert (counted["members"], counted["responsible"], counted["shifts"]) == (2, 2, 1)
    with database.reading() as session:
        shift = session.scalars(select(Shift)).one()
        assert shift.starts_at == datetime(2026, 11, 23, 0, 0, tzinfo=UTC)
        called = roster.for_job(session, Where(shift.team_id, "新星小区", "1"), shift.starts_at)
        assert [(one.member.name, one.why) for one in called] == [("甲", "值班"), ("乙", "主管")]
        called = roster.for_job(session, Where(shift.team_id, "新星小区", None), shift.starts_at)
        assert [one.why for one in called] == ["责任人", "主管"]


@pytest.mark.parametrize(
    ("table", "text", "says"),
    [
        ("members", "id,name,role\nM1,甲,king\n", "members.csv line 2: role king is none of"),
        ("members", "id,name,phone\nM1,甲,call me\n", "members.csv line 2: phone is no telephone number."),
        ("companies", "id,name,phone_checked\nCO1,邻城热力,someday\n", "phone_checked someday is no date"),
        ("responsible", "community_id,worker\nC1,M9\n", "worker M9 is not in members.csv"),
        ("responsible", "community_id,building,worker\nC1,77,M1\n", "building 77 of C1 is not in buildings.csv"),
        ("shifts", "member,starts,ends\nM1,2026-11-23 20:00,2026-11-23 08:00\n", "ends is not after starts"),
        ("shifts", "member,starts,ends\nM1,today,2026-11-23 08:00\n", "starts today is no time"),
    ],
)
def test_a_wrong_row_of_people_changes_nothing(
    database: Database, tmp_path: Path, table: str, text: str, says: str
) -> None:
    with pytest.raises(ImportRefused) as refused:
        bring(database, folder_of(tmp_path, **{**PEOPLE, table: text}))
    assert any(says in error for error in refused.value.errors), refused.value.errors
    with database.reading() as session:
        assert session.scalar(select(func.count()).select_from(Member)) == 0


def workbook_of(tmp_path: Path, sheets: dict[str, list[list[object]]]) -> Path:
    """A workbook as an office program saves it."""
    book = Workbook()
    book.remove(book.worksheets[0])
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    path = tmp_path / "places.xlsx"
    book.save(path)
    return path


def test_a_workbook_with_chinese_headings_is_the_same_as_csv_files(database: Database, tmp_path: Path) -> None:
    sheets: dict[str, list[list[object]]] = {
        "班组": [["编号", "名称"], ["T1", "一班"]],
        "小区": [["编号", "名称", "别名", "班组"], ["C1", "新星小区", "新星|星星园", "T1"]],
        "楼栋": [["小区", "楼号", "单元", "层数"], ["C1", 3.0, "1|2", 6]],
        "人员": [["编号", "姓名", "岗位", "电话"], ["M1", "甲", "维修工", 14000000201]],
        "值班": [
            ["人员", "开始", "结束"],
            ["M1", datetime.fromisoformat("2026-11-23 08:00"), datetime.fromisoformat("2026-11-23 20:00")],
        ],
    }
    counted = bring(database, workbook_of(tmp_path, sheets))
    assert counted == {"teams": 1, "communities": 1, "buildings": 1, "members": 1, "shifts": 1}
    with database.reading() as session:
        building = session.scalars(
            select(Building).join(Community, Community.id == Building.community_id).where(Community.code == "C1")
        ).one()
        assert (building.number, building.units, building.floors) == ("3", ["1", "2"], 6)
        assert session.scalars(select(Member.phone)).one() == "+8614000000201"


def test_a_wrong_row_of_a_workbook_is_named_by_its_row(database: Database, tmp_path: Path) -> None:
    path = workbook_of(tmp_path, {"班组": [["编号", "名称"], ["T1", "一班"], [None, None], ["T2", None]]})
    with pytest.raises(ImportRefused) as refused:
        bring(database, path)
    assert refused.value.errors == ["teams.csv line 4: name is empty."]


@pytest.mark.parametrize("content", [b"", b"not a workbook", b"PK\x03\x04 broken"])
def test_what_is_no_workbook_is_refused_in_a_sentence(database: Database, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "places.xlsx"
    path.write_bytes(content)
    with pytest.raises(ImportRefused) as refused:
        bring(database, path)
    assert "cannot be read" in refused.value.errors[0]


def test_the_places_of_the_demonstration_have_no_wrong_row(database: Database) -> None:
    assert bring(database, DATA / "demo" / "places")["companies"] == 3
