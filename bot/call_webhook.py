"""The door for missed calls: a telephone system tells of each; it is kept once and answered by the worker."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from flask import Blueprint, Response, current_app, jsonify, request
from werkzeug.exceptions import RequestEntityTooLarge

from bot import callers, clock, missed
from bot.channels import BadRequest
from bot.channels import calls as news
from bot.channels.mainland import Door
from bot.missed import Ring
from bot.services import Services
from bot.trace import trace

log = logging.getLogger(__name__)
blueprint = Blueprint("calls", __name__, url_prefix="/calls")


@blueprint.post("/<secret>/missed")
def missed_calls(secret: str) -> Response | tuple[Response, int]:
    """Calls that nobody picked up; the secret stands in for a signature."""
    services: Services = current_app.extensions["heatline"]
    entrance: Door | None = current_app.extensions["heatline_calls"]
    if entrance is None:
        return Response(status=404)
    try:
        told = news.read(entrance, request)
    except BadRequest as refusal:
        return Response(status=refusal.status)
    except RequestEntityTooLarge:
        return Response(status=413)
    rings = _rings(told)
    try:
        noted = _keep(services, rings)
    except Exception as error:
        # Not kept, hence not acknowledged: whoever tells again is heard. What the error quotes is not logged.
        log.error("Missed calls could not be stored: %s", trace(error))
        return Response(status=503)
    return jsonify(new=noted.new, known=noted.known, unreadable=len(told) - len(rings))


def _rings(told: Sequence[news.Told]) -> list[Ring]:
    """The calls that have a number; who withholds theirs cannot be answered."""
    now, rings = clock.now(), []
    for call in told:
        number = callers.number_in(call.number)
        if number is not None:
            at = min(call.at or now, now)
            # Without an id, two calls of one number within a minute are one.
            rings.append(Ring(number, at, call.call_id or missed.digest(number, f"{at:%Y%m%d%H%M}")))
    return rings


def _keep(services: Services, rings: list[Ring]) -> missed.Noted:
    if not rings:
        return missed.Noted()
    services.rules.current()  # read before the transaction, which then holds its lock for no longer than it must
    with services.database.transaction() as session:
        return missed.note(services.context(session), rings, "webhook")
