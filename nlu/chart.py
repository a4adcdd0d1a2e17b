"""Draws an evaluation as SVG with nothing but the standard library: the confusion matrix and the reliability diagram."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from xml.sax.saxutils import escape

from nlu.types import INTENTS

_CELL, _MARGIN = 30, 130
_SIDE, _EDGE = 400, 50  # of the reliability diagram


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


def reliability_svg(table: Sequence[Mapping[str, Any]]) -> str:
    """Chance said against share right, a bar per tenth of the table of `calibration`; on the diagonal both are equal."""
    size = _SIDE + 2 * _EDGE
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{size}" height="{size}" font-size="11">']
    parts += ["<title>Reliability: mean chance said (across) against share right (up); numbers are messages</title>"]
    for row in table:
        parts += _bar(row)
    for tenth in range(0, 11, 2):
        place = _SIDE * tenth // 10
        parts.append(f'<text x="{_EDGE + place}" y="{size - 30}" text-anchor="middle">{tenth / 10:g}</text>')
        parts.append(f'<text x="{_EDGE - 8}" y="{size - _EDGE - place + 4}" text-anchor="end">{tenth / 10:g}</text>')
    end = _EDGE + _SIDE
    parts.append(f'<path d="M{_EDGE} {_EDGE}V{end}H{end}M{_EDGE} {end}L{end} {_EDGE}" stroke="#555" fill="none"/>')
    return "\n".join([*parts, "</svg>"])


def _bar(row: Mapping[str, Any]) -> list[str]:
    height, width = _SIDE * row["accuracy"], _SIDE / 10
    left, top = _EDGE + _SIDE * row["from"], _EDGE + _SIDE - height
    dot = _EDGE + _SIDE * row["confidence"]
    return [
        f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="#9db8dc" stroke="#fff"/>',
        f'<circle cx="{dot:.1f}" cy="{top:.1f}" r="4" fill="#14509f"/>',
        f'<text x="{left + width / 2:.1f}" y="{max(top - 8, 12):.1f}" text-anchor="middle">{row["sentences"]}</text>',
    ]
