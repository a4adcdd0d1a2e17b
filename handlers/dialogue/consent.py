"""同意请回1: whether a resident's words may be handed over to whoever serves their home."""

from __future__ import annotations

import re

from handlers.dialogue.choose import says_no, says_yes, settled
from handlers.dialogue.elsewhere import server_of
from handlers.dialogue.types import HandOver, Outcome, Reply, Turn

_AGREE = re.compile(r"^\W*(?:我?(?:同意|愿意)|可以|转(?:给|过去|吧)|帮[我忙]*转)")
_REFUSE = re.compile(r"不同意|不愿意|不(?:用|要|想)转|别转|自己打")


def answer(turn: Turn) -> Outcome | None:
    """同意请回1: hand over, or leave it at the number."""
    case = turn.conversation.case
    server = server_of(turn, case) if case is not None else None
    if case is None or server is None:
        return None
    done = settled(turn.conversation, case=None, asked=())
    if _REFUSE.search(turn.text) or says_no(turn):
        return Outcome((Reply("elsewhere.declined", {"name": server.name}),), done)
    if says_yes(turn) or _AGREE.match(turn.text.strip()):
        return Outcome((Reply("elsewhere.agreed", {"name": server.name}),), done, (HandOver(case),))
    return None
