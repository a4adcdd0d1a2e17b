"""Tells whoever started a training how far it is, one line each, on standard output."""

from __future__ import annotations

MARK = "@progress"


def report(done: float, what: str) -> None:
    """`done` is a share of the whole; nlu/training.py turns the line into a bar."""
    print(f"{MARK} {done:.2f} {what}", flush=True)
