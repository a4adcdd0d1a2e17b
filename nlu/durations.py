"""How long a fault has lasted, as the resident says it."""

from __future__ import annotations

import re

_N = r"(?:\d{1,3}|[一二两三四五六七八九十百]{1,4}|好几|半|大半|俩|仨|几|整)"
_DAY = (
    r"(?:大前天|前天|昨天|昨儿个?|昨日|今天|今儿个?|前儿个?|夜儿个?|今早|今晨|昨晚|昨夜|前晚|上周[一二三四五六日天]?|上个?(?:星期|礼拜)[一二三四五六日天]?"
    r"|周[一二三四五六日天]|星期[一二三四五六日天]|礼拜[一二三四五六日天]|元旦|国庆|除夕|大年[初三]?[一二三十]?|初[一二三四五六七八九十]|腊八|小雪|大雪|冬至|立冬"
    r"|腊月[一二三四五六七八九十]{1,3}|\d{1,2}月\d{1,2}[号日]?|[一二三四五六七八九十]{1,2}月[一二三四五六七八九十]{1,3}[号日]|\d{1,2}[号日]|上个?月|月初)"
)
_PART = r"(?:凌晨|清早|一大早|大清早|早上|早晨|上午|中午|晌午|下午|后晌|傍晚|晚上|夜里|半夜|后半夜|黑了|黑|晚|夜|早)"
_CLOCK = r"(?:[\d一二两三四五六七八九十]{1,3}(?:点(?:多|半|钟|左右|来钟|\d{1,2}分?)?|时(?:许)?|:\d\d)(?:左右|多)?)"
_WHEN = rf"(?:{_DAY}的?{_PART}?{_CLOCK}?|{_PART}{_CLOCK}?|{_CLOCK})"
_NOW = r"(?:现在|今天|今儿个?|目前|今早|今晚|这会儿|此刻|如今)"
_SPAN = r"(?:个多?小时|个?小时|个?钟头|天|夜|个?星期|个?礼拜|周|个多?月|个冬天|年)"
# 昨晚开始, 前天中午起: 从 is part of the span only where the end is named too (从早上到现在).
_SINCE = re.compile(rf"(?:自从?|打?从|打)?(?P<d>{_WHEN}(?:左右)?就?(?:开始|起(?!来|床|夜|码)|以来|至今))")
_UNTIL = re.compile(rf"(?P<d>(?:自从?|打?从|打)?{_WHEN}(?:一直|直)?到{_NOW})")
_FROM = re.compile(rf"(?:自从?|打?从)(?P<d>{_WHEN})(?=就|片|管|暖|家|屋|停|断|凉|地暖|一直|漏|滴|没)")
_LENGTH = re.compile(rf"(?P<d>{_N}{_SPAN}(?:{_N}夜)?(?:多|左右|出头)?(?:了|啦|嘞)?)")
_NTH = re.compile(r"(?P<d>第(?:\d{1,2}|[二三四五六七八九十]{1,3})天)")
_FAULT = r"(?:不热|不暖|冰|凉|冷|没暖气?|没热|停暖?|停热|漏水?|滴水?|渗水?|坏|断|冻|不行|没气|淌|喷|响|没动|没反应|报修?|催|等|挂|拖|受罪|耗|熬|躺|讲|憋|一直|已经|都|快|整整|足足|将近|近)"
_FAULT_BEFORE = re.compile(rf"{_FAULT}(?:了|的|有|着|水|暖|到|快|都|已经|整整|足足|好|将近){{0,3}} ?$")
_FAULT_AFTER = re.compile(
    r"^[,， ]{0,2}(?:都|也|还|屋里|家里?|暖气片?|片子|管子|地暖|一直|全|就|始终|温度|卧室|客厅|根本|一点)?(?:都|也|还|就|一直|全|是)?"
    r"(?:没|不|冇|凉|冰|冷|漏|停|断|滴|催|还是|冻|石沉|未|一点|无人|毫无)"
)
_NOT_AFTER = re.compile(
    r"^(?:前|后|内|之内|以内|之前|以后|之后|里|一次|一趟|两头|都要|供暖|的?暖气费|的?供暖期|的?钱|的?费|工作|值班|营业|服务|热线|响应|上门|就(?:能|可以|好|坏|又)|一[遍回班天年]|才能|能|的孩|的娃|大[的了]?|龄|级"
    r"|住户|老|的房|以上|见|不许|为限|不如|不胜|比|又|终于|打鱼|晒网|早|晚|到晚|假|没(?:歇|合眼|睡)|行|可以|手续|怎么|要|不用|过户|住)"
)
_NOT_BEFORE = re.compile(
    r"(?:每|过|前|上|下|再等|再过|隔|头|这|那|哪|差|给|限|最多|住|交|交房|用|结婚|退休|学|干|当|教|提前|未来|一共|为期|保修|质保|还有|还剩|剩|要|需|得|后|满|免|收|怀孕|孕|出生|岁|生|第|缴|供暖期|供|拆迁|搬过来|搬进来"
    r"|热|好|修好|修完|想|报停|装修|刚装|管|说停|停暖费|孩子|娃|宝宝|外地|观察|看|用完|养|才|去年|上个月|季)(?:了|完|好|没|才|过|来)?$"
)


def durations(text: str) -> list[tuple[int, int]]:
    """Spans of normalised text that say since when or for how long the fault has been there."""
    found: list[tuple[int, int]] = []
    for pattern in (_UNTIL, _SINCE, _FROM, _NTH, _LENGTH):
        for match in pattern.finditer(text):
            start, end = match.span("d")
            if any(start < b and end > a for a, b in found):
                continue
            if _counts(text, match, pattern):
                found.append((start, end))
    return sorted(found)


def _counts(text: str, match: re.Match[str], pattern: re.Pattern[str]) -> bool:
    """Whether the time belongs to a fault: the words beside it name one and say no other thing."""
    start, end = match.span("d")
    before, after = text[max(0, start - 8) : start], text[end : end + 8]
    if pattern is _NTH:
        return re.search(r"(?:都|今天|今儿个?|已经|到)(?:是|到)? ?$", before) is not None
    if pattern in (_UNTIL, _FROM):
        return True
    if pattern is _SINCE:
        return not re.match(r"供暖|收费|供热|缴费|试水|热的|办理", after) and not re.search(r"[几啥]", match["d"])
    return _is_length(match["d"], before, after)


def _is_length(span: str, before: str, after: str) -> bool:
    """三天了, 停了两天, 两天没热: not 三天后, 每天, 一天比一天."""
    if re.match(r"(?:还|阀|屋里?|家里)?(?:还|也|都)?(?:没|不|锁|关|凉|冰|冷)|阀", after) and re.search(r"[交缴]费?[完了]*$", before):
        return True
    if _NOT_AFTER.match(after) or _NOT_BEFORE.search(before) or span in {"一天", "半天", "一年", "一夜", "几年"}:
        return False
    if span.endswith(("年", "年了", "小时", "钟头")):
        return _FAULT_BEFORE.search(before) is not None
    alone = not before.strip(" ,，。.!！?？都已经") and span.endswith(("了", "啦", "嘞"))
    ended = span.endswith(("了", "啦", "嘞")) and re.search(r"(?:^|[,，。.!！?？ 都])$", before) is not None
    return alone or ended or _FAULT_BEFORE.search(before) is not None or _FAULT_AFTER.match(after) is not None
