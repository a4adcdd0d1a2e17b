"""`heatline wechat check | menu | qrcode` against the stand-in: what they say and what they do."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bot import cli, rules, wechat_commands
from bot import clock as service_clock
from bot.clock import VirtualClock
from bot.database import Database
from bot.models import Rule
from bot.rules import RuleSource
from bot.settings import Settings, SettingsError
from bot.standins.transport import session_into
from bot.wechat_check import wrong_rows
from bot.wechat_commands import Account, codes, make_codes, report, set_menu
from tests.standins.service import Trial, build


@pytest.fixture
def trial(settings: Settings, database: Database, clock: VirtualClock) -> Iterator[Trial]:
    made = build(settings, database)
    yield made
    made.drain()


@pytest.fixture
def account(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    """The commands' account, whose WeChat is the stand-in; it believes to be reached at a public address."""
    monkeypatch.setattr(rules, "REFRESH_SECONDS", 0.0)
    public = replace(trial.services.settings, public_url="https://heat.example.cn")
    with wechat_commands._account(public, session_into(trial.app)) as made:
        yield made


def said(account: Account) -> tuple[bool, str]:
    lines: list[str] = []
    well = report(account, lines.append)
    return well, "\n".join(lines)


def add_rule(account: Account, name: str, body: dict[str, Any]) -> None:
    with account.database.transaction() as session:
        now = service_clock.now()
        session.add(Rule(name=name, digest="t", body=body, valid_from=now.date(), created_at=now, shipped=False))
    account.book = RuleSource(account.database, "12345").current()


def test_a_healthy_account_is_told_to_be_well(account: Account) -> None:
    set_menu(account)
    well, words = said(account)
    assert well, words
    assert "WRONG" not in words
    assert "https://heat.example.cn/channels/wechat" in words


@pytest.mark.parametrize(
    ("break_it", "told"),
    [
        (lambda a: setattr(a, "on_ip_list", False), "203.0.113.7 is not on the IP list"),
        (lambda a: a.rights.discard("custom/send"), "No right to customer-service messages"),
        (lambda a: a.rights.discard("template/send"), "No right to template messages"),
    ],
)
def test_what_is_wrong_with_the_account_is_said_in_words(
    account: Account, trial: Trial, break_it: Callable[[Any], object], told: str
) -> None:
    break_it(trial.standins.wechat.account)
    well, words = said(account)
    assert not well
    assert told in words


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"wechat_mode": "plain"}, "HEATLINE_WECHAT_MODE is plain"),
        ({"wechat_mode": "compatible"}, "HEATLINE_WECHAT_MODE is compatible"),
        ({"public_url": "https://heat.example.cn:8443"}, "port 80 or 443"),
        ({"public_url": ""}, "port 80 or 443"),
    ],
)
def test_what_is_wrong_with_the_settings_is_said_in_words(account: Account, wrong: dict[str, str], told: str) -> None:
    account.settings = replace(account.settings, **wrong)
    well, words = said(account)
    assert not well
    assert told in words


@pytest.mark.parametrize(("wrong", "told"), [("wechat_secret", "HEATLINE_WECHAT_SECRET"), ("wechat_appid", "APPID")])
def test_wrong_credentials_are_named_and_not_shown(trial: Trial, wrong: str, told: str) -> None:
    settings = replace(trial.services.settings, **{wrong: "wrong-and-private"})
    with wechat_commands._account(settings, session_into(trial.app)) as account:
        well, words = said(account)
    assert not well
    assert told in words
    assert "wrong-and-private" not in words


def test_a_template_that_the_account_has_not_is_named(account: Account, trial: Trial) -> None:
    fields = {"thing1": "{problem}", "character_string3": "{number}"}
    rows = {"status.accepted": {"id": "tpl-1", "fields": fields}, "status.done": {"id": "tpl-2", "fields": fields}}
    add_rule(account, "wechat_templates", {"templates": rows, "notices": {}})
    trial.standins.wechat.account.templates["tpl-1"] = ("thing1", "phrase2")
    well, words = said(account)
    assert not well
    assert "template tpl-1 has no field character_string3" in words
    assert "the account has no template tpl-2" in words


def test_a_rule_that_is_wrong_by_itself_is_named(account: Account) -> None:
    rows = {
        "status.accepted": {"id": "a", "fields": {"thing1": "{nobody}", "title": "{problem}"}},
        "status.flown": {"id": "b", "fields": {}},
    }
    add_rule(account, "wechat_templates", {"templates": rows})
    words = " ".join(wrong_rows(account.book, "templates"))
    assert "no parameter nobody" in words
    assert "no field type for title" in words
    assert "no entry status.flown" in words


