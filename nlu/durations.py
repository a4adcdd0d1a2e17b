"""How long a fault has lasted, as the resident says it."""

from __future__ import annotations

import re

from nlu.words import alternatives, pattern

_N = r"(?:\d{1,3}|[一二两三四五六七八九十百]{1,4}(?:[多来几])?|好几|半拉?|大半|俩|仨|几|一?整)"
_DAY = alternatives("durations", "day")
_PART = alternatives("durations", "part")
_CLOCK = r"(?:[\d一二两三四五六七八九十]{1,3}(?:点(?:多|半|钟|左右|来钟|\d{1,2}分?)?|时(?:许)?|:\d\d)(?:左右|多)?)"
_WHEN = rf"(?:{_DAY}的?{_PART}?{_CLOCK}?|{_PART}{_CLOCK}?|{_CLOCK})"
_NOW = r"(?:现在|今天|今儿个?|目前|今早|今晚|这会儿|此刻|如今)"
_SPAN = (
    r"(?:个多?小时|个?小时|个?多?钟头|分钟|天|夜|宿|晚上?|个?星期|个?礼拜|周|个多?月|(?<=[俩仨半几拉])月|个?冬天|年)"
)
# 快十天, 整整六天: said with the number, and part of the span.
_NEARLY = alternatives("durations", "nearly")
# 从昨晚开始, 前天中午起: 从 is part of the span where the turn is named too, not in 从前天就停了.
_SINCE = re.compile(rf"(?P<d>(?:自从?|打?从|打)?{_WHEN}(?:左右)?就?(?:开始|起(?!来|床|夜|码)|以来|至今))")
_UNTIL = re.compile(rf"(?P<d>(?:自从?|打?从|打)?{_WHEN}(?:一直|直)?到{_NOW})")
_FROM = re.compile(rf"(?:自从?|打?从)(?P<d>{_WHEN})(?=就|片|管|暖|家|屋|停|断|凉|地暖|一直|漏|滴|没|全|整|各)")
# 前天半夜断的, 昨晚八点就凉透了: a day that is named right before the turn.
_TURN = re.compile(
    rf"(?<![一二三四五六七八九十\d])(?P<d>{_DAY}的?{_PART}?{_CLOCK}?(?:左右)?)"
    r"(?=就?(?:停|断|凉|冰|冷)(?:的|了(?![趟次一两])|透|下来|掉)|就(?:停|断|没(?!见)|不)|[停断]到现在)"
)
_LENGTH = re.compile(
    rf"(?<![\d一二两三四五六七八九十几.第])(?P<d>(?:这(?=[\d一二两三四五六七八九十半])|{_NEARLY})?{_N}{_SPAN}"
    rf"(?:{_N}[夜宿晚])?(?:多|左右|出头)?(?:了|啦|嘞)?)"
)
_NTH = re.compile(r"(?P<d>第(?:\d{1,2}|[二三四五六七八九十]{1,3})天)")
_FAULT = alternatives("durations", "fault")
_FAULT_BEFORE = re.compile(rf"{_FAULT}(?:了|的|有|着|水|暖|到|快|都|已经|整整|足足|好|将近){{0,3}} ?$")
_FAULT_AFTER = re.compile(
    r"^[,， ]{0,2}(?:都|也|还|屋里|家里?|暖气片?|片子|管子|地暖|一直|全|就|始终|温度|卧室|客厅|根本|一点)?"
    r"(?:都|也|还|就|一直|全|是)?(?:没|不|冇|凉|冰|冷|漏|停|断|滴|催|还是|冻|石沉|未|一点|无人|毫无)"
)
# A bare answer to how long: 两天了, 好像是昨天夜里.
_ONLY = re.compile(
    r"[\s,，。]*(?:好像|大概|大约|可能|应该|估计|约摸|差不多|有|是|得有|都|快|已经)*"
    rf"(?P<d>从?{_DAY}{_PART}?{_CLOCK}?|{_N}{_SPAN}(?:多|左右)?了?)"
    r"(?:吧|的|嘞|呗|呀|啊|左右|[\s。.!！~,，])*"
)
# A clause of its own: 没热过,半个月,要么修
_ALONE_BEFORE = re.compile(r"[,，。!！;；\n]$")
_ALONE_AFTER = re.compile(r"[,，。!！?？;；\n]|$")
_NOT_AFTER = pattern("durations", "not_after")
_NOT_BEFORE = pattern("durations", "not_before")
_SHORT_OR_AN_AGE = ("分钟", "月", "年")
_DAYS_AND_NIGHTS = re.compile(r"天.{1,2}[夜宿晚]")
_NO_LENGTH = frozenset({"一天", "半天", "一年", "一夜", "几年", "几天", "几天了", "整天", "晚上", "整夜", "半夜"})


def durations(text: str) -> list[tuple[int, int]]:
    """Spans of normalised text that say since when or for how long the fault has been there."""
    if only := _ONLY.fullmatch(text):
        return [only.span("d")]
    found: list[tuple[int, int]] = []
    for form in (_UNTIL, _SINCE, _FROM, _TURN, _NTH, _LENGTH):
        for match in form.finditer(text):
            start, end = match.span("d")
            if any(start < b and end > a for a, b in found):
                continue
            if _counts(text, match, form):
                found.append((start, end))
    return sorted(found)


def _counts(text: str, match: re.Match[str], form: re.Pattern[str]) -> bool:
    """Whether the time belongs to a fault: the words beside it name one and say no other thing."""
    start, end = match.span("d")
    before, after = text[max(0, start - 8) : start], text[end : end + 8]
    if form is _NTH:
        return re.search(r"(?:都|今天|今儿个?|已经|到)(?:是|到)? ?$", before) is not None
    if form in (_UNTIL, _FROM, _TURN):
        return True
    if form is _SINCE:
        planned = re.match(r"供暖|收费|供热|缴费|试水|热的|办理", after) or re.search(r"[明后]$", before)
        return not planned and not re.fullmatch(r"[早晚黑]起|.*[几啥].*", match["d"])
    return _is_length(match["d"], before, after)


def _is_length(span: str, before: str, after: str) -> bool:
    """三天了, 停了两天, 两天没热: not 三天后, 每天, 一天比一天."""
    if re.match(r"(?:还|阀|屋里?|家里)?(?:还|也|都)?(?:没|不|锁|关|凉|冰|冷)|阀", after) and re.search(
        r"[交缴]费?[完了]*$", before
    ):
        return True
    ended = span.endswith(("了", "啦", "嘞"))
    if (_NOT_AFTER.match(after) and not (ended and after.startswith("怎么"))) or _NOT_BEFORE.search(before):
        return False
    if _ALONE_BEFORE.search(before) and _ALONE_AFTER.match(after):
        return span not in _NO_LENGTH and not span.endswith(_SHORT_OR_AN_AGE) or span.endswith("半个月")
    if span in _NO_LENGTH and not (span == "一夜" and _FAULT_BEFORE.search(before)):
        return False
    if _DAYS_AND_NIGHTS.search(span) and _FAULT_AFTER.match(after):
        return True
    if span.removesuffix("了").endswith(("年", "分钟", "晚", "晚上", "宿", "夜")) or (not ended and "小时" in span):
        return _FAULT_BEFORE.search(before) is not None
    return ended or _FAULT_BEFORE.search(before) is not None or _FAULT_AFTER.match(after) is not None
