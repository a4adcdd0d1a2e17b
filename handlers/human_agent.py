"""转人工: wants a person, or complains about staff."""

from __future__ import annotations

import re

from handlers.dialogue.answers import pending_question
from handlers.dialogue.choose import settled
from handlers.dialogue.report import FAULTS, report
from handlers.dialogue.types import AskForPerson, Outcome, Reply, Turn

_COMPLAINT = re.compile(r"投诉|举报|态度|骂|推诿|敷衍|12345|曝光|记者")


def handle(turn: Turn) -> Outcome:
    """Owe the resident a call by a promised time; a fault told in the same breath is taken up too."""
    reason = "complaint" if _COMPLAINT.search(turn.text) else "asked"
    fault = next((name for name in turn.understanding.also if name in FAULTS), None)
    if fault is not None:
        outcome = report(turn, fault, (Reply("human_agent.attached"),))
        return Outcome(outcome.replies, outcome.conversation, (*outcome.effects, AskForPerson(reason)))
    key = "human_agent.complaint" if reason == "complaint" else "human_agent.promised"
    conversation = turn.conversation if turn.conversation.waiting_for else settled(turn.conversation)
    return Outcome((Reply(key), *pending_question(turn)), conversation, (AskForPerson(reason),))
