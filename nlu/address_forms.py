"""The written forms of building, unit and room, each as one bounded pattern over normalised text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nlu.numerals import PINYIN_DIGITS, digits_of, to_int
from nlu.words import alternatives


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of an address in normalised text: a district, community, building, unit, room or floor.

    `weak` says that the form alone does not prove it; a floor links its neighbours and is no entity.
    """

    kind: str
    value: str
    start: int
    end: int
    weak: bool = False


_HAN = "零一二三四五六七八九十百两幺"
_PINYIN = "|".join(PINYIN_DIGITS)
_DIGITS = r"(?<![\d.])\d"
_NUM2 = rf"(?:{_DIGITS}{{1,2}}|(?<![{_HAN}几])[{_HAN}]{{1,3}})"
_NUM3 = rf"(?:{_DIGITS}{{1,3}}|(?<![{_HAN}几])[{_HAN}]{{1,5}})"
_S = r"[ ]{0,2}"
_SIDE = r"(?:东南|东北|西南|西北|[东西南北中左右])"
# A number before one of these counts something else than a door.
_NO_ROOM = alternatives("forms", "no_room")
_DASH = r"(?: ?(?:-{1,2}|[/_~杠]|之) ?)"
_DOT = r"(?:\.|[,，、]|" + _DASH + ")"

