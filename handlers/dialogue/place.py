"""What comes without words: a building whose code was scanned, a position, a photo, a voice message."""

from __future__ import annotations

from dataclasses import replace

from handlers.dialogue import collect
from handlers.dialogue.answers import pending_question
from handlers.dialogue.choose import chosen, current_ticket, open_tickets, says_no, says_yes
from handlers.dialogue.collect import numbered
from handlers.dialogue.facts import add_to, address_in, merge, with_community
from handlers.dialogue.types import (
    AddNote,
    Address,
    Case,
    Conversation,
    EditTicket,
    FileReview,
    Option,
    Outcome,
    Reply,
    TicketView,
    Turn,
)
from handlers.dialogue.wording import MEANINGS, address_line

PROBLEMS = ("no_heat", "low_temperature", "leak", "other_repair")


def known(turn: Turn, address: Address, first: tuple[Reply, ...] = ()) -> Outcome:
    """The place is known for sure: said back, and what is told or missing of the report goes on from there."""
    case, ticket = turn.conversation.case, current_ticket(turn)
    if ticket is not None and not ticket.address.room:
        whole = _over(ticket.address, address)
        told = replace(case or Case(ticket.intent), intent=ticket.intent, address=whole)
        return _after(collect.edit_ticket(turn, ticket, told, EditTicket(ticket.number, address=whole)), address, first)
    if case is not None and case.intent and ticket is None:
        filled = replace(case, address=_over(case.address, address))
        return collect.go_on(turn, filled, (), (*first, _noted(address)))
    options = tuple(Option(intent, MEANINGS[intent]) for intent in PROBLEMS)
    words = Reply("provide_info.what_is_wrong", {"address": address_line(address), "options": numbered(options)})
    conversation = Conversation(case=Case("", address=address), waiting_for="problem", options=options)
    return Outcome((*first, words), conversation)


def _noted(address: Address) -> Reply:
    return Reply("place.noted", {"address": address_line(address)})


def _after(outcome: Outcome, address: Address, first: tuple[Reply, ...]) -> Outcome:
    return replace(outcome, replies=(*first, _noted(address), *outcome.replies))


def _over(old: Address, new: Address) -> Address:
    """A place that is sure over what was told: in another building neither its unit nor its room is known."""
    moved = bool(new.building and old.building and new.building != old.building)
    moved = moved or bool(old.community and new.community != old.community)
    return new if moved else merge(old, new, correcting=True)


def near(turn: Turn, names: tuple[str, ...]) -> Outcome:
    """A position: the estates around it, to choose from."""
    options = tuple(Option(name, name) for name in names)
    before = turn.conversation
    case = before.case if before.case is not None and (before.ticket is None or current_ticket(turn)) else Case("")
    waiting = replace(before, case=case, waiting_for="place", options=options)
    return Outcome((Reply("place.near", {"options": numbered(options)}),), waiting)


def choose(turn: Turn) -> Outcome | None:
    """Which of the estates around: its number, its name, yes to the only one, or another name."""
    conversation, case = turn.conversation, turn.conversation.case
    if case is None:
        return None
    option = chosen(turn, conversation.options)
    if option is None and len(conversation.options) == 1 and says_yes(turn):
        option = conversation.options[0]
    stated = address_in(turn.understanding.entities, turn.places)
    if option is None and not stated.community:
        return _asked_by_name(turn) if says_no(turn) else None
    address = stated if option is None else with_community(merge(Address(), stated), option.value, turn.places)
    told = replace(turn, conversation=replace(conversation, case=add_to(case, turn), waiting_for=None, options=()))
    return known(told, address)


def _asked_by_name(turn: Turn) -> Outcome:
    return Outcome((Reply("ask.community"),), replace(turn.conversation, waiting_for="community", options=()))


def shown(turn: Turn, kind: str) -> Outcome:
    """A photo or a film: kept for a person; on the ticket we speak of, if there is one."""
    ticket, question = _spoken_of(turn), pending_question(turn)
    if ticket is not None:
        noted = Reply("photo.with_ticket", {"number": ticket.number})
        return Outcome((noted, *question), turn.conversation, (AddNote(ticket.number),))
    if question:
        return Outcome((Reply("place.seen"), *question), turn.conversation)
    return Outcome((Reply("system.video" if kind == "video" else "system.image"),), turn.conversation)


def spoken(turn: Turn) -> Outcome:
    """A voice message that nobody has written down: a person listens, and nothing has to be typed; 1 asks for a call."""
    ticket = _spoken_of(turn)
    effects = (AddNote(ticket.number), FileReview("voice")) if ticket is not None else (FileReview("voice"),)
    if turn.conversation.waiting_for is not None:
        return Outcome((Reply("system.voice"),), turn.conversation, effects)
    asking = replace(turn.conversation, waiting_for="callback")
    return Outcome((Reply("system.voice"), Reply("system.voice_call")), asking, effects)


def _spoken_of(turn: Turn) -> TicketView | None:
    """The open ticket of this conversation, else the only open one."""
    tickets = open_tickets(turn)
    return current_ticket(turn) or (tickets[0] if len(tickets) == 1 else None)
