"""漏水: water escapes from heating equipment."""

from __future__ import annotations

from handlers.dialogue.report import report
from handlers.dialogue.types import Outcome, Turn


def handle(turn: Turn) -> Outcome:
    """Open at once with what is known, say first what keeps people safe, then ask where it is."""
    return report(turn, "leak")
