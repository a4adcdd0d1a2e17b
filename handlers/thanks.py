"""感谢: thanks or goodbye alone."""

from __future__ import annotations

from handlers.dialogue.types import Outcome, Reply, Turn
from handlers.dialogue.wording import problem


def handle(turn: Turn) -> Outcome:
    """A short word back; a report that was being told is still open, and says so."""
    conversation = turn.conversation
    if (
        conversation.case is not None
        and conversation.ticket is None
        and conversation.waiting_for
        in (
            "community",
            "building",
            "unit",
            "room",
        )
    ):
        return Outcome((Reply("thanks.not_yet"), Reply(f"ask.{conversation.waiting_for}")), conversation)
    done = next((t for t in turn.tickets if t.mine and t.status == "done"), None)
    if done is not None:
        return Outcome((Reply("thanks.is_it_good", {"problem": problem(done.intents)}),), conversation)
    key = "thanks.after_ticket" if turn.joined or any(t.is_open for t in turn.tickets) else "thanks.welcome"
    return Outcome((Reply(key),), conversation)
