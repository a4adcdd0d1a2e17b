"""温度低: heat, but not enough."""

from __future__ import annotations

from handlers.dialogue.report import report
from handlers.dialogue.types import Outcome, Turn


def handle(turn: Turn) -> Outcome:
    """Take the report: ask for what is missing of the address, then open the ticket."""
    return report(turn, "low_temperature")
