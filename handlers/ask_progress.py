"""查进度: where a ticket is."""

from __future__ import annotations

from handlers import urge
from handlers.dialogue import joined
from handlers.dialogue.answers import pending_question
from handlers.dialogue.choose import meant, open_tickets, settled
from handlers.dialogue.collect import ask_again
from handlers.dialogue.report import report
from handlers.dialogue.types import Outcome, Reply, TicketView, Turn
from handlers.dialogue.wording import comes_next, problem, state

SHOWN = 3


def handle(turn: Turn) -> Outcome:
    """Tell the state of the ticket that is meant, or of every open one; of another's ticket the state alone."""
    foreign = [t for t in turn.mentioned if not t.mine]
    if foreign:
        return _tell(turn, [_line(foreign[0])], None)
    asked = [t for t in turn.mentioned if t.mine]
    tickets = open_tickets(turn) or turn.tickets[:1]
    if not asked and tickets:
        one = meant(turn, tickets)
        asked = [one] if one and len(tickets) > 1 else list(tickets[:SHOWN])
    if not asked and turn.joined:
        return joined.progress(turn)
    if not asked:
        return _nothing_reported(turn)
    lines = [_line(ticket) for ticket in asked]
    if len(asked) > 1:
        lines = [_short(ticket) for ticket in asked]
    return _tell(turn, lines, asked[0].number)


def _nothing_reported(turn: Turn) -> Outcome:
    """No ticket: what is being told is told to its end; 怎么还没来暖 is a report; else how to report."""
    case = turn.conversation.case
    if case is not None and case.intent and turn.conversation.waiting_for:
        return Outcome((Reply("urge.finish_first"), ask_again(turn)), turn.conversation)
    if urge.nothing_came(turn.text):
        return report(turn, "no_heat")
    return Outcome((Reply("ask_progress.none"),), settled(turn.conversation))


def _tell(turn: Turn, lines: list[Reply], number: str | None) -> Outcome:
    conversation = turn.conversation
    if number and conversation.case is None:
        conversation = settled(conversation, ticket=number)
    return Outcome((*lines, *pending_question(turn)), conversation)


def _short(ticket: TicketView) -> Reply:
    params = {"number": ticket.number, "problem": problem(ticket.intents), "state": state(ticket)}
    return Reply("urge.line", params)


def _line(ticket: TicketView) -> Reply:
    params = {"number": ticket.number, "problem": problem(ticket.intents), "state": state(ticket)}
    if not ticket.mine:
        return Reply("ask_progress.state_only", params)
    if ticket.note and ticket.status in ("waiting", "done"):
        return Reply("ask_progress.line_noted", {**params, "note": ticket.note})
    return Reply("ask_progress.line", {**params, "next": comes_next(ticket)})
