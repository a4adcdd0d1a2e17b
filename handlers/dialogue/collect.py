"""A report on its way to a ticket: what is still missing, the one next question, and the ticket when all is there.

What the last question asked for (`Conversation.waiting_for`): community, confirm_community, building, unit, room,
phone, severity, problem, insist, home, meaning, ticket, callback. handlers/dialogue/pending.py reads the answers.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date

from handlers.dialogue import elsewhere
from handlers.dialogue.facts import means_mine_too, means_other_home, merge, shop_in, suggestion
from handlers.dialogue.types import (
    AddNote,
    Address,
    AskForPerson,
    Case,
    Conversation,
    EditTicket,
    Effect,
    OpenTicket,
    Option,
    Outcome,
    Reply,
    TicketView,
    Turn,
)
from handlers.dialogue.wording import address_line, place_line, problem, state
from nlu.places import Gazetteer

AT_ONCE = frozenset({"leak", "danger"})  # these open with whatever is known
COLD = frozenset({"no_heat", "low_temperature"})
_VALVE = re.compile(r"阀|[关拧]不[上住动死]")
TIMES = 2  # how often one thing is asked before we go on without it


def missing(case: Case, places: Gazetteer, asked: tuple[str, ...] = ()) -> str | None:
    """The next part of the address that is needed and has not been asked for TIMES times; None when complete."""
    needed = _needed(case, places)
    if "community" in needed and asked.count("community") >= TIMES:
        return None  # a house number in nobody knows which estate helps no one
    return next((part for part in needed if asked.count(part) < TIMES), None)


def is_complete(case: Case, places: Gazetteer) -> bool:
    """Whether nothing of the address is missing."""
    return not _needed(case, places)


def _needed(case: Case, places: Gazetteer) -> list[str]:
    address, needed = case.address, []
    if not address.community:
        needed.append("community")
    elif suggestion(address, places):
        needed.append("confirm_community")
    if case.scope == "community":
        return needed
    house = address.room is not None and not address.building and address.room.endswith("号")
    if not address.building and not house:
        needed.append("building")
    if case.scope == "building":
        return needed
    shop = address.room is not None and shop_in(address.room) is not None  # a shop has its own door to the street
    if not address.unit and not shop and (case.scope == "unit" or _has_units(address, places)):
        needed.append("unit")
    if case.scope == "unit":
        return needed
    if not address.room:
        needed.append("room")
    return needed


def _has_units(address: Address, places: Gazetteer) -> bool:
    community = places.community(address.community) if address.community else None
    if community is None or not address.building:
        return False
    return bool(places.needs_unit(community, address.building))


def start(turn: Turn, case: Case, first: tuple[Reply, ...] = (), lacking: tuple[str, ...] = ()) -> Outcome:
    """A new report: known homes fill in what it leaves out; then as `go_on`.

    `lacking`: parts of the address that the report says there are none of; they are not asked for.
    """
    mine = None if _elsewhere(turn) else _same_fault(turn, case)
    if mine is not None and not _names_other_place(case.address, mine.address):
        return _already_open(turn, case, mine, first)
    if case.address.community is None and len(turn.homes) > 1 and not case.address and not _recent(turn):
        return _choose_home(turn, case, first)
    return go_on(turn, replace(case, address=_known_home(turn, case)), (), first, lacking)


def _elsewhere(turn: Turn) -> bool:
    """Whether the message speaks of another home than the one that the conversation was about."""
    told_another = turn.conversation.ticket is not None and means_mine_too(turn.text)
    return means_other_home(turn.text) or told_another


def _same_fault(turn: Turn, case: Case) -> TicketView | None:
    """This contact's open ticket of the same fault, if there is one."""
    if case.intent == "other_repair" and not case.address and _VALVE.search(turn.text):
        told = next((t for t in turn.tickets if t.is_open and t.number == turn.conversation.ticket), None)
        if told is not None and told.intent == "leak":
            return told  # the valve that will not close belongs to the leak that is being told
    family = COLD if case.intent in COLD else {case.intent}
    return next((t for t in turn.tickets if t.is_open and t.mine and t.intent in family), None)


