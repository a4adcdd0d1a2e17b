"""Filters of the ticket list under a name of their own, for each member of staff."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode

from flask import abort, flash, request, url_for
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import staff
from bot.desk.pages import blueprint, me, permit, services
from bot.desk.search import Filters
from bot.desk_models import SavedFilter
from bot.upsert import put

MOST = 12  # of one account; more could not be found again
MAX_NAME = 24


def mine(session: Session) -> list[tuple[SavedFilter, dict[str, str]]]:
    """This account's saved filters by name, each with its query."""
    rows = session.scalars(select(SavedFilter).where(SavedFilter.staff_id == me().id).order_by(SavedFilter.name))
    return [(row, dict(parse_qsl(row.query))) for row in rows]


@blueprint.post("/filters")
def save_filter() -> Response:
    """Keep the filters of the form under a name; the same name again replaces them."""
    permit(staff.SEE)
    filters, name = Filters.read(request.form), request.form.get("name", "").strip()[:MAX_NAME]
    back: dict[str, Any] = dict(filters.query())
    if not name:
        flash("请给这组筛选起个名字。")
        return redirect(url_for("desk.tickets", **back))
    row = {"staff_id": me().id, "name": name, "query": urlencode(back)}
    with services().database.transaction() as session:
        others = select(func.count()).where(SavedFilter.staff_id == me().id, SavedFilter.name != name)
        full = (session.scalar(others) or 0) >= MOST
        if not full:
            put(session, SavedFilter, row, ["staff_id", "name"])
    flash(f"最多存 {MOST} 组，请先删掉一组。" if full else f"已存为“{name}”。")
    return redirect(url_for("desk.tickets", **back))


@blueprint.post("/filters/<int:filter_id>/delete")
def delete_filter(filter_id: int) -> Response:
    """Forget one of this account's own."""
    permit(staff.SEE)
    own = delete(SavedFilter).where(SavedFilter.id == filter_id, SavedFilter.staff_id == me().id)
    with services().database.transaction() as session:
        if not session.execute(own).rowcount:  # type: ignore[attr-defined]
            abort(404)
    flash("已删掉这组筛选。")
    return redirect(url_for("desk.tickets"))
