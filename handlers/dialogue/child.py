"""A child alone with a leak or a danger: leave the room, fetch a grown-up; a person phones."""

from __future__ import annotations

import re
from dataclasses import replace

from handlers.dialogue.answers import pending_question
from handlers.dialogue.collect import AT_ONCE
from handlers.dialogue.types import AddNote, AskForPerson, Conversation, OpenTicket, Outcome, Reply, TicketView, Turn

_MARK = "child"  # among what was asked of a conversation
_GROWN_UP = r"(?:爸妈|妈妈|爸爸|妈咪|爹妈|妈|爸|爷爷|奶奶|姥姥|姥爷|外婆|外公|大人|家长|父母)"
_AWAY = r"(?:们|都|全|也|还|现在|今天|白天|又|去|在)*(?:不在|没在|没有在|上班|出门|出去|出差|加班|没回|还没回|没下班|买菜|打工)"
_CHILD = r"(?:小?孩子?们?|小孩|娃|娃娃|儿子|闺女|女儿|孙子|孙女|小朋友|弟弟|妹妹|学生)"
_SELF = re.compile(
    rf"我(?:今年|才|刚|只有)?(?:[1-9]|1[0-4]|[一二三四五六七八九十])岁|(?:我|俺){_GROWN_UP}{_AWAY}[^,，。]{{0,4}}"
    rf"|(?:就|只有|只剩|剩)(?:我|俺)(?:自己|一个人|一个)?(?:和(?:弟弟|妹妹))?[^,，。]{{0,3}}在家[^。]{{0,12}}(?:害怕|怕|小学|年级|作业)"
    rf"|(?:我|俺)(?:是|还是|在上|上|才上|读)(?:个)?(?:小学|[一二三四五六]年级|小孩|孩子|学生)"
)
_HOME_ALONE = re.compile(
    rf"{_CHILD}[^,，。]{{0,8}}(?:一个人|自己|独自|单独)[^,，。]{{0,4}}(?:在家|在屋|在里面|在)"
    rf"|(?:就|只有|只剩|剩)(?:个|两个|一个)?{_CHILD}[^,，。]{{0,6}}(?:在家|在屋|在)"
)


def alone(text: str) -> str | None:
    """Who says that a child is alone: "self" the child, "there" somebody else; None where nobody does."""
    if _SELF.search(text):
        return "self"
    return "there" if _HOME_ALONE.search(text) else None


def with_child(turn: Turn, outcome: Outcome) -> Outcome:
    """What a child can do comes first, instead of what a grown-up could do; and a person phones at once."""
    who = alone(turn.text)
    if who is None or not any(isinstance(e, OpenTicket) and e.case.intent in AT_ONCE for e in outcome.effects):
        return outcome
    shown = tuple(reply for reply in outcome.replies if not reply.key.startswith("leak.safety_"))
    place = 1 if shown and shown[0].key.startswith("danger.") else 0  # 先离开 stays the first word
    words = Reply(f"child.{who}_out") if place else Reply(f"child.{who}")
    replies = (*shown[:place], words, *shown[place:])
    effects = (*outcome.effects, AskForPerson("urgent"))
    return replace(outcome, replies=replies, effects=effects, conversation=_noted(outcome.conversation))


def is_noted(conversation: Conversation) -> bool:
    """Whether a child is alone with what this conversation is about."""
    return _MARK in conversation.asked


def _noted(conversation: Conversation) -> Conversation:
    return replace(conversation, asked=(*conversation.asked, _MARK))


def told_later(turn: Turn, ticket: TicketView | None) -> Outcome | None:
    """我妈不在家, after a leak or a danger was told."""
    who = alone(turn.text)
    if who is None or ticket is None or ticket.intent not in AT_ONCE or turn.danger:
        return None
    asked = (
        *pending_question(turn),
        *((Reply("ask.severity"),) if turn.conversation.waiting_for == "severity" else ()),
    )
    effects = (AddNote(ticket.number), AskForPerson("urgent"))
    words = Reply(f"child.{who}_out") if ticket.intent == "danger" else Reply(f"child.{who}")
    return Outcome((words, *asked), _noted(turn.conversation), effects)
