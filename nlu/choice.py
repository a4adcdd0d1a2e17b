"""Which of several addresses is meant: the corrected one, and the home with the fault."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nlu.address_forms import Part
from nlu.words import pattern

_RANK = {"community": 0, "building": 1, "unit": 2, "floor": 3, "room": 4}
_NEGATED = pattern("choice", "negated")
_SLIP = pattern("choice", "slip")
_MOVED = pattern("choice", "moved")
_OTHER = pattern("choice", "other")
_FAULT = pattern("choice", "fault")
_FINE = pattern("choice", "fine")
_LEAK = pattern("choice", "leak")
_NEIGHBOUR = pattern("choice", "neighbour")
_VICTIM = pattern("choice", "victim")


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
            if len(between) <= 24 and (_SLIP.search(between) or _MOVED.search(between)):
                dropped |= _restated(group, later)
    return [part for part in parts if part.start not in dropped]


def _restated(group: Sequence[Part], later: Sequence[Part]) -> set[int]:
    """Where the parts stand that a later address says again; a new one with a room leaves none below it."""
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
    return (
        _OTHER.search(gap) is not None
        or _SLIP.search(gap) is not None
        or "不是" in gap
        or "是" in gap[-1:]
        and "," in gap
    )


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
