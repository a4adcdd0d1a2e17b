"""The table of moves (data/rules/moves.yml) as values: which step may follow which, who may take it, what it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

CLOSING = frozenset({"closed", "cancelled", "merged"})
WAITED_FOR = ("resident", "property", "parts")
ACTORS = ("resident", "system", "staff")


class MoveRefused(Exception):
    """The table of moves does not allow this one; the message says from where to where."""


@dataclass(frozen=True)
class Step:
    """One row of the table. `to` is None where the status stays; `waits_for` says why the clocks rest after it."""

    key: str
    name: str
    before: tuple[str, ...]
    to: str | None
    by: tuple[str, ...]
    stops: tuple[str, ...] = ()
    waits_for: str | None = None
    tell: bool = False
    text: str | None = None
    why: bool = False

    @property
    def said(self) -> str:
        """The catalogue's entry that contacts are told."""
        return self.text or f"status.{self.to}"


@dataclass(frozen=True)
class Silence:
    """When a repair that nobody answers for is closed, and when a person calls instead."""

    after: timedelta
    never: frozenset[str]  # faults
    measured: frozenset[str]  # intents that need a reading of a crew


@dataclass(frozen=True)
class Moves:
    """The whole table."""

    steps: Mapping[str, Step]
    names: Mapping[str, str]
    silence: Silence
    targets: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def step(self, before: str, to: str, actor: str) -> Step:
        """The step that `to` means from a status: a step's own key, or a status (then the first one that leads there).

        Raises MoveRefused where the table has none, or not for this kind of actor.
        """
        rows = [self.steps[to]] if to in self.steps else [row for row in self.steps.values() if row.to == to]
        fits = next((row for row in rows if before in row.before and actor in row.by), None)
        if fits is None:
            told = self.steps[to].name if to in self.steps else self.names.get(to, to)
            raise MoveRefused(f"{self.names.get(before, before)} 不能改为 {told}")
        return fits

    def open_to(self, before: str, actor: str) -> list[Step]:
        """The steps that this kind of actor may take from a status, in the table's order."""
        return [row for row in self.steps.values() if before in row.before and actor in row.by]


def read(raw: Mapping[str, Any]) -> Moves:
    """The table from its row. Raises KeyError or ValueError for one that is incomplete or wrong."""
    names = {status: str(row["name"]) for status, row in raw["statuses"].items()}
    steps = {key: _step(key, row, names) for key, row in raw["moves"].items()}
    silence = raw["silence"]
    return Moves(
        steps=steps,
        names=names,
        silence=Silence(
            timedelta(hours=float(silence["hours"])), frozenset(silence["never"]), frozenset(silence["measured"])
        ),
        targets={
            status: frozenset(row.to for row in steps.values() if row.to and status in row.before) for status in names
        },
    )


def _step(key: str, row: Mapping[str, Any], names: Mapping[str, str]) -> Step:
    step = Step(
        key=key,
        name=str(row["name"]),
        before=tuple(row["from"]),
        to=row.get("to"),
        by=tuple(row["by"]),
        stops=tuple(row.get("stops", ())),
        waits_for=row.get("waits_for"),
        tell=bool(row.get("tell", False)),
        text=row.get("text"),
        why=bool(row.get("why", False)),
    )
    unknown = [status for status in (*step.before, *([step.to] if step.to else [])) if status not in names]
    if unknown or key in names or (step.waits_for and step.waits_for not in WAITED_FOR) or set(step.by) - set(ACTORS):
        raise ValueError(f"The move {key!r} of the rule `moves` names something that does not exist.")
    return step
