"""Answers to the last question: one function for each thing that is waited for.

Each returns an Outcome when the message answers the question, and None when it does not: then the message is taken for
what it means by itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from handlers.dialogue import afterwards, collect, consent, elsewhere, further, place, proof, several, taps
from handlers.dialogue.choose import chosen, current_ticket, meant, says_no, says_yes, settled
from handlers.dialogue.context import ends_unsaid, tells_fault
from handlers.dialogue.facts import (
    add_to,
    address_in,
    address_told,
    denied_parts,
    means_same_home,
    merge,
    plain_answer,
    plain_community,
    says_floor,
    says_none,
    suggestion,
    with_community,
)
from handlers.dialogue.types import (
    AddNote,
    Address,
    AskForPerson,
    Case,
    EditTicket,
    FileReview,
    Outcome,
    Reply,
    TicketView,
    Turn,
)
from nlu.types import PROBLEMS

# What may come instead of an answer and is then not one, however well a number in it would fit.
_OWN_MEANING = frozenset(
    {"danger", "leak", "billing", "human_agent", "privacy", "cancel", "unsubscribe", "ask_progress", "urge", "consult"}
    | {"confirm_resolved"}
)
_ASKS = _OWN_MEANING - {"danger", "leak", "urge"}
_SURE = 0.6
_WORTH_A_MENU = frozenset({"cancel", "human_agent", "confirm_resolved", "billing", "consult", "urge", "ask_progress"})
_MAYBE = 0.3
# Meanings that an address goes on with.
TAKEN_UP = collect.COLD | {"leak", "open_valve", "other_repair", "danger", "billing"}
_A_WORD = 4  # characters from which on a message may tell something
A_SYLLABLE = 1
TWICE = 2
_ALL = re.compile(
    r"^(?:这|那|我)?(?:[两二三四几]|全|每)?(?:个|套|家|处)?(?:房子?|家|屋)?(?:都|全)|全部|每[套家个]|[两二三四]套"
)
_SHORT = 8  # characters up to which words after a choice are taken for the choice


def answer(turn: Turn) -> Outcome | None:
    """The outcome of a message that answers what was asked; None where nothing was asked or it does not."""
    waiting = turn.conversation.waiting_for
    return READ[waiting](turn) if waiting in READ else None


def _means_something_else(turn: Turn) -> bool:
    """Whether the message plainly says something of its own instead of answering."""
    u = turn.understanding
    if turn.danger:
        return True
    return u.intent in _OWN_MEANING and u.confidence >= _SURE and not says_none(turn.text)


def _address_part(turn: Turn) -> Outcome | None:
    """An answer to 哪个小区, 几号楼, 几单元, 门牌号: with the part asked, with others, or plain."""
    conversation, part = turn.conversation, turn.conversation.waiting_for or ""
    case = conversation.case
    if case is None or not case.intent:
        return None
    if further.corrected(turn) is not None:
        return None  # it speaks of another report
    if (outcome := several.told(turn, case)) is not None:
        return outcome
    given = _given(turn, part, case)
    u = turn.understanding
    if not address_in(u.entities, turn.places) and means_same_home(turn.text):
        return _known_address(turn, case)
    asks = u.intent in _ASKS and u.confidence >= _SURE and not turn.danger
    if (
        given is None
        and not asks
        and case.intent == "leak"
        and (outcome := afterwards.severity_beside(turn)) is not None
    ):
        return outcome
    if given is None and len(turn.text.strip()) <= A_SYLLABLE:
        return proceed(turn, case)  # 小, 急: too short to be a report of its own
    if given is None and says_floor(turn.text):
        return proceed(turn, case)
    if given is None and says_none(turn.text):
        return _without(turn, case, part)
    if given is None or (_means_something_else(turn) and not address_in(u.entities, turn.places)):
        return None  # what it means by itself
    other = u.intent in PROBLEMS and u.intent != case.intent and not _same_family(u.intent, case)
    if other and u.confidence >= _SURE and tells_fault(turn.text):
        return None
    filled = replace(add_to(case, turn), address=given)
    return proceed(turn, filled)


def _known_address(turn: Turn, case: Case) -> Outcome:
    """还是那个地址: the home we know for this contact; where we know none, that is said, and the question stays."""
    if turn.homes:
        return proceed(turn, replace(case, address=turn.homes[0]))
    return Outcome((Reply("collect.not_on_file"), collect.ask_again(turn)), turn.conversation)


def _same_family(intent: str, case: Case) -> bool:
    return intent in collect.COLD and case.intent in collect.COLD


def _given(turn: Turn, part: str, case: Case) -> Address | None:
    """The case's address with what the message adds; None where it adds nothing."""
    stated = address_told(turn)
    plain = None
    if part in ("building", "unit", "room") and not getattr(stated, part):
        plain = plain_answer(turn.text, part)
    if plain is not None:
        # "3" after 几号楼 is the building, whatever else a 3 could be.
        only_number = replace(stated, building=None, unit=None, room=None) if len(plain) <= 5 else stated
        return merge(case.address, _with_part(only_number, part, plain))
    if part in ("community", "confirm_community") and not stated and (name := plain_community(turn.text)):
        return merge(case.address, with_community(Address(), name, turn.places))
    return merge(case.address, stated) if stated else None


