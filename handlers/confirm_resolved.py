"""已解决: it is fixed."""

from __future__ import annotations

from handlers.dialogue.choose import ask_which, meant, open_tickets, settled
from handlers.dialogue.types import Outcome, Reply, ResolveTicket, TicketView, Turn


def handle(turn: Turn) -> Outcome:
    """Close the ticket that is meant; a leak or a danger is confirmed by a person."""
    tickets = open_tickets(turn)
    if not tickets:
        key = "confirm_resolved.none" if turn.conversation.case is None else "confirm_resolved.dropped"
        return Outcome((Reply(key),), settled(turn.conversation, case=None, asked=()))
    done = tuple(t for t in tickets if t.status in ("done", "confirming"))
    ticket = meant(turn, tickets) or (done[0] if len(done) == 1 else None)
    if ticket is None:
        return ask_which(turn, tickets, "confirm_resolved")
    return _resolve(turn, ticket)


def _resolve(turn: Turn, ticket: TicketView) -> Outcome:
    key = "confirm_resolved.person" if ticket.intent in ("leak", "danger") else "confirm_resolved.closed"
    conversation = settled(turn.conversation, case=None, ticket=ticket.number, asked=())
    return Outcome((Reply(key, {"number": ticket.number}),), conversation, (ResolveTicket(ticket.number),))
