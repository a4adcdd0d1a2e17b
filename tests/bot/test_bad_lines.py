"""Lines of `heatline nlu parse --jsonl` and `heatline replay` that cannot be read: told as such, and the next one goes on."""

from __future__ import annotations

import json

import pytest

from bot.nlu_commands import _as_json, _parse_line
from bot.replay import BadLine, parse_line
from nlu.gazetteer import Gazetteer
from nlu.places import default_gazetteer
from nlu.types import Understanding

DEEP = "[" * 100_000
ENDLESS = '{"text": ' + "9" * 5000 + "}"


class Echo:
    """Understands everything as nothing."""

    def understand(self, text: str, gazetteer: Gazetteer | None = None) -> Understanding:
        return Understanding(text=text, intent="out_of_scope", confidence=0.5)

    def model(self) -> str:
        return "echo"


@pytest.mark.parametrize("line", ["[1", "", "null", "[]", '{"text": 3}', ENDLESS, DEEP])
def test_a_line_that_cannot_be_parsed_is_an_error_of_its_own(line: str) -> None:
    assert set(_parse_line(Echo(), default_gazetteer(), line)) == {"error"}


def test_half_a_character_is_written_as_its_escape() -> None:
    row = _parse_line(Echo(), default_gazetteer(), '{"text": "a\\ud800b", "id": "冷"}')
    written = _as_json(row, None)
    assert json.loads(written.encode().decode())["text"] == "a\ud800b"


@pytest.mark.parametrize(
    "line",
    [
        "[1",
        ENDLESS,
        DEEP,
        '{"id": 1, "channel": "fax", "turns": []}',
        '{"id": 1, "channel": "sms", "turns": [{"say": 3}]}',
        '{"id": 1, "channel": "sms", "turns": [{"say": "冷", "from": ["x"]}]}',
    ],
)
def test_a_broken_dialogue_is_named_as_such(line: str) -> None:
    with pytest.raises(BadLine):
        parse_line(line)
