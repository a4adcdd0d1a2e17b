"""催单: pressing an existing report."""

from __future__ import annotations

from handlers.dialogue.choose import meant, open_tickets, settled
from handlers.dialogue.report import FAULTS, report
from handlers.dialogue.types import AskForPerson, ChaseTicket, Effect, Outcome, Reply, Turn
from handlers.dialogue.wording import problem, state


def handle(turn: Turn) -> Outcome:
    """Note the chase; the second one of a ticket reaches a person. Without a ticket it is a report."""
    tickets = open_tickets(turn)
    if not tickets:
        return _without_ticket(turn)
    ticket = meant(turn, tickets) or tickets[0]
    effects: tuple[Effect, ...] = (ChaseTicket(ticket.number),)
    params = {"number": ticket.number, "problem": problem(ticket.intents), "state": state(ticket)}
    key = "urge.noted"
    if ticket.chases >= 1:
        effects, key = (*effects, AskForPerson("urgent")), "urge.person"
    return Outcome((Reply(key, params),), settled(turn.conversation, ticket=ticket.number), effects)


def _without_ticket(turn: Turn) -> Outcome:
    case = turn.conversation.case
    if case is not None and turn.conversation.ticket is None and case.intent and turn.conversation.waiting_for:
        return Outcome((Reply("urge.finish_first"), Reply(f"ask.{turn.conversation.waiting_for}")), turn.conversation)
    fault = next((name for name in turn.understanding.also if name in FAULTS), None)
    if fault is not None:
        return report(turn, fault)
    return Outcome((Reply("urge.none"),), settled(turn.conversation))
