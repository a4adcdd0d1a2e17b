"""Stand-ins for what tells who somebody is: same shape, same length, and the same one at every look at a message.

Names, phones, account numbers, estates, streets, house and room numbers are replaced. Because nothing changes its length,
offsets into the text stay true. A stand-in comes from a keyed hash, so that it cannot be turned back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from bot import crypto
from nlu.entities import extract
from nlu.gazetteer import Gazetteer
from nlu.types import Entity

_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘蔡蒋余于杜叶程苏魏吕丁任沈姚卢姜崔"
    "钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
_NAME_SURNAMES, _GIVEN = "甄贾郝游庄荣", "小禾子林一木青石阿元"
_TITLES = "先生|女士|小姐|师傅|阿姨|叔叔|大爷|大妈|大姐|大哥|老师|奶奶|爷爷|经理|主任|医生"
_NAMES = re.compile(
    f"(?:我叫|我是|姓名[:： ]?|联系人[:： ]?|户主[:：是叫 ]?|名字[:：叫是 ]?|本人)(?P<whole>[{_SURNAMES}](?![\\u4e00-\\u9fff]?[区市县路])[\\u4e00-\\u9fff]{{1,2}})"
    f"(?=[，,。.;；、\\s\\d]|电话|手机|家住|住|$)"
    f"|(?<!谢)(?!谢谢)(?P<title>[{_SURNAMES}][\\u4e00-\\u9fff]{{0,2}}?)(?={_TITLES})"
    f"|姓(?P<only>[{_SURNAMES}])"
)
_LONG_NUMBER = re.compile(r"\d(?:[\d\s-]*\d){5,}")
_HOUSE = re.compile(
    r"[0-9a-zA-Z一二三四五六七八九]+(?=号楼|号院|[号栋幢座室弄]|单元|门(?!诊)|楼(?![道下上层梯板顶]))"
    r"|\d{1,3}(?:[-－—#]\d{1,4}){1,3}"
)
_STREET = re.compile(r"[\u4e00-\u9fff]{2,3}?(?=(?:大街|大道|胡同|[路街巷])(?:\d|[和与跟]|交叉|附近|口|北|南|东|西|$))")
_HANDLE = re.compile(r"[A-Za-z0-9_.+-]+@[A-Za-z0-9.-]+|(?=[A-Za-z_-]*\d)(?=\d*[A-Za-z_-])[A-Za-z0-9_-]{6,}")
_HAN_DIGITS = "一二三四五六七八九"
_PLACES = "春晓和平安泰祥云锦绣明月清河"
_SUFFIX = re.compile(
    r"(?:小区|花园|家园|公馆|公寓|广场|新村|家属院|社区|苑|园|城|府|里|庄|院|村|湾|居|邸|庭)?[\w]{0,2}?$"
)
_NUMBERED = frozenset({"building", "unit", "room", "account_no", "phone"})
_PUBLIC = frozenset({"110", "119", "120", "12345", "96777"})


def mask(text: str, seed: str, places: Gazetteer | None = None, entities: Sequence[Entity] | None = None) -> str:
    """The text with stand-ins. `seed` names the message: the same words in it always get the same stand-in.

    `entities` are what is known to be in the text; they are looked for where nothing is given.
    """
    known = extract(text, places) if entities is None else entities
    chars = list(text)
    for start, end, kind in _found(text, known):
        chars[start:end] = _stand_in(text[start:end], kind, seed)
    return "".join(chars)


def masked_entities(entities: Sequence[Entity], masked: str, places: Gazetteer | None = None) -> list[Entity]:
    """The entities of a text as they stand in its masked form: same places, the stand-ins' values."""
    again = {(e.entity, e.start): e for e in extract(masked, places)}
    found = []
    for entity in entities:
        span = masked[entity.start : entity.end]
        same = again.get((entity.entity, entity.start))
        value = same.value if same is not None and same.end == entity.end else span
        kept = entity.value if entity.entity in ("temperature", "duration", "district") else value
        found.append(replace(entity, text=span, value=kept))
    return found