def _names_other_place(given: Address, known: Address) -> bool:
    pairs = ((getattr(given, part), getattr(known, part)) for part in ("community", "building", "unit", "room"))
    return any(new and new != old for new, old in pairs)


def _recent(turn: Turn) -> Address | None:
    """The address of the ticket that this conversation is about."""
    ticket = next((t for t in turn.tickets if t.number == turn.conversation.ticket), None)
    return ticket.address if ticket and ticket.address else None


def _known_home(turn: Turn, case: Case) -> Address:
    """The address of a new report: what it says, over the home we know for this contact."""
    given = case.address
    base = _recent(turn) or (turn.homes[0] if turn.homes else None)
    if base is None or _elsewhere(turn):
        return given
    if given.community and given.community != base.community:
        return next((h for h in turn.homes if h.community == given.community and not given.building), given)
    if given.building and given.building != base.building:
        return merge(Address(base.district, base.community, known=base.known), given)
    return merge(base, given)


def _choose_home(turn: Turn, case: Case, first: tuple[Reply, ...]) -> Outcome:
    options = tuple(Option(str(n), address_line(home)) for n, home in enumerate(turn.homes[:4]))
    conversation = Conversation(case=case, waiting_for="home", options=options, asked=("home",))
    question = Reply("ask.home", {"options": numbered(options)})
    if case.intent in AT_ONCE:
        return Outcome((*first, *_opening_words(turn, case, False), question), conversation, (OpenTicket(case),))
    return Outcome((*first, question), conversation)


def numbered(options: tuple[Option, ...]) -> str:
    """Options as lines to answer with a number."""
    return "\n".join(f"{n} {option.label}" for n, option in enumerate(options, 1))


def ask_again(turn: Turn) -> Reply:
    """The question that is waiting for its answer, as it can be asked once more."""
    conversation, waiting = turn.conversation, turn.conversation.waiting_for
    if waiting == "insist":
        return Reply("cold.out_of_season", season_params(turn))
    params = {"options": numbered(conversation.options)}
    if waiting == "confirm_community" and conversation.case is not None:
        address = conversation.case.address
        params["community"] = suggestion(address, turn.places) or address.community or ""
    key = {
        "meaning": "unsure.choose",
        "callback": "unsure.offer_person",
        "proof": "proof.ask",
        "place": "place.near",
        "look": "affirm.after_ticket",
    }.get(waiting or "", f"ask.{waiting}")
    return Reply(key, params)


def _already_open(turn: Turn, case: Case, ticket: TicketView, first: tuple[Reply, ...]) -> Outcome:
    """The same fault once more: it joins the open ticket, with what is new in it."""
    joined = replace(case, address=merge(ticket.address, case.address), scope=case.scope or None)
    edit = EditTicket(
        ticket.number,
        temperature=case.temperature,
        severity=case.severity,
        need=case.need,
        phone=case.phone,
        account_no=case.account_no,
    )
    conversation = replace(turn.conversation, case=joined, ticket=ticket.number, waiting_for=None, options=())
    params = {"number": ticket.number, "problem": problem(ticket.intents), "state": state(ticket)}
    replies = (*first, Reply("report.already", params))
    effects: tuple[Effect, ...] = (edit, AddNote(ticket.number))
    if case.severity == "burst" and not ticket.urgent:
        replies = (*first, Reply("leak.is_burst", {"number": ticket.number}))
        effects = (*effects, AskForPerson("urgent"))
    elif case.intent in AT_ONCE and not _was_told(turn, case, ticket):
        replies = (safety(case), *replies)
    part = missing(joined, turn.places, turn.conversation.asked) if case.intent in AT_ONCE else None
    if part is None:
        return Outcome(replies, conversation, effects)
    return _asking(turn, joined, part, replies, effects, ticket.number)