def test_after_a_check_that_finds_all_well_what_waited_goes_out(account: Account, trial: Trial) -> None:
    from tests.standins.test_through_the_service import delivery, notify

    trial.standins.wechat.push_text("oCheckedResident00000000000x", "你好")
    trial.standins.wechat.account.on_ip_list = False
    held = notify(trial)
    trial.drain()
    assert delivery(trial, held).state == "held"
    trial.standins.wechat.account.on_ip_list = True
    assert said(account)[0]
    trial.drain()
    assert delivery(trial, held).state == "sent"


# --- the menu


def test_the_shipped_menu_is_one_that_wechat_takes(account: Account, trial: Trial) -> None:
    set_menu(account)
    menu = trial.standins.wechat.account.menu
    assert menu is not None
    keys = [row["key"] for column in menu["button"] for row in column.get("sub_button") or [column]]
    assert {"no_heat", "leak", "ask_progress", "human_agent"} <= set(keys)


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ([{"name": "一", "entry": {"intent": "leak"}}] * 4, "4 columns"),
        ([{"name": "我要报修了", "entry": {"intent": "leak"}}], "longer than 4"),
        ([{"name": "报修", "entries": [{"name": "漏", "intent": "leak"}] * 6}], "6 entries"),
        ([{"name": "报修", "entries": [{"name": "暖气片一点也不热", "intent": "no_heat"}] * 2}], None),
        ([{"name": "报修", "entries": [{"name": "暖气片一点也不热了", "intent": "no_heat"}]}], "longer than 8"),
        ([{"name": "报修", "entry": {"intent": "no_such"}}], "no intent"),
        ([], "0 columns"),
    ],
)
def test_a_menu_that_wechat_would_not_take_is_not_sent(
    account: Account, trial: Trial, columns: list[Any], told: str | None
) -> None:
    add_rule(account, "wechat_menu", {"columns": columns})
    if told is None:
        assert set_menu(account) == 1
        return
    with pytest.raises(SettingsError, match=told):
        set_menu(account)
    assert trial.standins.wechat.account.menu is None


# --- QR codes


def test_every_building_gets_a_code_and_a_second_run_makes_none(account: Account, tmp_path: Path, trial: Trial) -> None:
    wanted = list(codes(account.places(), "阳光花园", by_unit=False))
    assert make_codes(account, wanted, tmp_path, None) == len(wanted) > 1
    rows = list(csv.DictReader((tmp_path / "index.csv").read_text(encoding="utf-8-sig").splitlines()))
    assert {row["community"] for row in rows} == {"阳光花园"}
    assert all((tmp_path / row["file"]).stat().st_size > 0 for row in rows)
    assert make_codes(account, wanted, tmp_path, None) == 0
    scene = rows[0]["scene"]
    assert scene in trial.standins.wechat.account.codes.values()
    answer = trial.standins.wechat.scan("oScansThePrintedCode0000000x", scene)
    assert f"阳光花园{rows[0]['building']}号楼" in (answer or "")


def test_codes_by_unit_tell_the_unit(account: Account, trial: Trial, clock: VirtualClock) -> None:
    code = next(c for c in codes(account.places(), "阳光花园", by_unit=True) if c.unit)
    trial.standins.wechat.scan("oScansTheUnitCode0000000000x", code.scene)
    clock.advance(timedelta(seconds=30))
    assert "门牌号" in (trial.standins.wechat.push_text("oScansTheUnitCode0000000000x", "1") or "")


def test_an_unknown_estate_is_named(account: Account) -> None:
    with pytest.raises(SettingsError, match="火星花园"):
        list(codes(account.places(), "火星花园", by_unit=False))


def test_temporary_codes_last_thirty_days_at_most(account: Account, tmp_path: Path) -> None:
    wanted = list(codes(account.places(), "阳光花园", by_unit=False))[:1]
    assert make_codes(account, wanted, tmp_path, 30) == 1
    result = CliRunner().invoke(cli.main, ["wechat", "qrcode", "--days", "31"])
    assert result.exit_code == 2


# --- the command line


@pytest.mark.parametrize("command", ["check", "menu", "qrcode"])
def test_without_credentials_the_commands_say_what_to_set(command: str, settings: Settings) -> None:
    given = {"HEATLINE_DATABASE_URL": settings.database_url, "HEATLINE_DATA_KEY": settings.data_key}
    result = CliRunner().invoke(cli.main, ["wechat", command], env=given)
    assert result.exit_code == 1
    assert "HEATLINE_WECHAT_APPID" in result.output
    assert "Traceback" not in result.output
