"""撤销: withdraw the report."""

from __future__ import annotations

from handlers.dialogue import joined
from handlers.dialogue.choose import ask_which, meant, open_tickets, settled
from handlers.dialogue.types import AddNote, AskForPerson, CancelTicket, Outcome, Reply, Turn


def handle(turn: Turn) -> Outcome:
    """Withdraw the ticket that is meant, or the report that is being told; an urgent one only through a person."""
    telling = turn.conversation.case is not None and turn.conversation.ticket is None
    tickets = open_tickets(turn)
    if telling and turn.conversation.waiting_for:
        return Outcome((Reply("collect.dropped"),), settled(turn.conversation, case=None, asked=()))
    if not tickets and (others := joined.spoken_of(turn)) is not None:
        return joined.not_theirs(turn, others)
    if not tickets:
        return Outcome((Reply("cancel.none"),), settled(turn.conversation))
    ticket = meant(turn, tickets)
    if ticket is None:
        return ask_which(turn, tickets, "cancel")
    conversation = settled(turn.conversation, case=None, ticket=None, asked=())
    params = {"number": ticket.number}
    if ticket.urgent:
        effects = (AddNote(ticket.number), AskForPerson("confirm"))
        return Outcome((Reply("cancel.person", params),), conversation, effects)
    return Outcome((Reply("cancel.done", params),), conversation, (CancelTicket(ticket.number),))
