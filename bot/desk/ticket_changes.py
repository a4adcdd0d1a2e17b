"""What staff do to a ticket. Every form carries the version it was made from: a stale one changes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable

from flask import flash, request, url_for
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm.exc import StaleDataError
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import clock, readings, staff, tickets
from bot.clock_models import Escalation
from bot.desk import words
from bot.desk.pages import blueprint, me, permit, services, within_reach
from bot.desk.ticket_page import Problem, reachable, show
from bot.models import Team, Ticket
from bot.tickets import Actor, Context
from handlers.dialogue.types import Address, EditTicket
from nlu.places import parse_address

MAX_NOTE = 500  # characters
STALE = "这张工单刚刚被别人改过，您的修改没有保存。请看过下面的最新情况，再提交一次。"
_PHONE = re.compile(r"\+?\d{7,16}")

Change = Callable[[Context, Ticket, Actor], Ticket]
Result = Response | tuple[str, int]


class FormError(Exception):
    """Something in the form is missing or wrong; the message is for the person who filled it in."""


class Stale(Exception):
    """The ticket has changed since the form was made."""


def _apply(number: str, act: Change, done: str) -> Result:
    """Run one change in one transaction: either it and its history and notices happen, or nothing does."""
    permit(staff.WORK)
    try:
        with services().database.transaction() as session:
            context = services().context(session)
            ticket = reachable(session, number, lock=True)
            if request.form.get("version") != str(ticket.version):
                raise Stale
            standing = act(context, ticket, Actor("staff", staff_id=me().id))
            session.flush()
            answer = standing.number
    except (Stale, StaleDataError, IntegrityError):
        return _refused(number, STALE, 409)
    except (FormError, tickets.MoveRefused, readings.BadReading) as error:
        return _refused(number, str(error), 422)
    # A corrected address or type may turn out to be another open ticket's; the two are one from then on.
    flash(done if answer == number else f"{done}{number} 已并入 {answer}，现在显示的是 {answer}。")
    return redirect(url_for("desk.ticket", number=answer))


def _refused(number: str, message: str, status: int) -> tuple[str, int]:
    return show(number, Problem(message, request.form, status)), status


def _field(name: str, limit: int, label: str) -> str | None:
    value = request.form.get(name, "").strip()
    if len(value) > limit:
        raise FormError(f"{label}太长了，最多 {limit} 个字。")
    return value or None


@blueprint.post("/tickets/<number>/move")
def move_ticket(number: str) -> Result:
    """Change the status; the residents are told where the table of moves says so."""

    def act(context: Context, ticket: Ticket, actor: Actor) -> Ticket:
        to = request.form.get("to", "")
        if to not in {*context.book.status_names, *context.book.table.steps} - {"merged", "merge", "split"}:
            raise FormError("请选一个新状态。")
        step = context.book.table.step(ticket.status, to, actor.kind)
        note = _field("note", MAX_NOTE, "给住户的话") or _field("canned", MAX_NOTE, "常用语")
        if step.why and not note:
            raise FormError(f"“{step.name}”要写一句原因。")
        tickets.move(context, ticket, step.key, actor, note=note, resolution=_resolution(step.to))
        return ticket

    return _apply(number, act, "状态已更新。")


def _resolution(to: str | None) -> str | None:
    if to == "cancelled":
        return "withdrawn"
    chosen = request.form.get("resolution", "")
    return (chosen if chosen in words.RESOLUTIONS else "unconfirmed") if to == "closed" else None


@blueprint.post("/tickets/<number>/split")
def split_ticket(number: str) -> Result:
    """Make a ticket of its own for one of the problems that this one is about besides its first."""

    def act(context: Context, ticket: Ticket, actor: Actor) -> Ticket:
        tickets.split(context, ticket, request.form.get("intent", ""), actor)
        return ticket

    return _apply(number, act, "已拆单，新单的单号在进度里。")


@blueprint.post("/tickets/<number>/reading")
def measure_ticket(number: str) -> Result:
    """Enter what was measured on site."""

    def act(context: Context, ticket: Ticket, actor: Actor) -> Ticket:
        typed = (_field("value", 8, "室温") or "").rstrip("℃度").strip()
        if not re.fullmatch(r"-?\d{1,2}(\.\d{1,2})?", typed):
            raise FormError("室温要填数字，比如 17.5。")
        room, instrument = _field("where", 16, "房间"), _field("instrument", 32, "仪器编号")
        readings.measured(context, ticket, float(typed), room, actor, instrument)
        return ticket

    return _apply(number, act, "测温已记下。")


@blueprint.post("/tickets/<number>/seen")
def see_escalations(number: str) -> Result:
    """Somebody is looking after what was late; the ladder goes on all the same until it is done."""
    permit(staff.WORK)
    with services().database.transaction() as session:
        ticket = reachable(session, number)
        open_ones = update(Escalation).where(
            Escalation.ticket_id == ticket.id, Escalation.seen_at.is_(None), Escalation.settled_at.is_(None)
        )
        session.execute(open_ones.values(seen_at=clock.now(), seen_by=me().id))
        note, actor = "已看到催办", Actor("staff", staff_id=me().id)
        tickets.add_note(services().context(session), ticket, note, actor)
    flash("已记下：您在处理。")
    return redirect(url_for("desk.ticket", number=number))


@blueprint.post("/tickets/<number>/retype")
def retype_ticket(number: str) -> Result:
    """Correct what the ticket is about."""

    def act(context: Context, ticket: Ticket, actor: Actor) -> Ticket:
        intent = request.form.get("intent", "")
        if intent not in context.book.tickets["faults"]:
            raise FormError("请选一个工单类型。")
        return tickets.retype(context, ticket, intent, actor)

    return _apply(number, act, "类型已更正。")


@blueprint.post("/tickets/<number>/facts")
def edit_ticket(number: str) -> Result:
    """Correct the address, the phone to call or the account number."""

    def act(context: Context, ticket: Ticket, actor: Actor) -> Ticket:
        address, phone = _address(), _phone()
        same_phone = phone == ticket.phone or phone is None
        change = EditTicket(
            number=ticket.number,
            address=address if address != _plain_address(ticket) else None,
            phone=None if same_phone else phone,
            account_no=_field("account_no", 32, "户号"),
        )
        return tickets.edit(context, ticket, change, actor)

    return _apply(number, act, "信息已更正。")


def _plain_address(ticket: Ticket) -> Address:
    return Address(ticket.district, ticket.community, ticket.building, ticket.unit, ticket.room)


def _address() -> Address:
    """The address of the form in the gazetteer's words: 3号楼 is building 3, an alias is its community."""
    places = services().gazetteer.current()
    name = _field("community", 64, "小区")
    known = places.community(name) if name else None
    building, unit, room = _field("building", 16, "楼"), _field("unit", 16, "单元"), _field("room", 32, "室")
    return Address(
        district=_field("district", 32, "区") or (known.district if known else None),
        community=known.name if known else name,
        building=(parse_address(building).building or building.upper()) if building else None,
        unit=(parse_address(unit).unit or unit) if unit else None,
        room=room.removesuffix("室") if room else None,
    )


