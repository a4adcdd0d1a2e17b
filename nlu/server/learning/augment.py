"""Altered copies of training sentences: the slips, scripts and omissions of people in a hurry."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from opencc import OpenCC
from pypinyin import lazy_pinyin

from nlu.types import Sentence

# What speech recognition and pinyin keyboards make of the words that matter.
_SLIPS: dict[str, tuple[str, ...]] = {
    "暖气": ("暖汽", "暧气", "暖器"),
    "地暖": ("地暧",),
    "不热": ("不惹", "部热"),
    "漏水": ("露水", "楼水"),
    "渗水": ("身水",),
    "阀门": ("法门", "伐门"),
    "缴费": ("交废", "缴废"),
    "发票": ("发漂",),
    "温度": ("温渡",),
    "师傅": ("师付",),
    "报修": ("报休",),
    "没": ("莓", "木"),
    "冷": ("楞",),
    "冰凉": ("兵凉",),
    "怎么": ("咋么", "怎麽"),
    "的": ("得", "滴"),
    "在": ("再",),
}
_GREETING = re.compile(r"^(你好|您好|请问|麻烦问下|在吗)[，,。!！ ~]*")
_PUNCTUATION = re.compile(r"[，。！？、,.!?~…]+")

Change = Callable[[str, random.Random], str]


def slip(text: str, rng: random.Random) -> str:
    """Write one word as it is misheard or mistyped."""
    present = [word for word in _SLIPS if word in text]
    if not present:
        return text
    word = rng.choice(present)
    return text.replace(word, rng.choice(_SLIPS[word]), 1)


def drop_punctuation(text: str, rng: random.Random) -> str:
    """As dictated: no punctuation at all."""
    return _PUNCTUATION.sub("", text)


def drop_greeting(text: str, rng: random.Random) -> str:
    """Without the greeting it opens with."""
    return _GREETING.sub("", text)


def drop_character(text: str, rng: random.Random) -> str:
    """One character is missing from a long message."""
    if len(text) < 8:
        return text
    place = rng.randrange(len(text))
    return text[:place] + text[place + 1 :]


def to_pinyin(text: str, rng: random.Random) -> str:
    """A short message typed without choosing characters."""
    return " ".join(lazy_pinyin(text)) if len(text) <= 8 else text


def to_traditional(text: str, rng: random.Random) -> str:
    """In Traditional characters; worth little, since the normaliser turns them back."""
    return str(OpenCC("s2t").convert(text))


CHANGES: dict[str, tuple[Change, float]] = {
    "slip": (slip, 0.1),
    "drop_punctuation": (drop_punctuation, 0.15),
    "drop_greeting": (drop_greeting, 1.0),
    "drop_character": (drop_character, 0.15),
    "to_pinyin": (to_pinyin, 0.05),
}


def augment(
    sentences: Sequence[Sentence], seed: int, changes: Sequence[str] = tuple(CHANGES)
) -> list[tuple[int, Sentence]]:
    """Copies with the number of their original; each change is tried on a share of the sentences.

    A copy that equals its original is left out. The same seed gives the same copies.
    """
    rng = random.Random(seed)
    copies = []
    for number, sentence in enumerate(sentences):
        for name in changes:
            change, share = CHANGES[name]
            if rng.random() < share:
                text = change(sentence.text, rng)
                if text.strip() and text != sentence.text:
                    copies.append((number, replace(sentence, text=text, entities=())))
    return copies
