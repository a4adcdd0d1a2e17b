"""/desk/jobs: what was offered to whom and is not taken yet, by building; and taking it at the desk."""

from __future__ import annotations

from collections.abc import Sequence

from flask import abort, flash, url_for
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import dispatch, staff
from bot.desk.pages import blueprint, me, page, permit, services
from bot.duty_models import Job, JobStep, JobTicket, Member
from bot.models import Staff, Ticket
from bot.texts import address_line

MAX_SHOWN = 200


@blueprint.get("/jobs")
def jobs() -> str:
    """Jobs with tickets that nobody has taken: those that everybody was asked about first, then the oldest."""
    permit(staff.SEE)
    with services().database.reading() as session:
        waiting = _waiting(session)
        query = select(Job).where(Job.id.in_(waiting), *_mine()).order_by(Job.state != "unanswered", Job.opened_at)
        rows = session.scalars(query.limit(MAX_SHOWN)).all()
        return page(session, "jobs.html", jobs=rows, tickets=waiting, asked=_asked(session, rows), address=address_line)


def _mine() -> list[ColumnElement[bool]]:
    return [] if staff.sees_all(me()) else [Job.team_id == (me().team_id or 0)]


def _waiting(session: Session) -> dict[int, list[Ticket]]:
    """The tickets of open jobs that wait to be taken, by job."""
    query = (
        select(JobTicket.job_id, Ticket)
        .join(Ticket, Ticket.id == JobTicket.ticket_id)
        .join(Job, Job.id == JobTicket.job_id)
        .where(Job.closed_at.is_(None), JobTicket.left_at.is_(None), Ticket.status == "dispatched")
        .order_by(Ticket.priority, Ticket.id)
        .limit(MAX_SHOWN * 10)
    )
    found: dict[int, list[Ticket]] = {}
    for job_id, ticket in session.execute(query):
        found.setdefault(job_id, []).append(ticket)
    return found


def _asked(session: Session, rows: Sequence[Job]) -> dict[int, list[tuple[JobStep, str]]]:
    """Who was asked, the last first."""
    ids = [job.id for job in rows]
    query = select(JobStep, Member.name).join(Member, Member.id == JobStep.member_id).where(JobStep.job_id.in_(ids))
    found: dict[int, list[tuple[JobStep, str]]] = {}
    for step, name in session.execute(query.order_by(JobStep.step.desc())):
        found.setdefault(step.job_id, []).append((step, name))
    return found


@blueprint.post("/jobs/<int:job_id>")
def take_job(job_id: int) -> Response:
    """Take a job in one's own name: its tickets are accepted and their residents told."""
    permit(staff.WORK)
    with services().database.transaction() as session:
        job = session.scalar(select(Job).where(Job.id == job_id, *_mine()).with_for_update(of=Job))
        if job is None:
            abort(404)
        numbers = dispatch.accept(services().context(session), job, staff=session.get_one(Staff, me().id))
    flash(f"已接单：{'、'.join(numbers)}。" if numbers else "刚刚已经有人接了。")
    return redirect(url_for("desk.jobs"))