def _found(text: str, entities: Sequence[Entity]) -> Iterator[tuple[int, int, str]]:
    """Where something is to be replaced, and as what; parts that overlap an earlier one are left out."""
    taken: list[tuple[int, int]] = []
    for start, end, kind in [*_of_entities(entities), *_of_patterns(text)]:
        if start < end and all(end <= a or start >= b for a, b in taken):
            taken.append((start, end))
            yield start, end, kind


def _of_entities(entities: Sequence[Entity]) -> Iterator[tuple[int, int, str]]:
    for entity in entities:
        if entity.entity in _NUMBERED:
            yield entity.start, entity.end, "phone" if entity.entity == "phone" else "number"
        elif entity.entity == "community":
            yield entity.start, entity.end, "place"


def _of_patterns(text: str) -> Iterator[tuple[int, int, str]]:
    for match in _LONG_NUMBER.finditer(text):
        digits = sum(char.isdigit() for char in match[0])
        yield *match.span(), "phone" if digits >= 11 else "number"
    for match in _NAMES.finditer(text):
        group = match.lastgroup or "only"
        yield *match.span(group), "name"
    for match in _HANDLE.finditer(text):
        yield *match.span(), "number"
    for match in _HOUSE.finditer(text):
        yield *match.span(), "number"
    for match in _STREET.finditer(text):
        yield *match.span(), "street"


def _stand_in(span: str, kind: str, seed: str) -> str:
    stream = _Stream(f"{seed}\0{kind}\0{span}")
    if kind == "name":
        return stream.pick(_NAME_SURNAMES) + "".join(stream.pick(_GIVEN) for _ in span[1:])
    if kind == "street":
        return "".join(stream.pick(_PLACES) for _ in span)
    if kind == "place":
        return _place(span, stream)
    return _phone(span, stream) if kind == "phone" else _number(span, stream)


def _place(span: str, stream: _Stream) -> str:
    """An estate's name of the same length that ends as names of estates do."""
    match = _SUFFIX.search(span)
    kept = match[0] if match and 0 < len(match[0]) < len(span) else ""
    return "".join(stream.pick(_PLACES) for _ in range(len(span) - len(kept))) + _number(kept, stream)


def _phone(span: str, stream: _Stream) -> str:
    """A number of the same punctuation that nobody has: 140 0000 and four digits."""
    if span in _PUBLIC:
        return span
    count = sum(char.isdigit() for char in span)
    digits = list("86" * (count > 11) + "1400000" + "".join(str(stream.below(10)) for _ in range(4)))[:count]
    digits += [str(stream.below(10)) for _ in range(count - len(digits))]
    rest = iter(digits)
    return "".join(next(rest) if char.isdigit() else char for char in span)


def _number(span: str, stream: _Stream) -> str:
    """Other digits and letters in the same places; a number does not begin with 0 unless it did."""
    if span in _PUBLIC:
        return span
    made = []
    for place, char in enumerate(span):
        first = place == 0 or not span[place - 1].isdigit()
        if char.isdigit() and char.isascii():
            made.append("0" if first and char == "0" else str(1 + stream.below(9) if first else stream.below(10)))
        elif char in _HAN_DIGITS:
            made.append(stream.pick(_HAN_DIGITS))
        elif char.isascii() and char.isalpha():
            letter = stream.pick("ABCDEF")
            made.append(letter if char.isupper() else letter.lower())
        else:
            made.append(char)
    return "".join(made)


class _Stream:
    """Numbers that only depend on what they are asked for, and on our key."""

    def __init__(self, name: str) -> None:
        self._name, self._round, self._left = name, 0, b""

    def below(self, limit: int) -> int:
        """A number from 0 to limit - 1."""
        if not self._left:
            self._left = bytes.fromhex(crypto.blind_index(f"mask {self._round}", self._name))
            self._round += 1
        value, self._left = self._left[0], self._left[1:]
        return value % limit

    def pick(self, letters: str) -> str:
        """One of several characters."""
        return letters[self.below(len(letters))]
