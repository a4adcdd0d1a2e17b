"""Which handler answers an intent: the files of handlers/, by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import lru_cache

from handlers.dialogue.types import Outcome, Turn
from nlu.types import INTENTS

Handler = Callable[[Turn], Outcome]


@lru_cache(maxsize=len(INTENTS))
def handler(intent: str) -> Handler:
    """The handler of an intent. Raises KeyError for an intent that the guide does not have."""
    if intent not in INTENTS:
        raise KeyError(intent)
    handle: Handler = importlib.import_module(f"handlers.{intent}").handle
    return handle
