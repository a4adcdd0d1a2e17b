"""/desk/missed: calls that nobody picked up, pasted as a list; each is texted once and stands on the call-back list."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from flask import flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import selectinload
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import callers, clock, missed, staff
from bot.call_models import MissedCall
from bot.desk.pages import blueprint, me, page, permit, services
from bot.missed import Ring
from bot.models import Contact, Delivery, Staff, Ticket

MOST = 500  # lines of one list
SHOWN = 50
FUTURE = timedelta(minutes=5)  # a time that is further ahead than clocks differ was yesterday's, or last year's
_LINE = re.compile(
    r"(?P<number>.+?)"
    r"(?:[\s,，;；]+(?:(?:(?P<year>\d{4})[-/.])?(?P<month>\d{1,2})[-/.](?P<day>\d{1,2})[\sT]+)?"
    r"(?P<hour>\d{1,2})[:：](?P<minute>\d{2})(?:[:：]\d{2})?)?[\s,，;；]*"
)


@blueprint.get("/missed")
def missed_list() -> str:
    """The form, and the calls that came last."""
    permit(staff.CALL)
    return _show("")


@blueprint.post("/missed")
def note_missed() -> Response | tuple[str, int]:
    """Keep what can be read; what cannot stays in the form."""
    permit(staff.CALL)
    lines = [line.strip() for line in request.form.get("calls", "").splitlines() if line.strip()]
    now, zone = clock.now(), services().settings.zone
    read = {line: ring_in(line, now, zone) for line in lines[:MOST]}
    rings = [ring for ring in read.values() if ring is not None]
    left = [line for line in lines[:MOST] if read[line] is None] + lines[MOST:]
    if rings:
        with services().database.transaction() as session:
            noted = missed.note(services().context(session), rings, "desk", me().id)
        flash(f"记下 {noted.new} 个未接来电，发短信 {noted.texted} 个；{noted.known} 个以前记过。")
    if left or not rings:
        return _show("\n".join(left), f"有 {len(left)} 行没记下，请改好再提交。" if left else "请至少写一个号码。"), 422
    return redirect(url_for("desk.missed_list"))


def ring_in(line: str, now: datetime, zone: ZoneInfo) -> Ring | None:
    """A line of the list: a number, and a time where there is one (18:30, 11-23 18:30, 2026-11-23 18:30:05).

    Without a time they rang just now, and the number counts once a day. None for a line that cannot be read.
    """
    found = _LINE.fullmatch(line)
    called = callers.number_in(found["number"]) if found else None
    if found is None or called is None:
        return None
    if found["hour"] is None:
        return Ring(called, now, missed.digest(called, f"{now.astimezone(zone):%Y%m%d}"))
    at = _moment(found, now.astimezone(zone))
    return Ring(called, at, missed.digest(called, at.isoformat())) if at is not None else None


def _moment(found: re.Match[str], local: datetime) -> datetime | None:
    """The moment that a line names, to the minute; what would lie ahead was the day or the year before."""
    yesterday = local - timedelta(days=1)
    days = [(local.year, local.month, local.day), (yesterday.year, yesterday.month, yesterday.day)]
    if found["month"] is not None:
        years = [int(found["year"])] if found["year"] else [local.year, local.year - 1]
        days = [(year, int(found["month"]), int(found["day"])) for year in years]
    for year, month, day in days:
        try:
            at = datetime(year, month, day, int(found["hour"]), int(found["minute"]), tzinfo=local.tzinfo)
        except ValueError:
            continue
        if at <= local + FUTURE:
            return at
    return None


def _show(draft: str, problem: str | None = None) -> str:
    with services().database.reading() as session:
        query = (
            select(MissedCall, Contact, Delivery, Ticket, Staff.name)
            .join(Contact, Contact.id == MissedCall.contact_id)
            .outerjoin(Delivery, Delivery.id == MissedCall.delivery_id)
            .outerjoin(Ticket, Ticket.id == MissedCall.ticket_id)
            .outerjoin(Staff, Staff.id == MissedCall.noted_by)
            .options(selectinload(Contact.resident))
            .order_by(MissedCall.id.desc())
            .limit(SHOWN)
        )
        return page(session, "missed.html", rows=session.execute(query).all(), draft=draft, problem=problem)
