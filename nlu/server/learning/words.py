"""Cuts text into words with jieba, by a dictionary of our own and apart from jieba's process-wide one."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable
from pathlib import Path

import jieba

# jieba announces each load of its dictionary at DEBUG; that is noise in a server's log.
jieba.setLogLevel(logging.WARNING)


class Segmenter:
    """A jieba tokenizer of our own: `jieba.load_userdict` would change every other user of the library."""

    def __init__(self, entries: Iterable[str], cache_folder: Path | None = None) -> None:
        """Load jieba's dictionary and add `entries`, lines of "word frequency tag".

        jieba caches its dictionary in the shared temporary folder, where two users of one machine
        collide (fxsjy/jieba#274); ours goes to `cache_folder`, or to a folder made for this process.
        """
        self._temporary = None if cache_folder else tempfile.TemporaryDirectory(prefix="heatline-jieba-")
        folder = cache_folder or Path(self._temporary.name)  # type: ignore[union-attr]
        folder.mkdir(parents=True, exist_ok=True)
        self._tokenizer = jieba.Tokenizer()
        self._tokenizer.tmp_dir = str(folder)
        self._tokenizer.initialize()
        for entry in entries:
            word, frequency = entry.split()[:2]
            self._tokenizer.add_word(word, int(frequency))

    def words(self, text: str) -> list[tuple[str, int]]:
        """The words of `text` with their start offsets, in text order; blanks between words are kept out."""
        return [(word, start) for word, start, _ in self._tokenizer.tokenize(text) if word.strip()]


def read_dictionary(path: Path) -> list[str]:
    """The entries of a dictionary file; blank lines and lines that begin with # are left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]