_COMPACT3 = re.compile(
    rf"(?<![\dA-Za-z\-.])(?P<b>[A-Za-z]?\d{{1,3}}[A-Za-z]?|[A-Za-z]|[{_HAN}]{{1,3}})"
    rf"(?P<mark>号楼|栋|幢|#楼?|座|号)?(?P<d1>{_DOT})(?P<u>\d{{1,2}}|[A-Da-d东西中甲乙丙丁]|[{_HAN}]{{1,2}})"
    rf"(?P<umark>单元|门)?(?P<d2>{_DOT})(?P<r>\d{{1,4}}[A-Za-z]?|[{_HAN}]{{3,4}})(?![\d\-]){_NO_ROOM}",
)
_COMPACT2 = re.compile(
    rf"(?<![\dA-Za-z\-.])(?<!\d:)(?P<b>[A-Za-z]\d{{0,2}}|\d{{1,2}}[A-Za-z]?|[{_HAN}]{{1,3}})"
    rf"(?P<mark>号楼|栋|幢|#楼?|座)?{_DASH}(?P<r>[A-Za-z]?\d{{3,4}}[A-Za-z]?)(?![\d\-.]){_NO_ROOM}",
)
_BLANK3 = re.compile(
    rf"(?<![\d.:\-] )(?<![\d.:\-])(?P<b>\d{{1,2}}) +(?P<u>\d{{1,2}}) +(?P<r>\d{{3,4}})(?!\d){_NO_ROOM}"
)
_BLANK2 = re.compile(rf"(?<![\d.:\-])(?P<b>\d{{1,2}}) +(?P<r>\d{{3,4}})(?!\d){_NO_ROOM}")
# 11-1 905, 3号楼5-12: two short numbers, whose neighbours say what they are.
_BUILDING_UNIT = re.compile(
    rf"(?<![\dA-Za-z\-.:/])(?P<b>\d{{1,2}})-(?P<u>\d{{1,2}})"
    rf"(?![\d\-./:号月日点])(?! ?(?:倍|折|楼|层)){_NO_ROOM}"
)
# A1709 after a name: tower and room run together.
_LETTER_ROOM = re.compile(rf"(?<=[\u4e00-\u9fff#])(?P<b>[A-Z])(?P<r>\d{{3,4}})(?![\d\-]){_NO_ROOM}")
# 6甲1101, 3东502: building, unit, room without a mark between them.
_TIGHT = re.compile(rf"(?<![\d.])(?P<b>\d{{1,2}})(?P<u>[甲乙丙丁东西])(?P<r>\d{{3,4}})(?!\d){_NO_ROOM}")
_HAOLOU = rf"(?:号楼|号搂|好楼|号喽|号楼?栋|栋(?!梁)|幢|#楼?|座楼?|(?i:{_S}hao{_S}lou|{_S}dong(?![a-z])))"
_BUILDING = re.compile(
    rf"(?P<n>(?:(?<![A-Za-z])[A-Za-z]-?|[甲乙丙])?{_NUM3}[A-Za-z甲乙丙]?|(?<![A-Za-z])[A-Za-z](?:区|{_S}))"
    rf"(?P<mark>{_S}{_HAOLOU})"
)
_LETTER = re.compile(
    r"(?<![A-Za-z0-9])(?P<n>[A-Za-z]\d{0,2}|\d{1,2}[A-Za-z]|[甲乙丙丁](?=座))"
    r"(?:座|栋|幢|号楼|楼栋|(?=[一二三四五六七八九十]{1,2}[楼层]))"
)
_PINYIN_BUILDING = re.compile(rf"(?i:(?<![a-z])(?P<n>{_PINYIN}) ?(?:hao ?lou|dong(?![a-z])))")
# 3号2单元501, 东风花园5号302: the 楼 is left out, and what follows proves it.
_BARE_BUILDING = re.compile(
    rf"(?<![月路街道巷])(?P<n>{_NUM2}) ?[号#]"
    rf"(?=[ ,]?(?:\d{{1,2}}|[一二三四五六七八东西中甲乙]) ?(?:单元|门|-\d{{3}}|楼|层)"
    rf"|(?<=[\u4e00-\u9fff]\d[号#])\d{{3,4}}(?!\d)|(?<=[\u4e00-\u9fff]\d\d[号#])\d{{3,4}}(?!\d))"
)
_UNIT = re.compile(
    rf"(?<![这那每哪同整全第])(?P<n>{_NUM2}|(?<![A-Za-z])[A-Da-d]|[东西南北中甲乙丙丁戊])"
    rf"(?:(?<=[东西南北])[边侧面头](?:的|那个|那)?)?{_S}(?:单元|但元|单原|单员|号?门洞|号?门栋|(?i:dan ?yuan))"
)
_PINYIN_UNIT = re.compile(rf"(?i:(?<![a-z])(?P<n>{_PINYIN}) ?dan ?yuan)")
_ENGLISH_BUILDING = re.compile(
    r"(?i:(?<![a-z])(?:building|bldg|block|tower)(?: no\.?)? ?(?P<n>\d{1,3}|[a-z](?![a-z])))"
)
_ENGLISH_UNIT = re.compile(r"(?i:(?<![a-z])(?:unit|entrance) ?(?P<n>\d{1,2}))(?!\d)")
_ENGLISH_ROOM = re.compile(r"(?i:(?<![a-z])(?:room|apt\.?|apartment|flat|rm\.?) ?(?P<n>\d{1,4}[a-z]?))(?![\da-z])")
_GATE = re.compile(
    rf"(?<![这那每哪同整全])(?P<n>\d{{1,2}}|[一二三四五六东西中]){_S}号?门(?![口窗锁前外牌缝禁铃岗诊市])"
)
_FLOOR = re.compile(
    rf"(?P<n>最?顶|底|负?{_NUM2}){_S}(?:楼(?![上下道梯栋])|层(?!楼?都)|[fF](?![A-Za-z0-9])|(?i:ceng|lou(?![a-z])))"
    rf"(?:(?P<full>{_S}\d{{3,4}}|{_S}[{_HAN}]{{3,4}})(?:室|号房?|房|户)?{_NO_ROOM}"
    rf"|(?P<side>{_S}的?(?:靠|最|朝)?{_SIDE}(?:[边侧面头手]的?)?那?[户家])"
    rf"|(?P<bare>{_S}{_SIDE}[边侧手]?)(?=[,，。.!！?？;； \n不没暖晾的入缴交]|$)"
    rf"|(?P<two>{_S}-?0\d(?:室|号|户)?|{_S}零[一二三四五六七八九](?:室|号|户)?|(?:1\d|2\d)(?:室|户))(?!号){_NO_ROOM}"
    rf"|(?P<door>{_S}(?:\d{{1,2}}|[{_HAN}]{{1,2}}) ?[号室])(?!楼|院))?"
)
_ROOM = re.compile(
    rf"(?P<n>(?<![\d.A-Za-z])[A-Za-z]?\d{{3,4}}[A-Za-z]?|(?<![{_HAN}])[{_HAN}]{{3,4}}) ?"
    rf"(?:号?室|号?房间|号?房(?![产本子费租东贷款价改补]))"
)
_DOOR = re.compile(rf"(?P<n>{_NUM3}) ?号(?![楼院线召码房]|天|早|晚|上|下|开始|到|起|之|以|那天|人)")
_SIDE_DOOR = re.compile(rf"(?P<n>{_SIDE}[边侧]?户|[东西]门户)")
# 301-302, 1203至1205: two doors, the ends of a range.
_RANGE = re.compile(
    rf"(?<![\dA-Za-z\-./:])(?P<r>[1-9]\d{{2,3}})(?: ?[\-/~至到] ?)(?P<r2>[1-9]\d{{2,3}})(?:室|户)?(?![\d\-./:]){_NO_ROOM}"
)
# 15A, 02户, 6栋33 at the end of a clause: short doors that only the unit or tower in front of them proves.
_SHORT_DOOR = re.compile(
    r"(?<=[元洞门座楼幢栋#])(?P<n>\d{1,2}[A-D])(?![A-Za-z\d])(?:室|户)?|(?<=[元洞门])(?P<two>0\d)(?![\d.:])(?:室|户)?"
    r"|(?:(?<=单元)|(?<=门洞)|(?<=号楼)|(?<=\d[栋幢]))(?P<bare>\d{1,2})(?=[,，。!！;；\n]|$)"
)
# 101201301, as speech is written down: doors without a mark between them.
_GLUED = re.compile(
    r"(?<![\dA-Za-z.\-:+#])(?<![单编户卡账帐尾][号码])(?P<n>(?:[1-9]\d{2}){2,4}|(?:[1-9]\d{3}){2,4})(?![\d.\-:])"
)
# 3-1-150126度: a door and the reading behind it.
_DOOR_READING = re.compile(
    r"(?<![\dA-Za-z\-.])(?P<b>\d{1,2})-(?P<u>\d{1,2})-(?P<r>\d{3,4})(?=[012]\d(?:\.\d)?(?:度|℃|°))"
)
_NUMBER = re.compile(rf"(?:(?<![\d.\-A-Za-z])|(?<=uan))(?<!\d:)(?P<n>\d{{3,4}}[A-Za-z]?)(?![A-Za-z]|-\d){_NO_ROOM}")
_HAN_NUMBER = re.compile(
    rf"(?<![{_HAN}几])(?!一二三|二三四|三四五|四五六|五六七)(?P<n>[零一二三四五六七八九两幺]{{3,4}})(?![{_HAN}]){_NO_ROOM}"
)


