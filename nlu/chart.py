"""Draws the confusion matrix of an evaluation as SVG, with nothing but the standard library."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import escape

from nlu.types import INTENTS

_CELL, _MARGIN = 30, 130


def confusion_svg(confusion: Mapping[str, Mapping[str, int]]) -> str:
    """Rows are labels, columns what was understood; the darker a cell, the greater its share of the row."""
    predicted = {intent for row in confusion.values() for intent in row}
    intents = [intent for intent in INTENTS if intent in confusion or intent in predicted]
    size = _MARGIN + _CELL * len(intents)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" font-size="11">']
    parts += ["<title>Confusion matrix: rows are labels, columns what was understood</title>"]
    for place, intent in enumerate(intents):
        parts += _labels(place, intent) + _row(place, intents, confusion.get(intent, {}))
    return "\n".join([*parts, "</svg>"])


def _labels(place: int, intent: str) -> list[str]:
    middle = _MARGIN + place * _CELL + _CELL // 2 + 4
    name = escape(intent)
    return [
        f'<text x="{_MARGIN - 6}" y="{middle}" text-anchor="end">{name}</text>',
        f'<text transform="translate({middle},{_MARGIN - 6}) rotate(-60)">{name}</text>',
    ]


def _row(place: int, intents: list[str], counts: Mapping[str, int]) -> list[str]:
    total, y = sum(counts.values()) or 1, _MARGIN + place * _CELL
    parts = []
    for column, intent in enumerate(intents):
        x, count = _MARGIN + column * _CELL, counts.get(intent, 0)
        shade = count / total
        parts.append(
            f'<rect x="{x}" y="{y}" width="{_CELL}" height="{_CELL}" stroke="#ddd" fill="rgba(20,80,160,{shade:.2f})"/>'
        )
        if count:
            ink = "#fff" if shade > 0.5 else "#000"
            parts.append(f'<text x="{x + _CELL // 2}" y="{y + 19}" text-anchor="middle" fill="{ink}">{count}</text>')
    return parts
