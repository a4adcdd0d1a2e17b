"""What a crew does from the phone. Every form carries a key of its own: however often it comes, it is done once."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from flask import flash, jsonify, request, url_for
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import devices, dispatch, readings, tickets
from bot.change import Actor, Context, add_update
from bot.crew import photos
from bot.crew.jobs import open_steps, show
from bot.crew.pages import asks_for_json, blueprint, find, is_mine, phone, to_take
from bot.desk.pages import services
from bot.duty_models import Member
from bot.models import Ticket

MAX_NOTE = 500  # characters
LONGEST_WAY = timedelta(hours=24)  # a form that was longer under way is dated when it comes
TOLD_LATE = timedelta(minutes=2)  # from when on the history says that a form was under way
REPEATED = "这一步已经收到过了，没有重复办。"
_KEY = re.compile(r"[0-9a-f-]{16,40}")

Act = Callable[[Context, Ticket, Actor], None]
Result = Response | tuple[Response | str, int]


class FormError(Exception):
    """Something in the form is missing or wrong; the message is for the person who filled it in."""


def _carry_out(number: str, act: Act, done: str) -> Result:
    """Do one thing to one ticket in one transaction, unless this form has been carried out before."""
    try:
        with services().database.transaction() as session:
            context = services().context(session)
            if not devices.is_first(session, phone().device_id, _key(), context.now):
                return _done(session, number, REPEATED)
            ticket = find(session, number, lock=True)
            if ticket is None:
                raise FormError("这张单子不在您名下了，可能已改派或办结。")
            _act(context, ticket, act)
            session.flush()
            return _done(session, number, done)
    except (FormError, tickets.MoveRefused, readings.BadReading, photos.BadPhoto) as error:
        return _refused(number, str(error), 422)
    except (StaleDataError, IntegrityError):
        return _refused(number, "这张单子刚刚有变化，请看一下再办一次。", 409)


def _act(context: Context, ticket: Ticket, act: Act) -> None:
    """Do it as of the moment it was done on site: a network that is away makes nobody late."""
    actor, at = Actor("staff", member_id=phone().member_id), _done_at(context.now, ticket.status_at)
    act(replace(context, now=at), ticket, actor)
    if context.now - at >= TOLD_LATE:
        hour = at.astimezone(context.zone).strftime("%H:%M")
        tickets.add_note(context, ticket, f"当时没有网络，{hour} 在手机上记下，现在送到", actor)


def _done_at(now: datetime, not_before: datetime) -> datetime:
    """When it was done: `age` is for how many seconds the phone has kept the form. Never before the last move."""
    given = request.form.get("age", "")
    way = timedelta(seconds=int(given)) if re.fullmatch(r"\d{1,6}", given) else timedelta()
    return max(now - way, min(not_before, now)) if way <= LONGEST_WAY else now


def _key() -> str:
    key = request.form.get("key", "")
    if not _KEY.fullmatch(key):
        raise FormError("这一页太旧了，请刷新后再提交。")
    return key


def _done(session: Session, number: str, said: str) -> Result:
    """Back to the job while it is still this member's, else to the list."""
    ticket = find(session, number)
    following = url_for("crew.job", number=number) if ticket is not None and is_mine(ticket) else url_for("crew.jobs")
    if asks_for_json():
        return jsonify(done=said, next=following)
    flash(said)
    return redirect(following)


def _refused(number: str, said: str, status: int) -> Result:
    if asks_for_json():
        return jsonify(problem=said), status
    with services().database.reading() as session:
        reachable = find(session, number) is not None
    if reachable:
        return show(number, said, request.form), status
    flash(said)
    return redirect(url_for("crew.jobs"))


def _field(name: str, longest: int, label: str) -> str | None:
    value = request.form.get(name, "").strip()
    if len(value) > longest:
        raise FormError(f"{label}太长了，最多 {longest} 个字。")
    return value or None


@blueprint.post("/jobs/<number>/move")
def move_job(number: str) -> Result:
    """接单, 到了, 等……, 没人在家, 处理好了, 退回: one move of the table."""

    def act(context: Context, ticket: Ticket, actor: Actor) -> None:
        wanted = request.form.get("to", "")
        step = next((step for step in open_steps(context.book, ticket) if step.key == wanted), None)
        if step is None:
            raise FormError("这张单子现在不能这样办，请看看它的最新情况。")
        note = _field("note", MAX_NOTE, "说明")
        if step.why and not note:
            raise FormError("请写一句原因。")
        if step.key == "accept":
            dispatch.take(context, ticket, _me(context.session))
        else:
            tickets.move(context, ticket, step.key, actor, note=note)

    return _carry_out(number, act, "办好了。")


def _me(session: Session) -> Member:
    return session.get_one(Member, phone().member_id)


@blueprint.post("/jobs/<number>/reading")
def measure(number: str) -> Result:
    """The temperature of a room, with a photo of the instrument where there is one."""

    def act(context: Context, ticket: Ticket, actor: Actor) -> None:
        _only_own(ticket)
        typed = (_field("value", 8, "室温") or "").rstrip("℃度").strip()
        if not re.fullmatch(r"-?\d{1,2}(\.\d{1,2})?", typed):
            raise FormError("室温要填数字，比如 17.5。")
        photo = photos.read(request.files.get("photo"))
        room, instrument = _field("where", 16, "房间"), _field("instrument", 32, "仪器编号")
        line = readings.measured(context, ticket, float(typed), room, actor, instrument)
        if photo is not None:
            photos.keep(context, ticket, line, photo)

    return _carry_out(number, act, "室温记下了。")


@blueprint.post("/jobs/<number>/note")
def note_job(number: str) -> Result:
    """A remark for colleagues, or a photo, or both."""

    def act(context: Context, ticket: Ticket, actor: Actor) -> None:
        _only_own(ticket)
        photo, note = photos.read(request.files.get("photo")), _field("note", MAX_NOTE, "备注")
        if photo is None and note is None:
            raise FormError("请写一句，或者拍一张照片。")
        line = add_update(context, ticket, actor, "note", note=note or "现场照片")
        if photo is not None:
            photos.keep(context, ticket, line, photo)

    return _carry_out(number, act, "记下了，住户看不到。")


def _only_own(ticket: Ticket) -> None:
    if not is_mine(ticket):
        raise FormError("请先接单。")


@blueprint.post("/take")
def take_building() -> Result:
    """Take the tickets of one building that were shown; those that somebody else has taken meanwhile stay theirs."""
    numbers = request.form.getlist("number")[:100]
    try:
        with services().database.transaction() as session:
            context = services().context(session)
            if not devices.is_first(session, phone().device_id, _key(), context.now):
                return _done(session, "", REPEATED)
            query = select(Ticket).where(Ticket.number.in_(numbers), *to_take()).order_by(Ticket.id)
            taken = session.scalars(query.with_for_update(of=Ticket)).all()
            for ticket in taken:
                dispatch.take(context, ticket, _me(session))
            session.flush()
            said = f"接了 {len(taken)} 张单。" if taken else "刚刚已经有人接了。"
            return _done(session, "", said)
    except (FormError, tickets.MoveRefused) as error:
        return _refused("", str(error), 422)
    except (StaleDataError, IntegrityError):
        return _refused("", "刚刚有变化，请再试一次。", 409)
