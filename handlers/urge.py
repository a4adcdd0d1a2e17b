"""催单: pressing an existing report."""

from __future__ import annotations

import re
from dataclasses import replace

from handlers import not_resolved
from handlers.dialogue import collect, joined
from handlers.dialogue.choose import meant, open_tickets, settled
from handlers.dialogue.facts import address_in
from handlers.dialogue.report import FAULTS, report
from handlers.dialogue.types import AskForPerson, Case, ChaseTicket, Effect, Outcome, Reply, TicketView, Turn
from handlers.dialogue.wording import problem, state

SHOWN = 3
_NOTHING_CAME = re.compile(r"没有?(?:来(?:暖|热|气)|供|通暖|热|送暖|给暖|暖气)|不热|停暖|冰凉|没来[啊呀呢?？。]*$")


def handle(turn: Turn) -> Outcome:
    """Note the chase; the second one of a ticket reaches a person. Without a ticket it is a report."""
    tickets = open_tickets(turn)
    if not tickets:
        return _without_ticket(turn)
    ticket = meant(turn, tickets)
    if ticket is None:
        return _press_all(turn, tickets)
    if ticket.status in not_resolved.REOPENED_BY:
        return not_resolved.reopen(turn, ticket)  # said to be done, and nobody came
    effects: tuple[Effect, ...] = (ChaseTicket(ticket.number),)
    params = {"number": ticket.number, "problem": problem(ticket.intents), "state": state(ticket)}
    key = "urge.noted"
    if ticket.chases >= 1:
        effects = (*effects, AskForPerson("chased"))
        key = "urge.person" if ticket.chases == 1 else "urge.again"
    return Outcome((Reply(key, params),), settled(turn.conversation, ticket=ticket.number), effects)


def _untold_fault(turn: Turn, case: Case) -> Outcome:
    """Pressed, with an address and without a word of the fault: asked once more, then taken as it is."""
    asked = turn.conversation.asked
    if "urged" in asked or turn.understanding.also:
        fault = next((name for name in turn.understanding.also if name in FAULTS), "other_repair")
        return report(turn, fault)
    conversation = replace(turn.conversation, waiting_for="problem", asked=(*asked, "urged"))
    return Outcome((Reply("urge.finish_first"), Reply("ask.problem")), conversation)


def nothing_came(text: str) -> bool:
    """Whether a question tells that there is no heat yet."""
    return _NOTHING_CAME.search(text) is not None


def _press_all(turn: Turn, tickets: tuple[TicketView, ...]) -> Outcome:
    """A chase that names none of several tickets is meant for each; a second one reaches a person."""
    pressed = tickets[:SHOWN]
    effects: tuple[Effect, ...] = tuple(ChaseTicket(ticket.number) for ticket in pressed)
    conversation = settled(turn.conversation, ticket=pressed[0].number)
    if any(ticket.chases for ticket in pressed):
        numbers = {"number": "、".join(ticket.number for ticket in pressed)}
        return Outcome((Reply("urge.person", numbers),), conversation, (*effects, AskForPerson("chased")))
    lines = tuple(
        Reply("urge.line", {"number": t.number, "problem": problem(t.intents), "state": state(t)}) for t in pressed
    )
    return Outcome((Reply("urge.all"), *lines), conversation, effects)


def _without_ticket(turn: Turn) -> Outcome:
    ticket = joined.spoken_of(turn)
    if ticket is not None and not address_in(turn.understanding.entities, turn.places):
        return joined.pressed(turn, ticket)
    case = turn.conversation.case
    if case is not None and turn.conversation.ticket is None and case.intent and turn.conversation.waiting_for:
        first = (Reply("urge.finish_first"),)
        if turn.conversation.waiting_for in ("community", "building", "unit", "room"):
            # Pressed once more, it is taken as it is.
            asked_on = collect.missing(case, turn.places, turn.conversation.asked)
            return collect.go_on(turn, case, (), first if asked_on else ())
        return Outcome((*first, collect.ask_again(turn)), turn.conversation)
    if case is not None and turn.conversation.ticket is None and not case.intent and case.address:
        return _untold_fault(turn, case)
    fault = next((name for name in turn.understanding.also if name in FAULTS), None)
    if fault is None and nothing_came(turn.text):
        fault = "no_heat"
    if fault is not None:
        return report(turn, fault)
    return Outcome((Reply("urge.none"),), settled(turn.conversation))
