"""The way of a problem from a message to a ticket, shared by every handler of a problem."""

from __future__ import annotations

from dataclasses import replace

from handlers.dialogue import collect, joined, several
from handlers.dialogue.facts import (
    add_to,
    address_in,
    case_from,
    house_in,
    lacks_parts,
    means_other_home,
    means_same_home,
)
from handlers.dialogue.types import AskForPerson, Case, ChaseTicket, Outcome, Reply, Turn

FAULTS = frozenset({"danger", "leak", "open_valve", "no_heat", "low_temperature", "other_repair"})


def report(turn: Turn, intent: str, first: tuple[Reply, ...] = ()) -> Outcome:
    """Take a problem up: a new case, or more of the one that is being told."""
    before = turn.conversation.case
    if before is not None and turn.conversation.ticket is None and _same_case(turn, before, intent):
        case = replace(add_to(before, turn), intent=_graver(before.intent, intent))
        if case == before and turn.conversation.waiting_for and not first:
            first = (Reply("urge.finish_first"),)  # the same said once more, with impatience
        return collect.go_on(turn, case, (), first)
    case = replace(case_from(turn, intent), also=_also(turn, intent, before))
    if means_same_home(turn.text) and turn.homes and not case.address:
        case = replace(case, address=turn.homes[0])
    elif before is not None and turn.conversation.ticket is None and not case.address:
        case = replace(case, address=before.address)  # told in the same breath, at the same home
    if before is not None and case.phone is None and not before.phone_of_other:
        case = replace(case, phone=before.phone)
    others = joined.spoken_of(turn, intent) if intent not in collect.AT_ONCE and not case.address else None
    if others is not None and not means_other_home(turn.text):
        return joined.noted(turn, others)
    lacking = lacks_parts(turn.text)
    if "building" in lacking and case.address.room is None and (house := house_in(turn.text)):
        case = replace(case, address=replace(case.address, room=house))
    outcome = _several(turn, case) or collect.start(turn, case, first, lacking)
    extra = _extra_effects(turn, outcome)
    return replace(outcome, effects=(*outcome.effects, *extra)) if extra else outcome


def _several(turn: Turn, case: Case) -> Outcome | None:
    """The homes of a message that names more than one, each as a ticket; a leak or a danger is asked about one by one."""
    if case.intent in collect.AT_ONCE:
        return None
    homes = several.homes_in(turn.understanding.entities, turn.places)
    if homes:
        return several.open_all(turn, case, homes)
    buildings = several.buildings_in(turn.understanding.entities, turn.places)
    return several.open_all(turn, case, buildings, "building") if buildings else None


def _same_case(turn: Turn, before: Case, intent: str) -> bool:
    """Whether the message tells more of the problem that is being told, rather than another one."""
    if not before.intent or intent == before.intent:
        return True
    cold = collect.COLD
    if intent in cold and before.intent in cold:
        return True
    return (
        before.intent == "other_repair"
        and intent in FAULTS
        and not address_in(turn.understanding.entities, turn.places)
    )


def _graver(before: str, now: str) -> str:
    return now if before in ("", "other_repair") else before


def _also(turn: Turn, intent: str, before: Case | None) -> tuple[str, ...]:
    """The other problems of the message; chasing and the like are acted on, not kept as problems."""
    kept = FAULTS | {"billing"}
    also = [name for name in turn.understanding.also if name in kept and name != intent]
    if before is not None and turn.conversation.ticket is None and before.intent in kept and before.intent != intent:
        also.append(before.intent)  # a graver problem told in the middle of another takes that one with it
    return tuple(dict.fromkeys(also))


def _extra_effects(turn: Turn, outcome: Outcome) -> tuple[AskForPerson | ChaseTicket, ...]:
    also = turn.understanding.also
    if "human_agent" in also:
        return (AskForPerson("asked"),)
    already = outcome.conversation.ticket
    if "urge" in also and already and any(t.number == already and t.is_open for t in turn.tickets):
        return (ChaseTicket(already),)
    return ()
