"""未解决: a repair did not help, or the fault came back."""

from __future__ import annotations

from handlers.dialogue import joined
from handlers.dialogue.choose import ask_which, meant, open_tickets, settled
from handlers.dialogue.collect import COLD
from handlers.dialogue.facts import address_in, value_in
from handlers.dialogue.report import FAULTS, report
from handlers.dialogue.types import (
    AddNote,
    AskForPerson,
    ChaseTicket,
    EditTicket,
    Effect,
    Outcome,
    ReopenTicket,
    Reply,
    TicketView,
    Turn,
)
from handlers.dialogue.wording import problem, state

REOPENED_BY = frozenset({"done", "confirming", "closed"})


def handle(turn: Turn) -> Outcome:
    """Reopen the ticket whose repair did not help; press one that is still in work; else it is the fault itself."""
    candidates = tuple(t for t in turn.tickets if t.mine and t.status != "cancelled" and _fits(turn, t))
    if not candidates and (others := joined.spoken_of(turn)) is not None and not _elsewhere(turn):
        return joined.pressed(turn, others)
    if not candidates:
        return report(turn, _fault(turn))
    repaired = tuple(t for t in candidates if t.status in REOPENED_BY)
    ticket = meant(turn, repaired) or (None if repaired else meant(turn, candidates))
    if ticket is None:
        if len(repaired) > 1:
            return ask_which(turn, repaired, "not_resolved")
        ticket = repaired[0] if repaired else (open_tickets(turn) or candidates)[0]
    return reopen(turn, ticket) if ticket.status in REOPENED_BY else _press(turn, ticket)


def _fits(turn: Turn, ticket: TicketView) -> bool:
    """A ticket of the fault that the message names, if it names one, at the place it names, if it names one."""
    named = [name for name in turn.understanding.also if name in FAULTS]
    families = {"cold" if name in COLD else name for name in named}
    own = "cold" if ticket.intent in COLD else ticket.intent
    said = address_in(turn.understanding.entities, turn.places)
    elsewhere = (said.community and said.community != ticket.address.community) or (
        said.building and ticket.address.building and said.building != ticket.address.building
    )
    return (not families or own in families) and not elsewhere


def _elsewhere(turn: Turn) -> bool:
    said = address_in(turn.understanding.entities, turn.places)
    return bool(said.community or said.building or said.room)


def _fault(turn: Turn) -> str:
    named = [name for name in turn.understanding.also if name in FAULTS]
    ranked = [name for name, _ in turn.understanding.ranking if name in FAULTS and name != "danger"]
    return (named or ranked or ["no_heat"])[0]


def reopen(turn: Turn, ticket: TicketView) -> Outcome:
    """Send someone once more, under the same number; after the second failed repair a person calls."""
    effects: tuple[Effect, ...] = (ReopenTicket(ticket.number), *_reading(turn, ticket))
    key = "not_resolved.reopened"
    if ticket.reopened >= 1:
        effects, key = (*effects, AskForPerson("chased")), "not_resolved.reopened_again"
    params = {"number": ticket.number, "problem": problem(ticket.intents)}
    return Outcome((Reply(key, params),), settled(turn.conversation, case=None, ticket=ticket.number), effects)


def _press(turn: Turn, ticket: TicketView) -> Outcome:
    effects: tuple[Effect, ...] = (ChaseTicket(ticket.number), AddNote(ticket.number), *_reading(turn, ticket))
    params = {"number": ticket.number, "problem": problem(ticket.intents), "state": state(ticket)}
    key = "urge.noted"
    if ticket.chases >= 1:
        effects, key = (*effects, AskForPerson("chased")), "urge.person"
    return Outcome((Reply(key, params),), settled(turn.conversation, ticket=ticket.number), effects)


def _reading(turn: Turn, ticket: TicketView) -> tuple[Effect, ...]:
    reading = value_in(turn.understanding.entities, "temperature")
    return (EditTicket(ticket.number, temperature=float(reading)),) if reading else ()