def _building_name(text: str) -> str:
    """三 → 3, a1 → A1, 甲1 → 甲1, A区 → A."""
    text = text.replace(" ", "").replace("-", "").removesuffix("区")
    match = re.fullmatch(rf"([A-Za-z甲乙丙]?)([\d{_HAN}]*)([A-Za-z甲乙丙]?)", text)
    if not match:
        return text.upper()
    return (match[1] + digits_of(match[2]).lstrip("0") + match[3]).upper()


def _unit_name(text: str) -> str:
    text = text.strip()
    return (digits_of(text).lstrip("0") or text).upper()


def _room_name(text: str) -> str:
    return digits_of(text.strip().rstrip("室号房户")).upper()


def floor_name(text: str) -> str:
    """五 → 5楼, 顶 → 顶楼, 负一 → 负1楼."""
    if text[-1] in "顶底":
        return text.removeprefix("最") + "楼"
    sign = "负" if text.startswith("负") else ""
    return sign + digits_of(text.removeprefix("负")).lstrip("0") + "楼"


def _floor_room(match: re.Match[str]) -> Part:
    """A floor with what follows it: a full number, a side, a door, two digits, or nothing."""
    floor, start, end = floor_name(match["n"]), match.start(), match.end()
    if full := match["full"]:
        return Part("room", _room_name(full), start, end)
    if side := match["side"]:
        return Part("room", floor + side.replace(" ", "").removeprefix("的"), start, end)
    if bare := match["bare"]:
        side_only = bare.strip()
        return Part("room", floor + side_only + ("" if side_only[-1] in "边侧手" else "户"), start, end)
    if door := match["door"]:
        name = door.replace(" ", "")
        return Part("room", f"{floor}{digits_of(name[:-1])}{name[-1]}", start, end)
    if two := match["two"]:
        number = digits_of(two.replace(" ", "").lstrip("-").rstrip("室号户"))
        return Part("room", floor.removesuffix("楼") + number.zfill(2), start, end)
    return Part("floor", floor, start, end)


