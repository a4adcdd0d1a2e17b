"""/desk/audit: who saw which personal data and who changed what; written with every page and form of the desk.

A page is recorded unless it is known to show nobody's data, so that a new page cannot be forgotten. What cannot be
recorded is not shown: an error here is an error of the page. The record itself names no resident.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from flask import Response, g, request
from flask_login import current_user
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import clock, crypto, staff
from bot.desk.pages import blueprint, page, page_number, permit, services
from bot.desk_models import Audit
from bot.models import Staff

SAME_VIEW = timedelta(minutes=5)  # the same page again within this is the same look at it (pages renew themselves)
LOOKED_BACK = 60  # the account's last lines that are searched for that
PAGE_SIZE = 100
_NUMBER = re.compile(r"N\d{8}-\d{4,6}", re.ASCII)
# Pages that show nobody's data, and what pages ask of themselves.
QUIET = frozenset(
    {
        "login",
        "live",
        "note_writing",
        "alerts_open",
        "moves",
        "health_page",
        "learning_page",
        "learning_progress",
    }
)


@blueprint.before_request
def remember_who() -> None:
    """Who is asking, also for the request that logs them out."""
    g.asker = current_user.staff.id if current_user.is_authenticated else None


@blueprint.after_request
def record(response: Response) -> Response:
    """Add one line for a page that was shown or a form that was taken."""
    name = (request.endpoint or "").removeprefix("desk.")
    asker = current_user.staff.id if current_user.is_authenticated else g.get("asker")
    shown = request.method == "GET" and response.status_code == 200
    if asker is None or name in QUIET or not (shown or request.method == "POST"):
        return response
    line = {"staff_id": asker, "kind": "viewed" if shown else "changed", "page": name[:32], "subject": _subject()}
    with services().database.reading() as session:
        if shown and _just_seen(session, line):
            return response
    with services().database.transaction() as session:
        session.add(Audit(at=clock.now(), status=response.status_code, **line))
    return response


def _subject() -> str:
    """The number of the ticket or of the other thing; of a search a keyed mark, which tells searches apart and nothing else."""
    if _NUMBER.fullmatch(ticket := request.form.get("ticket", "")):
        return ticket  # a conversation that was led from a ticket's page
    given = [str(value) for value in (request.view_args or {}).values()]
    if given:
        return given[0][:40]
    q = request.args.get("q", "").strip()
    return f"查找 {crypto.blind_index('audit', q)[:8]}" if q else ""


def _just_seen(session: Session, line: dict[str, Any]) -> bool:
    last = select(Audit).where(Audit.staff_id == line["staff_id"]).order_by(Audit.id.desc()).limit(LOOKED_BACK)
    since = clock.now() - SAME_VIEW
    same = ("kind", "page", "subject")
    return any(
        row.at > since and all(getattr(row, name) == line[name] for name in same) for row in session.scalars(last)
    )


@blueprint.get("/audit")
def audit_page() -> str:
    """The lines, newest first; of one account or one ticket where that is asked for."""
    permit(staff.AUDIT)
    who, subject, number = request.args.get("who", ""), request.args.get("subject", "").strip()[:40], page_number()
    query = select(Audit, Staff.name).join(Staff, Staff.id == Audit.staff_id)
    if who.isascii() and who.isdecimal() and len(who) < 10:
        query = query.where(Audit.staff_id == int(who))
    if subject:
        query = query.where(Audit.subject == subject.upper() if subject[:1] in "nN" else Audit.subject == subject)
    with services().database.reading() as session:
        found = query.order_by(Audit.id.desc()).limit(PAGE_SIZE + 1).offset((number - 1) * PAGE_SIZE)
        rows = session.execute(found).all()
        return page(
            session,
            "audit.html",
            rows=rows[:PAGE_SIZE],
            more=len(rows) > PAGE_SIZE,
            page=number,
            who=who,
            subject=subject,
            accounts=session.scalars(select(Staff).order_by(Staff.name)).all(),
        )
