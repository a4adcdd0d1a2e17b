"""What every page of the desk shares: the blueprint, who is asking, and the frame around a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from flask import Blueprint, abort, current_app, render_template, request
from flask_login import current_user
from sqlalchemy import ColumnElement, func, literal_column, select
from sqlalchemy.orm import Session
from sqlalchemy.sql import Select

from bot import clock, staff
from bot.desk import words
from bot.duty_models import Alert
from bot.models import Callback, Delivery, Review, Staff, Ticket

if TYPE_CHECKING:
    from bot.services import Services

blueprint = Blueprint("desk", __name__, url_prefix="/desk", template_folder="templates")

TROUBLED = ("failed", "unknown", "held")
# Written out rather than bound, so that both engines see that an index over just these rows may be used.
troubled = Delivery.state.in_([literal_column(f"'{state}'") for state in TROUBLED])
COUNT_LIMIT = 99  # beyond this a badge says 99+


def services() -> Services:
    """The services of this process."""
    found: Services = current_app.extensions["heatline"]
    return found


def me() -> Staff:
    """Who is asking; the guard has made sure that somebody is."""
    account: Staff = current_user.staff
    return account


def permit(permission: str) -> None:
    """Answer 403 unless this account's role has the permission."""
    if not staff.may(me(), permission):
        abort(403)


def within_reach() -> list[ColumnElement[bool]]:
    """The condition that keeps a crew to its own team's tickets; empty for everybody else."""
    return [] if staff.sees_all(me()) else [Ticket.team_id == (me().team_id or 0)]


def page(session: Session, template: str, **values: Any) -> str:
    """A page inside its frame, with the counts beside the menu."""
    return render_template(f"desk/{template}", badges=_badges(session), **values)


def _badges(session: Session) -> dict[str, str]:
    """What waits behind each menu entry that this account may open; "" where nothing does."""
    waiting = {
        staff.REVIEW: select(Review.id).where(Review.decided_at.is_(None), Review.reason != "voice"),
        staff.CALL: select(Callback.id).where(Callback.done_at.is_(None)),
        staff.DELIVER: select(Delivery.id).where(troubled),
    }
    badges = {name: _capped(session, query) for name, query in waiting.items() if staff.may(me(), name)}
    if staff.may(me(), staff.CALL):
        unheard = select(Review.id).where(Review.decided_at.is_(None), Review.reason == "voice")
        badges["listen"] = _capped(session, unheard)
    return {**badges, "alerts": _capped(session, unanswered_alerts().with_only_columns(Alert.id))}


def unanswered_alerts() -> Select[Any]:
    """The alerts within the asker's reach that nobody has acknowledged; a crew's are its team's and those without a place."""
    mine = within_reach()
    reach = [Alert.ticket_id.is_(None) | mine[0]] if mine else []
    query = select(Alert).outerjoin(Ticket, Ticket.id == Alert.ticket_id)
    return query.where(Alert.acknowledged_at.is_(None), *reach)


def _capped(session: Session, query: Select[Any]) -> str:
    limited = query.limit(COUNT_LIMIT + 1).subquery()
    count = session.scalar(select(func.count()).select_from(limited)) or 0
    return f"{COUNT_LIMIT}+" if count > COUNT_LIMIT else str(count or "")


def hurries(ticket: Ticket) -> bool:
    """Whether a ticket must stand out: urgent, and nobody has made it safe yet."""
    return ticket.urgent and ticket.status not in ("done", "confirming", "closed", "cancelled", "merged")


def page_number() -> int:
    """The page that the query string asks for, from 1."""
    asked = request.args.get("page", "1")
    return min(max(int(asked), 1), 100_000) if asked.isascii() and asked.isdigit() and len(asked) < 7 else 1


@blueprint.context_processor
def _helpers() -> dict[str, Any]:
    """The functions that templates call."""
    now, zone = clock.now(), services().settings.zone
    book = services().rules.current()
    return {
        "words": words,
        "now": now,
        "company": services().settings.company,
        "time": lambda moment: words.tell_time(moment, zone, now),
        "age": lambda moment: words.tell_span((now - moment).total_seconds()),
        "status_name": lambda status: book.status_names.get(status, status),
        "intent_name": words.intent_name,
        "hurries": hurries,
        "may": lambda permission: current_user.is_authenticated and staff.may(me(), permission),
        "user": me() if current_user.is_authenticated else None,
    }