def _with_part(address: Address, part: str, value: str) -> Address:
    if part == "building":
        return replace(address, building=value)
    return replace(address, unit=value) if part == "unit" else replace(address, room=value)


def proceed(turn: Turn, case: Case) -> Outcome:
    ticket = current_ticket(turn)
    if ticket is None:
        return collect.go_on(turn, case)
    change = EditTicket(
        ticket.number,
        address=case.address,
        phone=case.phone if turn.conversation.case and case.phone != turn.conversation.case.phone else None,
        phone_of_other=case.phone_of_other,
        severity=case.severity,
        scope=case.scope,
        temperature=case.temperature,
    )
    return collect.edit_ticket(turn, ticket, case, change)


def unanswered(turn: Turn) -> Outcome | None:
    """A message that is no answer and was not understood: the question stays; a word beside a ticket is kept on it.

    None where a menu of meanings or a person helps more.
    """
    conversation, u = turn.conversation, turn.understanding
    case, ticket = conversation.case, current_ticket(turn)
    hurried = "urge" in u.also or u.intent in collect.COLD | {"urge"}
    if u.intent in _WORTH_A_MENU and u.confidence >= _MAYBE and not hurried and not ends_unsaid(turn.text, u.intent):
        return None
    if case is not None and case.intent and conversation.waiting_for in ("community", "building", "unit", "room"):
        if ticket is None and hurried:
            return collect.go_on(turn, case, (), (Reply("urge.finish_first"),))
        return proceed(turn, case)
    if case is not None and conversation.waiting_for == "problem" and conversation.asked.count("problem") < TWICE:
        asked = (*conversation.asked, "problem")
        return Outcome((Reply("ask.problem"),), replace(conversation, case=add_to(case, turn), asked=asked))
    if ticket is not None and conversation.waiting_for == "severity" and conversation.asked.count("severity") < TWICE:
        asked = (*conversation.asked, "severity")
        return Outcome((Reply("ask.severity"),), replace(conversation, asked=asked))
    if ticket is not None and len(turn.text) >= _A_WORD and conversation.misunderstood == 0:
        kept = replace(conversation, misunderstood=1)
        effects = (AddNote(ticket.number), FileReview("unsure"))
        return Outcome((Reply("visit.perhaps", {"number": ticket.number}),), kept, effects)
    return None


