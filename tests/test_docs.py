"""Documentation is tested and so cannot drift: tables, links, commands."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from bot.app import create_app
from bot.channels import registry
from bot.cli import main
from bot.services import Services
from bot.settings import ROOT, Settings, variable
from nlu.types import INTENTS

READMES = ("README.md", "README.zh-CN.md")
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])


def _rows(page: str, heading: str) -> dict[str, str]:
    """The rows of the first table whose header has `heading` in its first column: first cell → whole row."""
    lines = iter((ROOT / page).read_text(encoding="utf-8").splitlines())
    for line in lines:
        if line.startswith(f"| {heading} |"):
            next(lines)
            break
    rows: dict[str, str] = {}
    for line in lines:
        if not line.startswith("|"):
            break
        rows[re.findall(r"`([^`]+)`", line)[0]] = line
    return rows


@pytest.mark.parametrize(("page", "heading"), [("README.md", "intent"), ("README.zh-CN.md", "意图")])
def test_every_intent_has_a_row_in_its_order(page: str, heading: str) -> None:
    rows = _rows(page, heading)
    assert list(rows) == list(INTENTS)
    for intent, row in rows.items():
        data: dict[str, Any] = yaml.safe_load((ROOT / "data" / "intents" / f"{intent}.yml").read_text(encoding="utf-8"))
        assert f"| {data['name']} |" in row, f"{page}: {intent} is {data['name']} in data/intents/{intent}.yml"


@pytest.mark.parametrize("intent", INTENTS)
def test_every_intent_has_its_data_and_its_handler(intent: str) -> None:
    assert (ROOT / "data" / "intents" / f"{intent}.yml").is_file()
    assert (ROOT / "handlers" / f"{intent}.py").is_file()


@pytest.mark.parametrize(("page", "heading"), [("README.md", "channel"), ("README.zh-CN.md", "渠道")])
def test_every_channel_has_a_row_with_its_webhooks(page: str, heading: str, services: Services) -> None:
    rows = _rows(page, heading)
    assert set(rows) == set(registry.CREATORS)
    paths = {str(rule) for rule in create_app(services).url_map.iter_rules() if str(rule).startswith("/channels/")}
    named = {path for row in rows.values() for path in re.findall(r"`(/channels/[^`]+)`", row)}
    assert named == {path for path in paths if "<ref>" not in path}


def test_every_setting_has_a_row_that_says_what_the_code_says() -> None:
    rows = _rows("README.md", "setting")
    for setting in fields(Settings):
        name, help_ = variable(setting.name), setting.metadata["help"].replace("|", "\\|")
        default = f"`{setting.default}`" if setting.default else ""
        assert rows.pop(name, None) == f"| `{name}` | {default} | {help_} |"
    assert not rows, f"README.md describes settings that there are not: {sorted(rows)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_named_file_exists(page: Path) -> None:
    named = re.findall(r"`((?:bot|handlers|nlu|data|tests|scripts|docs)/[\w./-]+)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_named_command_exists(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z]+)`", text)) <= targets
    for words in re.findall(r"(?:^ {4}|`)(?:\.venv/bin/)?heatline ((?:[a-z]+ ?)+)", text, re.MULTILINE):
        assert _is_command(words.split()), f"heatline {words}"


def _is_command(words: list[str]) -> bool:
    """Whether the words lead to a command; what follows the command are its arguments."""
    command: click.Command = main
    for word in words:
        if not isinstance(command, click.Group):
            return True
        if word not in command.commands:
            return False
        command = command.commands[word]
    return True


def test_the_path_of_a_message_names_files_that_there_are() -> None:
    for page in READMES:
        for name in re.findall(r"((?:bot|nlu|handlers)/[\w/]+\.py)", (ROOT / page).read_text(encoding="utf-8")):
            assert (ROOT / name).is_file(), f"{page}: {name}"


def test_every_dependency_has_its_decision() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.search(r"^dependencies = \[(.*?)^\]", project, re.MULTILINE | re.DOTALL)
    assert listed
    names = [re.match(r"[a-z0-9-]+", entry) for entry in re.findall(r'"([^"]+)"', listed[1])]
    decisions = (ROOT / "DECISIONS.md").read_text(encoding="utf-8").lower()
    assert [name[0] for name in names if name and name[0] not in decisions] == []
