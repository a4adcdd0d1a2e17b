"""From what a message states to a Case: addresses in pieces, corrections, plain answers to a question."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from handlers.dialogue.types import Address, Case, Turn
from nlu.numerals import to_int
from nlu.places import Gazetteer
from nlu.types import Entity

FUZZY = 0.66  # from this likeness on we ask whether a known estate is meant
_OTHER_HOME = re.compile(
    r"(?:我|俺)?(?:爸妈|爸|妈|父母|公婆|婆婆|公公|岳父|岳母|爷爷|奶奶|姥姥|姥爷|外婆|孩子|儿子|闺女|女儿|朋友|亲戚|邻居|老家|对门|隔壁|店)"
    r"(?:们)?(?:那边|那儿|那里|那|的)?(?:家|里|房子|住|店)|另一套|另外一套|别的房子|另一个房子|出租(?:房|屋)|租出去|老房子|新房|门面|商铺|还有一套|[又还]有一家|另一家|另外一家|别家|别人家"
)
_MINE_TOO = re.compile(r"(?:我|俺|咱)们?(?:自己|自个儿?|本人)?(?:的|这边的?|住的)?(?:家|屋|那套|房子)里?(?:头)?也")
_OTHERS_PHONE = re.compile(
    r"(?:租客|租户|房客|承租人|住户|业主|房东|老人|爸|妈|父亲|母亲|父母|公公|婆婆|岳父|岳母|爷爷|奶奶|姥姥|姥爷|老公|老婆|儿子|闺女|女儿|邻居|[他她]|人家)"
    r"(?:们|家|本人)?的?(?:联系)?(?:电话|手机|号码?|微信)"
)
_SAME_HOME = re.compile(
    r"^同上|跟(?:以前|之前|上面)一样|上次|上回|以前那|原来那|老地址|老地方|登记的|还是那|一样的地址|同一个地址|地址没变|地址不变"
)
_ON_FILE = re.compile(
    r"(?:你们?|您|系统|后台)[^,，。]{0,8}(?:有|知道|存|登记|查)[^,，。]{0,5}(?:地址|住址|(?:我|俺)(?:家|住|是哪))"
    r"|(?:地址|住址|(?:我|俺)(?:家|住哪))[^,，。]{0,4}(?:你们|系统)[^,，。]{0,6}(?:有|知道|查|登记)"
)
_NONE = re.compile(
    r"^(?:就?没有?(?:单元|房号|门牌号?|号|楼号)?|无|不分单元|没单元|平房|不知道|不清楚|不晓得|忘了|记不(?:清|得|住)了?|我?也?不知道|冇)[的呀啊吧了。！!\s]*$"
)
_NOT_KNOWN = re.compile(
    r"(?:没有?|不分|无|没)(?:单元|楼号|房号|门牌号?|房间号)|平房|独院|自建房|(?:不知道|不清楚|不晓得|不记得|忘了?|记不[清得住]|说不清)"
)
_PART_WORDS = {
    "building": "楼号|平房|独院|自建房",
    "unit": "单元|平房|门面|商铺|独院|自建房",
    "room": "房号|门牌|房间号",
}
_NO_HOUSE = r"平房|独院|自建房|[没无]有?楼号|不分楼"
_CALLED = re.compile(r"小区(?:名字?|名称)?(?:叫做?|名叫)([\u4e00-\u9fff]{2,8}?)(?=[,，。!！\s\d]|的|$)")
_HOUSE = re.compile(r"(?<!\d)(\d{1,4})号(?![楼院线门])")
_LACKING = {
    "building": re.compile(_NO_HOUSE),
    "unit": re.compile(_NO_HOUSE + r"|(?:[没无]有?|不分)单元"),
    "room": re.compile(r"平房|独院|自建房|[没无]有?(?:房号|门牌号?|房间号)"),
}
_ANYWHERE = frozenset({"leak", "danger", "other_repair"})  # faults that may lie outside of any home
_PUBLIC = re.compile(
    r"井盖|窨井|马路|路面|路边|路口|人行道|(?:小区|院子?|大)(?:大?门口|里的?路|路上)|换热站|热力站|管沟|地沟|主管网|外网"
)
_ASKS = re.compile(r"[?？]|怎么|咋|吗|为啥|为什么|多久|什么时候")
_FLOOR = re.compile(
    r"^\D{0,6}?(?:[0-9]{1,2}|[一二三四五六七八九十]{1,3})\s*[楼层](?:的|吧|啊|呢|呀|嘞|了|哈)*[。.!！]*$"
)
_ROOM_RANGE = re.compile(r"(?<!\d)(\d{3,4})\s*[-—~～到至和跟、]\s*(\d{3,4})(?!\d|号楼|栋|幢)")
_SHOP = re.compile(
    r"(底商|门面房?|商铺|门市房?|铺面|铺位)\s*(\d{1,4})号?|(\d{1,4})号?(底商|门面房?|商铺|门市房?|铺面|铺位)"
)
_PLACE_NAME = re.compile(r"(?:苑|园|城|院|里|府|区|村|庭|郡|湾|巷|街|路|公寓|广场|大厦|家属楼|新居|名邸|社区)$")
_SENTENCE = re.compile(
    r"[,，。;；!！\[\]【】()（）]|我|你|您|他|她|咱|俺|这个|那个|那边|已经|刚|图片|照片|视频|语音|地址|楼上|楼下|老小区|哪个|姓|先生|女士"
)
_LOOSE = re.compile(r"[这那就还也都了着过把被给说看来去发打在两]|\d{6}")
_PLAIN = re.compile(
    r"^(?:嗯|哦|噢|是|就是|是的|对|那个|呃|在|我?家?是|我?住)*[,，\s]*第?([0-9]{1,5}|[零〇一二三四五六七八九十两]{1,4}|[A-Za-z]\d{0,2}|[东西南北中甲乙丙丁])\s*(号楼|号|栋|幢|座|楼|#|单元|门洞|门|室|房|户)?\s*(?:的|吧|啊|呢|呀|嘞|了|哈)*[。.!！]*$"
)
_NAMES = {  # what a bare number may be called when it answers the question for a part
    "building": frozenset({"号楼", "号", "栋", "幢", "座", "楼", "#"}),
    "unit": frozenset({"单元", "门洞", "门", "号"}),
    "room": frozenset({"号", "室", "房", "户"}),
}
_COMMUNITY_HEAD = re.compile(
    r"^(?:嗯|哦|噢|那个|呃|你好|您好)?[,，\s]*(?:我们?家?|俺们?家?)?(?:就?是|在|住在?|叫|小区是|小区叫|小区名是?)*"
)
_COMMUNITY_TAIL = re.compile(r"(?:这边|那边|里边|里面|里头)?(?:的|嘞|啊|呢|吧|呀|哈|了)*[。.!！,，]*$")
_NOT_A_NAME = re.compile(
    r"[?？]|不|没|吗|怎|什么|啥|咋|为|热|冷|凉|漏|钱|费|暖|气|谁|你|急|快|人工|工单|谢|好的|行|可以|中$|对$|^是|知道|投诉|修|喂|在吗|哈喽|haha|哈哈"
)


def address_in(entities: Sequence[Entity], places: Gazetteer) -> Address:
    """The address that a message states, as far as it states one; the last of each part counts."""
    parts = {e.entity: str(e.value) for e in entities}
    community = parts.get("community")
    known = places.community(community) if community else None
    return Address(
        district=parts.get("district") or (known.district if known else None),
        community=community,
        building=parts.get("building"),
        unit=parts.get("unit"),
        room=parts.get("room"),
        known=known is not None,
    )


def address_told(turn: Turn) -> Address:
    """The address that a message states, with the door of a shop, and an estate by 小区叫天佑."""
    address = address_in(turn.understanding.entities, turn.places)
    if address.community is None and (called := _CALLED.search(turn.text)):
        address = with_community(address, called[1], turn.places)
    shop = shop_in(turn.text) if address.room is None else None
    return replace(address, room=shop) if shop else address


def rooms_in(text: str, entities: Sequence[Entity]) -> tuple[str, ...]:
    """Every room that a message names, each once; 301-302 beside a building names two."""
    rooms = tuple(dict.fromkeys(str(e.value) for e in entities if e.entity == "room"))
    both = _ROOM_RANGE.search(text)
    if rooms or both is None or not any(e.entity in ("building", "unit") for e in entities):
        return rooms
    return both[1], both[2]


def shop_in(text: str) -> str | None:
    """The door of a shop (底商3号, 5号门面), which no list of rooms has; None where no shop is named."""
    found = _SHOP.search(text)
    if found is None:
        return None
    return f"{found[1]}{found[2]}号" if found[1] else f"{found[3]}号{found[4]}"


def value_in(entities: Sequence[Entity], kind: str) -> str | None:
    """The last value of one kind of entity."""
    return next((str(e.value) for e in reversed(entities) if e.entity == kind), None)


def merge(old: Address, new: Address, correcting: bool = False) -> Address:
    """`new` over `old`: what it states replaces, what it does not state stays.

    A building named together with a room is another home without the old unit, unless it is a correction.
    """
    if new.community and new.community != old.community and old.community and old.building and new.building:
        old = Address()  # another estate with its own building is another home, not a correction
    same_stairs = correcting or not new.building or new.building == old.building or not new.room
    return Address(
        district=new.district or old.district,
        community=new.community or old.community,
        building=new.building or old.building,
        unit=new.unit or (old.unit if same_stairs else None),
        room=new.room or old.room,
        known=new.known if new.community else old.known,
    )


def case_from(turn: Turn, intent: str, also: tuple[str, ...] | None = None) -> Case:
    """A new case from this message alone."""
    u = turn.understanding
    reading = value_in(u.entities, "temperature")
    rooms = rooms_in(u.text, u.entities)
    address = address_told(turn)
    if rooms and address.room is None:
        address = replace(address, room=rooms[-1])
    return Case(
        intent=intent,
        also=u.also if also is None else also,
        address=address,
        phone=value_in(u.entities, "phone"),
        account_no=value_in(u.entities, "account_no"),
        temperature=float(reading) if reading else None,
        duration=value_in(u.entities, "duration"),
        scope=u.scope or ("community" if intent in _ANYWHERE and _PUBLIC.search(u.text) else None),
        severity="burst" if turn.danger == "burst" else u.severity if _runs_out(turn, intent) else None,
        need=u.need,
        rooms=rooms if len(rooms) > 1 else (),
        danger=turn.danger if turn.danger != "burst" else None,
        phone_of_other=_OTHERS_PHONE.search(u.text) is not None,
    )


def _runs_out(turn: Turn, intent: str) -> bool:
    """Whether a message tells of water: 哗哗响 of a radiator that only sounds is no burst."""
    return intent in ("", "leak", "danger") or "leak" in turn.understanding.also


def add_to(case: Case, turn: Turn) -> Case:
    """A case with what this message adds or corrects."""
    new = case_from(turn, case.intent, case.also)
    rooms = tuple(dict.fromkeys((*case.rooms, *new.rooms)))
    return replace(
        case,
        address=merge(case.address, new.address),
        phone=new.phone or case.phone,
        phone_of_other=new.phone_of_other if new.phone else case.phone_of_other,
        account_no=new.account_no or case.account_no,
        temperature=new.temperature if new.temperature is not None else case.temperature,
        duration=new.duration or case.duration,
        scope=new.scope or case.scope,
        severity=new.severity or case.severity,
        need=new.need or case.need,
        rooms=rooms,
        danger=new.danger or case.danger,
    )


def says_none(text: str) -> bool:
    """没有 or 不知道 as an answer to a question for a part of the address."""
    plain = text.strip()
    if _NONE.match(plain):
        return True
    about_it = _NOT_KNOWN.search(plain) is not None and not _ASKS.search(plain)
    return len(plain) <= 16 and about_it and not re.search(r"[费钱热暖修]", plain)


def denied_parts(text: str) -> tuple[str, ...]:
    """The parts of an address that a text says there are none of, or that the speaker does not know."""
    return tuple(part for part, words in _PART_WORDS.items() if re.search(words, text))


def says_floor(text: str) -> bool:
    """Whether a floor alone is named (我住三楼), which is no room."""
    return _FLOOR.match(text.strip()) is not None


def house_in(text: str) -> str | None:
    """The number of a house that stands alone (贺寨村32号); None where none is told."""
    found = _HOUSE.search(text)
    return f"{found[1]}号" if found else None


def lacks_parts(text: str) -> tuple[str, ...]:
    """The parts of an address that a report itself says there are none of (我们是平房, 没有单元)."""
    return tuple(part for part, words in _LACKING.items() if words.search(text))


def named_place(text: str) -> str | None:
    """An estate, yard or street that is named alone, though nobody asked; else None."""
    name = plain_community(text)
    return name if name and len(name) >= 3 and _PLACE_NAME.search(name) else None


def means_other_home(text: str) -> bool:
    """Whether the text speaks of another home than the speaker's own (我妈家, 另一套)."""
    return _OTHER_HOME.search(text) is not None


