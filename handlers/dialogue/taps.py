"""What is asked of a report that is open already, on WeChat only and by tapping: two questions at most; silence is fine.

Then, for who waits, something to look at or touch, never to turn.
"""

from __future__ import annotations

import re
from dataclasses import replace

from handlers.dialogue.choose import chosen, current_ticket, settled
from handlers.dialogue.collect import COLD, numbered
from handlers.dialogue.types import (
    AddNote,
    Case,
    Conversation,
    EditTicket,
    Effect,
    OpenTicket,
    Option,
    Outcome,
    Reply,
    Turn,
)

NEIGHBOURS = (Option("warm", "邻居家热"), Option("cold", "邻居家也不热"), Option("unknown", "不知道"))
EXTENT = (Option("home", "全屋都这样"), Option("room", "个别房间"))
_NEIGHBOUR_WORDS = (
    ("cold", re.compile(r"不热|也不|都不|没热|冰|凉|都冷|一样")),
    ("unknown", re.compile(r"不知道|不清楚|没问|不认识|不晓得|没人|不熟")),
    ("warm", re.compile(r"热|暖和|有暖气")),
)
_EXTENT_WORDS = (
    ("room", re.compile(r"个别|一[个间组]|[两二三]间|卧室|客厅|厨房|次卧|主卧|书房|卫生间|有的")),
    ("home", re.compile(r"全|都|整个?家|整屋|哪儿?都|所有")),
)
_SEEN = re.compile(r"把手|手柄|阀|管|两根|两条|进水|回水|顺着|横着|竖着|一热一凉|上面|下面")
_SHORT = 20  # characters up to which words are an answer to a tap
_OWN = frozenset(
    {"confirm_resolved", "not_resolved", "danger", "leak", "cancel", "human_agent", "urge", "ask_progress"}
)
_SURE = 0.6


def with_taps(turn: Turn, outcome: Outcome) -> Outcome:
    """The outcome with the first question behind it, once a report of one home is open and nothing else is asked."""
    conversation, case = outcome.conversation, outcome.conversation.case
    opened = any(isinstance(effect, OpenTicket) and not effect.incomplete for effect in outcome.effects)
    if not (opened or any(reply.key == "phone.noted" for reply in outcome.replies)) or turn.channel != "wechat":
        return outcome
    if case is None or not _one_home(case) or conversation.waiting_for or "neighbours" in conversation.asked:
        return outcome
    question = Reply("ask.neighbours", {"options": numbered(NEIGHBOURS)}, own_only=True)
    asking = replace(
        conversation, waiting_for="neighbours", options=NEIGHBOURS, asked=(*conversation.asked, "neighbours")
    )
    return replace(outcome, replies=(*outcome.replies, question), conversation=asking)


def _one_home(case: Case) -> bool:
    """Whether it is a home's cold, of which the neighbours' may tell something."""
    return case.intent in COLD and case.scope not in ("unit", "building", "community") and len(case.rooms) < 2


def neighbours(turn: Turn) -> Outcome | None:
    """Whether the neighbours are warm; then, where it may be this home alone, how much of it is cold."""
    ticket, said = current_ticket(turn), _said(turn, NEIGHBOURS, _NEIGHBOUR_WORDS)
    if ticket is None or said is None or ticket.status in ("done", "confirming"):
        return None
    effects: tuple[Effect, ...] = (EditTicket(ticket.number, neighbours=said),)
    conversation, case = turn.conversation, turn.conversation.case
    known = case is not None and case.scope in ("room", "home")
    if said == "cold":
        return Outcome((Reply("taps.all_cold"),), settled(conversation), effects)
    if known:
        return _look(conversation, case.scope if case is not None else None, effects)
    asking = replace(conversation, waiting_for="extent", options=EXTENT, asked=(*conversation.asked, "extent"))
    return Outcome((Reply("ask.extent", {"options": numbered(EXTENT)}),), asking, effects)


def extent(turn: Turn) -> Outcome | None:
    """The whole home, or one room."""
    ticket, said = current_ticket(turn), _said(turn, EXTENT, _EXTENT_WORDS)
    if ticket is None or said is None or ticket.status in ("done", "confirming"):
        return None
    case = turn.conversation.case
    conversation = replace(turn.conversation, case=replace(case, scope=said) if case is not None else None)
    return _look(conversation, said, (EditTicket(ticket.number, scope=said),))


def _look(conversation: Conversation, scope: str | None, effects: tuple[Effect, ...]) -> Outcome:
    key = "taps.touch_pipes" if scope == "room" else "taps.look_at_valve"
    return Outcome((Reply(key),), replace(settled(conversation), waiting_for="look"), effects)


def look(turn: Turn) -> Outcome | None:
    """What they saw or felt, for who comes."""
    ticket = current_ticket(turn)
    if ticket is None or _means_something_else(turn) or not _SEEN.search(turn.text):
        return None
    effects = (AddNote(ticket.number),)
    return Outcome((Reply("visit.noted", {"number": ticket.number}),), settled(turn.conversation), effects)


def _means_something_else(turn: Turn) -> bool:
    return turn.danger is not None or (turn.understanding.intent in _OWN and turn.understanding.confidence >= _SURE)


def _said(turn: Turn, options: tuple[Option, ...], words: tuple[tuple[str, re.Pattern[str]], ...]) -> str | None:
    option = chosen(turn, options)
    if option is not None:
        return option.value
    text = turn.text.strip()
    if text.isdigit() or len(text) > _SHORT or _means_something_else(turn):
        return None
    if options is NEIGHBOURS and not re.search(
        r"邻居|对门|楼上|楼下|隔壁|人家|他们|别人|别家|不知道|不清楚|没问|^都|^也|^一样", text
    ):
        return None  # 还是不热 tells of one's own home
    return next((value for value, pattern in words if pattern.search(text)), None)
