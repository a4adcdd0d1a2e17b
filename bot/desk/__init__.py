"""The desk: where staff work the tickets, judge misread messages, owe calls, and see what did not get through.

`register(app)` puts it under /desk. One file per page; access.py guards them all.
"""

from __future__ import annotations

from flask import Flask

from bot.desk import (  # noqa: F401  each file adds its pages to the blueprint
    access,
    alerts,
    audit,
    callbacks,
    conversations,
    deliveries,
    erasure,
    health,
    household,
    jobs,
    learning,
    listening,
    live,
    media,
    missed_calls,
    moves,
    people,
    phone_seat,
    phones,
    presence,
    reviews,
    roster,
    saved_filters,
    ticket_changes,
    ticket_list,
    ticket_page,
)
from bot.desk.pages import blueprint


def register(app: Flask) -> None:
    """Add the desk to an application whose extensions["heatline"] are its Services."""
    access.setup(app)
    app.register_blueprint(blueprint)
