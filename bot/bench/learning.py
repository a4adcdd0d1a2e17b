"""`heatline bench learning`: a simulated season shows the error falling, in random order of review and in ours."""

from __future__ import annotations

import json
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from bot.desk.charts import lines_svg
from bot.settings import ROOT
from bot.similar import FROZEN, SENTENCES
from nlu.environment import server_environment, server_python

NAMES = {"random": "random", "worth": "by worth"}
Row = Mapping[str, Any]


def run(weeks: int, messages: int, verdicts: int, seed: int, told: Callable[[Row], None]) -> list[Row]:
    """Play the season in both orders in the NLU server's environment; `told` hears of each week as it is done.

    Raises CalledProcessError where it fails, NotInstalled without the NLU server's environment.
    """
    rules = yaml.safe_load((ROOT / "data" / "rules" / "reviews.yml").read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory(prefix="heatline-season-") as work:
        path = Path(work) / "rules.json"
        path.write_text(
            json.dumps({name: rules[name] for name in ("uncertainty", "cost", "costs", "novelty")}), encoding="utf-8"
        )
        command = [
            *(str(server_python()), "-m", "nlu.server.season"),
            *("--corpus", str(SENTENCES), "--frozen", str(FROZEN), "--lexicon", str(ROOT / "data" / "lexicon")),
            *("--rules", str(path), "--weeks", str(weeks), "--messages", str(messages)),
            *("--verdicts", str(verdicts), "--seed", str(seed)),
        ]
        return _read(command, told)


def _read(command: Sequence[str], told: Callable[[Row], None]) -> list[Row]:
    rows: list[Row] = []
    with subprocess.Popen(
        command, cwd=ROOT, env=server_environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):  # other lines tell how far a training is
                rows.append(json.loads(line))
                told(rows[-1])
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, "nlu.server.season")
    return rows


def picture(rows: Sequence[Row], score: str, title: str) -> str:
    """The weeks as a line for each order of review, in percent or in cost, as a self-standing SVG."""
    labels = [str(row["week"]) for row in rows if row["order"] == "random"]
    scale = 100 if score == "error" else 1
    series = {name: [scale * row[score] for row in rows if row["order"] == order] for order, name in NAMES.items()}
    return lines_svg(labels, series, title)
