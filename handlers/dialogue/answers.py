"""Answers to questions about money and heating: the dated entry whose variants are most like the question."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from functools import lru_cache

from rapidfuzz import fuzz

from handlers.dialogue.types import Answer, AskForPerson, FileReview, Outcome, Reply, Rules, Turn

GOOD = 0.46  # likeness from which on an entry answers the question
_NOISE = re.compile(
    r"[\W_]+|请问|你好|您好|麻烦|问一下|问下|咨询一下|咨询|想问|我想|我家|俺家|我们|咱们|一下|的|了|呢|啊|吧|呀|嘞|么|吗"
)
_RARE = 2.0
_QUESTIONS = frozenset({"community", "building", "unit", "room"})


def reply(turn: Turn, intent: str) -> Outcome:
    """Answer the question, or say that a person will; a question that was pending is asked again."""
    entry = find(turn, intent)
    if entry is None:
        outcome = say(turn, Reply("consult.person"))
        return replace(outcome, effects=(AskForPerson("question"), FileReview("unsure")))
    text = entry.sms if turn.channel == "sms" and entry.sms else entry.text
    return say(turn, Reply("consult.answer", {"answer": text}))


def say(turn: Turn, words: Reply) -> Outcome:
    """Say something in the middle of whatever goes on: the question that is pending is repeated."""
    conversation = turn.conversation
    if conversation.case is not None and conversation.waiting_for in _QUESTIONS:
        return Outcome((words, Reply(f"ask.{conversation.waiting_for}")), conversation)
    return Outcome((words,), conversation)


def find(turn: Turn, intent: str) -> Answer | None:
    """The valid entry that is most like the question, of this intent first; None where none is like enough."""
    question = _bare(turn.text)
    scored = [
        (_likeness(question, entry) + (0.03 if entry.intent == intent else 0.0), -place, entry)
        for place, entry in enumerate(_valid(turn.rules, turn.today))
    ]
    best = max(scored, key=lambda item: item[:2], default=None)
    return best[2] if best is not None and best[0] >= GOOD else None


def _valid(rules: Rules, today: date) -> list[Answer]:
    return [
        entry
        for entry in rules.answers
        if (entry.valid_from is None or entry.valid_from <= today)
        and (entry.valid_to is None or today <= entry.valid_to)
    ]


def _likeness(question: str, entry: Answer) -> float:
    """0 to 1: the best of its variants, by shared pairs of characters and by fuzzy containment."""
    return max((_like(question, variant) for variant in entry.variants), default=0.0)


def _like(question: str, variant: str) -> float:
    asked, known = _pairs(question), _pairs(_bare(variant))
    if not asked or not known:
        return 0.0
    shared = len(asked & known)
    overlap = shared / min(len(asked), len(known)) * 0.6 + shared / max(len(asked), len(known)) * 0.4
    return 0.6 * overlap + 0.4 * fuzz.partial_ratio(question, _bare(variant)) / 100 * min(1.0, shared / _RARE)


@lru_cache(maxsize=4096)
def _bare(text: str) -> str:
    return _NOISE.sub("", text)


@lru_cache(maxsize=4096)
def _pairs(text: str) -> frozenset[str]:
    return frozenset(text[i : i + 2] for i in range(len(text) - 1)) or frozenset({text} if text else ())
