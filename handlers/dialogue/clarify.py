"""When a message was not understood surely: offer the likeliest meanings as numbers; the second time, a person."""

from __future__ import annotations

import re
from dataclasses import replace

from handlers.dialogue import pending
from handlers.dialogue.choose import settled
from handlers.dialogue.collect import numbered
from handlers.dialogue.context import ends_unsaid, leaks_nothing
from handlers.dialogue.facts import case_from
from handlers.dialogue.types import Case, FileReview, Option, Outcome, Reply, Turn
from handlers.dialogue.wording import MEANINGS

OFFERED = 3
WORTH_OFFERING = 0.1  # a meaning less likely than this is not offered


WORTH_A_GUESS = 0.25  # one alone is not asked about below this
_ABOUT_TICKETS = frozenset({"ask_progress", "urge", "cancel", "not_resolved", "confirm_resolved"})
_HEATING = re.compile(r"暖|供热|地热|热力|片子")


def unsure(turn: Turn) -> Outcome:
    """Ask which of the likeliest meanings it is, once; then offer a person. Nothing that is pending is lost."""
    if (outcome := pending.unanswered(turn)) is not None:
        return outcome
    if turn.conversation.misunderstood >= 1:
        return _offer_person(turn)
    options = _options(turn)
    if not options:
        return _ask_again(turn)
    if len(options) == 1:
        likely = dict(turn.understanding.ranking)[options[0].value] >= WORTH_A_GUESS
        return _guess(turn, options) if likely else _ask_again(turn)
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
    if leaks_nothing(turn):
        likely = [(i, p) for i, p in likely if i != "leak"]
    likely = [(i, p) for i, p in likely if not ends_unsaid(turn.text, i)]  # whoever says 1 to it closes a ticket
    if not turn.tickets:
        likely = [(i, p) for i, p in likely if i not in _ABOUT_TICKETS]
    return tuple(Option(intent, MEANINGS[intent]) for intent, _ in likely[:OFFERED])


def _facts_only(turn: Turn) -> Case:
    """What the message states, kept for whatever it turns out to mean; a case without an intent."""
    return replace(case_from(turn, "", ()), scope=turn.understanding.scope, severity=turn.understanding.severity)


def _guess(turn: Turn, options: tuple[Option, ...]) -> Outcome:
    """One meaning alone is asked as yes or no."""
    conversation = replace(
        turn.conversation,
        case=turn.conversation.case or _facts_only(turn),
        waiting_for="meaning",
        options=options,
        misunderstood=turn.conversation.misunderstood + 1,
    )
    return Outcome((Reply("unsure.guess", {"option": options[0].label}),), conversation, (FileReview("unsure"),))


def _ask_again(turn: Turn) -> Outcome:
    """Nothing likely to offer: what the heating has, where it is about heating at all, else openly."""
    if turn.conversation.case is None and _HEATING.search(turn.text) and not turn.tickets:
        options = tuple(Option(i, MEANINGS[i]) for i in ("no_heat", "low_temperature", "leak", "other_repair"))
        case = _facts_only(turn)
        asking = replace(turn.conversation, case=case, waiting_for="problem", options=options, misunderstood=1)
        return Outcome((Reply("ask.problem"),), asking, (FileReview("unsure"),))
    conversation = replace(turn.conversation, misunderstood=turn.conversation.misunderstood + 1)
    return Outcome((Reply("unsure.say_again"),), conversation, (FileReview("unsure"),))


def _offer_person(turn: Turn) -> Outcome:
    conversation = settled(turn.conversation)
    conversation = replace(conversation, waiting_for="callback", misunderstood=turn.conversation.misunderstood + 1)
    return Outcome((Reply("unsure.offer_person"),), conversation, (FileReview("misunderstood"),))
