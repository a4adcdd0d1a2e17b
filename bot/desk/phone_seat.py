"""/desk/phone: the caller's number finds their homes and tickets; one typed line is a report like any other."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from flask import abort, current_app, flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import callers, clock, staff
from bot.call_models import MissedCall
from bot.channels.phone import takes_texts
from bot.channels.telephone import TELEPHONE
from bot.desk import seat, talk
from bot.desk.pages import blueprint, me, page, permit, services
from bot.desk.search import by_phone
from bot.models import Callback, Contact, Delivery, Message, Ticket
from bot.texts import address_line
from bot.turns import LAPSE

MAX_TEXT = 500  # characters of one line
RECENT = timedelta(days=30)  # how long a finished ticket is shown
SHOWN = 10  # tickets
NO_NUMBER = "这个号码不对。请填手机号，或带区号的座机号。"


@dataclass(frozen=True, slots=True)
class Call:
    """What is going on with a caller: the lines of this call, what to say next, and the tickets that came of it."""

    lines: list[talk.Line]
    answer: str | None
    waits: bool  # the last line is still being handled
    tickets: list[Ticket]

    @property
    def begun(self) -> bool:
        """Whether anything has been typed in this call."""
        return bool(self.lines)


@blueprint.get("/phone")
def phone_seat() -> str | tuple[str, int]:
    """The seat, for the number that a telephone system puts into the address (`?phone=`), else for one to be typed."""
    permit(staff.CALL)
    given = request.args.get("phone", "").strip()[:32]
    number = callers.number_in(given) if given else None
    return _show(number, given, NO_NUMBER if given and number is None else None)


@blueprint.post("/phone")
def find_caller() -> Response | tuple[str, int] | str:
    """A number that was typed; from here on the page's address no longer holds it."""
    permit(staff.CALL)
    number = callers.number_in(_given())
    if number is None:
        return _show(None, _given(), NO_NUMBER)
    with services().database.transaction() as session:
        contact_id = seat.caller(services().context(session), number).id
    return redirect(url_for("desk.phone_call", contact_id=contact_id))


def _given() -> str:
    return request.form.get("phone", "").strip()[:32]


@blueprint.get("/phone/<int:contact_id>")
def phone_call(contact_id: int) -> str | tuple[str, int]:
    """The seat for a contact's number, such as the next on the call-back list."""
    permit(staff.CALL)
    with services().database.reading() as session:
        contact = session.get(Contact, contact_id)
        number = callers.number_of(contact) if contact is not None else None
    if number is None:
        abort(404)
    return _show(number, number)


@blueprint.post("/phone/say")
def say_line() -> Response | tuple[str, int] | str:
    """What the caller says."""
    permit(staff.CALL)
    number, text = callers.number_in(_given()), request.form.get("text", "").strip()
    if number is None:
        return _show(None, _given(), NO_NUMBER)
    if not text or len(text) > MAX_TEXT:
        return _show(number, _given(), f"请写来电人说的话，最多 {MAX_TEXT} 个字。", text)
    seat.say(services(), current_app.extensions["heatline_intake"], number, text, me().id, _home())
    return _to(number)


def _home() -> int | None:
    given = request.form.get("home", "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 12 else None


def _to(number: str) -> Response:
    with services().database.reading() as session:
        contact_id = next(c.id for c in callers.contacts_of(session, number) if c.medium == TELEPHONE.medium)
    return redirect(url_for("desk.phone_call", contact_id=contact_id))


@blueprint.post("/phone/home")
def confirm_home() -> Response:
    """The agent has verified that the caller belongs to a home, or that they do not."""
    permit(staff.CALL)
    number, home_id = callers.number_in(_given()), _home()
    if number is None or home_id is None:
        abort(400)
    belongs = request.form.get("belongs") == "yes"
    with services().database.transaction() as session:
        context = services().context(session)
        if belongs and not seat.confirm(context, number, home_id, me().id):
            abort(404)
        if not belongs:
            seat.withdraw(context, number, home_id)
    flash("已记下：来电人是本户，可以说单子的情况了。" if belongs else "已记下：来电人不是本户。")
    return _to(number)


# --- what is shown


def _show(number: str | None, given: str, problem: str | None = None, text: str = "") -> str | tuple[str, int]:
    now = clock.now()
    with services().database.reading() as session:
        contacts = list(callers.contacts_of(session, number)) if number else []
        caller = next((contact for contact in contacts if contact.medium == TELEPHONE.medium), None)
        shown = page(
            session,
            "phone.html",
            number=number,
            given=given,
            problem=problem,
            text=text,
            contacts=contacts,
            can_text=number is not None and takes_texts(number),
            places=seat.places(session, number) if number else [],
            tickets=_tickets(session, number, now) if number else [],
            call=_call(session, caller, now),
            owed=_owed(session, contacts),
            rang=_rang(session, number),
            address=lambda row: address_line(row.community, row.building, row.unit, row.room),
        )
    return (shown, 422) if problem else shown


def _tickets(session: Session, number: str, now: datetime) -> list[Ticket]:
    """Open tickets of a number first, then those that ended not long ago."""
    query = (
        select(Ticket)
        .where(by_phone(number), Ticket.closed_at.is_(None) | (Ticket.closed_at >= now - RECENT))
        .order_by(Ticket.closed_at.is_not(None), Ticket.opened_at.desc(), Ticket.id.desc())
    )
    return list(session.scalars(query.options(selectinload(Ticket.team)).limit(SHOWN)))


def _call(session: Session, caller: Contact | None, now: datetime) -> Call:
    """The call that is going on: what was typed and answered within the time that a conversation lasts."""
    if caller is None:
        return Call([], None, False, [])
    lines = talk.between(session, [caller.id], now - LAPSE, now)
    waits = caller.pending_since is not None
    numbers = select(Message.ticket_id).where(Message.contact_id == caller.id, Message.received_at >= now - LAPSE)
    made = session.scalars(select(Ticket).where(Ticket.id.in_(numbers)).order_by(Ticket.id.desc())).all()
    return Call(lines, _answer(session, lines), waits, list(made))


def _answer(session: Session, lines: list[talk.Line]) -> str | None:
    """What the last line was answered with."""
    last = max((line.message_id for line in lines if line.message_id is not None), default=None)
    query = select(Delivery.text).where(Delivery.message_id == last).order_by(Delivery.id.desc()).limit(1)
    return session.scalar(query) if last is not None else None


def _owed(session: Session, contacts: list[Contact]) -> list[Callback]:
    ids = [contact.id for contact in contacts]
    query = select(Callback).where(Callback.contact_id.in_(ids), Callback.done_at.is_(None))
    return list(session.scalars(query.order_by(Callback.due_at)))


def _rang(session: Session, number: str | None) -> list[MissedCall]:
    """The calls of this number that nobody picked up and nothing has come of yet."""
    if number is None:
        return []
    mine = select(MissedCall).where(MissedCall.number_hash == callers.hash_of(number), MissedCall.settled_at.is_(None))
    return list(session.scalars(mine.order_by(MissedCall.rang_at)))
