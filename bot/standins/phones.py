"""What the invented residents see on their phones. The stand-ins are the providers, so memory is enough."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime

from bot import clock

SAID, PASSIVE, PUSHED, NOTICE = "said", "passive", "pushed", "notice"


@dataclass(frozen=True, slots=True)
class Line:
    """One line on a phone. `how`: said by the resident; a passive reply or a pushed text; a notice of the provider."""

    number: int  # 1, 2, … on this phone
    how: str
    text: str
    at: datetime


class Phones:
    """Every line of every phone, by medium and address; safe to share between threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[tuple[str, str], list[Line]] = defaultdict(list)

    def add(self, medium: str, address: str, how: str, text: str) -> None:
        """Show one more line."""
        with self._lock:
            lines = self._lines[medium, address]
            lines.append(Line(len(lines) + 1, how, text, clock.now()))

    def lines(self, medium: str, address: str, after: int = 0) -> list[Line]:
        """The lines after number `after`."""
        with self._lock:
            return self._lines.get((medium, address), [])[max(0, after) :]

    def heard(self, medium: str, address: str) -> list[str]:
        """Everything the resident has received, in order: passive replies, pushed texts, notices of the provider."""
        return [line.text for line in self.lines(medium, address) if line.how != SAID]

    def clear(self) -> None:
        """Empty every phone."""
        with self._lock:
            self._lines.clear()
