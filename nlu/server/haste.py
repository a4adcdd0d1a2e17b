"""Spares a training what Rasa does for a cache that we keep empty, and the last bytes of a smaller file.

Rasa hashes every word and feature of every message after every step, to know later which steps it may leave out. Training
here always runs all of them (`RASA_MAX_CACHE_SIZE=0` in train.py), so that a message needs only to be told from the others.
What that is worth: nlu/README.md, the paragraph on training.
"""

from __future__ import annotations

import hashlib
from typing import Any

# gzip's hardest setting takes eight times as long as its easiest for an archive of arrays that is hardly smaller.
_EFFORT = 1


def install() -> None:
    """Make this process quick to train; a process that fills Rasa's cache must not call it."""
    from rasa.shared.nlu.training_data.message import Message
    from tarsafe import TarSafe

    Message.fingerprint = _name
    packed = TarSafe.gzopen.__func__

    def gzopen(cls: type[TarSafe], name: str, mode: str = "r", fileobj: Any = None, **options: Any) -> Any:
        return packed(cls, name, mode, fileobj, **{"compresslevel": _EFFORT, **options})

    TarSafe.gzopen = classmethod(gzopen)


def _name(message: Any) -> str:
    """Hexadecimal digits that tell one sentence or copy from all others: its text, its label, where it is from."""
    known = (message.get("text"), message.get("intent"), message.get("metadata"))
    return hashlib.md5(repr(known).encode(), usedforsecurity=False).hexdigest()
