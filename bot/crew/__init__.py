"""The crew's pages for a phone: my jobs by building, one job, and what was done there; logged in by the phone itself.

`register(app)` puts them under /crew. Every page works without scripts; bot/static/crew.js keeps what could not be sent.
"""

from __future__ import annotations

from flask import Flask

from bot.crew import actions, entry, jobs  # noqa: F401  each file adds its pages to the blueprint
from bot.crew.pages import blueprint


def register(app: Flask) -> None:
    """Add the pages to an application whose extensions["heatline"] are its Services; the desk is registered first."""
    app.register_blueprint(blueprint)
