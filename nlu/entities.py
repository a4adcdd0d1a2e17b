"""Everything the guide asks to be marked in a message: places, readings, numbers, times."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from nlu.contacts import contacts
from nlu.durations import durations
from nlu.normalise import Normal, normalise
from nlu.places import Gazetteer, read_places
from nlu.readings import as_text, readings
from nlu.types import Entity

_MAX_LENGTH = 2000


def extract(text: str, gazetteer: Gazetteer | None = None) -> list[Entity]:
    """The entities of a message in text order; offsets are those of the original text.

    Values are strings, a temperature too ("15.5"); `as_number` reads it.
    """
    normal = normalise(text[:_MAX_LENGTH])
    numbers = [_entity(text, normal, item.kind, item.value, item.start, item.end) for item in contacts(normal.text)]
    places = [
        _entity(text, normal, part.kind, part.value, part.start, part.end)
        for part in read_places(normal.text, gazetteer)
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


def _half_width(span: str) -> str:
    return unicodedata.normalize("NFKC", span)


def _disjoint(entities: Iterable[Entity]) -> list[Entity]:
    """Without those that overlap a surer one; the order given is the order of trust."""
    kept: list[Entity] = []
    for entity in entities:
        if all(entity.end <= other.start or entity.start >= other.end for other in kept):
            kept.append(entity)
    return kept
