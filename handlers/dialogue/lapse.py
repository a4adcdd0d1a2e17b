"""What becomes of a report whose teller has fallen silent: reminded once, then opened as it is."""

from __future__ import annotations

from handlers.dialogue.collect import AT_ONCE
from handlers.dialogue.types import AskForPerson, Conversation, OpenTicket, Outcome, Reply
from handlers.dialogue.wording import problem


def remind(conversation: Conversation, channel: str) -> Outcome:
    """Remind, once, of the question that was not answered."""
    case = conversation.case
    if case is None or conversation.ticket is not None:
        return Outcome((), conversation)
    return Outcome(
        (Reply("system.remind", {"problem": problem(case.intent) if case.intent else "报修"}),), conversation
    )


def lapse(conversation: Conversation, channel: str) -> Outcome:
    """Open what is known as an incomplete report, for a person to call back; forget what is no report."""
    case = conversation.case
    if case is None or conversation.ticket is not None:
        return Outcome((), Conversation())
    if not case.intent or conversation.waiting_for == "insist" or case.intent in AT_ONCE:
        return Outcome((), Conversation())
    reply = Reply("report.incomplete", {"problem": problem(case.intent)}, about_ticket=True)
    return Outcome((reply,), Conversation(), (OpenTicket(case, incomplete=True), AskForPerson("incomplete")))