def go_on(
    turn: Turn,
    case: Case,
    effects: tuple[Effect, ...] = (),
    first: tuple[Reply, ...] = (),
    lacking: tuple[str, ...] = (),
) -> Outcome:
    """The next step of a report: open the ticket when its address is complete, else ask for the next part."""
    asked = turn.conversation.asked
    if not _going_on(turn, case):
        asked = tuple(part for part in asked if part in ("phone", "phone_call"))  # a number is asked for once
    asked = (*asked, *lacking * TIMES)
    if out_of_season(turn, case) and "insist" not in asked:
        conversation = Conversation(case=case, waiting_for="insist", asked=(*asked, "insist"))
        return Outcome((*first, Reply("cold.out_of_season", season_params(turn))), conversation, effects)
    if case.intent in AT_ONCE:
        opened = _open(turn, case, effects, first, asked)
        return replace(opened, replies=(*opened.replies, *elsewhere.also(turn, case)))
    if (whose := elsewhere.offer(turn, case, first)) is not None:
        return replace(whose, effects=effects)
    part = missing(case, turn.places, asked)
    if part is not None:
        return _asking(turn, case, part, first, effects, asked=asked)
    if not case.address.community:
        return open_as_it_is(turn, case, first)
    return _open(turn, case, effects, first, asked)


def _going_on(turn: Turn, case: Case) -> bool:
    return turn.conversation.case is not None and turn.conversation.ticket is None


def _asking(
    turn: Turn,
    case: Case,
    part: str,
    first: tuple[Reply, ...],
    effects: tuple[Effect, ...],
    ticket: str | None = None,
    asked: tuple[str, ...] | None = None,
) -> Outcome:
    before = turn.conversation.case
    asked = turn.conversation.asked if asked is None else asked
    stuck = part in asked and before is not None and before == case
    plain = first or part not in ("building", "unit", "room", "community")
    again = "_again" if stuck and not plain else ""
    # A question is only used up by an answer that told nothing; whoever tells it in pieces is asked on patiently.
    if stuck and first and "urged" not in asked:
        asked = (*asked, "urged")  # the same fault once more, with impatience, uses up nothing
    elif stuck or part not in asked:
        asked = (*asked, part)
    conversation = Conversation(case=case, waiting_for=part, ticket=ticket, asked=asked)
    params = {"address": address_line(case.address)}
    if part == "confirm_community":
        params["community"] = suggestion(case.address, turn.places) or ""
    return Outcome((*first, Reply(f"ask.{part}{again}", params)), conversation, effects)


def _open(
    turn: Turn, case: Case, effects: tuple[Effect, ...], first: tuple[Reply, ...], asked: tuple[str, ...]
) -> Outcome:
    # That there is no unit, or no other estate of that name, was an answer; the rest a person has to ask for.
    lacking = [part for part in _needed(case, turn.places) if part not in ("unit", "confirm_community")]
    incomplete = bool(lacking) and case.intent not in AT_ONCE
    replies = (*first, *_opening_words(turn, case, incomplete))
    effects = (*effects, OpenTicket(case, incomplete=incomplete))
    part = missing(case, turn.places, asked) if case.intent in AT_ONCE else None
    if part is not None:
        return _asking(turn, case, part, replies, effects, asked=asked)
    if case.intent == "leak" and case.severity is None and "severity" not in asked:
        return _asking(turn, case, "severity", replies, effects, asked=asked)
    if turn.channel == "wechat" and turn.phone is None and case.phone is None and "phone" not in asked:
        conversation = Conversation(case=case, waiting_for="phone", asked=(*asked, "phone"))
        return Outcome((*replies, _ask_phone(case)), conversation, effects)
    return Outcome(replies, Conversation(case=case, asked=asked), effects)


def _opening_words(turn: Turn, case: Case, incomplete: bool) -> tuple[Reply, ...]:
    params = {"address": place_line(case), "problem": problem((case.intent, *case.also))}
    if case.intent in AT_ONCE:
        where = "_at_home" if turn.homes and _assumed_home(turn, case) else "_at" if params["address"] else ""
        opened = Reply(f"{case.intent}.opened{where}", params, about_ticket=True)
        money = (Reply("billing.attached"),) if "billing" in case.also and case.intent == "leak" else ()
        return (safety(case), opened, *money)
    key = f"{case.intent}.opened_incomplete" if incomplete else f"{case.intent}.opened"
    if turn.homes and _assumed_home(turn, case):
        key = "report.at_home"
    words = [Reply(key, params, about_ticket=True)]
    if "billing" in case.also:
        words.append(Reply("billing.attached"))
    return tuple(words)


