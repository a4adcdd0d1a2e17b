"""Whether who reports belongs to the home: staff see how it is known, and note what a crew has seen on site."""

from __future__ import annotations

from flask import abort, flash, request, url_for
from sqlalchemy.orm import Session
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import clock, staff, standing
from bot.desk.pages import blueprint, me, permit, services
from bot.desk.ticket_page import reachable
from bot.models import Ticket, TicketContact
from bot.tickets import Actor, add_note


@blueprint.post("/tickets/<number>/household")
def note_household(number: str) -> Response:
    """The crew has seen that a reporter belongs to the home, or that they do not."""
    permit(staff.WORK)
    belongs = request.form.get("belongs") == "yes"
    with services().database.transaction() as session:
        ticket = reachable(session, number, lock=True)
        contact_id = party(session, ticket)
        home_id = standing.home_of(session, ticket)
        if home_id is None:
            abort(409)
        context = services().context(session)
        if belongs:
            standing.prove(session, contact_id, home_id, "crew", clock.now())
        else:
            standing.withdraw(session, contact_id, home_id)
        note = "已核实报修人是本户" if belongs else "报修人不是本户，不再告诉其家中情况"
        add_note(context, ticket, note, Actor("staff", staff_id=me().id))
    flash("已记下：是本户。" if belongs else "已记下：不是本户。")
    return redirect(url_for("desk.ticket", number=number, contact=contact_id))


def party(session: Session, ticket: Ticket) -> int:
    """The reporter of the form, who must be one of this ticket's."""
    given = request.form.get("contact", "")
    contact_id = int(given) if given.isascii() and given.isdecimal() and len(given) < 12 else 0
    if session.get(TicketContact, (ticket.id, contact_id)) is None:
        abort(404)
    return contact_id
