"""Trains a model in the NLU server's environment and puts it on the shelf."""

from __future__ import annotations

import json
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from nlu.corpus import digest, read_training
from nlu.environment import ROOT, server_environment, server_python
from nlu.shelf import Model, Shelf

# Called with a share of the whole (0.0 to 1.0) and a few words.
Progress = Callable[[float, str], None]

_MARK = "@progress "


class TrainingFailed(Exception):
    """No model was made; the message holds the last lines of the training."""


def train(paths: Sequence[Path], models: Path, progress: Progress | None = None) -> Model:
    """Train on `paths` (data/intents/, exported verdicts) and return the new model.

    The first model of a folder becomes live by itself; later ones wait for `Shelf.promote`. Raises CorpusError,
    NotInstalled or TrainingFailed.
    """
    started, now = time.monotonic(), datetime.now(UTC)
    sentences = read_training(paths)
    corpus = digest(sentences)
    name = f"heatline-{now:%Y%m%dT%H%M%SZ}-{corpus}"
    models.mkdir(parents=True, exist_ok=True)
    _run(paths, models, name, progress or (lambda done, what: None))
    _describe(models / f"{name}.json", name, now, corpus, len(sentences), time.monotonic() - started)
    shelf = Shelf(models)
    if shelf.live() is None:
        shelf.promote(name)
    shelf.prune()
    return next(model for model in shelf.models() if model.name == name)


def _run(paths: Sequence[Path], models: Path, name: str, progress: Progress) -> None:
    data = [str(path.resolve()) for path in paths]
    command = [str(server_python()), "-m", "nlu.server.train", "--data", *data, "--out", str(models.resolve())]
    last: deque[str] = deque(maxlen=20)
    with subprocess.Popen(
        [*command, "--name", name],
        cwd=ROOT,
        env=server_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(_MARK):
                done, _, what = line.removeprefix(_MARK).strip().partition(" ")
                progress(float(done), what)
            else:
                last.append(line.rstrip())
    if process.returncode or not (models / f"{name}.tar.gz").is_file():
        raise TrainingFailed("The training made no model. Its last lines:\n" + "\n".join(last))


def _describe(path: Path, name: str, now: datetime, corpus: str, sentences: int, seconds: float) -> None:
    """Complete the JSON beside the model: what it was trained on, when, and what was measured."""
    measured = json.loads(path.read_text(encoding="utf-8"))
    about = {
        "name": name,
        "created": now.isoformat(timespec="seconds"),
        "corpus": corpus,
        "corpus_sentences": sentences,
    }
    content = {**about, "seconds": round(seconds, 1), **measured}
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")
