"""`heatline sms segments`: what texts cost as SMS."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from bot import outbox
from bot.channels import Entry
from bot.cli import main
from bot.clock import VirtualClock
from bot.database import Database
from bot.models import Contact
from bot.rules import shipped
from bot.settings import Settings
from bot.sms_commands import cost
from tests.channels.mainland import connected

JOINED = shipped()["sms_joined"]["joined"]


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
    single = {row["key"] for row in rows if "+" not in row["key"] and not row["key"].startswith("answer ")}
    assert single == set(shipped()["texts"]["texts"]) - {"consult.answer"}  # whose text is the answer's own
    assert sum(row["key"].startswith("answer ") for row in rows) == len(shipped()["answers"]["answers"])
    assert all(row["characters"] > 0 for row in rows)


def test_every_joined_reply_is_listed_with_its_cost(settings: Settings) -> None:
    rows = {row["key"]: row for row in json.loads(run(settings, "--json").stdout)}
    assert {"+".join(keys) for keys in JOINED} <= set(rows)
    assert rows["leak.safety_drip+leak.opened_at"]["messages"] == 1
    parts = [rows[key]["characters"] for key in ("danger.gas", "danger.opened", "ask.community")]
    assert rows["danger.gas+danger.opened+ask.community"]["characters"] == sum(parts) + 2


def test_a_joined_reply_that_was_really_sent_is_listed_too(
    settings: Settings, database: Database, clock: VirtualClock
) -> None:
    with connected(settings, database) as line:
        line.aliyun.send_sms("+8619900001234", "你好")
        with database.transaction() as session:
            to, now = session.scalars(select(Contact)).one(), clock()
            entries = [Entry("thanks.welcome"), Entry("ask.warm")]
            outbox.queue(session, to, "x", occasion="test", kind="reply", now=now, entries=entries)
    rows = [row["key"] for row in json.loads(run(settings, "--json").stdout)]
    assert rows.count("thanks.welcome+ask.warm") == 1


LONG = {  # safety needs more room, and so do two tickets
    "leak.safety_unclear+leak.opened_at+ask.severity",
    "leak.safety_unclear+leak.opened_at_home+ask.severity",
    "leak.safety_unclear+leak.opened_at+ask.community",
    "leak.safety_unclear+leak.opened+ask.community",
    "leak.safety_unclear+report.already",
    "danger.shock+danger.opened_at",
    "danger.shock+danger.opened+ask.community",
    "danger.gas+danger.opened_at",
    "danger.gas+danger.opened_at+ask.unit",
    "leak.safety_drip+leak.opened_at+ask.building",  # with an address that lacks nothing, which it then does not have
    "urge.all+urge.line+urge.line",
}


def test_a_reply_is_one_message_unless_there_is_more_to_say(settings: Settings) -> None:
    rows = json.loads(run(settings, "--json").stdout)
    long = {row["key"] for row in rows if row["messages"] > 1}
    # The notice of how data are used stands behind a resident's first answer, once and never again.
    assert {key for key in long if not key.endswith("+privacy.notice")} <= LONG
    assert max(row["messages"] for row in rows) <= 2


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
