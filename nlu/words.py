"""The word lists of the rules, read once from data/lexicon/words.yml."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import yaml

_FILE = Path(__file__).resolve().parent.parent / "data" / "lexicon" / "words.yml"
# <name> inside a pattern stands for another list of the same section.
_REFERENCE = re.compile(r"(?<!\?P)<([a-z_]*[a-z])>")


@lru_cache(maxsize=1)
def _sections() -> dict[str, dict[str, list[str]]]:
    sections: dict[str, dict[str, list[str]]] = yaml.safe_load(_FILE.read_text(encoding="utf-8"))["sections"]
    return sections


def alternatives(section: str, name: str) -> str:
    """A list as the inside of a regular expression group, its longest plain words first come as written."""
    text = "|".join(_sections()[section][name])
    return _REFERENCE.sub(lambda match: f"(?:{alternatives(section, match[1])})", text)


def pattern(section: str, name: str) -> re.Pattern[str]:
    """A list as one compiled pattern."""
    return re.compile(alternatives(section, name))
