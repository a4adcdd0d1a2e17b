"""The trained models in models/: which there are, which one is live, and which were live before."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEEP = 5


class ShelfError(Exception):
    """The model asked for is not there; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Model:
    """One trained model: `path` is the archive, `measured` what is known about it (the JSON beside it)."""

    name: str
    path: Path
    live: bool
    measured: dict[str, Any] = field(default_factory=dict)


class Shelf:
    """A folder of models; `live.json` in it is the only state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._state = folder / "live.json"

    def models(self) -> list[Model]:
        """Every model, the newest first (names carry the time)."""
        live = self._read()["live"]
        archives = sorted(self.folder.glob("*.tar.gz"), key=lambda path: path.name, reverse=True)
        return [self._model(path, live) for path in archives]

    def live(self) -> Model | None:
        """The model that is to be served; None before the first promotion or when its archive is gone."""
        return next((model for model in self.models() if model.live), None)

    def promote(self, name: str) -> Model:
        """Make a model the live one; a running `nlu serve` follows within seconds. Raises ShelfError."""
        model = self._find(name)
        state = self._read()
        if state["live"] != model.name:
            former = [n for n in [*state["former"], state["live"]] if n and n != model.name]
            self._write(model.name, former)
        return self._find(name)

    def rollback(self) -> Model:
        """Make the model live that was so before the present one. Raises ShelfError where there is none."""
        former = [name for name in self._read()["former"] if (self.folder / f"{name}.tar.gz").is_file()]
        if not former:
            raise ShelfError("No earlier model is left to go back to; see `heatline nlu models`.")
        self._write(former[-1], former[:-1])
        return self._find(former[-1])

    def prune(self, keep: int = KEEP) -> list[str]:
        """Delete all but the newest `keep` models, the live one and the one before it; returns the names."""
        state = self._read()
        safe = {state["live"], *state["former"][-1:]}
        gone = [model for model in self.models()[keep:] if model.name not in safe]
        for model in gone:
            model.path.unlink(missing_ok=True)
            model.path.with_name(f"{model.name}.json").unlink(missing_ok=True)
        return [model.name for model in gone]

    def changed_at(self) -> float:
        """When live.json was last written; 0.0 if never."""
        try:
            return self._state.stat().st_mtime_ns / 1e9
        except FileNotFoundError:
            return 0.0

    def _find(self, name: str) -> Model:
        plain = name.removesuffix(".tar.gz")
        for model in self.models():
            if model.name == plain:
                return model
        raise ShelfError(f"There is no model {plain} in {self.folder}; `heatline nlu models` lists them.")

    def _model(self, path: Path, live: str | None) -> Model:
        name = path.name.removesuffix(".tar.gz")
        try:
            measured = json.loads(path.with_name(f"{name}.json").read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            # A model copied here by hand may come without its measurements; it can be served all the same.
            measured = {}
        return Model(name, path, name == live, measured)

    def _read(self) -> dict[str, Any]:
        try:
            state = json.loads(self._state.read_text(encoding="utf-8"))
        except FileNotFoundError:
            state = {}
        return {"live": state.get("live"), "former": list(state.get("former") or [])}

    def _write(self, live: str, former: list[str]) -> None:
        """Replace the file as a whole: `nlu serve` may read it at any moment."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=self.folder, suffix=".tmp", delete=False, encoding="utf-8") as file:
            json.dump({"live": live, "former": former}, file, indent=2)
        os.replace(file.name, self._state)
