"""Filters under names of one's own."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text

from bot.desk import saved_filters
from bot.desk_models import SavedFilter
from bot.models import Staff
from bot.services import Services
from tests.desk.conftest import Desk


@pytest.fixture
def agent(desk: Desk) -> Staff:
    return desk.enter("agent")


def save(desk: Desk, query: str, name: str) -> str:
    return desk.send(f"/desk/?{query}", "/desk/filters", name=name).text


def test_filters_are_kept_under_a_name_and_lead_back_to_the_list(desk: Desk, agent: Staff) -> None:
    page = save(desk, "group=waiting&priority=1", "急件")
    assert "已存为“急件”" in page
    assert 'href="/desk/?group=waiting&amp;priority=1"' in desk.get("/desk/")


def test_the_same_name_again_replaces_the_filters(desk: Desk, agent: Staff, services: Services) -> None:
    save(desk, "priority=1", "我的")
    save(desk, "priority=2", "我的")
    with services.database.reading() as session:
        assert [row.query for row in session.scalars(select(SavedFilter))] == ["priority=2"]


def test_nobody_sees_or_deletes_a_colleagues(desk: Desk, agent: Staff, services: Services) -> None:
    save(desk, "priority=1", "急件")
    page = desk.get("/desk/")
    token = page.split('name="csrf_token" value="')[1].split('"')[0]
    with services.database.reading() as session:
        filter_id = session.scalars(select(SavedFilter.id)).one()
    desk.client.post("/desk/logout", data={"csrf_token": token})
    desk.enter("crew", team="T-eq-1")
    assert "急件" not in desk.get("/desk/")
    token = desk.get("/desk/").split('name="csrf_token" value="')[1].split('"')[0]
    gone = desk.client.post(f"/desk/filters/{filter_id}/delete", data={"csrf_token": token})
    assert gone.status_code == 404


def test_one_s_own_is_deleted(desk: Desk, agent: Staff, services: Services) -> None:
    save(desk, "priority=1", "急件")
    with services.database.reading() as session:
        filter_id = session.scalars(select(SavedFilter.id)).one()
    assert "已删掉" in desk.send("/desk/", f"/desk/filters/{filter_id}/delete").text
    assert "急件" not in desk.get("/desk/")


def test_a_phone_in_a_saved_filter_is_not_readable_in_the_database(
    desk: Desk, agent: Staff, services: Services
) -> None:
    save(desk, "q=13800001234", "老张")
    with services.database.reading() as session:
        raw = session.execute(text("SELECT query FROM saved_filter")).scalar_one()
    assert b"13800001234" not in bytes(raw)


def test_there_is_an_end_to_how_many_are_kept(desk: Desk, agent: Staff, services: Services) -> None:
    for number in range(saved_filters.MOST):
        save(desk, "priority=1", f"第{number}组")
    assert "请先删掉一组" in save(desk, "priority=2", "再一组")
    assert "已存为" in save(desk, "priority=2", "第0组")
