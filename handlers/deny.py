"""否: a bare no."""

from __future__ import annotations

from dataclasses import replace

from handlers.dialogue.choose import settled
from handlers.dialogue.types import Outcome, Reply, Turn


def handle(turn: Turn) -> Outcome:
    """A no: to a read-back it asks what is wrong; while an address is asked it drops nothing; else it is fine."""
    conversation = turn.conversation
    text = turn.text
    if conversation.ticket and any(word in text for word in ("不对", "不是", "错")):
        return Outcome((Reply("deny.which_part"),), replace(conversation, waiting_for=None, options=()))
    if conversation.case is not None and conversation.ticket is None and conversation.waiting_for:
        if any(word in text for word in ("不用", "算了", "不报", "不要", "不需要", "不必", "别")):
            return Outcome((Reply("collect.dropped"),), settled(conversation, case=None, asked=()))
        return Outcome((Reply(f"ask.{conversation.waiting_for}"),), conversation)
    return Outcome((Reply("deny.fine"),), settled(conversation))
