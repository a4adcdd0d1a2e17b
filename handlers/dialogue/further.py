"""What goes on from a report or an answer without a new complaint: another home with the same fault, an offer to register."""

from __future__ import annotations

import re
from dataclasses import replace

from handlers.dialogue import collect, several
from handlers.dialogue.facts import address_told, case_from
from handlers.dialogue.types import Answer, Conversation, Option, Outcome, TicketView, Turn
from handlers.dialogue.wording import MEANINGS

OFFER = "offer"  # what Conversation.waiting_for says after an answer that ends in 告诉我地址，我登记
_ADDS = re.compile(r"还有|另外|再(?:报|加|登记)|也(?:是|不|没|一样|这样|报|登记|冷|冰|凉)|同样|以及|再有")
_WRONG = re.compile(r"[说讲写报搞弄打填]错|有误|不对|应该是|更正|改成|改为")
_GOES_ON = frozenset({"provide_info", "affirm", "out_of_scope", "billing", "cancel"})
_REGISTER = re.compile(r"登记|报修|核对|核实|给我办|麻烦(?:你|您)")


def another_home(turn: Turn, ticket: TicketView) -> Outcome | None:
    """还有9号楼3单元1101, 4号楼也是: the same fault at another home, as a report of its own; None where it is none."""
    if not adds_home(turn, ticket):
        return None
    case = case_from(turn, ticket.intent, ())
    if case.scope is None and not case.address.room and ticket.scope in ("unit", "building"):
        case = replace(case, scope=ticket.scope)
    before = turn.conversation.case
    if before is not None and case.phone is None and not before.phone_of_other:
        case = replace(case, phone=before.phone)
    fresh = replace(turn, conversation=replace(turn.conversation, ticket=None))
    return several.told(fresh, replace(case, address=ticket.address)) or collect.start(turn, case)


def adds_home(turn: Turn, ticket: TicketView) -> bool:
    """Whether a message adds a home to the one of a ticket, rather than correcting it."""
    told, known = address_told(turn), ticket.address
    elsewhere = (told.community and told.community != known.community) or (
        told.building and known.building and told.building != known.building
    )
    return bool(elsewhere) and _ADDS.search(turn.text) is not None


def corrected(turn: Turn) -> TicketView | None:
    """3号楼的说错了，是2单元: which other open ticket a correction names by its building; None where it names none."""
    told = address_told(turn)
    if not told.building or not (told.unit or told.room) or not _WRONG.search(turn.text):
        return None
    own = [t for t in turn.tickets if t.is_open and t.mine]
    current = next((t for t in own if t.number == turn.conversation.ticket), None)
    if current is not None and current.address.building == told.building:
        return None
    there = [t for t in own if t.address.building == told.building]
    there = [t for t in there if told.community in (None, t.address.community)]
    return there[0] if len(there) == 1 else None


def offering(conversation: Conversation, entry: Answer) -> Conversation:
    """The conversation after an answer that offers to register the matter; nothing that is being asked is lost."""
    if entry.opens is None or conversation.waiting_for is not None or _telling(conversation):
        return conversation
    return replace(conversation, waiting_for=OFFER, options=(Option(entry.opens, MEANINGS[entry.opens]),))


def _telling(conversation: Conversation) -> bool:
    return conversation.case is not None and conversation.ticket is None


def offered(turn: Turn) -> Outcome | None:
    """An address, an account number or 登记吧 after the offer takes it up; anything else is taken for what it means."""
    options, u = turn.conversation.options, turn.understanding
    if not options or turn.danger:
        return None
    data = address_told(turn) or any(e.entity == "account_no" for e in u.entities)
    if u.intent not in _GOES_ON or not (data or _REGISTER.search(turn.text)):
        return None  # 好的 alone has only read the answer
    conversation = replace(turn.conversation, waiting_for=None, options=())
    case = case_from(turn, options[0].value, ())
    return collect.start(replace(turn, conversation=conversation), case)
