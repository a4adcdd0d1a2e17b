"""险情: danger to life."""

from __future__ import annotations

from handlers.dialogue.report import report
from handlers.dialogue.types import Outcome, Turn


def handle(turn: Turn) -> Outcome:
    """Say at once what to do and whom to call; open with what is known; only then ask where it is."""
    return report(turn, "danger")
