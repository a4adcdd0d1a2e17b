"""否: a bare no."""

from __future__ import annotations

import re
from dataclasses import replace

from handlers.dialogue import pending
from handlers.dialogue.choose import open_tickets, says_wrong, settled
from handlers.dialogue.collect import ask_again
from handlers.dialogue.types import Outcome, Reply, Turn

_NO_NEED = re.compile(r"不用|算了|不要|不需要|不必|别来")


def handle(turn: Turn) -> Outcome:
    """A no: to offered choices it asks openly, to a read-back what is wrong; a pending question stays; else fine."""
    conversation = turn.conversation
    text = turn.text
    if conversation.waiting_for == "meaning":
        return Outcome((Reply("unsure.say_again"),), replace(conversation, waiting_for=None, options=()))
    if conversation.waiting_for == "home" and conversation.case is not None:
        asking = replace(conversation, waiting_for="community", options=(), asked=(*conversation.asked, "community"))
        return Outcome((Reply("ask.community"),), asking)
    if conversation.ticket and says_wrong(text):
        return Outcome((Reply("deny.which_part"),), replace(conversation, waiting_for=None, options=()))
    if conversation.case is not None and conversation.ticket is None and conversation.waiting_for:
        if any(word in text for word in ("不用", "算了", "不报", "不要", "不需要", "不必", "别")):
            return Outcome((Reply("collect.dropped"),), settled(conversation, case=None, asked=()))
        if conversation.waiting_for in ("community", "building", "unit", "room"):
            return pending.proceed(turn, conversation.case)
        return Outcome((ask_again(turn),), conversation)
    tickets = open_tickets(turn)
    if len(tickets) == 1 and not conversation.waiting_for and _NO_NEED.search(text):
        asking = replace(conversation, ticket=tickets[0].number, waiting_for="withdraw", options=())
        return Outcome((Reply("ask.withdraw"),), asking)
    return Outcome((Reply("deny.fine"),), settled(conversation))
