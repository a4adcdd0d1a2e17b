"""`heatline sms segments`: what texts cost as SMS."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from bot.cli import main
from bot.rules import shipped
from bot.settings import Settings
from bot.sms_commands import cost


def run(settings: Settings, *arguments: str, **environment: str) -> Result:
    given = {"HEATLINE_DATABASE_URL": settings.database_url, "HEATLINE_DATA_KEY": settings.data_key, **environment}
    return CliRunner().invoke(main, ["sms", "segments", *arguments], env=given)


@pytest.mark.parametrize(
    ("text", "characters", "messages"),
    [
        ("字" * 70, 70, 1),
        ("字" * 71, 71, 2),
        ("字" * 134, 134, 2),
        ("字" * 135, 135, 3),
        ("😀" * 35, 70, 1),
        ("😀" * 36, 72, 2),
    ],
)
def test_a_message_holds_70_and_each_part_of_a_longer_one_67(text: str, characters: int, messages: int) -> None:
    found = cost("x", text)
    assert (found.characters, found.messages) == (characters, messages)


def test_every_entry_is_listed_with_its_cost(settings: Settings) -> None:
    rows = json.loads(run(settings, "--json").stdout)
    expected = set(shipped()["texts"]["texts"]) - {"consult.answer"}  # whose text is the answer's own
    assert {row["key"] for row in rows if not row["key"].startswith("answer ")} == expected
    assert sum(row["key"].startswith("answer ") for row in rows) == len(shipped()["answers"]["answers"])
    assert all(row["characters"] > 0 for row in rows)


def test_the_signature_counts_too(settings: Settings) -> None:
    plain = {row["key"]: row["characters"] for row in json.loads(run(settings, "--json").stdout)}
    signed = json.loads(run(settings, "--json", HEATLINE_ALIYUN_SIGN_NAME="金水供热").stdout)
    assert {row["key"]: row["characters"] - 6 for row in signed} == plain


def test_the_table_ends_with_the_sum(settings: Settings) -> None:
    lines = run(settings).stdout.splitlines()
    assert lines[0].split() == ["entry", "characters", "messages"]
    assert "One message holds 70 characters" in lines[-1]


def test_without_a_database_it_says_what_to_do(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = f"sqlite:///{tmp_path_factory.mktemp('empty')}/none.db"
    result = run(settings, HEATLINE_DATABASE_URL=empty)
    assert result.exit_code == 1
    assert "heatline db upgrade" in result.output
