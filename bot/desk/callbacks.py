"""/desk/callbacks: who is owed a call, by when, and why."""

from __future__ import annotations

from flask import abort, flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import alerts, clock, missed, staff, tickets
from bot.call_models import MissedCall
from bot.desk import talk
from bot.desk.pages import blueprint, me, page, permit, services
from bot.models import Callback, Message, Staff, Ticket
from bot.tickets import Actor

MAX_SHOWN = 200
MAX_NOTE = 500  # characters


@blueprint.get("/callbacks")
def callbacks() -> str:
    """Calls that are owed, the late ones first, danger before the rest, the earliest promise; and the calls made last."""
    permit(staff.CALL)
    with services().database.reading() as session:
        columns = (
            select(Callback, Ticket, Message, Staff.name)
            .outerjoin(Ticket, Ticket.id == Callback.ticket_id)
            .outerjoin(Message, Message.id == Callback.message_id)
            .outerjoin(Staff, Staff.id == Callback.done_by)
            .options(selectinload(Callback.contact))
        )
        open_calls = columns.where(Callback.done_at.is_(None))
        owed = open_calls.order_by(
            Callback.reason != "urgent", Callback.due_at > clock.now(), Callback.due_at, Callback.id
        ).limit(MAX_SHOWN)
        rows = session.execute(owed).all()
        made = columns.where(Callback.done_at.is_not(None)).order_by(Callback.id.desc()).limit(20)
        return page(
            session,
            "callbacks.html",
            owed=rows,
            rings=_rings(session, [row.Callback.id for row in rows if row.Callback.reason == missed.REASON]),
            made=session.execute(made).all(),
            phone=_phone,
            said=talk.shown_text,
        )


def _rings(session: Session, callback_ids: list[int]) -> dict[int, list[MissedCall]]:
    """The calls that nobody picked up, by the call-back that they are owed; the first one first."""
    found: dict[int, list[MissedCall]] = {}
    query = select(MissedCall).where(MissedCall.callback_id.in_(callback_ids)).order_by(MissedCall.rang_at)
    for row in session.scalars(query):
        found.setdefault(row.callback_id or 0, []).append(row)
    return found


def _phone(callback: Callback, ticket: Ticket | None) -> str | None:
    """The number to call: the ticket's where it is theirs, else the sender's own, else one the resident gave earlier."""
    if ticket is not None and ticket.phone and ticket.contact_id == callback.contact_id:
        return ticket.phone
    return callback.contact.address if callback.contact.medium == "sms" else callback.contact.resident.phone


@blueprint.post("/callbacks/<int:callback_id>")
def call_done(callback_id: int) -> Response:
    """The call was made; what came of it is kept, on the ticket too."""
    permit(staff.CALL)
    note = request.form.get("note", "").strip()[:MAX_NOTE]
    if not note:
        flash("请写一句通话结果，再标记为已回电。")
        return redirect(url_for("desk.callbacks"))
    with services().database.transaction() as session:
        callback = session.scalar(select(Callback).where(Callback.id == callback_id).with_for_update())
        if callback is None:
            abort(404)
        if callback.done_at is not None:
            flash("这个电话刚刚已经有人打过了。")
            return redirect(url_for("desk.callbacks"))
        callback.done_at, callback.done_by, callback.note = clock.now(), me().id, note
        missed.called(services().context(session), callback.id)
        ticket = session.get(Ticket, callback.ticket_id) if callback.ticket_id else None
        if ticket is not None:
            actor = Actor("staff", staff_id=me().id)
            tickets.add_note(services().context(session), ticket, f"回电：{note}", actor, "called")
            alerts.acknowledge_ticket(services().context(session), ticket, session.get_one(Staff, me().id))
    flash("已记下这次回电。")
    return redirect(url_for("desk.callbacks"))
