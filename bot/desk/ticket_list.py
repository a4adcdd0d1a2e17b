"""/desk/: the tickets, filtered and in the order they should be worked."""

from __future__ import annotations

from flask import request, url_for
from sqlalchemy import select
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import clock, staff
from bot.desk import saved_filters, search, ticket_time
from bot.desk.pages import blueprint, me, page, page_number, permit, services, within_reach
from bot.models import Community, Team
from bot.texts import address_line
from nlu.types import INTENTS

MAX_SUGGESTIONS = 400  # communities offered while typing; with more the field is a plain one


@blueprint.get("/")
def tickets() -> str | Response:
    """The list of tickets."""
    if not staff.may(me(), staff.SEE):
        return redirect(url_for("desk.reviews"))
    permit(staff.SEE)
    filters, number = search.Filters.read(request.args), page_number()
    today = search.local_today(clock.now(), services().settings.zone)
    places = services().gazetteer.current()
    with services().database.reading() as session:
        found = search.find(session, filters, within_reach(), places, today, number)
        names = session.scalars(select(Community.name).order_by(Community.name).limit(MAX_SUGGESTIONS + 1)).all()
        return page(
            session,
            "tickets.html",
            filters=filters,
            found=found,
            groups=search.GROUPS,
            address=address_line,
            due=ticket_time.soonest(session, found.tickets),
            page=number,
            kinds=[intent for intent in INTENTS if intent in services().rules.current().tickets["faults"]],
            teams=session.scalars(select(Team).order_by(Team.name)).all() if staff.sees_all(me()) else [],
            communities=names if len(names) <= MAX_SUGGESTIONS else [],
            saved=saved_filters.mine(session),
            without_team=not staff.sees_all(me()) and me().team_id is None,
        )
