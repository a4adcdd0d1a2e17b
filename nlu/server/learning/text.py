"""Brings every spelling of the same message to one form: width, script, case, slips of the ear and of the keyboard."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from opencc import OpenCC

# Tone marks on emoji and the joiners between them carry no meaning a classifier should split on.
_MODIFIERS = re.compile("[\ufe00-\ufe0f\u200d\U0001f3fb-\U0001f3ff]")
_SPACES = re.compile(r"\s+")
# 冷冷冷冷冷 says no more than 冷冷冷; digits are left alone, because 1000 is not 100.
_RUNS = re.compile(r"([^\d])\1{3,}")


@lru_cache(maxsize=1)
def _simplifier() -> OpenCC:
    """The converter reads its dictionaries once; it is created at the first use and kept."""
    return OpenCC("t2s")


def normalise(text: str, variants: Mapping[str, str] | None = None) -> str:
    """Return the form in which a message is classified; offsets into the original are not kept.

    `variants` maps frequent slips to what was meant (暖汽 → 暖气); they are replaced longest first.
    Blank or unprintable text gives an empty string.
    """
    text = unicodedata.normalize("NFKC", _MODIFIERS.sub("", text))
    text = "".join(" " if unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs", "Cn") else c for c in text)
    text = _simplifier().convert(text).lower()
    text = _RUNS.sub(r"\1\1\1", _SPACES.sub(" ", text).strip())
    return replace_variants(text, variants) if variants else text


def replace_variants(text: str, variants: Mapping[str, str]) -> str:
    """Replace every slip that occurs in `text` by what was meant."""
    pattern = _variant_pattern(tuple(variants))
    return pattern.sub(lambda match: variants[match[0]], text)


@lru_cache(maxsize=4)
def _variant_pattern(slips: tuple[str, ...]) -> re.Pattern[str]:
    alternatives = sorted(slips, key=len, reverse=True)
    return re.compile("|".join(_bounded(slip) for slip in alternatives))


def _bounded(slip: str) -> str:
    """Pinyin is replaced only as a whole word, or `re` would be found inside `tire`."""
    escaped = re.escape(slip)
    return rf"(?<![a-z]){escaped}(?![a-z])" if slip.isascii() else escaped
