"""The notice of how data are used (PIPL, art. 17): once per contact, at the first word, but never before help."""

from __future__ import annotations

from dataclasses import replace

from handlers.dialogue.collect import AT_ONCE
from handlers.dialogue.types import Noticed, OpenTicket, OptOut, Outcome, Reply, Turn

_SERVED = (None, "phone")  # what may still be waited for when whoever is in danger has been served


def with_notice(turn: Turn, outcome: Outcome) -> Outcome:
    """The outcome with the notice behind it, where it is due and nobody has to be helped first."""
    if turn.noticed or _stranger(turn, outcome) or _helping(turn, outcome):
        return outcome
    if any(reply.key == "privacy.what" for reply in outcome.replies):
        return replace(outcome, effects=(*outcome.effects, Noticed()))  # it has just been said
    return replace(outcome, replies=(*outcome.replies, Reply("privacy.notice")), effects=(*outcome.effects, Noticed()))


def _stranger(turn: Turn, outcome: Outcome) -> bool:
    """Whether nothing of theirs is going to be used: an advertisement, or somebody who wants no messages."""
    if any(isinstance(effect, OptOut) for effect in outcome.effects):
        return True
    return turn.understanding.intent == "out_of_scope" and outcome.conversation.case is None and not outcome.effects


def _helping(turn: Turn, outcome: Outcome) -> bool:
    if turn.danger or any(isinstance(e, OpenTicket) and e.case.intent in AT_ONCE for e in outcome.effects):
        return True
    case = outcome.conversation.case
    return case is not None and case.intent in AT_ONCE and outcome.conversation.waiting_for not in _SERVED
