"""Numbered answers, yes and no, and which ticket is meant."""

from __future__ import annotations

import re
from dataclasses import replace

from handlers.dialogue.collect import COLD, numbered
from handlers.dialogue.types import Conversation, Option, Outcome, Reply, TicketView, Turn
from handlers.dialogue.wording import address_line, problem

_ORDINAL = re.compile(
    r"^(?:回复|选|我选|是|第|就是|就)*\s*([1-9]|[一二三四五])\s*(?:个|号|项|条|吧|的|。|\.|、|,|，|!|！)*$"
)
_HAN = {"一": 1, "二": 2, "三": 3, "四": 4, "五": 5}
_YES = re.compile(
    r"^(?:嗯+|对+|是+|好+|行+|中+|可以|没错|要|成|得|ok|yes|1|对对|是的|对的|好的|没问题|就是|需要|同意|确认|正确)(?:的|呀|啊|嘞|吧|了|滴|哈|呢|，.{0,8})*[。.!！~～]*$",
    re.I,
)
_NO = re.compile(
    r"^(?:不+|没有?|不是|不用|不要|不对|不中|不行|否|no|算了|不了|错了|冇|别|不需要|不必|不方便|没)(?:了|的|啊|吧|嘞|谢谢|呀|，.{0,8})*[。.!！~～]*$",
    re.I,
)


def chosen(turn: Turn, options: tuple[Option, ...]) -> Option | None:
    """The option that an answer picks: by its number, or by its own words."""
    text = turn.text.strip().translate(str.maketrans("１２３４５①②③④⑤", "1234512345"))
    if match := _ORDINAL.match(text):
        number = int(match[1]) if match[1].isdigit() else _HAN[match[1]]
        return options[number - 1] if number <= len(options) else None
    return next((o for o in options if text and (text == o.label or (len(text) >= 4 and text in o.label))), None)


def says_yes(turn: Turn) -> bool:
    """A bare yes, by its words or by understanding; to a question of yes or no, 1 is yes and any other number is not."""
    if turn.text.strip().isdigit() and turn.text.strip() not in ("1", "１"):
        return False
    return _YES.match(turn.text.strip()) is not None or turn.understanding.intent == "affirm"


def says_no(turn: Turn) -> bool:
    """A bare no, by its words or by understanding; 2 is one where 1 was yes."""
    if turn.text.strip() in ("2", "２"):
        return True
    return _NO.match(turn.text.strip()) is not None or turn.understanding.intent == "deny"


def says_wrong(text: str) -> bool:
    """Whether a text says that something is wrong; 没错 says the contrary."""
    return re.search(r"不对|不是|(?<![没不无])错", text) is not None


def open_tickets(turn: Turn) -> tuple[TicketView, ...]:
    """This contact's open tickets, newest first."""
    return tuple(t for t in turn.tickets if t.is_open)


def current_ticket(turn: Turn) -> TicketView | None:
    """The open ticket that this conversation is about."""
    number = turn.conversation.ticket
    return next((t for t in turn.tickets if t.number == number and t.is_open), None)


def meant(turn: Turn, candidates: tuple[TicketView, ...]) -> TicketView | None:
    """Which of several tickets a message means: the one it names, the fault it names, or the one we were speaking of."""
    named = [t for t in turn.mentioned if t.mine]
    if named:
        return next((t for t in candidates if t.number == named[0].number), None)
    if len(candidates) <= 1:
        return candidates[0] if candidates else None
    by_fault = [t for t in candidates if _names_fault(turn, t)]
    if len(by_fault) == 1:
        return by_fault[0]
    by_place = [t for t in candidates if _names_place(turn, t)]
    if len(by_place) == 1:
        return by_place[0]
    return None


_FAULT_WORDS = {
    "leak": re.compile(r"漏|渗|滴|水"),
    "cold": re.compile(r"热|冷|凉|温度|暖|冰"),
    "open_valve": re.compile(r"阀|栓"),
    "billing": re.compile(r"费|钱|账"),
}


def _names_fault(turn: Turn, ticket: TicketView) -> bool:
    words = _FAULT_WORDS.get("cold" if ticket.intent in COLD else ticket.intent)
    return words is not None and words.search(turn.text) is not None


def _names_place(turn: Turn, ticket: TicketView) -> bool:
    said = {(e.entity, str(e.value)) for e in turn.understanding.entities}
    parts = ("community", "building", "room")
    return any((part, getattr(ticket.address, part)) in said for part in parts if getattr(ticket.address, part))


def ask_which(turn: Turn, candidates: tuple[TicketView, ...], purpose: str) -> Outcome:
    """Ask which ticket is meant; the answer goes on with `purpose` (the name of an intent)."""
    options = tuple(Option(f"{purpose}:{t.number}", _label(t)) for t in candidates[:4])
    conversation = replace(turn.conversation, waiting_for="ticket", options=options)
    return Outcome((Reply("ask.ticket", {"options": numbered(options)}),), conversation)


def _label(ticket: TicketView) -> str:
    return f"{address_line(ticket.address)}{problem(ticket.intents)}"


def settled(conversation: Conversation, **changes: object) -> Conversation:
    """The conversation with nothing asked any more."""
    return replace(conversation, waiting_for=None, options=(), misunderstood=0, **changes)  # type: ignore[arg-type]
