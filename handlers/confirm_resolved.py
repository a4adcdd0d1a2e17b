"""已解决: it is fixed."""

from __future__ import annotations

import re
from dataclasses import replace

from handlers.dialogue import joined
from handlers.dialogue.choose import ask_which, meant, open_tickets, settled
from handlers.dialogue.types import Outcome, Reply, ResolveTicket, TicketView, Turn

_MADE_SURE_OF = frozenset({"leak", "danger"})
_ALL = re.compile(r"都|全|两(?:个|件|样)")


def handle(turn: Turn) -> Outcome:
    """Close the ticket that is meant; a leak or a danger is confirmed by a person."""
    tickets = open_tickets(turn)
    if not tickets and (others := joined.spoken_of(turn)) is not None:
        return joined.told(turn, others)
    if not tickets:
        telling = turn.conversation.case is not None and turn.conversation.ticket is None
        key = "confirm_resolved.dropped" if telling else "confirm_resolved.none"
        return Outcome((Reply(key),), settled(turn.conversation, case=None, asked=()))
    done = tuple(t for t in tickets if t.status in ("done", "confirming"))
    ticket = meant(turn, tickets) or (done[0] if len(done) == 1 else None)
    if ticket is None and _ALL.search(turn.text):
        return _resolve_all(turn, tickets)
    if ticket is None:
        return ask_which(turn, tickets, "confirm_resolved")
    return _resolve(turn, ticket)


def _resolve_all(turn: Turn, tickets: tuple[TicketView, ...]) -> Outcome:
    """都好了: every one; a leak is still made sure of by a person."""
    conversation = settled(turn.conversation, case=None, ticket=None, asked=())
    sure = [t.number for t in tickets if t.intent not in _MADE_SURE_OF]
    others = [t.number for t in tickets if t.intent in _MADE_SURE_OF]
    replies = [Reply("confirm_resolved.closed", {"number": "、".join(sure)})] if sure else []
    if others:
        replies.append(
            Reply("confirm_resolved.person_too" if sure else "confirm_resolved.person", {"number": "、".join(others)})
        )
    return Outcome(tuple(replies), conversation, tuple(ResolveTicket(t.number) for t in tickets))


def _resolve(turn: Turn, ticket: TicketView) -> Outcome:
    key = "confirm_resolved.person" if ticket.intent in _MADE_SURE_OF else "confirm_resolved.closed"
    conversation = settled(turn.conversation, case=None, ticket=ticket.number, asked=())
    replies: tuple[Reply, ...] = (Reply(key, {"number": ticket.number}),)
    if key == "confirm_resolved.closed" and ticket.status == "done":
        # A repair of ours: how it was done is asked once, and silence is fine.
        replies, conversation = (*replies, Reply("ask.rating")), replace(conversation, waiting_for="rating")
    return Outcome(replies, conversation, (ResolveTicket(ticket.number),))
