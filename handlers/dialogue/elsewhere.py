"""Homes whose pipes another company runs, or the property company: whom to call, and handing over only when they agree."""

from __future__ import annotations

from handlers.dialogue.types import Case, Conversation, Outcome, Reply, Turn
from nlu.gazetteer import Server

QUESTION = "handover"  # what Conversation.waiting_for says while consent is asked for


def server_of(turn: Turn, case: Case) -> Server | None:
    """Who else serves the home of a case; None where we do, or where nobody knows."""
    known = turn.places.community(case.address.community) if case.address.community else None
    return known.server if known is not None else None


def offer(turn: Turn, case: Case, first: tuple[Reply, ...] = ()) -> Outcome | None:
    """Say whom to call, once, and ask whether their words may be handed over; None where the home is ours.

    Who goes on after that gets a ticket with us: the list of who serves whom may be wrong, and a person looks.
    """
    server = server_of(turn, case)
    if server is None or QUESTION in turn.conversation.asked:
        return None
    conversation = Conversation(case=case, waiting_for=QUESTION, asked=(*turn.conversation.asked, QUESTION))
    return Outcome((*first, _whom(case, server), Reply("ask.handover")), conversation)


def also(turn: Turn, case: Case) -> tuple[Reply, ...]:
    """Whom else to call, beside an emergency that we take whoever's home it is."""
    server = server_of(turn, case)
    return (_whom(case, server),) if server is not None and QUESTION not in turn.conversation.asked else ()


def _whom(case: Case, server: Server) -> Reply:
    params = {"community": case.address.community or "", "name": server.name, "phone": server.phone or ""}
    if server.phone:
        return Reply("elsewhere.self_run" if server.self_run else "elsewhere.company", params)
    return Reply("elsewhere.self_run_no_phone" if server.self_run else "elsewhere.company_no_phone", params)
