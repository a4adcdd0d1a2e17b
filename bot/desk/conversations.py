"""/desk/talks: conversations as they come in; taking one over from the bot, writing in it, giving it back."""

from __future__ import annotations

from collections.abc import Callable

from flask import abort, flash, request, url_for
from sqlalchemy import Row, func, select
from sqlalchemy.orm import Session, aliased
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import clock, staff, takeovers
from bot.change import Context
from bot.desk import talk, talk_panel
from bot.desk.pages import blueprint, me, page, permit, services
from bot.desk.ticket_page import Problem, reachable, show
from bot.desk_models import Takeover
from bot.models import Contact, Message, Staff, Ticket, TicketContact

RECENT = 2000  # messages that are looked through for who wrote last
LISTED = 50
MAX_REPLY = 500  # characters
NOT_YOURS = "这个对话现在不在您手里（已交还，或由同事接手），您写的话没有发出去，还在下面。要接着写，请先接手。"

Result = Response | tuple[str, int]
Deed = Callable[[Context, Contact, Ticket | None], str]


class Refused(Exception):
    """What was asked for cannot be done; the message is for who asked. `status` is that of the answer."""

    def __init__(self, message: str, status: int = 409) -> None:
        super().__init__(message)
        self.status = status


@blueprint.get("/talks")
def talks() -> str:
    """Who wrote last, those that a person talks with first."""
    permit(staff.CALL)
    with services().database.reading() as session:
        rows = _recent(session)
        tickets = _tickets(session, [row[0].id for row in rows])
        return page(session, "talks.html", rows=rows, tickets=tickets, said=talk.shown_text)


def _recent(session: Session) -> list[Row[Contact, Message, str | None]]:
    """Contacts with their last message and who talks with them."""
    newest = session.scalar(select(func.max(Message.id))) or 0
    last = select(func.max(Message.id).label("id")).where(Message.id > newest - RECENT).group_by(Message.contact_id)
    held = select(func.max(Message.id)).join(Takeover, Takeover.contact_id == Message.contact_id)
    ids = last.union(held.where(Takeover.ended_at.is_(None)).group_by(Message.contact_id)).subquery()
    holder = aliased(Takeover)
    query = (
        select(Contact, Message, Staff.name)
        .join(Message, Message.contact_id == Contact.id)
        .join(ids, ids.c.id == Message.id)
        .outerjoin(holder, (holder.contact_id == Contact.id) & holder.ended_at.is_(None))
        .outerjoin(Staff, Staff.id == holder.staff_id)
        .order_by(holder.id.is_(None), Message.id.desc())
        .limit(LISTED)
    )
    return list(session.execute(query))


def _tickets(session: Session, contacts: list[int]) -> dict[int, Ticket]:
    """The newest ticket of each contact."""
    query = select(TicketContact.contact_id, Ticket).join(Ticket, Ticket.id == TicketContact.ticket_id)
    rows = session.execute(query.where(TicketContact.contact_id.in_(contacts)).order_by(Ticket.id)).all()
    return {row[0]: row[1] for row in rows}


@blueprint.get("/talks/<int:contact_id>")
def conversation(contact_id: int) -> str:
    """One contact's conversation, with a ticket or without."""
    permit(staff.CALL)
    return _show(contact_id, None)


def _show(contact_id: int, problem: Problem | None) -> str:
    with services().database.reading() as session:
        contact = session.get(Contact, contact_id)
        if contact is None:
            abort(404)
        now = clock.now()
        lines = talk.between(session, [contact.id], now - talk.BEFORE * 7, now)
        ticket = _tickets(session, [contact.id]).get(contact.id)
        return page(
            session,
            "conversation.html",
            contact=contact,
            lines=lines,
            ticket=ticket,
            panel=talk_panel.build(session, contact, None, lines),
            turns=_turns(session, contact.id),
            endings=takeovers.ENDED,
            problem=problem,
            draft=problem.form if problem else {},
        )


