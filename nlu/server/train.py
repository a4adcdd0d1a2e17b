"""Trains one model with Rasa and writes what was measured beside it; started by `nlu/training.py`."""

from __future__ import annotations

import argparse
import json
import os
import tarfile
import tempfile
import warnings
from pathlib import Path
from typing import Any

from nlu.server import haste, hollow
from nlu.server.learning.progress import report

CONFIG = Path(__file__).with_name("config.yml")


def main() -> None:
    """Train, and leave NAME.tar.gz and NAME.json in the output folder."""
    arguments = _arguments()
    os.environ["RASA_TELEMETRY_ENABLED"] = "false"
    # Rasa caches what each step produced, ten thousand messages with their features; we always train anew.
    os.environ["RASA_MAX_CACHE_SIZE"] = "0"
    warnings.showwarning = lambda *args, **kwargs: None
    report(0.0, "starting Rasa")
    hollow.install()
    haste.install()
    with tempfile.TemporaryDirectory(prefix="heatline-train-") as work:
        os.environ["RASA_CACHE_DIRECTORY"] = f"{work}/cache"
        archive = train(arguments.data, arguments.out, arguments.name)
    measured = read_measured(archive)
    archive.with_name(f"{arguments.name}.json").write_text(json.dumps(measured), encoding="utf-8")
    report(1.0, "done")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of sentences, or JSONL files")
    parser.add_argument("--out", type=Path, required=True, help="the folder for the model")
    parser.add_argument("--name", required=True, help="the model's name, without .tar.gz")
    return parser.parse_args()


def train(data: list[Path], out: Path, name: str) -> Path:
    """Run `rasa train nlu` in this process. Raises SystemExit if Rasa made no model."""
    from rasa.model_training import train_nlu

    joined = os.pathsep.join(map(str, data))
    archive = train_nlu(str(CONFIG), joined, str(out), fixed_model_name=name)
    if not archive:
        raise SystemExit("Rasa trained no model; the lines above say why.")
    return Path(archive)


def read_measured(archive: Path) -> dict[str, Any]:
    """What the classifier measured on held-out sentences while it was trained."""
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name.endswith("/measured.json") and (file := tar.extractfile(member)):
                measured: dict[str, Any] = json.load(file)
                return measured
    raise SystemExit(f"{archive} holds no measurements: was it trained with nlu/server/config.yml?")


if __name__ == "__main__":
    main()
