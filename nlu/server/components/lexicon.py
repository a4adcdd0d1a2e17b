"""How components keep their part of data/lexicon/ inside the model, so that a model is whole without the folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from rasa.engine.storage.resource import Resource
from rasa.engine.storage.storage import ModelStorage

DEFAULT_FOLDER = "data/lexicon"


def keep(storage: ModelStorage, resource: Resource, content: Any) -> None:
    """Write `content` into the model under this component's name."""
    with storage.write_to(resource) as folder:
        (folder / "lexicon.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def recall(storage: ModelStorage, resource: Resource) -> Any:
    """What `keep` wrote."""
    with storage.read_from(resource) as folder:
        return json.loads((folder / "lexicon.json").read_text(encoding="utf-8"))


def fingerprint(folder: str) -> str:
    """Changes with any file of the lexicon: Rasa would otherwise reuse what it trained with the old one."""
    files = sorted(path for path in Path(folder).iterdir() if path.is_file())
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