def _without(turn: Turn, case: Case, part: str) -> Outcome:
    """There is no such part, or the resident does not know it: never ask again, go on with what there is."""
    known_not = dict.fromkeys((part, *denied_parts(turn.text)))
    conversation = replace(turn.conversation, asked=(*turn.conversation.asked, *known_not, *known_not))
    going = replace(turn, conversation=conversation)
    ticket = current_ticket(turn)
    if ticket is not None and part == "community":
        return _person_finds_address(going, ticket)
    if ticket is not None:
        return collect.edit_ticket(going, ticket, case, EditTicket(ticket.number))
    if part == "community":
        return collect.open_as_it_is(going, case)
    return collect.go_on(going, case)


def _person_finds_address(turn: Turn, ticket: TicketView) -> Outcome:
    """An emergency whose place the resident cannot name: a person calls; on WeChat a phone is needed for that."""
    conversation = settled(turn.conversation)
    replies = [Reply("report.call_for_address", {"number": ticket.number})]
    if turn.channel == "wechat" and not (turn.phone or ticket.has_phone):
        replies.append(Reply("ask.phone"))
        conversation = replace(conversation, waiting_for="phone", asked=(*conversation.asked, "phone"))
    return Outcome(tuple(replies), conversation, (AskForPerson("urgent"),))


def _confirm_community(turn: Turn) -> Outcome | None:
    case = turn.conversation.case
    if case is None:
        return None
    stated = address_in(turn.understanding.entities, turn.places)
    if stated.community and stated.community != case.address.community:
        return proceed(turn, replace(add_to(case, turn), address=merge(case.address, stated)))
    if says_yes(turn):
        name = suggestion(case.address, turn.places) or case.address.community or ""
        named = with_community(case.address, name, turn.places)
        return proceed(turn, replace(case, address=replace(named, known=True)))
    if says_no(turn):
        # The name stands as it was said; it is not asked about again.
        asked = (*turn.conversation.asked, "confirm_community", "confirm_community")
        return proceed(replace(turn, conversation=replace(turn.conversation, asked=asked)), case)
    return _address_part(turn)


def _problem(turn: Turn) -> Outcome | None:
    """What is wrong, after an address came alone."""
    case = turn.conversation.case
    option = chosen(turn, turn.conversation.options)
    if case is None:
        return None
    if option is not None:
        return _begin(turn, replace(case, intent=option.value))
    if turn.understanding.intent == "provide_info":
        filled = add_to(case, turn)
        if filled.temperature is not None and filled.temperature < 18:
            return _begin(turn, replace(filled, intent="low_temperature"))
        same = replace(turn.conversation, case=filled)
        return Outcome((Reply("collect.noted"), Reply("ask.problem_short")), same)
    return None


def _begin(turn: Turn, case: Case) -> Outcome:
    fresh = replace(turn.conversation, case=case, ticket=None, waiting_for=None, options=(), asked=())
    going = replace(turn, conversation=fresh)
    return collect.go_on(going, case) if case.address.room else collect.start(going, case)


def _insist(turn: Turn) -> Outcome | None:
    """Outside the season: 1, 还是要报, or the same report once more opens it."""
    case = turn.conversation.case
    if case is None:
        return None
    in_words = re.search(r"登记|报修|还是要|就要|坚持", turn.text) and not re.search(
        "不(?:用|要)?(?:登记|报)", turn.text
    )
    insists = in_words or says_yes(turn) or turn.understanding.intent in collect.COLD
    if not insists and says_no(turn):
        return Outcome((Reply("collect.dropped"),), settled(turn.conversation, case=None, asked=()))
    return collect.go_on(turn, add_to(case, turn)) if insists else None


def _home(turn: Turn) -> Outcome | None:
    """Which of the known homes, or another address."""
    case = turn.conversation.case
    if case is None:
        return None
    stated = address_in(turn.understanding.entities, turn.places)
    if not stated and _ALL.search(turn.text) and case.intent not in collect.AT_ONCE:
        return several.open_all(turn, case, turn.homes[: len(turn.conversation.options)])
    option = None if stated else chosen(turn, turn.conversation.options)
    home = turn.homes[int(option.value)] if option and int(option.value) < len(turn.homes) else None
    if home is None and stated:
        same = [h for h in turn.homes if _fits(stated, h)]
        home = merge(same[0], stated) if len(same) == 1 else stated
    if home is None:
        return None
    return proceed(turn, replace(add_to(case, turn), address=home))


