"""Where the NLU server's own Python is, and how its processes are started from the service."""

from __future__ import annotations

import os
from pathlib import Path

# The folder that holds the packages `nlu` and, in a checkout, `data`.
ROOT = Path(__file__).resolve().parent.parent


class NotInstalled(Exception):
    """The NLU server's environment is missing; the message says how to make it."""


def server_python() -> Path:
    """The Python of nlu/server/.venv, or the one HEATLINE_NLU_PYTHON names. Raises NotInstalled."""
    named = os.environ.get("HEATLINE_NLU_PYTHON")
    python = Path(named) if named else ROOT / "nlu" / "server" / ".venv" / "bin" / "python"
    if not python.is_file():
        raise NotInstalled(f"There is no Python for the NLU server at {python}: run `make setup`.")
    return python


def server_environment(**extra: str) -> dict[str, str]:
    """The variables a process of the NLU server gets: those of this process without its secrets, and `extra`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HEATLINE_", "PYTHON"))}
    return {
        **kept,
        "PYTHONPATH": str(ROOT),
        # Sentences are short: more threads than one make a parse slower, and training runs one fit after the other.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "RASA_TELEMETRY_ENABLED": "false",
        **extra,
    }
