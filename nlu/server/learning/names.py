"""More sentences to learn names from: other names in the same sentences, composed names, and names after any sentence."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

Sample = tuple[str, tuple[tuple[int, int], ...]]

_END = re.compile(r"[\s,，。.!！?？~…;；]+$")
_PAUSES = re.compile(r"[,，。、;；]")
_ROAD_FIRST = re.compile(r"^[\u4e00-\u9fff]{2,4}(?:路|街|大街|大道)")
_YARD = re.compile(r"(?:院|家属.|宿舍|所|号|之家)$")
_ROADS = ("花园路", "文化路", "建设西路", "航海东路", "健康街", "科学大道", "第八大街", "经三路", "桐柏南路", "中州大道")
_DOORS = ("3号楼2单元501", "12-1-1803", "7号楼一单元三楼东户", "9栋1102", "21号楼", "5#2-302", "2号楼", "", "", "")
_LEADS = ("", "", "", "，", "。", " ", "，地址", "，我住", "，就在", "我是", "金水区", "，郑东新区")
_REACH = 40


def cropped(sample: Sample, reach: int = _REACH) -> Sample:
    """The sample without what lies far from its names; without a name, its beginning."""
    text, spans = sample
    if not spans:
        return text[: 2 * reach], ()
    begin, end = max(0, spans[0][0] - reach), min(len(text), spans[-1][1] + reach)
    return text[begin:end], tuple((start - begin, stop - begin) for start, stop in spans)


def more(samples: Sequence[Sample], copies: int, seed: int) -> list[Sample]:
    """Altered copies; `copies` of each sentence with a name, and as many sentences again that end with one."""
    rng = random.Random(seed)
    named = [sample for sample in samples if sample[1]]
    plain = [text for text, spans in samples if not spans]
    names = sorted({text[start:end] for text, spans in named for start, end in spans})
    if not names:
        return []
    swapped = [_swapped(sample, names, rng) for sample in named for _ in range(copies)]
    ended = [_ended(rng.choice(plain), names, rng) for _ in range(len(named) * copies)] if plain else []
    return [*swapped, *ended]


def _name(names: Sequence[str], rng: random.Random) -> str:
    """A name from elsewhere, or the beginning of one with the ending of another."""
    name = rng.choice(names)
    other = rng.choice(names)
    if rng.random() < 0.5 and 4 <= len(name) <= 6 and 4 <= len(other) <= 6:
        return name[:2] + other[2:]
    return name


def _with_road(name: str, rng: random.Random) -> tuple[str, int]:
    """Now and then a road before the name, which is not part of it: the text, and where the name begins in it."""
    if rng.random() < 0.25 and not _ROAD_FIRST.search(name) and not _YARD.search(name):
        road = rng.choice(_ROADS)
        return road + name, len(road)
    return name, 0


def _swapped(sample: Sample, names: Sequence[str], rng: random.Random) -> Sample:
    text, spans = cropped(sample)
    if rng.random() < 0.3:
        text = _PAUSES.sub(lambda match: match[0] if _inside(match.start(), spans) else "\x00", text)
    pieces, found, end, length = [], [], 0, 0
    for start, stop in spans:
        before = text[end:start].replace("\x00", "")
        written, skip = _with_road(_name(names, rng), rng)
        pieces += [before, written]
        length += len(before)
        found.append((length + skip, length + len(written)))
        length += len(written)
        end = stop
    return "".join([*pieces, text[end:].replace("\x00", "")]), tuple(found)


def _inside(place: int, spans: Sequence[tuple[int, int]]) -> bool:
    return any(start <= place < end for start, end in spans)


def _ended(text: str, names: Sequence[str], rng: random.Random) -> Sample:
    """A sentence that goes straight on to the address: the beginning of a name must be seen without a pause too."""
    before = _END.sub("", text)[-_REACH:] + rng.choice(_LEADS)
    written, skip = _with_road(_name(names, rng), rng)
    return before + written + rng.choice(_DOORS), ((len(before) + skip, len(before) + len(written)),)
