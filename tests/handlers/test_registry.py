"""Every intent of the guide has a handler, sentences, replies and labelled sentences of the same name."""

from __future__ import annotations

import inspect

import pytest

from bot.rules import DATA, _top_level
from bot.settings import ROOT
from handlers.dialogue.registry import handler
from handlers.dialogue.types import Outcome, Turn
from nlu.types import INTENTS


@pytest.mark.parametrize("intent", INTENTS)
def test_every_intent_has_a_handler(intent: str) -> None:
    signature = inspect.signature(handler(intent), eval_str=True)
    assert [parameter.annotation for parameter in signature.parameters.values()] == [Turn]
    assert signature.return_annotation is Outcome


@pytest.mark.parametrize("intent", [intent for intent in INTENTS if intent != "provide_info"])
def test_every_intent_has_replies(intent: str) -> None:
    assert _top_level(DATA / "intents" / f"{intent}.yml", "replies")


def test_handlers_are_those_of_the_guide() -> None:
    files = {path.stem for path in (ROOT / "handlers").glob("*.py")} - {"__init__"}
    assert files == set(INTENTS)


def test_intent_files_are_those_of_the_guide() -> None:
    assert {path.stem for path in (DATA / "intents").glob("*.yml")} == set(INTENTS)


@pytest.mark.parametrize("name", ["", "nlu_fallback", "../bot", "dialogue", "os"])
def test_a_name_that_the_guide_does_not_have_is_refused(name: str) -> None:
    with pytest.raises(KeyError):
        handler(name)
