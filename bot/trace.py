"""How a failure is told in the log: its kind and where it came from, never the words that provoked it."""

from __future__ import annotations

import traceback
from pathlib import Path

_FRAMES = 12  # the innermost ones; what called them is in the log's own line


def trace(error: BaseException) -> str:
    """Kind and path of an error and of what caused it, innermost place first.

    Messages of exceptions are left out: int("138…") quotes a phone, a database error the values of a row.
    """
    told = f"{type(error).__name__} at {_path(error)}"
    cause = error.__cause__ or error.__context__
    return f"{told}; from {trace(cause)}" if cause is not None else told


def _path(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    return " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
