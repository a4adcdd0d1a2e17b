"""Which of several addresses is meant: the corrected one, and the home with the fault."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nlu.address_forms import Part

_RANK = {"community": 0, "building": 1, "unit": 2, "floor": 3, "room": 4}
_NEGATED = re.compile(r"(?<!是)(?<!要)(?:不是|并非|不在|不住|并不是|莫得|别去|不要去)(?:我?(?:家)?(?:住|在|住在)?|说)? ?$")
_SLIP = re.compile(
    r"(?:说|写|打|发|报|填|记|弄|搞|输|按|登记|记录|登)(?:的)?(?:错|岔|串)|错了|不对|更正|纠正|改成|改为|改到|应该是|应为|才对|才是"
    r"|口误|手误|手滑|哦不|啊不|噢不|呃不|不不|其实是|实际是|实际上是|准确说|确切"
)
_MOVED = re.compile(r"搬到|搬去|搬来|搬进|挪到|换到|转到|移到|搬家|现在住|现住|如今住")
_OTHER = re.compile(r"楼上|楼下|隔壁|对门|对面|邻居|妈|爸|父母|老家|婆|公公|岳|朋友|亲戚|同事|奶奶|爷爷|姥|外婆|另一|人家|别人")
_FAULT = re.compile(r"漏|滴|渗|爆|喷|冰|凉|冷|没暖|没热|冇|不来|不暖|停|坏|滋|淌|跑水|不太热|不够|温吞")
_FINE = re.compile(r"(?<!不)(?<!没)(?:正常|^热(?=$|[,，。的得着])|[东西]?热的|是热|热嘞|^[都也]?有(?=[暖热,，]|$)|也有(?!人)|都?说热|热乎|烫|很热|都热|可热|挺热|热着|热得|热嘞|暖和|没事|不漏|没漏|没问题|好好的|好着|有暖气|来暖了|不是我家)")
_LEAK = re.compile(r"漏|滴|渗|爆|喷|滋|淌|跑水")
_NEIGHBOUR = re.compile(r"(?:对过|楼上|楼下|对门|隔壁|邻居|对面)(?:家|的|是)?$")
_VICTIM = re.compile(r"(?:漏|淹|流|渗|滴|灌|泡|洇|浸)(?:到|了|透|进)?(?:我|俺)?(?:们)?(?:家|楼下)?(?:了)?[,，]?(?:我是|我住|我家|我家是|我在)?[,，]? ?$")


def choose(text: str, parts: Sequence[Part]) -> list[Part]:
    """The parts that count, in text order: no corrected ones, and only the home with the fault."""
    kept = _without_corrected(text, parts)
    return _with_fault(text, kept)


def _without_corrected(text: str, parts: Sequence[Part]) -> list[Part]:
    groups = _groups(text, parts)
    dropped: set[int] = set()
    for index, group in enumerate(groups):
        kinds_elsewhere = {part.kind for other in groups if other is not group for part in other}
        if _NEGATED.search(text[: group[0].start][-10:]):
            alone = not kinds_elsewhere
            dropped |= {part.start for part in group if alone or part.kind in kinds_elsewhere}
            continue
        for later in groups[index + 1 : index + 3]:
            between = text[group[-1].end : later[0].start]
            if len(between) <= 24 and (_SLIP.search(between) or _moved(text, group, between)):
                dropped |= _restated(group, later)
    return [part for part in parts if part.start not in dropped]


def _moved(text: str, group: Sequence[Part], between: str) -> bool:
    return _MOVED.search(between) is not None


def _restated(group: Sequence[Part], later: Sequence[Part]) -> set[int]:
    """The parts of a group that the later one says again; a new estate or building leaves nothing below it."""
    top = min(_RANK[part.kind] for part in later)
    kinds = {part.kind for part in later}
    return {part.start for part in group if part.kind in kinds or (_RANK[part.kind] > top and "room" in kinds)}


def _groups(text: str, parts: Sequence[Part]) -> list[list[Part]]:
    """Parts gathered into addresses: a new one begins where a part does not lie further in than the last."""
    groups: list[list[Part]] = []
    for part in parts:
        last = groups[-1][-1] if groups else None
        further = last is not None and _RANK[part.kind] > _RANK[last.kind]
        near = last is not None and part.start - last.end <= 12 and not _breaks(text[last.end : part.start])
        listed = (
            last is not None
            and part.kind == last.kind
            and re.fullmatch(r"[ ,，、/和跟与及]{1,2}|还有|以及", text[last.end : part.start]) is not None
        )
        if groups and near and (further or listed):
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups


def _breaks(gap: str) -> bool:
    return _OTHER.search(gap) is not None or _SLIP.search(gap) is not None or "不是" in gap or "是" in gap[-1:] and "," in gap


def _with_fault(text: str, parts: list[Part]) -> list[Part]:
    """Drop the homes that are named beside the one with the fault."""
    groups = [group for group in _groups(text, parts) if group[-1].kind in ("building", "unit", "room")]
    if len(groups) < 2:
        return parts
    bounds = [group[0].start for group in _groups(text, parts)] + [len(text)]
    after = [text[group[-1].end : min(b for b in bounds if b >= group[-1].end)] for group in groups]
    fine = [_FINE.search(tail) is not None and not _FAULT.search(tail) for tail in after]
    if any(fine) and not all(fine):
        return _drop(parts, [group for group, good in zip(groups, fine, strict=True) if good])
    theirs = [_NEIGHBOUR.search(text[: group[0].start][-5:]) is not None for group in groups]
    leaking = [_LEAK.search(tail) is not None for tail in after]
    if any(theirs) and not all(theirs) and not any(leaking):
        return _drop(parts, [group for group, other in zip(groups, theirs, strict=True) if other])
    victims = [_VICTIM.search(text[: group[0].start][-12:]) is not None for group in groups]
    if any(victims) and not all(victims):
        return _drop(parts, [group for group, hit in zip(groups, victims, strict=True) if hit])
    return _drop(parts, _unaffected(text, groups, after))


def _unaffected(text: str, groups: list[list[Part]], after: list[str]) -> list[list[Part]]:
    """The reporter's own home, where the text goes on to somebody else's that has the fault."""
    faulty = [_FAULT.search(tail) is not None or "不热" in tail for tail in after]
    if not any(faulty) or all(faulty):
        return []
    chosen = [index for index, has in enumerate(faulty) if has]
    others = [index for index in chosen if _OTHER.search(text[: groups[index][0].start][-8:])]
    return [group for index, group in enumerate(groups) if not faulty[index]] if others else []


def _drop(parts: list[Part], groups: list[list[Part]]) -> list[Part]:
    """Without these groups' rooms, and without their other parts where a kept address states its own."""
    gone = {part.start for group in groups for part in group}
    kept_kinds = {part.kind for part in parts if part.start not in gone}
    return [part for part in parts if part.start not in gone or part.kind not in kept_kinds]
