"""/desk/deliveries: texts that did not surely reach their resident, and sending them again."""

from __future__ import annotations

from flask import flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session, selectinload
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import outbox, staff
from bot.desk.pages import TROUBLED, blueprint, page, page_number, permit, services, troubled
from bot.models import Contact, Delivery, Ticket

PAGE_SIZE = 50


@blueprint.get("/deliveries")
def deliveries() -> str:
    """Failed, unknown and held texts, newest first."""
    permit(staff.DELIVER)
    state, number = request.args.get("state", ""), page_number()
    wanted = [troubled, Delivery.state == state] if state in TROUBLED else [troubled]
    with services().database.reading() as session:
        query = (
            select(Delivery, Ticket.number)
            .outerjoin(Ticket, Ticket.id == Delivery.ticket_id)
            .where(*wanted)
            .options(selectinload(Delivery.contact))
            .order_by(Delivery.created_at.desc(), Delivery.id.desc())
            .limit(PAGE_SIZE + 1)
            .offset((number - 1) * PAGE_SIZE)
        )
        rows = session.execute(query).all()
        return page(
            session,
            "deliveries.html",
            rows=rows[:PAGE_SIZE],
            more=len(rows) > PAGE_SIZE,
            page=number,
            state=state if state in TROUBLED else "",
            states=TROUBLED,
        )


@blueprint.post("/deliveries/<int:delivery_id>/again")
def send_again(delivery_id: int) -> Response:
    """Queue a text again; the worker then calls the provider, and it fails again or it does not."""
    permit(staff.DELIVER)
    with services().database.transaction() as session:
        message = _again(session, delivery_id)
    flash(message)
    return redirect(url_for("desk.deliveries", state=request.form.get("state") or None))


def _again(session: Session, delivery_id: int) -> str:
    """Queue it and say what happened."""
    opted_out = select(Contact.opted_out_at).join(Delivery, Delivery.contact_id == Contact.id)
    if session.scalar(opted_out.where(Delivery.id == delivery_id)) is not None:
        return "住户已退订，不能再发；请改用电话联系。"
    if outbox.requeue(session, delivery_id):
        return "已重新排队，几秒内会再发一次。"
    return "这条已经在发送，或者已经送达，没有重复发送。"