def _one(kind: str, name: Callable[[str], str], weak: bool = False) -> Callable[[re.Match[str]], list[Part]]:
    def make(match: re.Match[str]) -> list[Part]:
        return [Part(kind, name(match["n"]), match.start(), match.end(), weak)]

    return make


def _several(weak: bool = False) -> Callable[[re.Match[str]], list[Part]]:
    names = {"b": ("building", _building_name), "u": ("unit", _unit_name), "r": ("room", _room_name)}
    marks = {"b": "mark", "u": "umark"}

    def make(match: re.Match[str]) -> list[Part]:
        groups = match.re.groupindex
        parts = []
        for group, (kind, name) in names.items():
            if group in groups:
                mark = marks.get(group, "")
                end = match.end(mark) if mark in groups and match[mark] else match.end(group)
                parts.append(Part(kind, name(match[group]), match.start(group), end, weak))
        return parts

    return make


def _pinyin(kind: str) -> Callable[[re.Match[str]], list[Part]]:
    def make(match: re.Match[str]) -> list[Part]:
        return [Part(kind, str(PINYIN_DIGITS[match["n"].lower()]), match.start(), match.end())]

    return make


def _range(match: re.Match[str]) -> list[Part]:
    """Both ends of a range of doors; prices, years and pressures have no such ends."""
    ends = [int(match[group]) for group in ("r", "r2")]
    if not 0 < ends[1] - ends[0] <= 3000 or any(number % 100 > 40 or number % 100 == 0 for number in ends):
        return []
    return [Part("room", match[group], match.start(group), match.end(group), True) for group in ("r", "r2")]


def _glued(match: re.Match[str]) -> list[Part]:
    """Doors of one length that rise, all in one line or on one floor; of two, the unit in front of them must tell."""
    digits, start = match["n"], match.start()
    for size in (4, 3):
        if len(digits) % size == 0:
            doors = [digits[i : i + size] for i in range(0, len(digits), size)]
            near = len({door[-2:] for door in doors}) == 1 or len({door[:-2] for door in doors}) == 1
            if near and doors == sorted(set(doors)) and all(1 <= int(door) % 100 <= 40 for door in doors):
                places = range(start, match.end(), size)
                return [
                    Part("room", door, place, place + size, len(doors) < 3)
                    for door, place in zip(doors, places, strict=True)
                ]
    return []


def _short_door(match: re.Match[str]) -> list[Part]:
    name = match["n"] or match["two"] or match["bare"]
    return [Part("room", name.upper(), match.start(), match.end(), True)]


def _compact3(match: re.Match[str]) -> list[Part]:
    """Three numbers; commas need a real room number, and few digits need an address before them."""
    if match["d1"].strip() != match["d2"].strip() and {match["d1"].strip(), match["d2"].strip()} & {
        ".",
        ",",
        "，",
        "、",
    }:
        return []
    comma = any(mark.strip() in {",", "，", "、"} for mark in (match["d1"], match["d2"]))
    number = to_int(match["r"].rstrip("abcdABCD"))
    small = len(match["r"]) < 3
    dotted = match["d1"].strip() == "." or match["d2"].strip() == "."
    if number is None or ((comma or dotted) and small):
        return []
    if re.search(r"取件|提货|货架", match.string[max(0, match.start() - 14) : match.start()]):
        return []
    marked = bool(match["mark"] or match["umark"])
    return _several(weak=(small or comma) and not marked)(match)


