"""/desk/alerts: dangers that nobody has acknowledged yet, who was told of each and when; and who took the last ones."""

from __future__ import annotations

from flask import Response, abort, flash, jsonify, url_for
from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session
from werkzeug.utils import redirect
from werkzeug.wrappers import Response as BaseResponse

from bot import alerts, staff
from bot.desk.pages import blueprint, me, page, permit, services, unanswered_alerts, within_reach
from bot.duty_models import Alert, AlertStep, Member
from bot.models import Contact, Staff, Ticket
from bot.paging import phone_of, whole_address

MAX_OPEN, MAX_TAKEN = 100, 20


@blueprint.get("/alerts")
def open_alerts() -> str:
    """The open ones, the oldest first, and the last that were acknowledged."""
    permit(staff.SEE)
    with services().database.reading() as session:
        columns = (
            select(Alert, Ticket, Contact, Staff.name, Member.name)
            .join(Contact, Contact.id == Alert.contact_id)
            .outerjoin(Ticket, Ticket.id == Alert.ticket_id)
            .outerjoin(Staff, Staff.id == Alert.acknowledged_by)
            .outerjoin(Member, Member.id == Alert.acknowledged_member_id)
            .where(*_reach())
        )
        waiting = columns.where(Alert.acknowledged_at.is_(None)).order_by(Alert.opened_at).limit(MAX_OPEN)
        taken = columns.where(Alert.acknowledged_at.is_not(None)).order_by(Alert.acknowledged_at.desc())
        rows = session.execute(waiting).all()
        return page(
            session,
            "alerts.html",
            waiting=rows,
            taken=session.execute(taken.limit(MAX_TAKEN)).all(),
            steps=_steps(session, [row[0].id for row in rows]),
            names=services().rules.current().raw["alerts"]["names"],
            address=whole_address,
            phone=phone_of,
        )


def _reach() -> list[ColumnElement[bool]]:
    """A crew sees what concerns its own team, and what nobody knows the place of yet."""
    mine = within_reach()
    return [Alert.ticket_id.is_(None) | mine[0]] if mine else []


def _steps(session: Session, ids: list[int]) -> dict[int, list[AlertStep]]:
    found: dict[int, list[AlertStep]] = {}
    query = select(AlertStep).where(AlertStep.alert_id.in_(ids)).order_by(AlertStep.id.desc())
    for step in session.scalars(query):
        found.setdefault(step.alert_id, []).append(step)
    return found


@blueprint.get("/alerts/open.json")
def alerts_open() -> Response:
    """How many are open, for the page's bell."""
    permit(staff.SEE)
    with services().database.reading() as session:
        return jsonify(open=session.scalar(select(func.count()).select_from(unanswered_alerts().subquery())) or 0)


@blueprint.post("/alerts/<int:alert_id>")
def acknowledge_alert(alert_id: int) -> BaseResponse:
    """Whoever presses has it; nobody else is called."""
    permit(staff.WORK)
    with services().database.transaction() as session:
        query = select(Alert).outerjoin(Ticket, Ticket.id == Alert.ticket_id)
        found = session.scalar(query.where(Alert.id == alert_id, *_reach()).with_for_update(of=Alert))
        if found is None:
            abort(404)
        fresh = alerts.acknowledge(services().context(session), found, staff=session.get_one(Staff, me().id))
    flash("已确认，由您负责。请马上联系住户。" if fresh else "刚刚已经有人确认了。")
    return redirect(url_for("desk.open_alerts"))
