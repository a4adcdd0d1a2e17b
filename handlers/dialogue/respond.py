"""respond(): the one entry of the dialogue, from a Turn to an Outcome."""

from __future__ import annotations

from dataclasses import replace

from handlers import unsubscribe
from handlers.dialogue import aside, child, clarify, pending, proof, taps
from handlers.dialogue.choose import says_no, says_yes
from handlers.dialogue.collect import COLD
from handlers.dialogue.context import asks_arrival, cold_in, in_context, leaks_nothing, likely, presses
from handlers.dialogue.facts import says_none
from handlers.dialogue.notice import with_notice
from handlers.dialogue.number import with_number
from handlers.dialogue.registry import handler
from handlers.dialogue.types import Outcome, Turn

RULE_DANGERS = frozenset({"gas", "fire", "carbon_monoxide", "shock", "collapse"})
_LOWEST = 0.3  # below this nothing is acted on, whatever the model's own threshold says


def respond(turn: Turn) -> Outcome:
    """What follows from a message: danger first, then the answer to our question, then what the message means."""
    outcome = child.with_child(turn, _respond(turn))
    return with_notice(turn, taps.with_taps(turn, with_number(turn, outcome)))


def _respond(turn: Turn) -> Outcome:
    if turn.danger in RULE_DANGERS:
        return handler("danger")(turn)
    if turn.danger == "burst":
        return handler("leak")(turn)
    if turn.understanding.intent == "unsubscribe" or unsubscribe.takes_back(turn.text):
        return unsubscribe.handle(turn)
    if proof.wanted(turn.text):
        return proof.begin(turn)
    if (outcome := aside.before(turn) or pending.answer(turn) or aside.after(turn)) is not None:
        return outcome
    intent = choose_intent(turn)
    if intent is None:
        return clarify.unsure(turn)
    also = turn.understanding.also
    if turn.understanding.intent == "billing" and intent in COLD and "billing" not in also:
        also = (*also, "billing")  # 不热，能退费吗: the fault, and the money with it
    understood = replace(turn.understanding, intent=intent, also=also)
    outcome = handler(intent)(replace(turn, understanding=understood))
    if intent != "out_of_scope":
        outcome = replace(outcome, conversation=replace(outcome.conversation, misunderstood=0))
    return outcome


def meaning(turn: Turn) -> str:
    """The intent that a message is acted on as, in its conversation; out_of_scope where it was not understood."""
    if turn.danger in RULE_DANGERS:
        return "danger"
    asked = turn.conversation.waiting_for
    if turn.understanding.intent != "unsubscribe" and pending.answer(turn) is not None:
        if asked in ("confirm_community", "phone", "insist", "callback"):
            return "affirm" if says_yes(turn) else "deny" if says_no(turn) else "provide_info"
        said_none = asked in ("community", "building", "unit", "room") and says_none(turn.text)
        return "deny" if said_none else "provide_info"
    return choose_intent(turn) or "out_of_scope"


def choose_intent(turn: Turn) -> str | None:
    """The meaning in this conversation; None where it is not sure enough to act on."""
    u = turn.understanding
    if _is_bare_data(turn):
        return "provide_info"
    intent = in_context(turn, u.intent)
    if intent != u.intent or (intent == "ask_progress" and asks_arrival(turn)):
        return intent
    dry = leaks_nothing(turn) or presses(turn)
    if u.confidence >= threshold(turn, u.intent) and not (u.intent == "leak" and dry):
        return intent
    # A miss of these costs far more than a needless visit, so a lower bar counts even in second place.
    for urgent in ("danger",) if dry else ("danger", "leak"):
        if dict(u.ranking).get(urgent, 0.0) >= turn.rules.thresholds.get(f"{urgent}_any", 0.35):
            return urgent
    guess = "urge" if presses(turn) else _by_facts(turn) or likely(turn)
    return None if guess == "leak" and dry else guess


def threshold(turn: Turn, intent: str) -> float:
    """How sure understanding must be of an intent before it is acted on.

    The model brings a threshold for each intent, chosen by cost on data; a rule of the operator's goes before it.
    """
    bars = turn.rules.thresholds
    own = turn.understanding.threshold if intent == turn.understanding.intent else 0.0
    return bars.get(intent, max(own, bars.get("*", _LOWEST)))


def _is_bare_data(turn: Turn) -> bool:
    """Whether nothing but an address, a phone or a number was written, with at most a word or two around it."""
    text, u = turn.text, turn.understanding
    covered = sum(entity.end - entity.start for entity in u.entities if entity.entity != "duration")
    if not covered or u.intent not in ("out_of_scope", "provide_info", "affirm", "deny"):
        return False
    return sum(char.isalnum() for char in text) - covered <= 2


def _by_facts(turn: Turn) -> str | None:
    """An unsure message that carries plain data is data."""
    carries = {e.entity for e in turn.understanding.entities}
    if carries & {"community", "building", "unit", "room", "phone", "account_no"} and len(turn.text) <= 40:
        best = dict(turn.understanding.ranking)
        fault = max(COLD | {"leak", "billing", "open_valve"}, key=lambda name: best.get(name, 0.0))
        if best.get(fault, 0.0) >= 0.3:
            return fault
        return cold_in(turn.text) or "provide_info"
    return None