def _compact2(match: re.Match[str]) -> list[Part]:
    """3-1502, B2-1906: building and room, or unit and room after a building (decided by the neighbours)."""
    number = int(re.sub(r"\D", "", match["r"]))
    plausible = number % 100 <= 40 and number >= 101 and match["b"] != "0"
    return _several()(match) if plausible else []


def _building(match: re.Match[str]) -> list[Part]:
    """A numbered building; 一栋楼 (a whole building), 两栋 and a room number before # are none."""
    text, before = match[0], match.string[max(0, match.start() - 1) : match.start()]
    counted = text.startswith(("两", "百", "零")) or (before and before in "这那每哪整同几")
    counted = counted or (before == "第" and not text[0].isdigit())
    if counted or match.string[: match.start()].endswith("共"):
        return []
    whole = re.match("楼|例|没|都|全", match.string[match.end() :]) or match.string[: match.start()].endswith(
        ("有", "俺", "我们")
    )
    if text in {"一栋", "一幢"} and whole:
        return []
    if "#" in match["mark"] and len(re.sub(r"\D", "", match["n"])) >= 3:
        return [Part("room", _room_name(match["n"]), match.start(), match.end(), True)]
    return [Part("building", _building_name(match["n"]), match.start(), match.end())]


def _number(match: re.Match[str]) -> list[Part]:
    """Three or four digits that could be a door: never an emergency number or a year."""
    name = _room_name(match["n"])
    number = int(re.sub(r"\D", "", name) or 0)
    if name in {"110", "119", "120", "122"} or number < 101 or number % 100 > 60:
        return []
    return [Part("room", name, match.start(), match.end(), True)]


# First come, first served: a span taken by an earlier form is not read again by a later one.
_FORMS: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], list[Part]]], ...] = (
    (_DOOR_READING, _several()),
    (_COMPACT3, _compact3),
    (_TIGHT, _several()),
    (_LETTER_ROOM, _several()),
    (_LETTER, _one("building", _building_name)),
    (_COMPACT2, _compact2),
    (_BUILDING, _building),
    (_PINYIN_BUILDING, _pinyin("building")),
    (_UNIT, _one("unit", _unit_name)),
    (_PINYIN_UNIT, _pinyin("unit")),
    (_ENGLISH_BUILDING, _one("building", _building_name)),
    (_ENGLISH_UNIT, _one("unit", _unit_name)),
    (_ENGLISH_ROOM, _one("room", _room_name)),
    (_BARE_BUILDING, _one("building", _building_name)),
    (_BLANK3, _several()),
    (_ROOM, _one("room", _room_name)),
    (_SHORT_DOOR, _short_door),
    (_GLUED, _glued),
    (_FLOOR, lambda match: [_floor_room(match)]),
    (_BLANK2, _several(weak=True)),
    (_RANGE, _range),
    (_BUILDING_UNIT, _several(weak=True)),
    (_GATE, _one("unit", _unit_name, weak=True)),
    (_DOOR, _one("room", digits_of, weak=True)),
    (_SIDE_DOOR, _one("room", str, weak=True)),
    (_NUMBER, _number),
    (_HAN_NUMBER, _one("room", _room_name, weak=True)),
)


def scan(text: str) -> list[Part]:
    """Every part of an address that the normalised text may hold, in order, none overlapping."""
    taken = bytearray(len(text))
    found = [part for pattern, make in _FORMS for part in _read(text, pattern, make, taken)]
    return sorted(found, key=lambda part: part.start)


def _read(
    text: str, pattern: re.Pattern[str], make: Callable[[re.Match[str]], list[Part]], taken: bytearray
) -> Iterator[Part]:
    for match in pattern.finditer(text):
        start, end = match.span()
        if any(taken[start:end]):
            continue
        parts = make(match)
        if parts:
            taken[start:end] = b"\x01" * (end - start)
        yield from parts