def means_mine_too(text: str) -> bool:
    """Whether the text adds the speaker's own home to another one that was told (我自己家也不热)."""
    return _MINE_TOO.search(text) is not None


def means_same_home(text: str) -> bool:
    """Whether the text refers back to an address given earlier (就是上次那个地址)."""
    return _SAME_HOME.search(text) is not None or says_on_file(text)


def says_on_file(text: str) -> bool:
    """Whether the text says that we should have the address (地址你们不是有吗)."""
    return _ON_FILE.search(text) is not None


def plain_answer(text: str, asked: str) -> str | None:
    """The value of a bare answer such as 3, 三号 or 501 to a question for building, unit or room; else None."""
    match = _PLAIN.match(text.strip())
    if match and match[1] == "中" and not re.search("单元|门|户|室", text):
        return None  # yes, in Zhengzhou
    if not match or (asked in ("unit", "room") and says_floor(text)):
        return None
    if match[2] and match[2] not in _NAMES[asked]:
        return None  # 1单元 is no door, whatever was asked
    value = match[1]
    number = to_int(value)
    if asked == "room":
        if value in "东西南北中":
            return f"{value}户"
        return _digits(value) if number is not None else None
    if asked == "unit" or number is not None or value[0].isascii():
        return str(number) if number is not None else value.upper()
    return None


