"""A candidate beside the live model: on the frozen test set, and on verdicts that neither was trained on."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bot.nlu_evaluation import read_labelled, report_on
from bot.similar import FROZEN
from nlu.interpreter import RasaInterpreter
from nlu.places import default_gazetteer
from nlu.serving import running
from nlu.shelf import Model, Shelf

Progress = Callable[[float, str], None]
_DROPPED = frozenset({"errors", "context"})  # they quote messages


class OneModel(Shelf):
    """A shelf on which one model, live or not, is the one to serve; nothing is changed by serving it."""

    def __init__(self, model: Model) -> None:
        super().__init__(model.path.parent)
        self._model_to_serve = model

    def live(self) -> Model | None:
        """The model that was given."""
        return self._model_to_serve

    def changed_at(self) -> float:
        """Never: a promotion meanwhile does not concern us."""
        return 0.0


def compare(
    live: Model | None,
    candidate: Model,
    held_back: Sequence[Mapping[str, Any]],
    progress: Progress,
    frozen: Path = FROZEN,
) -> dict[str, Any]:
    """Scores of both models on the frozen messages and on the held-back verdicts, and what was won and lost.

    `live` is left out where there is none. Raises NluError, DidNotStart or NotInstalled where a model cannot be asked.
    """
    rows: dict[str, list[Mapping[str, Any]]] = {"frozen": [], "held": list(held_back)}
    rows["frozen"] += read_labelled(frozen) if frozen.is_dir() else []
    models = {"candidate": candidate, **({"live": live} if live is not None and live.name != candidate.name else {})}
    scores: dict[str, dict[str, Any]] = {name: {} for name in rows}
    for number, (who, model) in enumerate(models.items()):
        progress(number / len(models), "比较：新模型" if who == "candidate" else "比较：现用模型")
        token = secrets.token_hex(8)
        with running(OneModel(model), token) as address:
            # A candidate that is slow is still compared; only residents cannot wait.
            interpreter = RasaInterpreter(address, token, timeout=20.0)
            for name, lines in rows.items():
                if lines:
                    scores[name][who] = brief(report_on(lines, interpreter, default_gazetteer()))
    progress(1.0, "比较完成")
    return {**scores, "changes": {name: changes(pair) for name, pair in scores.items()}}


def brief(report: Mapping[str, Any]) -> dict[str, Any]:
    """The scores without the messages, which belong to nobody's report."""
    return {name: value for name, value in report.items() if name not in _DROPPED}


def changes(pair: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Which confusions the candidate wins and loses against the live model, the most frequent first."""
    if "live" not in pair or "candidate" not in pair:
        return {"won": [], "lost": []}
    before, after = _errors(pair["live"]), _errors(pair["candidate"])
    moved = {key: after.get(key, 0) - before.get(key, 0) for key in before | after}
    ordered = sorted(moved.items(), key=lambda item: (-abs(item[1]), item[0]))
    return {
        "won": [_change(key, -by) for key, by in ordered if by < 0][:20],
        "lost": [_change(key, by) for key, by in ordered if by > 0][:20],
    }


def _change(key: tuple[str, str], count: int) -> dict[str, Any]:
    return {"intent": key[0], "taken_for": key[1], "count": count}


def _errors(report: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    return {
        (intent, got): count
        for intent, row in report["confusion"].items()
        for got, count in row.items()
        if got != intent
    }
