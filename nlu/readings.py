"""Indoor temperatures: the degrees a home has now, and none of the other degrees people write about."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nlu.numerals import to_float, to_range

_HAN = "零一二两三四五六七八九十"
_N = rf"(?:\d{{1,2}}(?:\.\d{{1,2}})?|[{_HAN}]{{1,4}}(?:点[{_HAN}])?)"
_UNIT = r"(?:摄氏度|多?度(?!电|假|数|量|过)|°[cC]?|℃|[cC](?![A-Za-z0-9])|(?i:du(?![a-z])))"
_READING = re.compile(
    rf"(?<![\d.\-/a-zA-Z第初])(?P<sign>零上|零下|负|-)? ?(?P<low>{_N})(?P<lowunit>{_UNIT})?"
    rf"(?: ?(?:-|~|到|至|(?:、|/)(?!\d+\.)|或者?) ?(?P<high>{_N}))? ?(?P<unit>{_UNIT})(?P<tail>半|\d(?![\d度点个天号楼单、.])|[一二三四五六七八九](?=[,，。.!！ ]|$))?"
)
_BARE = re.compile(
    rf"(?<![\d.\-/a-zA-Z#第初零一二三四五六七八九十百])(?P<low>\d{{1,2}}(?:\.\d)?|[一二]?十[一二三四五六七八九]?(?:点[{_HAN}])?|二十[一二三四五六七八九]?)"
    rf"(?: ?(?:-|~|到|至|、(?!\d+\.)) ?(?P<high>\d{{1,2}}(?:\.\d)?))?(?![\d:#%\-/]|\.\d)"
    r"(?! ?(?:度|号|栋|幢|楼|单|层|室|户|天|个|月|年|日|点|分|小时|时|块|元|平|米|人|岁|次|遍|组|片|条|家|套|万|千|百|期|斤|瓦|[kKwWmM]|床|件|口|盆|桶|升|周|秒|间|只|双|季|省|版|路|张|位|回|几|多(?=[年天个块元平岁人次户平])|多?天|来个|种|句|根|节|门|座|页|届|倍|毛|分|厘|寸|好|成|平|方|排|区|代|吨|兆|礼拜|星期|趟|步|眼|把|号院|杠|到账|来块|来平|来岁|余|公[斤里交]|[零一二三四五六七八九十百两]))"
)
# What must stand shortly before a number without 度.
_BARE_CUE = re.compile(
    r"(?:室温|室内|温度计?|温度表|气温计|测温枪?|楼长|表上|表显|显示|量[的了]?|测[的了]?|实测|量出来|测出来|读数|🌡|温湿度计|电子表|手机上|墙上那个?表)"
    r"[^\d,。;!?\n]{0,8}$|(?:屋里?|屋内|家里?|家中|卧室|客厅|次卧|主卧|房间|书房|儿童房|[里]间)[^\d,。;!?\n冷]{0,5}(?:才|就|只|是|有|到|都|也|还|仍|最高|顶多|最多|勉强|平均|始终|一直)?[^\d,。;!?\n]{0,3}$"
    r"|(?:才|只有|仅|就|也就|最高|最多|顶多|撑死|勉强|平均|一直|始终|总是|老是|维持在|徘徊在|停在|保持在|现在|今天|今儿|这会儿|咋看咋|还是|掉到|降到|跌到|爬到|升到|涨到|回到|到了|连|没超过|没上过|没到过|没过|都?过|不到|上不了|依然|依旧|仍旧|仍|今年|今晚|夜里|自家|记着|能有|只剩|剩|最低|勉强到|刚到|将够|刚够|够|不足)(?:也)?(?:才|就|只|到|有|是)?(?:个)?(?:有|到)? ?$"
    r"|(?:我家|俺家|咱家|我们家|我这儿?|俺这儿?|俺|主卧|次卧|客卧|书房)$"
    r"|\d\.\d、$|(?:^|[,，])我$"
)
_TOPIC = re.compile(r"仍|夜里|家里|家\d\d|最高|顶多|室|厅|卧|达标|温|度|冷|热|屋|℃|暖|测|量|凉|冻|🌡")
_ONLY_DECIMAL = re.compile(r"\s*\d{1,2}\.\d\s*|.*(?<!\d)[12]\d\.\d(?!\d).*")
_OTHER_DECIMAL = re.compile(r"价|面积|费|元|钱|压|流量|版|折|吨|平米?|热量|读数从|方")
_INDOOR = re.compile(r"屋|室内|室温|家里?|卧室|客厅|卧|房间|温度计|里面|里头|书房|厅|厨房|卫生间|床头|里间|沙发|儿童房|次卧|小房")
_OUTDOOR = re.compile(r"外面|室外|外头|户外|外边|屋外|窗外|天气|气温(?!计)|预报|大街|马路|楼道|走廊|阳台外|院里|今夜|最低温")
_WATER = re.compile(
    r"进水|回水|供水|出水|水温|管温|管道|管子|进回|分水器|集水器|水管|热水|片子?(?:温度|上|表面|才|就|只|摸)|散热器|供回|体温|发烧|烧到|发热到|换热站|出口|一次网|二次网|供水温度|回水温度|进户|入户管|表面|锅炉|地面|片子?$|[供回]$|一次侧|二次侧|换热器|机组|红外|打墙|主管|支管|墙面|贴着|墙打|墙面|CPU|引擎|鱼缸"
)
_SET = re.compile(
    r"调到|调成|调至|调的|开到(?![最头底])|开的|开成|设定|设置|设到|设成|设在|设的|设为|设了|拧到|定在|定到|定的|温控器?(?:上)?(?:设|调|定)"
    r"|空调(?:调|开|打|设|吹|制热|才|都)?|打到|电暖|小太阳|电热|目标|设"
)
_WISH = re.compile(
    r"想要|想让|希望|能不能|能否|可不可以|要是能|盼|最好|最少|至少|起码|应该|应当|必须|得有|要够|别低于|保证|确保|要求|给(?:我们?)?(?:升|提|调|搞|弄|烧|个|到)"
    r"|什么时候能|啥时候能|何时能|几时能|不求|医生说|大夫说|(?:加|提高|升高|保持|恢复)到|适宜|合适|理想|舒适|控制在|想(?![问说知])"
)
# The legal standard in so many words, and the words that speak of it only beside its number (不到18度).
_STANDARD = re.compile(
    r"标准|国标|规定|合同|承诺|不低于|国家|政府|条例|政策|说好|写的|墙上贴|公示|明文|宣传|文件|法定|才算|算不算|合格|贴[嘞的]|不高于|按$|按照$|收费|离$|电视里|新闻"
)
_MISSED = re.compile(r"不到|没到|不够|不足|没有达|没达|达不到|够不着|达标|没过|低于|差|不满|从没|没上过|没超过|没够|够|到$|有$|上不了|到不了|信")
_PAST = re.compile(
    r"下雪前|雪前|上一季|去年|往年|前年|以前|原来(?!.{0,4}[才只就])|从前|上个?冬|上季|上年|上个?采暖|前几年|当年|那年|那会儿|上个月|上周|上礼拜|前两天|前几天|前天|昨天|昨儿|昨晚|昨夜|夜儿|前儿|之前|原先|早先"
    r"|刚供|刚来暖|开始|先前|头几天|头两天|头年|过去|最早|曾经|前一阵|元旦前|年前|上次|上回|平常|平时|往常"
)
_OTHERS = re.compile(
    r"邻居|别人|人家|楼上|楼下|对门|隔壁|同事|朋友|妹妹家|姐家|哥家|其他|别家|旁边|别嘞|人户|对面|他家|她家|他们|别的|其它|北京|东北|哈尔滨|老家|亲戚|闺女家|儿子家|体感|心理|(?<!这)[\d一二三四五六七八九十两几]户(?!都)|一会儿?"
)
_AFTER_STANDARD = re.compile(r"^ ?(?:的?标准|才(?:算|叫|达|是|行|合)|才能|以上|以下|达标线|就(?:好|行|可以|中|满|够|知足|谢)|这个标准|往上|那?是(?:恁|你们?|国家|规定)|的价|的钱|的费|的服务|的天|的?要求|的规定|国家|起步|的承诺|还差|差)")
_AFTER_MISSED = re.compile(r"^ ?(?:都|也)?(?:不到|没有?|没到|达不|够|不达|达标)")
_AFTER_WATER = re.compile(r"^ ?(?:的?水(?!银)|的?热水|进水|回水|的?电)")
_NOW = re.compile(r"今天|今儿|现在|这会儿|目前|今早|今晚|眼下|如今|当前|今年|此刻")
_FROM_TO = re.compile(r"[^\d,，。]{0,3}[掉降升爬涨跌回变到]")
_DELTA = re.compile(r"(?:降了?|升了?|(?<!最)低了?|(?<!最)高了?|掉了?|少了?|差了?|差个?|差出来的?|涨了?|提高?了?|温差|相差|下降了?|上升了?|升高|降低|多了|提升|再[加升提高多调]|只?差|往[上下]调|高个|低个|下去了?|上去了?)(?:有|个|能|约|大概|至少|不止|将近|快|整整|接近)?(?:了)? ?$")
# A blank between Chinese characters is the comma of people who type none.
_SPACE = re.compile(r"(?<=\S) +(?=[\u4e00-\u9fff])")
_BREAK = re.compile(r"[,，、。.!！?？;；\n]|但是?|可是|而|结果|反而|却|咋|现在|今天|今儿|今早|这会儿|目前|如今")


@dataclass(frozen=True, slots=True)
class Reading:
    """One indoor temperature in ℃ and where normalised text states it."""

    value: float
    start: int
    end: int


def readings(text: str) -> list[Reading]:
    """The indoor temperatures of the home now, in text order."""
    found = list(_with_unit(text))
    spans = [(item.start, item.end) for item, _ in found]
    bare = [item for item in _without_unit(text) if all(item.end <= a or item.start >= b for a, b in spans)]
    kept = [item for item, real in found if real] + [item for item in bare if _counts(text, item, [*spans, *((one.start, one.end) for one in bare)])]
    return sorted(kept, key=lambda item: item.start)


def _with_unit(text: str) -> Iterator[tuple[Reading, bool]]:
    """Every number of degrees, and whether it is a reading of the home."""
    spans: list[tuple[int, int]] = []
    for match in _READING.finditer(text):
        value = _value(match)
        start, end = _trim(match)
        spans.append((start, end))
        if value is None and match["high"]:
            # 04,15.5℃ is no range: only the number before the unit counts.
            value, start = to_float(match["high"]), match.start("high")
        if value is None:
            continue
        reading = Reading(value, start, end)
        below = match["sign"] in ("零下", "负", "-")
        yield reading, _counts(text, reading, spans[:-1], below, match.group(0))


def _trim(match: re.Match[str]) -> tuple[int, int]:
    """The span without blanks before it."""
    return match.start() + len(match[0]) - len(match[0].lstrip()), match.end()


def _value(match: re.Match[str]) -> float | None:
    low = _range_or_number(match["low"])
    if low is None or match[0] in {"一度", "再度", "几度"}:
        return None
    groups = match.re.groupindex
    value = low
    if match["high"]:
        high = _range_or_number(match["high"])
        if high is None:
            return None
        # 15、6度 says 15 or 16.
        high = high + low - low % 10 if high < 10 <= low and high > low % 10 else high
        if not 0 < high - low <= 10:
            return None
        value = (low + high) / 2
    tail = match["tail"] if "tail" in groups else None
    if tail:
        value += 0.5 if tail == "半" else (to_float(tail) or 0) / 10
    sign = match["sign"] if "sign" in groups else None
    return round(-value if sign in ("零下", "负", "-") else value, 2)


def _range_or_number(text: str) -> float | None:
    pair = to_range(text)
    return (pair[0] + pair[1]) / 2 if pair else to_float(text)


def _without_unit(text: str) -> Iterator[Reading]:
    """Numbers without 度 where the words before them speak of a reading (室温16, 只有15, 今儿15)."""
    if not _TOPIC.search(text) and not _ONLY_DECIMAL.fullmatch(text):
        return
    for match in _BARE.finditer(text):
        value = _value_bare(match)
        if value is None or not 5 <= value <= 35:
            continue
        before = text[max(0, match.start() - 16) : match.start()]
        if _BARE_CUE.search(before) or _decimal_clause(text, match):
            yield Reading(value, match.start(), match.end())


def _decimal_clause(text: str, match: re.Match[str]) -> bool:
    """15.8 is a reading unless money or measures surround it; 16 is one as the last clause (不说了,16)."""
    before = text[max(0, match.start() - 8) : match.start()]
    if "." in match["low"]:
        return not _OTHER_DECIMAL.search(re.split("[,，。;；]", before)[-1])
    last = re.fullmatch(r"[了多。.!！?？ ]*", text[match.end() :]) is not None
    opened = re.search(r"[\u4e00-\u9fff][,，。;；]$", before) is not None
    return last and opened and 8 <= (to_float(match["low"]) or 0) <= 30 and bool(re.search("[温冷热凉冰冻]", text))


def _value_bare(match: re.Match[str]) -> float | None:
    low = _range_or_number(match["low"])
    high = _range_or_number(match["high"]) if match["high"] else low
    if low is None or high is None or not 0 <= high - low <= 6:
        return None
    return round((low + high) / 2, 2)


def _counts(
    text: str, reading: Reading, earlier: list[tuple[int, int]], below: bool = False, written: str = ""
) -> bool:
    """Whether these degrees are the home's own, now: nothing near them says otherwise."""
    if not -20 <= reading.value <= 35:
        return False
    before = _before(text, reading.start, earlier)
    after = text[reading.end : reading.end + 10]
    if _DELTA.search(before) or _AFTER_WATER.match(after):
        return False
    if any(pattern.search(before) for pattern in (_WATER, _SET)):
        return False
    if _elsewhere(before, below):
        return False
    return not _not_now(before, after, reading.value)


