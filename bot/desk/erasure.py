"""Deleting a resident's data, as they have asked: by a supervisor who has made sure and has called them."""

from __future__ import annotations

from flask import flash, request, url_for
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import erasure, staff
from bot.desk.household import party
from bot.desk.pages import blueprint, me, permit, services
from bot.desk.ticket_page import reachable
from bot.models import Contact


@blueprint.post("/tickets/<number>/erase")
def erase_contact(number: str) -> Response:
    """Delete what may go of one reporter now, and the rest when their open cases are settled."""
    permit(staff.ERASE)
    with services().database.transaction() as session:
        ticket = reachable(session, number, lock=True)
        contact_id = party(session, ticket)
        if request.form.get("called") != "yes":
            flash("请先核实并打电话告诉住户，再勾选确认。")
            return redirect(url_for("desk.ticket", number=number, contact=contact_id))
        contact = session.get_one(Contact, contact_id)
        gone = erasure.begin(services().context(session), contact, me().id)
    flash("资料已删除。" if gone else "能删的已删；还有没办完的报修，办完后自动删除其余资料。")
    return redirect(url_for("desk.ticket", number=number))
