"""Answers to questions about money and heating: the dated entry whose variants its words point to."""

from __future__ import annotations

import math
import re
from collections import Counter
from dataclasses import replace
from datetime import date
from functools import lru_cache

from handlers.dialogue import further
from handlers.dialogue.types import Answer, AskForPerson, FileReview, Outcome, Reply, Rules, Turn

GOOD = 0.12  # score from which on an entry answers the question; a wrong answer is worse than none
SHORTEST = 3  # characters
_OTHER_INTENT = 0.65  # what an entry of the other intent keeps of its score
_NOISE = re.compile(
    r"[\W_]+|顺便|顺带|另外|对了|请问|你好|您好|麻烦|问一下|问下|咨询一下|咨询|想问|我想|想|我家|俺家|我们|咱们|一下|你们|这边|[您恁你我俺咱这的了呢啊吧呀嘞么吗]"
)
_SAME = tuple(
    (re.compile(words), word)
    for words, word in (
        ("啥时候|什么时候|什么时间|几时|何时|多会儿|哪天", "几号"),
        ("为什么|为何|凭什么|凭啥", "为啥"),
        ("什么", "啥"),
        ("怎么样?|怎样|如何|咋样", "咋"),
        ("咋[整弄搞]", "咋办"),
        ("缴", "交"),
        ("[取采供]暖费|供热费|热费|暖费", "暖气费"),
        ("暖气片|散热片", "片子"),
        ("有没有", "有"),
        ("能不能|可不可以|能否|可以", "能"),
        ("要不要|需不需要|需要", "要"),
        ("房产证|产证", "房本"),
        ("哪里|哪儿", "哪"),
        (r"中不中|行不行|[中行]不(?=\W|$)", ""),
    )
)
_PLACES = frozenset({"district", "community", "building", "unit", "room", "phone", "account_no"})
_BY_PERSON = "by_person"  # among what was asked of a conversation: a call was promised
_QUESTIONS = frozenset({"community", "building", "unit", "room"})


def reply(turn: Turn, intent: str) -> Outcome:
    """Answer the question, or say that a person will; a question that was pending is asked again."""
    entry = find(turn, intent)
    if entry is None or entry.id in turn.conversation.asked:
        return _by_person(turn)  # who asks once more has not been helped by the same words
    text = entry.sms if turn.channel == "sms" and entry.sms else entry.text
    outcome = say(turn, Reply("consult.answer", {"answer": text}))
    conversation = replace(outcome.conversation, asked=(*outcome.conversation.asked, entry.id))
    return replace(outcome, conversation=further.offering(conversation, entry))


def _by_person(turn: Turn) -> Outcome:
    """A person will answer by a promised time; what is asked beside that is for the same call."""
    key = "consult.person_too" if _BY_PERSON in turn.conversation.asked else "consult.person"
    outcome = say(turn, Reply(key))
    conversation = replace(outcome.conversation, asked=(*outcome.conversation.asked, _BY_PERSON))
    return replace(outcome, conversation=conversation, effects=(AskForPerson("question"), FileReview("unsure")))


def say(turn: Turn, words: Reply) -> Outcome:
    """Say something in the middle of whatever goes on: the question that is pending is repeated."""
    return Outcome((words, *pending_question(turn)), turn.conversation)


def pending_question(turn: Turn) -> tuple[Reply, ...]:
    """The question about the address that is waiting for its answer, to be said once more; empty where there is none."""
    conversation = turn.conversation
    if conversation.case is None or conversation.waiting_for not in _QUESTIONS:
        return ()
    return (Reply(f"ask.{conversation.waiting_for}"),)


def find(turn: Turn, intent: str) -> Answer | None:
    """The valid entry that the question's words point to most, of this intent first; None where none is pointed to.

    A pair of characters (or a single one) points to an entry the more, the more variants of that entry and the fewer of
    all others have it; words that no variant has count against every entry.
    """
    entries = _valid(turn.rules, turn.today)
    index, heaviest = _index(entries), math.log(1 + len(entries))
    question = _levelled(_question(turn))
    if not question or not entries:
        return None
    if same := index.get(f"^{question}$") or index.get(_bag(question)):
        return entries[min(same, key=lambda place: (entries[place].intent != intent, place))]
    if len(question) < SHORTEST:
        return None  # 钱 or 多久 is no question unless it is a variant as it stands
    scores = [0.0] * len(entries)
    total = 0.0
    for piece in _pieces(question):
        counts = index.get(piece) or Counter[int]()
        weight = math.log(1 + len(entries) / len(counts)) if counts else heaviest
        total += weight
        everywhere = sum(counts.values())
        for place, count in counts.items():
            scores[place] += weight * count / (count + 0.5) * count / everywhere
    ranked = [
        (score / total * (1.0 if entry.intent == intent else _OTHER_INTENT), -place)
        for place, (score, entry) in enumerate(zip(scores, entries, strict=True))
    ]
    best, place = max(ranked)
    return entries[-place] if best >= GOOD else None


def _valid(rules: Rules, today: date) -> tuple[Answer, ...]:
    return tuple(
        entry
        for entry in rules.answers
        if (entry.valid_from is None or entry.valid_from <= today)
        and (entry.valid_to is None or today <= entry.valid_to)
    )


@lru_cache(maxsize=8)
def _index(entries: tuple[Answer, ...]) -> dict[str, Counter[int]]:
    """For every piece, and every variant as a whole, how many variants of which entry (by its place) have it."""
    index: dict[str, Counter[int]] = {}
    for place, entry in enumerate(entries):
        for variant in entry.variants:
            wording = _levelled(variant)
            for piece in _pieces(wording) | {f"^{wording}$", _bag(wording)}:
                index.setdefault(piece, Counter())[place] += 1
    return index


def _question(turn: Turn) -> str:
    """What was asked, without the places and numbers in it."""
    text = turn.text
    for entity in sorted(turn.understanding.entities, key=lambda entity: -entity.start):
        if entity.entity in _PLACES and text[entity.start : entity.end] == entity.text:
            text = text[: entity.start] + text[entity.end :]
    return text


def _pieces(text: str) -> frozenset[str]:
    """The characters and the pairs of neighbours of a levelled text; ^ and $ are its ends."""
    ends = f"^{text}$"
    return frozenset(text) | frozenset(ends[i : i + 2] for i in range(len(ends) - 1))


def _bag(text: str) -> str:
    """The characters of a wording in no order: 暖气费几号交 asks what 几号交暖气费 asks."""
    return f"~{''.join(sorted(text))}"


@lru_cache(maxsize=4096)
def _levelled(text: str) -> str:
    """A text with one word for each of several that mean the same, and without the words that say nothing."""
    for words, word in _SAME:
        text = words.sub(word, text)
    return _NOISE.sub("", text)
