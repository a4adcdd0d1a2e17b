"""Small line charts as SVG, without scripts; a table beside each tells the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 640, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 44, 12, 16, 44
_DASHES = ("", "6 4", "2 3")


def lines_svg(labels: Sequence[str], series: Mapping[str, Sequence[float]], title: str = "") -> str:
    """A chart of one or more lines over the same labels; lines differ by dashes, not by colour alone."""
    top = max((value for values in series.values() for value in values), default=0.0) or 1.0
    parts = [_grid(labels, top)]
    for number, (name, values) in enumerate(series.items()):
        parts.append(_line(number, values, top))
        parts.append(_legend(number, name))
    name = escape(title or "、".join(series))
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" class="chart" role="img" aria-label="{name}" '
        f'xmlns="http://www.w3.org/2000/svg" font-size="12" fill="currentColor">{"".join(parts)}</svg>'
    )


def _x(place: int, count: int) -> float:
    return _LEFT + (WIDTH - _LEFT - _RIGHT) * (place / (count - 1) if count > 1 else 0.5)


def _y(value: float, top: float) -> float:
    return HEIGHT - _BOTTOM - (HEIGHT - _BOTTOM - _TOP) * value / top


def _grid(labels: Sequence[str], top: float) -> str:
    parts = []
    for share in (0.0, 0.5, 1.0):
        y = _y(top * share, top)
        parts.append(
            f'<line x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="currentColor" opacity="0.2"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{top * share:.3g}</text>'
        )
    every = max(1, len(labels) // 6)
    for place, label in enumerate(labels):
        if place % every == 0:
            x = _x(place, len(labels))
            parts.append(f'<text x="{x:.1f}" y="{HEIGHT - _BOTTOM + 16}" text-anchor="middle">{escape(label)}</text>')
    return "".join(parts)


def _line(number: int, values: Sequence[float], top: float) -> str:
    points = [(_x(place, len(values)), _y(value, top)) for place, value in enumerate(values)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" class="line{number}"/>' for x, y in points)
    dash = f' stroke-dasharray="{_DASHES[number % 3]}"' if _DASHES[number % 3] else ""
    return f'<polyline points="{path}" fill="none" stroke="currentColor" stroke-width="2"{dash}/>{dots}'


def _legend(number: int, name: str) -> str:
    x, y = _LEFT + 150 * number, HEIGHT - 8
    dash = f' stroke-dasharray="{_DASHES[number % 3]}"' if _DASHES[number % 3] else ""
    return (
        f'<line x1="{x}" x2="{x + 26}" y1="{y - 4}" y2="{y - 4}" stroke="currentColor" stroke-width="2"{dash}/>'
        f'<text x="{x + 32}" y="{y}">{escape(name)}</text>'
    )