def _before(text: str, start: int, earlier: list[tuple[int, int]]) -> str:
    """What the reading's own clause says before it."""
    low = max([start - 18, 0, *(end for _, end in earlier if end <= start)])
    window = _SPACE.sub(",", text[low:start].rstrip())
    cut = 0
    for match in _BREAK.finditer(window):
        if match.end() <= len(window):
            cut = match.start() if match[0][0] not in ",，、。.!！?？;；\n" else match.end()
    return window[cut:]


def _elsewhere(before: str, below: bool) -> bool:
    """Outdoors, or somebody else's home."""
    last_in = max((match.end() for match in _INDOOR.finditer(before)), default=-1)
    last_out = max((match.end() for match in _OUTDOOR.finditer(before)), default=-1)
    if last_out > last_in or (below and last_in < 0):
        return True
    return _OTHERS.search(before) is not None


def _not_now(before: str, after: str, value: float) -> bool:
    """The standard, a wish, or the past."""
    if _AFTER_STANDARD.match(after) or _STANDARD.search(before) or _WISH.search(before):
        return True
    if value == 18 and (_MISSED.search(before) or _AFTER_MISSED.match(after)):
        return True
    if before.endswith(("从", "由")) and _FROM_TO.match(after):
        return True
    last_now = max((match.end() for match in _NOW.finditer(before)), default=-1)
    last_past = max((match.end() for match in _PAST.finditer(before)), default=-1)
    return last_past > last_now


def as_text(value: float) -> str:
    """15.0 → 15, 15.5 → 15.5."""
    return f"{value:g}"
