"""补充信息: only data: an address, a phone, an account number, a reading."""

from __future__ import annotations

from dataclasses import replace

from handlers.dialogue import collect, further
from handlers.dialogue.choose import open_tickets, settled
from handlers.dialogue.collect import numbered
from handlers.dialogue.facts import (
    add_to,
    address_in,
    case_from,
    means_same_home,
    merge,
    named_place,
    plain_answer,
    with_community,
)
from handlers.dialogue.types import (
    AddNote,
    Address,
    BindHome,
    Case,
    Conversation,
    EditTicket,
    Effect,
    Option,
    Outcome,
    Reply,
    TicketView,
    Turn,
)
from handlers.dialogue.wording import MEANINGS, address_line, place_line

STANDARD = 18.0  # ℃: Henan's rule for bedrooms and living rooms (河南省集中供热管理试行办法, art. 26)
SHORTEST_ROOM = 3  # digits: 7 alone may be a building, a unit or a choice
COLD_AS_OFF = 12.0  # ℃: under this a bare reading is no heat at all (annotation guide, rule 4)


def handle(turn: Turn) -> Outcome:
    """Add the data to the report being told, to the open ticket, or keep them and ask what is wrong."""
    conversation = turn.conversation
    if conversation.case is not None and conversation.ticket is None and conversation.case.intent:
        case = _added(turn, conversation.case)
        told_else = case != conversation.case and case.address == conversation.case.address
        return collect.go_on(turn, case, (), (Reply("collect.noted"),) if told_else else ())
    ticket = _ticket(turn)
    if ticket is not None and (outcome := further.another_home(turn, ticket)) is not None:
        return outcome
    if ticket is not None and (conversation.ticket or not address_in(turn.understanding.entities, turn.places)):
        return _edit(turn, ticket)
    return _keep(turn)


def _added(turn: Turn, case: Case) -> Case:
    if means_same_home(turn.text) and turn.homes:
        return replace(case, address=turn.homes[0])
    return add_to(case, turn)


def _ticket(turn: Turn) -> TicketView | None:
    """The ticket the data belong to: the one this conversation is about, else the only open one."""
    if (named := further.corrected(turn)) is not None:
        return named
    tickets = open_tickets(turn)
    current = next((t for t in tickets if t.number == turn.conversation.ticket), None)
    return current or (tickets[0] if len(tickets) == 1 else None)


def _edit(turn: Turn, ticket: TicketView) -> Outcome:
    said = case_from(turn, ticket.intent, ())
    if not said.address and (number := plain_answer(turn.text, "room")) and len(number) >= SHORTEST_ROOM:
        said = replace(said, address=Address(room=number))  # 是705, after 哪里不对
    if _own_room_of_many(ticket, said.address):
        words = Reply(
            "report.stays_wide", {"address": place_line(Case("", address=ticket.address, scope=ticket.scope))}
        )
        return Outcome((words,), settled(turn.conversation, ticket=ticket.number), (AddNote(ticket.number),))
    address = merge(ticket.address, said.address, correcting=True)
    changed = address if said.address and address != ticket.address else None
    change = EditTicket(
        ticket.number,
        address=changed,
        phone=said.phone,
        phone_of_other=said.phone_of_other,
        temperature=said.temperature,
        account_no=said.account_no,
    )
    told = turn.conversation.case if ticket.number == turn.conversation.ticket else None
    case = replace(told or said, intent=ticket.intent, address=address, phone=said.phone)
    if changed is not None:
        return collect.edit_ticket(turn, ticket, case, change)
    if said.phone:
        conversation = settled(turn.conversation, case=case, ticket=ticket.number)
        reply = Reply("phone.noted", {"phone": said.phone, "number": ticket.number})
        return Outcome((reply,), conversation, (change,))
    if said.temperature is not None and said.temperature >= STANDARD and ticket.intent in collect.COLD:
        asking = replace(turn.conversation, ticket=ticket.number, waiting_for="warm", options=())
        degrees = Reply("provide_info.degrees", {"degrees": f"{said.temperature:g}"})
        return Outcome((degrees, Reply("ask.warm")), asking, (change,))
    if said.temperature is not None or said.account_no:
        conversation = settled(turn.conversation, ticket=ticket.number)
        return Outcome((Reply("provide_info.noted", {"number": ticket.number}),), conversation, (change,))
    return Outcome((Reply("provide_info.which_part"),), settled(turn.conversation, ticket=ticket.number))


def _own_room_of_many(ticket: TicketView, said: Address) -> bool:
    """Whether only the reporter's own door is told, after a whole building was reported: that does not make it less."""
    if ticket.scope not in ("unit", "building", "community") or not (said.room or said.unit):
        return False
    unit_too = ticket.scope == "unit" and said.unit and said.unit != ticket.address.unit
    other = (said.community and said.community != ticket.address.community) or (
        said.building and ticket.address.building and said.building != ticket.address.building
    )
    return not (other or unit_too)


def _keep(turn: Turn) -> Outcome:
    """Data before any problem: a low reading is a report by itself, anything else is kept while we ask."""
    before = turn.conversation.case
    case = add_to(before, turn) if before is not None and not before.intent else case_from(turn, "", ())
    if not case.address.community and (name := named_place(turn.text)):
        case = replace(case, address=with_community(case.address, name, turn.places))
    if case.temperature is not None and case.temperature < STANDARD:
        intent = "no_heat" if case.temperature < COLD_AS_OFF else "low_temperature"
        return collect.start(turn, replace(case, intent=intent))
    if turn.conversation.waiting_for == "problem" and before is not None and before.address:
        return Outcome((Reply("collect.noted"), Reply("ask.problem_short")), replace(turn.conversation, case=case))
    options = tuple(Option(i, MEANINGS[i]) for i in ("no_heat", "low_temperature", "leak", "other_repair"))
    effects: tuple[Effect, ...] = (BindHome(case.address),) if collect.is_complete(case, turn.places) else ()
    key = "provide_info.what_is_wrong" if case.address else "ask.problem"
    params = {"address": address_line(case.address), "options": numbered(options)}
    return Outcome((Reply(key, params),), Conversation(case=case, waiting_for="problem", options=options), effects)