def _ask_phone(case: Case) -> Reply:
    """A number is welcome; where someone is in danger it is needed."""
    if case.intent == "danger" or case.severity == "burst":
        return Reply("ask.phone_call")
    return Reply("ask.phone", own_only=True)


def _was_told(turn: Turn, case: Case, ticket: TicketView) -> bool:
    """Whether this conversation has already said what to do about this drip; of anything graver it is said again."""
    before = turn.conversation.case
    if before is None or turn.conversation.ticket != ticket.number or before.intent != case.intent:
        return False
    return before.severity == case.severity == "drip"


def safety(case: Case) -> Reply:
    """What keeps people safe, said before anything else."""
    if case.intent == "danger":
        return Reply(f"danger.{case.danger or 'unclear'}")
    return Reply(f"leak.safety_{case.severity or 'unclear'}")


def _assumed_home(turn: Turn, case: Case) -> bool:
    """Whether the address was taken from a known home rather than told in this conversation."""
    told = any(e.entity in ("community", "building", "room") for e in turn.understanding.entities)
    telling = turn.conversation.case is not None and turn.conversation.ticket is None
    return not told and not telling and case.address.room is not None


def edit_ticket(turn: Turn, ticket: TicketView, case: Case, change: EditTicket, key: str = "ticket.edited") -> Outcome:
    """Put further or corrected facts on an open ticket, read them back, and go on asking where something is missing."""
    conversation = turn.conversation
    asked = conversation.asked
    params = {"number": ticket.number, "address": place_line(case), "phone": change.phone or ""}
    if key == "ticket.edited" and change.address is not None and not ticket.address.room:
        key = "ticket.completed"
    changes = change != EditTicket(ticket.number)
    replies: tuple[Reply, ...] = (Reply(key, params),) if changes else ()
    part = missing(case, turn.places, asked) if ticket.intent in AT_ONCE or not ticket.address.room else None
    if part is not None:
        if change.address is not None and change.phone is None:
            replies = ()
        return _asking(turn, case, part, replies, (change,), ticket.number)
    if ticket.intent == "leak" and case.severity is None and "severity" not in asked:
        return _asking(turn, case, "severity", replies, (change,), ticket.number)
    if turn.channel == "wechat" and not (turn.phone or case.phone or ticket.has_phone) and "phone" not in asked:
        waiting = replace(conversation, case=case, ticket=ticket.number, waiting_for="phone", asked=(*asked, "phone"))
        return Outcome((*replies, _ask_phone(case)), replace(waiting, options=()), (change,))
    done = replace(conversation, case=case, ticket=ticket.number, waiting_for=None, options=(), misunderstood=0)
    return Outcome(replies, done, (change,))


def open_as_it_is(turn: Turn, case: Case, first: tuple[Reply, ...] = ()) -> Outcome:
    """Stop asking: open the report with what there is, and have a person call back."""
    replies = (
        *first,
        Reply("report.incomplete", {"problem": problem(case.intent)}, about_ticket=True),
    )
    conversation = Conversation(case=case, asked=turn.conversation.asked)
    return Outcome(replies, conversation, (OpenTicket(case, incomplete=True), AskForPerson("incomplete")))


def out_of_season(turn: Turn, case: Case) -> bool:
    """Whether this is a cold report outside the heating season of its area."""
    return case.intent in COLD and bool(turn.rules.seasons) and not in_season(turn, case.address.district)


def in_season(turn: Turn, district: str | None) -> bool:
    """Whether today belongs to a heating season of the district."""
    own = [s for s in turn.rules.seasons if s.area == district]
    areas = own or [s for s in turn.rules.seasons if s.area == "*"]
    return any(s.start <= turn.today <= s.end for s in areas)


def season_params(turn: Turn) -> dict[str, str]:
    """The next or present season's dates as they are told."""
    seasons = sorted((s for s in turn.rules.seasons if s.area == "*"), key=lambda s: s.start)
    season = next((s for s in seasons if s.end >= turn.today), seasons[-1] if seasons else None)
    if season is None:
        return {"start": "", "end": ""}
    return {"start": _day(season.start), "end": _day(season.end)}


def _day(day: date) -> str:
    return f"{day.month}月{day.day}日"
