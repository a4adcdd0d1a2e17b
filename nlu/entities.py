"""Everything the guide asks to be marked in a message: places, readings, numbers, times."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from nlu.contacts import contacts
from nlu.durations import durations
from nlu.naming import Learnt, in_normal
from nlu.normalise import Normal, normalise
from nlu.places import Gazetteer, Part, name_of, read_places
from nlu.readings import as_text, readings
from nlu.types import Entity

_MAX_LENGTH = 2000


def extract(text: str, gazetteer: Gazetteer | None = None, learnt: Sequence[Learnt] | None = None) -> list[Entity]:
    """The entities of a message in text order; offsets are those of the original text.

    Values are strings, a temperature too ("15.5"); `as_number` reads it. `learnt` is where the NLU server's tagger sees
    names of estates in `text`; None where nobody was asked.
    """
    normal = normalise(text[:_MAX_LENGTH])
    numbers = [_entity(text, normal, item.kind, item.value, item.start, item.end) for item in contacts(normal.text)]
    named = None if learnt is None else in_normal(learnt, normal)
    places = [
        _entity(text, normal, part.kind, _value(part, text, normal, gazetteer), part.start, part.end)
        for part in read_places(normal.text, gazetteer, named)
    ]
    degrees = [
        _entity(text, normal, "temperature", as_text(item.value), item.start, item.end)
        for item in readings(normal.text)
    ]
    times = [_entity(text, normal, "duration", None, *span) for span in durations(normal.text)]
    return sorted(_disjoint([*numbers, *places, *degrees, *times]), key=lambda entity: entity.start)


def as_number(entity: Entity) -> float:
    """The temperature of a temperature entity, in ℃."""
    return float(entity.value)


def _entity(text: str, normal: Normal, kind: str, value: str | None, start: int, end: int) -> Entity:
    begin, stop = normal.original(start, end)
    span = text[begin:stop]
    return Entity(kind, _half_width(span) if value is None else value, span, begin, stop)


def _value(part: Part, text: str, normal: Normal, gazetteer: Gazetteer | None) -> str:
    """The value of a place; an estate that no list knows keeps the script it is written in."""
    unlisted = part.kind == "community" and part.value == name_of(normal.text[part.start : part.end])
    if not unlisted or (gazetteer is not None and gazetteer.resolve(part.value)):
        return part.value
    begin, stop = normal.original(part.start, part.end)
    return name_of(_half_width(text[begin:stop])).replace("樓", "楼")


def _half_width(span: str) -> str:
    return unicodedata.normalize("NFKC", span)


def _disjoint(entities: Iterable[Entity]) -> list[Entity]:
    """Without those that overlap a surer one; the order given is the order of trust."""
    kept: list[Entity] = []
    for entity in entities:
        if all(entity.end <= other.start or entity.start >= other.end for other in kept):
            kept.append(entity)
    return kept
