"""/desk/roster: who is on duty when; rows are added one by one, copied from the week before, or pasted as CSV."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta

from flask import Response, abort, flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.utils import redirect
from werkzeug.wrappers import Response as BaseResponse

from bot import clock, staff
from bot.desk.pages import blueprint, page, permit, services
from bot.duty_models import Member, Shift
from bot.gazetteer_import import ImportRefused, import_rows, moment, parse_csv
from bot.models import Team
from bot.upsert import insert_ignoring

DAYS = 14
WEEK = timedelta(days=7)
HEAD = "member,team,starts,ends,rank"


@blueprint.get("/roster")
def roster() -> str:
    """Two weeks of shifts, from the day that was asked for."""
    permit(staff.SEE)
    return _show()


def _show(errors: list[str] | None = None, pasted: str = "") -> str:
    first = _day()
    with services().database.reading() as session:
        members = session.scalars(select(Member).where(Member.active).order_by(Member.name)).all()
        return page(
            session,
            "roster.html",
            shifts=_shifts(session, first, first + timedelta(days=DAYS)),
            members=members,
            teams=session.scalars(select(Team).order_by(Team.name)).all(),
            team_names={team.id: team.name for team in session.scalars(select(Team))},
            first=first,
            errors=errors or [],
            pasted=pasted,
            zone=services().settings.zone,
            on_duty=_shifts_at(session, clock.now()),
        )


def _day() -> date:
    """The day that the page begins with: the one asked for, else today."""
    try:
        return date.fromisoformat(request.values.get("from", ""))
    except ValueError:
        return clock.local_day(clock.now(), services().settings.zone)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, services().settings.zone)


def _shifts(session: Session, first: date, end: date) -> list[Shift]:
    query = select(Shift).where(Shift.starts_at < _midnight(end), Shift.ends_at > _midnight(first))
    return list(session.scalars(query.order_by(Shift.starts_at, Shift.team_id, Shift.line, Shift.id).limit(2000)))


def _shifts_at(session: Session, now: datetime) -> list[Shift]:
    query = select(Shift).where(Shift.starts_at <= now, Shift.ends_at > now)
    return list(session.scalars(query.order_by(Shift.team_id, Shift.line, Shift.id)))


@blueprint.post("/roster")
def add_shift() -> BaseResponse:
    """One more shift."""
    permit(staff.PEOPLE)
    zone = services().settings.zone
    try:
        starts, ends = (moment(request.form.get(name, ""), zone) for name in ("starts", "ends"))
    except ValueError:
        flash("请填写开始和结束的日期和时间。")
        return redirect(_back())
    if ends <= starts:
        flash("结束要晚于开始。")
        return redirect(_back())
    row = {"starts_at": starts, "ends_at": ends, "line": _number("line") or 1, "team_id": _number("team")}
    with services().database.transaction() as session:
        member = session.get(Member, _number("member") or 0)
        if member is None:
            abort(404)
        fresh = insert_ignoring(session, Shift, [{**row, "member_id": member.id}], ["member_id", "starts_at"])
    flash("已排班。" if fresh else "这个人同一时间已经排过班了。")
    return redirect(_back())


def _number(name: str) -> int | None:
    given = request.form.get(name, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 10 else None


def _back() -> str:
    return f"{url_for('desk.roster')}?from={_day()}"


@blueprint.post("/roster/<int:shift_id>/delete")
def delete_shift(shift_id: int) -> BaseResponse:
    """Take a shift out of the roster."""
    permit(staff.PEOPLE)
    with services().database.transaction() as session:
        shift = session.get(Shift, shift_id)
        if shift is not None:
            session.delete(shift)
    flash("已删除。")
    return redirect(_back())


@blueprint.post("/roster/copy")
def copy_week() -> BaseResponse:
    """The week that begins with the page's first day, once more a week later; shifts that are there stay as they are."""
    permit(staff.PEOPLE)
    first = _day()
    with services().database.transaction() as session:
        week = _shifts(session, first, first + WEEK)
        rows = [
            {
                "member_id": shift.member_id,
                "team_id": shift.team_id,
                "starts_at": shift.starts_at + WEEK,
                "ends_at": shift.ends_at + WEEK,
                "line": shift.line,
            }
            for shift in week
            if shift.starts_at >= _midnight(first)
        ]
        count = insert_ignoring(session, Shift, rows, ["member_id", "starts_at"])
    flash(f"已排到下一周：{count} 班。")
    return redirect(f"{url_for('desk.roster')}?from={first + WEEK}")


@blueprint.post("/roster/csv")
def paste_roster() -> str | BaseResponse:
    """Many shifts at once; every row is checked first, and nothing changes where one is wrong."""
    permit(staff.PEOPLE)
    pasted = request.form.get("csv", "")
    try:
        rows = parse_csv(pasted.encode(), "shifts.csv")
        with services().database.transaction() as session:
            import_rows(session, {"shifts": rows})
    except ImportRefused as refused:
        return _show(refused.errors[:50], pasted)
    flash(f"已导入 {len(rows)} 班。")
    return redirect(_back())


@blueprint.get("/roster.csv")
def roster_csv() -> Response:
    """The page's shifts in the form in which they can be pasted."""
    permit(staff.PEOPLE)
    first, zone = _day(), services().settings.zone
    with services().database.reading() as session:
        codes = {team.id: team.code for team in session.scalars(select(Team))}
        lines = [
            ",".join(
                (
                    shift.member.code,
                    codes.get(shift.team_id or 0, ""),
                    f"{shift.starts_at.astimezone(zone):%Y-%m-%d %H:%M}",
                    f"{shift.ends_at.astimezone(zone):%Y-%m-%d %H:%M}",
                    str(shift.line),
                )
            )
            for shift in _shifts(session, first, first + timedelta(days=DAYS))
        ]
    return Response(
        "\ufeff" + "\n".join([HEAD, *lines]) + "\n",
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f"attachment; filename=shifts-{first}.csv"},
    )
