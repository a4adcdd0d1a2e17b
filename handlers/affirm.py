"""是: a bare yes."""

from __future__ import annotations

from handlers.dialogue import pending
from handlers.dialogue.choose import settled
from handlers.dialogue.types import Outcome, Reply, Turn


def handle(turn: Turn) -> Outcome:
    """A yes that answers no question: acknowledge shortly, or repeat the question it did not answer."""
    conversation = turn.conversation
    if conversation.waiting_for in ("community", "building", "unit", "room") and conversation.case is not None:
        return pending.proceed(turn, conversation.case)
    key = "affirm.after_ticket" if conversation.ticket or turn.tickets or turn.joined else "affirm.nothing"
    return Outcome((Reply(key),), settled(conversation))