def _phone() -> str | None:
    typed = _field("phone", 24, "电话")
    if typed is None:
        return None
    bare = re.sub(r"[\s\-()（）]", "", typed)
    if not _PHONE.fullmatch(bare):
        raise FormError("电话号码不对，请填 7 到 16 位数字。")
    return bare


@blueprint.post("/tickets/<number>/team")
def assign_ticket(number: str) -> Result:
    """Give the ticket to another team."""

    def act(context: Context, ticket: Ticket, actor: Actor) -> Ticket:
        chosen = request.form.get("team", "")
        team = context.session.scalar(select(Team).where(Team.id == int(chosen))) if chosen.isdecimal() else None
        if team is None or not staff.sees_all(me()):
            raise FormError("请选一个班组。")
        tickets.assign(context, ticket, team, actor)
        return ticket

    return _apply(number, act, "已派给所选班组。")


@blueprint.post("/tickets/<number>/merge")
def merge_ticket(number: str) -> Result:
    """Make this ticket part of another one; everybody hears of that one from now on."""

    def act(context: Context, ticket: Ticket, actor: Actor) -> Ticket:
        into_number = (_field("into", 20, "工单号") or "").upper()
        query = select(Ticket).where(Ticket.number == into_number, *within_reach()).with_for_update(of=Ticket)
        into = context.session.scalar(query)
        if into is None or into.id == ticket.id:
            raise FormError(f"没有可以并入的工单 {into_number or '（未填）'}，请核对号码。")
        if into.closed_at is not None:
            raise FormError(f"{into.number} 已经结束，不能并入；请先重新打开它。")
        tickets.merge(context, ticket, into, actor)
        return into

    return _apply(number, act, "已并单。")


@blueprint.post("/tickets/<number>/note")
def note_ticket(number: str) -> Result:
    """Keep an internal remark. It only adds a line, so it never collides with anybody's change."""
    permit(staff.WORK)
    note = request.form.get("remark", "").strip()
    if not note or len(note) > MAX_NOTE:
        return _refused(number, f"备注要有内容，最多 {MAX_NOTE} 个字。", 422)
    with services().database.transaction() as session:
        ticket = reachable(session, number)
        tickets.add_note(services().context(session), ticket, note, Actor("staff", staff_id=me().id))
    flash("备注已保存，住户看不到。")
    return redirect(url_for("desk.ticket", number=number))