def _turns(session: Session, contact_id: int) -> list[Row[Takeover, str]]:
    """Who has talked with this contact in the bot's place, the last first."""
    query = select(Takeover, Staff.name).join(Staff, Staff.id == Takeover.staff_id)
    return list(session.execute(query.where(Takeover.contact_id == contact_id).order_by(Takeover.id.desc()).limit(20)))


@blueprint.post("/talks/<int:contact_id>/take")
def take_talk(contact_id: int) -> Result:
    """From now on this account answers, and the bot is silent."""

    def act(context: Context, contact: Contact, ticket: Ticket | None) -> str:
        takeovers.take(context, contact, me().id, ticket)
        return "已接手，机器人先不说话；您写，住户就收到。"

    return _apply(contact_id, act)


@blueprint.post("/talks/<int:contact_id>/return")
def return_talk(contact_id: int) -> Result:
    """The bot answers again, first what is still unanswered."""

    def act(context: Context, contact: Contact, ticket: Ticket | None) -> str:
        row = takeovers.current(context.session, contact.id)
        if row is None:
            return "这个对话已经在机器人手里了。"
        if row.staff_id != me().id:
            raise Refused("这个对话由同事接着，要由您来说，请先接手。")
        takeovers.give_back(context, contact, "returned", me().id)
        return "已交还给机器人；还没回的话由它来回。"

    return _apply(contact_id, act)


@blueprint.post("/talks/<int:contact_id>/reply")
def reply_talk(contact_id: int) -> Result:
    """Send the resident what was written."""

    def act(context: Context, contact: Contact, ticket: Ticket | None) -> str:
        # Without scripts a chosen text is sent as it is; with them it has been put into the field.
        text = request.form.get("reply", "").strip() or request.form.get("canned", "").strip()
        nonce, heard = request.form.get("nonce", ""), request.form.get("heard", "")
        if not text or len(text) > MAX_REPLY:
            raise Refused(f"要写一点内容，最多 {MAX_REPLY} 个字。", 422)
        if not (nonce.isalnum() and len(nonce) <= 32):
            abort(400)
        seen = int(heard) if heard.isascii() and heard.isdecimal() and len(heard) < 18 else 0
        try:
            takeovers.write(context, contact, me().id, text, nonce=nonce, heard=seen)
        except takeovers.NotYours:
            raise Refused(NOT_YOURS) from None
        return "已交给渠道发送。"

    return _apply(contact_id, act)


def _apply(contact_id: int, act: Deed) -> Result:
    """Do one thing in one transaction, on the page that it was asked for: a ticket's, or the conversation's own."""
    permit(staff.CALL)
    number = request.form.get("ticket", "")[:20]
    try:
        with services().database.transaction() as session:
            contact = takeovers.locked(session, contact_id)
            if contact is None:
                abort(404)
            ticket = _party_ticket(session, number, contact_id) if number else None
            done = act(services().context(session), contact, ticket)
    except Refused as refusal:
        problem = Problem(str(refusal), request.form, refusal.status)
        shown = show(number, problem, contact_id) if number else _show(contact_id, problem)
        return shown, refusal.status
    if request.form.get("reply") and request.endpoint == "desk.take_talk":
        # What a colleague's taking over had kept from being sent is still there.
        problem = Problem("已接手。您刚才写的还在下面，看过最新的话再发。", request.form, 200)
        return (show(number, problem, contact_id) if number else _show(contact_id, problem)), 200
    flash(done)
    if number:
        return redirect(url_for("desk.ticket", number=number, contact=contact_id, _anchor="h-talk"))
    return redirect(url_for("desk.conversation", contact_id=contact_id))


def _party_ticket(session: Session, number: str, contact_id: int) -> Ticket:
    """The ticket on whose page this was asked; the contact must be one of its parties."""
    ticket = reachable(session, number)
    if session.get(TicketContact, (ticket.id, contact_id)) is None:
        abort(404)
    return ticket
