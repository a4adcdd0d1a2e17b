"""Whoever is promised a call must have left a number: on WeChat it is asked for with the promise."""

from __future__ import annotations

from dataclasses import replace

from handlers.dialogue.facts import value_in
from handlers.dialogue.types import AskForPerson, EditTicket, KeepPhone, OpenTicket, Outcome, Reply, Turn


def with_number(turn: Turn, outcome: Outcome) -> Outcome:
    """The outcome, with the one question for a number where a call is promised and we have none to call."""
    conversation = outcome.conversation
    told = value_in(turn.understanding.entities, "phone")
    if told is not None and _promises_call(outcome) and not _on_ticket(outcome):
        return replace(outcome, effects=(*outcome.effects, KeepPhone(told)))
    if turn.channel != "wechat" or not _promises_call(outcome) or _has_number(turn, outcome):
        return outcome
    if conversation.waiting_for == "phone":
        replies = tuple(Reply("ask.phone_call") if reply.key == "ask.phone" else reply for reply in outcome.replies)
        asked = (*conversation.asked, "phone_call")
        if replies == outcome.replies and "phone_call" not in conversation.asked:
            replies = (*replies, Reply("ask.phone_call"))
        return replace(outcome, replies=replies, conversation=replace(conversation, asked=asked))
    if conversation.waiting_for is not None or "phone_call" in conversation.asked:
        return outcome
    asking = replace(conversation, waiting_for="phone", options=(), asked=(*conversation.asked, "phone", "phone_call"))
    return replace(outcome, replies=(*outcome.replies, Reply("ask.phone_call")), conversation=asking)


def _on_ticket(outcome: Outcome) -> bool:
    return any(isinstance(effect, OpenTicket | EditTicket | KeepPhone) for effect in outcome.effects)


def _promises_call(outcome: Outcome) -> bool:
    return any(
        isinstance(effect, AskForPerson)
        or (isinstance(effect, OpenTicket) and (effect.incomplete or effect.case.intent == "danger"))
        for effect in outcome.effects
    )


def _has_number(turn: Turn, outcome: Outcome) -> bool:
    case = outcome.conversation.case or turn.conversation.case
    return bool(turn.phone or (case is not None and case.phone) or any(t.has_phone and t.mine for t in turn.tickets))
