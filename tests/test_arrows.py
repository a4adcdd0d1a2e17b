"""Imports point one way, bot → handlers → nlu, and each outside package is known to one place."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.settings import ROOT

# package → the files that alone may import it, by the beginning of their path
PROVIDERS = {
    "wechatpy": ("bot/channels/wechat", "bot/standins/"),
    "twilio": ("bot/channels/sms_twilio", "bot/standins/"),
    "alibabacloud_dysmsapi20170525": ("bot/channels/sms_aliyun",),
    "alibabacloud_tea_openapi": ("bot/channels/sms_aliyun",),
    "darabonba": ("bot/channels/sms_aliyun",),
    "tencentcloud": ("bot/channels/sms_tencent",),
    "phonenumbers": ("bot/channels/",),
}
# The dialogue is pure: what it would need for these is handed to it in a Turn.
IMPURE = {"sqlalchemy", "flask", "requests", "urllib", "urllib3", "http", "socket", "subprocess", "time", "threading"}
CLOCKS = {"now", "utcnow", "today"}


def _files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if ".venv" not in path.parts]


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _imports(path: Path) -> Iterator[str]:
    """Every module that a file imports, also inside functions."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full"
            yield str(node.module)


def _offenders(files: list[Path], forbidden: set[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files
        for module in _imports(path)
        if module.split(".")[0] in forbidden
    ]


def test_handlers_do_not_know_the_service() -> None:
    assert _offenders(_files("handlers"), {"bot"}) == []


def test_understanding_knows_neither_dialogue_nor_service() -> None:
    assert _offenders(_files("nlu"), {"bot", "handlers"}) == []


def test_the_dialogue_has_no_database_network_or_clock() -> None:
    assert _offenders(_files("handlers"), IMPURE) == []
    asked = [
        f"{path.relative_to(ROOT)} line {node.lineno}"
        for path in _files("handlers")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CLOCKS
    ]
    assert asked == []


def test_only_the_nlu_server_imports_rasa() -> None:
    outside = [path for path in _files("bot", "handlers", "nlu") if "server" not in path.relative_to(ROOT).parts]
    assert _offenders(outside, {"rasa", "jieba", "sklearn", "tensorflow"}) == []


def test_only_one_file_speaks_rasas_interface() -> None:
    speakers = {
        str(path.relative_to(ROOT))
        for path in _files("bot", "handlers", "nlu")
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("/model/parse")
    }
    # The benchmark times the bare interface, beside servers that are not ours.
    assert speakers - {"bot/bench/nlu.py"} == {"nlu/interpreter.py"}


@pytest.mark.parametrize("package", PROVIDERS)
def test_only_channels_know_their_providers_packages(package: str) -> None:
    elsewhere = [
        path for path in _files("bot", "handlers") if not str(path.relative_to(ROOT)).startswith(PROVIDERS[package])
    ]
    assert _offenders(elsewhere, {package}) == []


def test_data_holds_no_code() -> None:
    assert _files("data") == []
