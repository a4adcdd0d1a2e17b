"""How long a fault has lasted, as the resident says it."""

from __future__ import annotations

import re

from nlu.words import alternatives, pattern

_N = r"(?:\d{1,3}|[一二两三四五六七八九十百]{1,4}|好几|半|大半|俩|仨|几|整)"
_DAY = alternatives("durations", "day")
_PART = alternatives("durations", "part")
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
_FAULT = alternatives("durations", "fault")
_FAULT_BEFORE = re.compile(rf"{_FAULT}(?:了|的|有|着|水|暖|到|快|都|已经|整整|足足|好|将近){{0,3}} ?$")
_FAULT_AFTER = re.compile(
    r"^[,， ]{0,2}(?:都|也|还|屋里|家里?|暖气片?|片子|管子|地暖|一直|全|就|始终|温度|卧室|客厅|根本|一点)?"
    r"(?:都|也|还|就|一直|全|是)?(?:没|不|冇|凉|冰|冷|漏|停|断|滴|催|还是|冻|石沉|未|一点|无人|毫无)"
)
_NOT_AFTER = pattern("durations", "not_after")
_NOT_BEFORE = pattern("durations", "not_before")


def durations(text: str) -> list[tuple[int, int]]:
    """Spans of normalised text that say since when or for how long the fault has been there."""
    found: list[tuple[int, int]] = []
    for form in (_UNTIL, _SINCE, _FROM, _NTH, _LENGTH):
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
    if form in (_UNTIL, _FROM):
        return True
    if form is _SINCE:
        return not re.match(r"供暖|收费|供热|缴费|试水|热的|办理", after) and not re.search(r"[几啥]", match["d"])
    return _is_length(match["d"], before, after)


def _is_length(span: str, before: str, after: str) -> bool:
    """三天了, 停了两天, 两天没热: not 三天后, 每天, 一天比一天."""
    if re.match(r"(?:还|阀|屋里?|家里)?(?:还|也|都)?(?:没|不|锁|关|凉|冰|冷)|阀", after) and re.search(
        r"[交缴]费?[完了]*$", before
    ):
        return True
    if _NOT_AFTER.match(after) or _NOT_BEFORE.search(before) or span in {"一天", "半天", "一年", "一夜", "几年"}:
        return False
    if span.endswith(("年", "年了", "小时", "钟头")):
        return _FAULT_BEFORE.search(before) is not None
    alone = not before.strip(" ,，。.!！?？都已经") and span.endswith(("了", "啦", "嘞"))
    ended = span.endswith(("了", "啦", "嘞")) and re.search(r"(?:^|[,，。.!！?？ 都])$", before) is not None
    return alone or ended or _FAULT_BEFORE.search(before) is not None or _FAULT_AFTER.match(after) is not None
