"""What every page of the crew shares: the guard, whose phone is asking, what it may see, and the words of a page."""

from __future__ import annotations

import secrets
from typing import Any

from flask import Blueprint, Response, g, jsonify, redirect, render_template, request, session, url_for
from flask_wtf.csrf import CSRFError
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.orm import Session
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from bot import clock, devices
from bot.crew.photos import MOST_BYTES
from bot.desk import words
from bot.desk.access import csrf
from bot.desk.pages import services
from bot.devices import Phone
from bot.duty_models import Job, JobStep, JobTicket
from bot.models import Ticket

blueprint = Blueprint("crew", __name__, url_prefix="/crew", template_folder="templates")

COOKIE = "heatline_device"
OPEN_ENDPOINTS = frozenset({"crew.enrol", "crew.do_enrol", "crew.strange", "crew.offline", "crew.service_worker"})
MINE = ("accepted", "on_site", "waiting")  # the states of a ticket that somebody has taken and not finished


def phone() -> Phone:
    """The phone that is asking; the guard has made sure that it is enrolled."""
    found: Phone = g.phone
    return found


@blueprint.before_request
def guard() -> BaseResponse | tuple[Response, int] | None:
    """Every page needs an enrolled phone, and every change a form of ours. Large bodies are read of known phones only."""
    g.renew = None
    g.phone = _recognise()
    if g.phone is None and request.endpoint not in OPEN_ENDPOINTS:
        return _stranger()
    if g.phone is not None:
        session.permanent = True
        request.max_content_length = MOST_BYTES + 64 * 1024
    csrf.protect()
    return None


def _recognise() -> Phone | None:
    token, now = request.cookies.get(COOKIE, ""), clock.now()
    if not 20 <= len(token) <= 64:
        return None
    with services().database.reading() as db:
        device = devices.known(db, token, now)
        if device is None:
            return None
        found = Phone(device.id, device.member_id, device.member.name, device.member.team_id)
        used_at = device.used_at
    if now - used_at >= devices.NOTED_EVERY:
        with services().database.transaction() as db:
            devices.note_use(db, found.device_id, now)
        g.renew = token
    return found


def _stranger() -> BaseResponse | tuple[Response, int]:
    if asks_for_json():
        return jsonify(problem="这台手机没有登记，请找调度员。", strange=True), 401
    return redirect(url_for("crew.strange"))


@blueprint.after_request
def keep_private(response: Response) -> Response:
    """Nothing of these pages is kept by a cache; the cookie of a phone in use is made to last."""
    response.headers["Cache-Control"] = "no-store"
    response.headers["Referrer-Policy"] = "same-origin"
    if token := g.get("renew"):
        remember(response, token)
    return response


def remember(response: BaseResponse, token: str) -> None:
    """Give the phone its cookie, for as long as it may lie idle."""
    response.set_cookie(
        COOKIE,
        token,
        max_age=int(devices.IDLE_LASTS.total_seconds()),
        path="/crew",
        secure=services().settings.base_url.startswith("https://"),
        httponly=True,
        samesite="Lax",
    )


def asks_for_json() -> bool:
    """Whether a script of ours sent this; a browser by itself wants a page."""
    return request.accept_mimetypes.best == "application/json"


def my_own() -> list[ColumnElement[bool]]:
    """The condition of the tickets that this member has taken and not finished."""
    return [Ticket.member_id == phone().member_id, Ticket.status.in_(MINE)]


def to_take() -> list[ColumnElement[bool]]:
    """The condition of the tickets that wait to be taken: the team's, and those that this member was asked about."""
    asked = (
        select(JobTicket.ticket_id)
        .join(Job, Job.id == JobTicket.job_id)
        .join(JobStep, JobStep.job_id == Job.id)
        .where(Job.closed_at.is_(None), JobTicket.left_at.is_(None), JobStep.round == Job.round)
        .where(JobStep.member_id == phone().member_id)
    )
    return [Ticket.status == "dispatched", or_(Ticket.team_id == (phone().team_id or 0), Ticket.id.in_(asked))]


def is_mine(ticket: Ticket) -> bool:
    """Whether this member has the ticket; only then is the resident's phone shown."""
    return ticket.member_id == phone().member_id and ticket.status in MINE


def find(db: Session, number: str, *, lock: bool = False) -> Ticket | None:
    """The ticket of a number, where it is this member's or waits to be taken by them."""
    query = select(Ticket).where(Ticket.number == number, or_(and_(*my_own()), and_(*to_take())))
    return db.scalar(query.with_for_update(of=Ticket) if lock else query)


def page(template: str, **values: Any) -> str:
    """A page inside its frame."""
    return render_template(f"crew/{template}", **values)


@blueprint.context_processor
def _helpers() -> dict[str, Any]:
    now, zone = clock.now(), services().settings.zone
    book = services().rules.current()
    return {
        "words": words,
        "now": now,
        "company": services().settings.company,
        "time": lambda moment: words.tell_time(moment, zone, now),
        "status_name": lambda status: book.status_names.get(status, status),
        "intent_name": words.intent_name,
        "buttons": book.raw["crew"]["buttons"],
        "phone": g.get("phone"),
        "new_key": lambda: secrets.token_hex(16),
    }


REFUSALS = {
    400: ("没有提交成功", "页面可能开得太久了。请返回，刷新后再提交。"),
    404: ("没有找到", "这张单子不在您名下，可能已改派或办结。"),
    405: ("不能这样打开", "请从页面上的按钮操作。"),
    413: ("照片太大", "请换一张小一点的照片。"),
    429: ("试的次数太多了", "请 15 分钟后再试。"),
}


@blueprint.errorhandler(HTTPException)
def refuse(error: HTTPException) -> tuple[str | Response, int] | HTTPException:
    """A refusal in plain words, for people and for the script."""
    code = 400 if isinstance(error, CSRFError) else error.code or 500
    if code not in REFUSALS:
        return error
    title, advice = REFUSALS[code]
    if asks_for_json():
        return jsonify(problem=f"{title}。{advice}", again=code == 400), code
    return page("refused.html", title=title, advice=advice), code
