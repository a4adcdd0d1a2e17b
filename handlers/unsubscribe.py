"""退订: stop sending messages."""

from __future__ import annotations

from handlers.dialogue.choose import settled
from handlers.dialogue.types import OptOut, Outcome, Reply, Turn


def handle(turn: Turn) -> Outcome:
    """Stop the notices; answers to the resident's own messages and warnings of danger still go out."""
    return Outcome((Reply("unsubscribe.done"),), settled(turn.conversation), (OptOut(),))
