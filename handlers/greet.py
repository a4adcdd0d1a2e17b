"""问候: a greeting alone."""

from __future__ import annotations

from handlers.dialogue.types import Outcome, Reply, Turn

_QUESTIONS = frozenset({"community", "building", "unit", "room"})


def handle(turn: Turn) -> Outcome:
    """Greet back, and say in one line how to report; in the middle of a report, ask on."""
    conversation = turn.conversation
    if conversation.case is not None and conversation.waiting_for in _QUESTIONS:
        return Outcome((Reply("greet.here"), Reply(f"ask.{conversation.waiting_for}")), conversation)
    key = "greet.first" if turn.first_contact else "greet.again"
    return Outcome((Reply(key),), conversation)