def _fits(stated: Address, home: Address) -> bool:
    pairs = ((getattr(stated, p), getattr(home, p)) for p in ("community", "building", "unit", "room"))
    return all(new is None or new == old for new, old in pairs)


def _meaning(turn: Turn) -> Outcome | None:
    """Which of the likeliest meanings; the answer is handled as if it had been understood so."""
    from handlers.dialogue.registry import handler

    options = turn.conversation.options
    option = chosen(turn, options)
    if option is None and len(options) == 1 and (says_yes(turn) or _goes_on(turn, options[0].value)):
        option = options[0]
    if option is None:
        return None
    before = turn.conversation.case
    if before is not None and not before.intent:
        before = add_to(before, turn)
    conversation = settled(turn.conversation, case=None if before and not before.intent else before)
    understood = replace(turn.understanding, intent=option.value, confidence=1.0, also=())
    if before is not None and not before.intent:
        understood = replace(understood, severity=before.severity, scope=before.scope, need=before.need)
        conversation = replace(conversation, case=None)
        if option.value in TAKEN_UP - {"billing"}:
            return collect.start(
                replace(turn, understanding=understood, conversation=conversation),
                replace(before, intent=option.value),
            )
    return handler(option.value)(replace(turn, understanding=understood, conversation=conversation))


def _goes_on(turn: Turn, guessed: str) -> bool:
    """Whether an address follows a guess that an address is needed for; it says nothing to any other."""
    told = address_in(turn.understanding.entities, turn.places)
    return guessed in TAKEN_UP and turn.understanding.intent == "provide_info" and bool(told)


def _ticket(turn: Turn) -> Outcome | None:
    """Which ticket; then what was to be done with it."""
    from handlers.dialogue.registry import handler

    options = turn.conversation.options
    option = chosen(turn, options)
    if option is None and len(turn.text.strip()) <= _SHORT:  # 漏水的那个
        offered = {o.value.partition(":")[2]: o for o in options}
        named = meant(turn, tuple(t for t in turn.tickets if t.number in offered))
        option = offered[named.number] if named is not None else None
    if option is None:
        return None
    purpose, _, number = option.value.partition(":")
    ticket = next((t for t in turn.tickets if t.number == number), None)
    if ticket is None:
        return None
    understood = replace(turn.understanding, intent=purpose, confidence=1.0, also=())
    conversation = settled(turn.conversation, ticket=number)
    return handler(purpose)(replace(turn, understanding=understood, conversation=conversation, mentioned=(ticket,)))


def _callback(turn: Turn) -> Outcome | None:
    """回复1请人打电话给您."""
    if says_yes(turn):
        conversation = settled(turn.conversation)
        effects = (AskForPerson("misunderstood"), FileReview("misunderstood"))
        return Outcome((Reply("human_agent.promised"),), conversation, effects)
    if says_no(turn):
        return Outcome((Reply("deny.fine"),), settled(turn.conversation))
    return None


READ: dict[str, Callable[[Turn], Outcome | None]] = {
    "community": _address_part,
    "confirm_community": _confirm_community,
    "place": place.choose,
    "building": _address_part,
    "unit": _address_part,
    "room": _address_part,
    "phone": afterwards.phone,
    "severity": afterwards.severity,
    "problem": _problem,
    "insist": _insist,
    "home": _home,
    "meaning": _meaning,
    "ticket": _ticket,
    "callback": _callback,
    elsewhere.QUESTION: consent.answer,
    "warm": afterwards.warm,
    "rating": afterwards.rating,
    "withdraw": afterwards.withdraw,
    "neighbours": taps.neighbours,
    "extent": taps.extent,
    "look": taps.look,
    "proof": proof.answer,
    further.OFFER: further.offered,
}
