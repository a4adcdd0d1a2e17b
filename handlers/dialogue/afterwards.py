"""Answers to what is asked of a report that is open already: a number, how bad it is, whether it is warm or not needed.

Like those of handlers/dialogue/pending.py, each returns None where the message does not answer.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace

from handlers.dialogue import child, collect, further
from handlers.dialogue.choose import chosen, current_ticket, says_no, says_wrong, says_yes, settled
from handlers.dialogue.facts import add_to, address_in, merge, says_none, value_in
from handlers.dialogue.types import (
    AskForPerson,
    Case,
    EditTicket,
    KeepPhone,
    Outcome,
    RateTicket,
    Reply,
    TicketView,
    Turn,
)
from handlers.dialogue.wording import address_line

_GUSH = re.compile(
    r"喷|爆|滋|呲|冲|哗哗|淌|流得|很大|可大|特别大|止不住|关不住|烫|楼下|淹|满地|满屋|到处|电(?!话)|大股|厉害|狠"
)
_DIGITS = re.compile(r"(?:电话|手机|号码)?(?:是|:|：)?\s*\d[\d\s-]{5,}\d?[。.]?$")
_KEEPS_NUMBER = re.compile(
    r"不(?:想|方便|愿意?)?(?:留|给|告诉|说)(?:你们?|您)?(?:电话|手机|号|了|$)|没(?:有)?(?:电话|手机)"
)
_STARS = re.compile(r"(?:打|给|满意)?\s*([1-5一二三四五])\s*[分颗]?星?[。.!]?")
_DISCONTENT = 2  # up to so many stars we say sorry
_FEW = 10  # characters
_DRIP = re.compile(r"滴|渗|潮|洇|一点|不大|小|慢|盆|湿|少")


def phone(turn: Turn) -> Outcome | None:
    """A phone, or that there is none to give; anything else is taken for what it means."""
    ticket, case = current_ticket(turn), turn.conversation.case
    if turn.conversation.ticket is None:
        return _phone_for_call(turn)
    if ticket is None or ticket.status in ("done", "confirming"):
        return None  # by now 没有 answers whether it is warm
    case = case or Case(ticket.intent, address=ticket.address)
    filled = add_to(replace(case, phone=None), turn)
    if further.adds_home(turn, ticket):
        return None
    if filled.phone:
        address = merge(ticket.address, address_in(turn.understanding.entities, turn.places))
        changed = address if address != ticket.address else None
        change = EditTicket(ticket.number, phone=filled.phone, address=changed, phone_of_other=filled.phone_of_other)
        if changed is not None:
            return collect.edit_ticket(turn, ticket, replace(filled, address=changed), change)
        done = settled(turn.conversation, case=filled)
        others = () if filled.phone_of_other else _opened_together(turn, ticket)
        numbers = tuple(EditTicket(other.number, phone=filled.phone) for other in others)
        key = "phone.noted_at" if filled.phone_of_other and _opened_together(turn, ticket) else "phone.noted"
        params = {"phone": filled.phone, "number": ticket.number, "address": address_line(ticket.address)}
        return Outcome((Reply(key, params),), done, (change, *numbers))
    if says_no(turn) and says_wrong(turn.text):
        return Outcome((Reply("deny.which_part"),), settled(turn.conversation))
    if says_no(turn) or says_none(turn.text) or _KEEPS_NUMBER.search(turn.text):
        return Outcome((Reply("phone.declined", {"number": ticket.number}),), settled(turn.conversation))
    return _no_phone_yet(turn)


def _opened_together(turn: Turn, ticket: TicketView) -> tuple[TicketView, ...]:
    """The other homes that were reported in the same message and have no number yet."""
    return tuple(
        t for t in turn.tickets if t.opened_at == ticket.opened_at and t.number != ticket.number and not t.has_phone
    )


def _phone_for_call(turn: Turn) -> Outcome | None:
    """A number for a call that was promised without any ticket."""
    phone = value_in(turn.understanding.entities, "phone")
    if phone is not None:
        return Outcome((Reply("phone.kept", {"phone": phone}),), settled(turn.conversation), (KeepPhone(phone),))
    if says_no(turn) or says_none(turn.text) or _KEEPS_NUMBER.search(turn.text):
        return Outcome((Reply("phone.not_kept"),), settled(turn.conversation))
    return _no_phone_yet(turn)


def _no_phone_yet(turn: Turn) -> Outcome | None:
    """A yes without the number, or a number with a digit missing, is asked for once more."""
    if turn.conversation.asked.count("phone_again"):
        return None
    conversation = replace(turn.conversation, asked=(*turn.conversation.asked, "phone_again"))
    if _DIGITS.match(turn.text.strip()):
        return Outcome((Reply("phone.not_whole"),), conversation)
    if says_yes(turn) and len(turn.text.strip()) <= 4:
        return Outcome((Reply("ask.phone_again"),), conversation)
    return None


def severity(turn: Turn) -> Outcome | None:
    ticket, case = current_ticket(turn), turn.conversation.case
    if ticket is None or case is None or (turn.danger not in (None, "burst")):
        return None
    said = chosen(turn, turn.conversation.options)
    severity = said.value if said else turn.understanding.severity or _severity_in(turn.text)
    if severity is None:
        return None
    filled = replace(add_to(case, turn), severity=severity)
    change = EditTicket(ticket.number, severity=severity)
    key = "leak.is_drip_child" if severity == "drip" and child.is_noted(turn.conversation) else f"leak.is_{severity}"
    outcome = collect.edit_ticket(turn, ticket, filled, change, key=key)
    called = (AskForPerson("urgent"),) if severity == "burst" else ()
    return replace(outcome, effects=(*outcome.effects, *called))


def severity_beside(turn: Turn) -> Outcome | None:
    """How bad a leak is, told in a few words while something else was asked."""
    case, text = turn.conversation.case, turn.text.strip()
    if case is None or case.severity is not None or len(text) > _FEW or re.search(r"\d|[一二三四五六七八九十]号", text):
        return None
    return severity(turn)


def _severity_in(text: str) -> str | None:
    if text.strip() in ("1", "１", "一"):
        return "burst"
    if text.strip() in ("2", "２", "二"):
        return "drip"
    return "burst" if _GUSH.search(text) else "drip" if _DRIP.search(text) else None


def warm(turn: Turn) -> Outcome | None:
    """Whether it is warm now, after a reading that would do: 1 is good, 2 is not."""
    from handlers.dialogue.registry import handler

    text = turn.text.strip()
    if current_ticket(turn) is None:
        return None
    conversation = settled(turn.conversation)
    if says_yes(turn) or turn.understanding.intent == "confirm_resolved":
        return handler("confirm_resolved")(replace(turn, conversation=conversation))
    if text in ("2", "２") or says_no(turn):
        return handler("not_resolved")(replace(turn, conversation=conversation))
    return None


def rating(turn: Turn) -> Outcome | None:
    """How content they are, 1 to 5, after a repair that helped; anything else is taken for what it means."""
    number, said = turn.conversation.ticket, _STARS.fullmatch(unicodedata.normalize("NFKC", turn.text.strip()))
    if number is None or said is None:
        return None
    stars = int(said[1]) if said[1].isdigit() else "一二三四五".index(said[1]) + 1
    key = "rating.thanks" if stars > _DISCONTENT else "rating.sorry"
    return Outcome((Reply(key),), settled(turn.conversation), (RateTicket(number, stars),))


def withdraw(turn: Turn) -> Outcome | None:
    """Whether 不用了 meant the repair itself."""
    from handlers.dialogue.registry import handler

    if current_ticket(turn) is None:
        return None
    conversation = settled(turn.conversation)
    if says_yes(turn) or turn.understanding.intent == "cancel" or re.search(r"不用|撤|取消", turn.text):
        return handler("cancel")(replace(turn, conversation=conversation))
    if turn.text.strip() in ("2", "２") or says_no(turn):
        return Outcome((Reply("affirm.after_ticket"),), conversation)
    return None
