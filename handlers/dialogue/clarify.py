"""When a message was not understood surely: offer the likeliest meanings as numbers; the second time, a person."""

from __future__ import annotations

from dataclasses import replace

from handlers.dialogue.choose import settled
from handlers.dialogue.collect import numbered
from handlers.dialogue.facts import case_from
from handlers.dialogue.types import Case, FileReview, Option, Outcome, Reply, Turn
from handlers.dialogue.wording import MEANINGS

OFFERED = 3
WORTH_OFFERING = 0.05  # a meaning less likely than this is not offered


def unsure(turn: Turn) -> Outcome:
    """Ask which of the likeliest meanings it is, once; then offer a person. Nothing that is pending is lost."""
    if turn.conversation.misunderstood >= 1:
        return _offer_person(turn)
    options = _options(turn)
    if not options:
        return _ask_again(turn)
    kept = turn.conversation.case or _facts_only(turn)
    conversation = replace(
        turn.conversation,
        case=kept,
        waiting_for="meaning",
        options=options,
        misunderstood=turn.conversation.misunderstood + 1,
    )
    replies = (Reply("unsure.choose", {"options": numbered(options)}),)
    return Outcome(replies, conversation, (FileReview("unsure"),))


def _options(turn: Turn) -> tuple[Option, ...]:
    likely = [(intent, p) for intent, p in turn.understanding.ranking if intent in MEANINGS and p >= WORTH_OFFERING]
    if not turn.tickets:
        likely = [(i, p) for i, p in likely if i not in ("ask_progress", "urge", "cancel", "not_resolved")]
    return tuple(Option(intent, MEANINGS[intent]) for intent, _ in likely[:OFFERED])


def _facts_only(turn: Turn) -> Case:
    """What the message states, kept for whatever it turns out to mean; a case without an intent."""
    return replace(case_from(turn, "", ()), scope=turn.understanding.scope, severity=turn.understanding.severity)


def _ask_again(turn: Turn) -> Outcome:
    conversation = replace(turn.conversation, misunderstood=turn.conversation.misunderstood + 1)
    return Outcome((Reply("unsure.say_again"),), conversation, (FileReview("unsure"),))


def _offer_person(turn: Turn) -> Outcome:
    conversation = settled(turn.conversation)
    conversation = replace(conversation, waiting_for="callback", misunderstood=turn.conversation.misunderstood + 1)
    return Outcome((Reply("unsure.offer_person"),), conversation, (FileReview("misunderstood"),))
