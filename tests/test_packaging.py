"""Images, compose file and Makefile agree with the project, and the images' steps work in a clean folder."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from bot.cli import main
from bot.settings import ROOT, Settings, variable

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SETTINGS = {variable(setting.name) for setting in fields(Settings)}


@dataclass
class Stage:
    """One target of the Dockerfile: its name, the stage it builds on, its instructions."""

    name: str
    parent: str
    steps: list[tuple[str, str]] = field(default_factory=list)


def stages() -> dict[str, Stage]:
    """The Dockerfile, read."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    found: dict[str, Stage] = {}
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, rest = line.split(maxsplit=1)
        if word == "FROM":
            parent, _, name = rest.partition(" AS ")
            found[name] = stage = Stage(name, parent)
        else:
            stage.steps.append((word, rest.strip()))
    return found


def _sources(step: str) -> list[str]:
    return [part for part in step.split() if not part.startswith("--")][:-1]


def _steps(target: str, word: str) -> list[str]:
    """All instructions of one kind that make up a target, in order, without the machine's own base."""
    stage = stages()[target]
    before = _steps(stage.parent, word) if stage.parent in stages() and stage.parent != "base" else []
    return before + [rest for kind, rest in stage.steps if kind == word]


def test_there_is_a_target_for_each_environment() -> None:
    assert {"service", "nlu"} <= stages().keys()


def test_everything_that_is_copied_exists_and_may_be_copied() -> None:
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for target in ("service", "nlu"):
        for source in (source for step in _steps(target, "COPY") for source in _sources(step)):
            assert (ROOT / source).exists(), source
            assert f"!{source}" in allowed, f"{source} is not let through by .dockerignore"


def test_images_run_as_an_ordinary_user() -> None:
    base = stages()["base"]
    assert ("USER", "heatline") in base.steps
    assert all(kind != "USER" for name in ("service", "nlu") for kind, _ in stages()[name].steps)


def test_one_version_of_uv_everywhere() -> None:
    makefile = re.search(r"^UV_VERSION := (\S+)$", MAKEFILE, re.MULTILINE)
    assert makefile
    assert ("ARG", f"UV_VERSION={makefile[1]}") in stages()["base"].steps


def _commands() -> list[list[str]]:
    images = [yaml.safe_load(rest) for target in stages() for rest in _steps(target, "CMD")]
    return images + [service["command"] for service in COMPOSE["services"].values() if "command" in service]


@pytest.mark.parametrize("command", _commands(), ids=" ".join)
def test_images_start_commands_that_there_are(command: list[str]) -> None:
    assert command[0] == "heatline"
    group: click.Command = main
    for word in command[1:]:
        assert isinstance(group, click.Group)
        group = group.commands[word]
    assert not isinstance(group, click.Group)


@pytest.mark.parametrize("service", COMPOSE["services"])
def test_compose_gives_settings_that_there_are(service: str) -> None:
    given = COMPOSE["services"][service].get("environment", {})
    assert {name for name in given if name.startswith("HEATLINE_")} <= SETTINGS


def test_compose_builds_targets_that_there_are() -> None:
    builds = [service["build"]["target"] for service in COMPOSE["services"].values() if "build" in service]
    assert set(builds) == {"service", "nlu"}


def test_the_example_of_settings_is_complete() -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^#?(HEATLINE_[A-Z_]+)=", text, re.MULTILINE)) == SETTINGS


def test_every_target_of_make_has_a_line_of_help() -> None:
    targets = set(re.findall(r"^\.PHONY: (help .*)$", MAKEFILE, re.MULTILINE)[0].split())
    assert set(re.findall(r"^([a-z]+):.* ## ", MAKEFILE, re.MULTILINE)) == targets


def test_shell_scripts_are_sound() -> None:
    for script in [ROOT / ".ci" / "run", *(ROOT / "scripts").glob("[!.]*")]:
        if script.suffix != ".py":
            assert os.access(script, os.X_OK), script
            subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.slow
@pytest.mark.xdist_group("packaging")
@pytest.mark.parametrize("target", ["service", "nlu"])
def test_the_steps_of_an_image_work_in_a_clean_folder(target: str, tmp_path: Path) -> None:
    """What `docker build` would do after its base is there, with the packages that `make setup` has fetched."""
    app = tmp_path / "app"
    app.mkdir()
    uv = next(ROOT.glob(".tools/uv-*/bin"), None)
    environment = {
        "HOME": os.environ.get("HOME", "/root"),
        "PATH": f"{app}/.venv/bin:{uv}:{os.environ['PATH']}",
        "UV_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    for kind, step in _in_order(target):
        if kind == "COPY":
            _copy(step, app)
        elif "nlu train" not in step:  # proved by the model's own tests; a minute that adds nothing here
            done = subprocess.run(step, shell=True, cwd=app, env=environment, capture_output=True, text=True)
            assert done.returncode == 0, f"{step}\n{done.stderr[-2000:]}"
    for command in {shlex.join(yaml.safe_load(rest)) for rest in _steps(target, "CMD")}:
        subprocess.run(f"{command} --help", shell=True, cwd=app, env=environment, check=True, capture_output=True)
    if target == "nlu":
        imports = "import nlu.server.serve, rasa, jieba"
        python = app / "nlu" / "server" / ".venv" / "bin" / "python"
        subprocess.run([str(python), "-c", imports], cwd=app, check=True, capture_output=True)


def _in_order(target: str) -> list[tuple[str, str]]:
    stage = stages()[target]
    before = _in_order(stage.parent) if stage.parent in stages() and stage.parent != "base" else []
    return before + [(kind, rest) for kind, rest in stage.steps if kind in ("COPY", "RUN")]


def _copy(step: str, app: Path) -> None:
    target = app / step.split()[-1]
    for source in _sources(step):
        if (ROOT / source).is_dir():
            shutil.copytree(ROOT / source, target, ignore=shutil.ignore_patterns(".venv", "__pycache__"))
        else:
            shutil.copy(ROOT / source, target)