def _digits(value: str) -> str:
    """五零一 → 501, 501 → 501."""
    table = {han: str(digit) for digit, han in enumerate("零一二三四五六七八九")} | {"〇": "0", "两": "2"}
    if value.isdigit():
        return value
    if "十" in value:
        return str(to_int(value))
    return "".join(table.get(char, char) for char in value)


def plain_community(text: str) -> str | None:
    """The name in a bare answer to 哪个小区; None where the text does not look like a name."""
    name = _COMMUNITY_HEAD.sub("", text.strip(), count=1)
    name = _COMMUNITY_TAIL.sub("", name)
    if not 2 <= len(name) <= 16 or _NOT_A_NAME.search(name) or _SENTENCE.search(name):
        return None
    if (_LOOSE.search(name) and not _PLACE_NAME.search(name)) or not re.search(r"[\u4e00-\u9fff]{2}", name):
        return None
    return name


def suggestion(address: Address, places: Gazetteer) -> str | None:
    """A known estate that an unknown name probably means, to be confirmed; None where the name stands for itself."""
    if address.known or not address.community:
        return None
    best = places.match_community(address.community, limit=1)
    if not best or best[0].score < FUZZY or best[0].value == address.community:
        return None
    return best[0].value


def with_community(address: Address, name: str, places: Gazetteer) -> Address:
    """The address with its estate named; the gazetteer's own name where it knows it for sure."""
    sure = places.resolve(name)
    value = sure.value if sure else name
    community = places.community(value)
    district = address.district or (community.district if community else None)
    return replace(address, community=value, known=community is not None, district=district)
