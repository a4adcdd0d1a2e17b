"""Texts on their way out: without characters that break a provider, and in pieces that fit."""

from __future__ import annotations

import re
from collections.abc import Callable

# C0 controls but tab and newline, lone surrogates and the two non-characters: XML 1.0 has no place for them.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_BREAKS = "\n。！？；，、 "  # where a long text is best parted, best first
ELLIPSIS = "…"


def clean(text: str) -> str:
    """The text without control characters, its line ends as newlines."""
    return _FORBIDDEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def fit(text: str, max_bytes: int) -> str:
    """The text, shortened to `max_bytes` of UTF-8 on a character boundary; the cut shows as an ellipsis."""
    if len(text.encode()) <= max_bytes:
        return text
    return _head(text, max_bytes - len(ELLIPSIS.encode())) + ELLIPSIS


def split_bytes(text: str, max_bytes: int) -> list[str]:
    """The text in pieces of at most `max_bytes` of UTF-8; nothing is lost but white space at the seams."""
    return _pieces(text, lambda rest: len(_head(rest, max_bytes)))


def split_characters(text: str, most: int) -> list[str]:
    """The text in pieces of at most `most` characters."""
    return _pieces(text, lambda rest: min(len(rest), most))


def _head(text: str, max_bytes: int) -> str:
    return text.encode()[:max_bytes].decode("utf-8", "ignore")


def _pieces(text: str, longest: Callable[[str], int]) -> list[str]:
    pieces, rest = [], text
    while rest:
        size = longest(rest)
        if size < len(rest):
            size = _seam(rest, size)
        pieces.append(rest[:size].rstrip())
        rest = rest[size:].lstrip()
    return [piece for piece in pieces if piece]


def _seam(text: str, size: int) -> int:
    """Where to part: after the best break in the second half, else right at `size`."""
    for mark in _BREAKS:
        place = text.rfind(mark, size // 2, size)
        if place >= 0:
            return place + 1
    return size
