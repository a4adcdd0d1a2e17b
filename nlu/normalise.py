"""A simplified, half-width copy of a text that remembers where each of its characters came from."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from nlu.words import alternatives

# The Traditional characters residents use about homes and heating; the rest of the script is not needed here.
_FOLD = {pair[0]: pair[1] for pair in alternatives("script", "traditional").split("|")}
# Marks that stand for the same thing, so that later rules need one spelling of each.
_FOLD |= dict.fromkeys("－—–―‐‑‒−﹣─", "-") | dict.fromkeys("＃♯﹟", "#") | dict.fromkeys("～∼〜", "~")
_FOLD |= {"˚": "°", "º": "°", "〇": "零", "○": "零", "暧": "暖", "曖": "暖", "叁": "三", "贰": "二"}


@dataclass(frozen=True, slots=True)
class Normal:
    """`text` is the normalised copy; character i of it is character `at[i]` of the original."""

    text: str
    at: tuple[int, ...]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The span of the original that became text[start:end] (which is not empty)."""
        return self.at[start], self.at[end - 1] + 1


def normalise(text: str) -> Normal:
    """Fold width, script and look-alikes of any text, one character for one; invisible marks are left out."""
    chars: list[str] = []
    at: list[int] = []
    for index, char in enumerate(text):
        folded = _fold(char)
        if folded:
            chars.append(folded)
            at.append(index)
    return Normal("".join(chars), tuple(at))


@lru_cache(maxsize=8192)
def _fold(char: str) -> str:
    """One character for one character, or nothing for a mark that is not seen (keycap, joiner, variant)."""
    if char < "\x7f":
        return " " if char == "\t" else "\n" if char == "\r" else char
    if char in _FOLD:
        return _FOLD[char]
    # Enclosing keycaps and variation selectors sit between the digits of 3️⃣号楼.
    if unicodedata.category(char) in ("Cf", "Mn", "Me"):
        return ""
    wide = unicodedata.normalize("NFKC", char)
    if len(wide) != 1:
        return char
    return _FOLD.get(wide, wide)
