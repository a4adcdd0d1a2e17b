"""Reads the labelled sentences of data/intents/ and of evaluation files; both environments import this."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from nlu.types import ENTITIES, INTENTS, NEVER_ALSO, SCOPES, SEVERITIES, Entity, Sentence

# PyYAML's own parser needs tens of seconds for ten thousand sentences, libyaml's a few.
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MARK = re.compile(r"\[([^\[\]]+)\]\(([a-z_]+)(?::([^()]*))?\)")
_ALLOWED: dict[str, tuple[str, ...]] = {"scope": SCOPES, "severity": SEVERITIES, "need": ("yes",), "near": ("yes",)}


class CorpusError(ValueError):
    """A file of sentences is not as the annotation guide wants it; the message says where and what to do."""


def read_corpus(folder: Path) -> list[Sentence]:
    """Every training sentence, by file name, then by place in the file.

    Raises CorpusError if the folder holds no sentences or a file is malformed.
    """
    sentences = [sentence for path in sorted(folder.glob("*.yml")) for sentence in read_intent(path)]
    if not sentences:
        raise CorpusError(f"{folder} holds no sentences; expected one <intent>.yml for each intent.")
    return sentences


def read_intent(path: Path) -> list[Sentence]:
    """The sentences of one data/intents/<intent>.yml; other keys of the file (replies) are not looked at."""
    with path.open("rb") as file:
        content = yaml.load(file, Loader=_Loader)
    if not isinstance(content, dict) or content.get("intent") != path.stem or path.stem not in INTENTS:
        raise CorpusError(f"{path}: `intent:` must be the name of the file, and one of the guide's intents.")
    return [_read_item(item, path) for item in content.get("sentences") or ()]


def _read_item(item: object, path: Path) -> Sentence:
    """A plain string, or a mapping {text, also?, scope?, severity?, need?, near?}."""
    if isinstance(item, str):
        item = {"text": item}
    if not isinstance(item, dict) or not isinstance(item.get("text"), str):
        raise CorpusError(f"{path}: a sentence must be text or a mapping with `text`, not {item!r:.60}.")
    facts = {name: _fact(name, item.get(name), path) for name in _ALLOWED}
    if facts["near"] and path.stem != "out_of_scope":
        raise CorpusError(f"{path}: `near` marks what only resembles a report, so it belongs to out_of_scope alone.")
    text, entities = read_marks(item["text"], str(path))
    also = item.get("also") or ()
    return Sentence(text, path.stem, _also([also] if isinstance(also, str) else also, path), entities, **facts)


def _fact(name: str, value: object, path: Path) -> str | None:
    # YAML 1.1 reads an unquoted `need: yes` as True.
    word = "yes" if value is True else value
    if word is None:
        return None
    if word not in _ALLOWED[name]:
        raise CorpusError(f"{path}: `{name}: {value}` is none of {', '.join(_ALLOWED[name])}.")
    return str(word)


def _also(intents: object, path: Path) -> tuple[str, ...]:
    if not isinstance(intents, list | tuple) or not set(intents) <= set(INTENTS) - NEVER_ALSO:
        raise CorpusError(f"{path}: `also: {intents}` must list intents that the guide allows beside another.")
    return tuple(intent for intent in INTENTS if intent in intents)


def read_marks(marked: str, where: str = "a sentence") -> tuple[str, tuple[Entity, ...]]:
    """Split `[3号楼](building:3)冰凉` into its plain text and entities with offsets into that text."""
    plain, entities, end = "", [], 0
    for match in _MARK.finditer(marked):
        span, entity, value = match.groups()
        if entity not in ENTITIES:
            raise CorpusError(f"{where}: unknown entity `{entity}`; the guide names {', '.join(ENTITIES)}.")
        plain += marked[end : match.start()]
        entities.append(Entity(entity, _value(entity, value or span), span, len(plain), len(plain) + len(span)))
        plain, end = plain + span, match.end()
    return plain + marked[end:], tuple(entities)


def _value(entity: str, value: str) -> str | float:
    if entity in ("phone", "account_no"):
        # The guide's value of a number is its digits, however the writer spaced them.
        return re.sub(r"^\+86|\D", "", unicodedata.normalize("NFKC", value)) or value
    if entity != "temperature":
        return value
    try:
        return float(value)
    except ValueError:
        # 十五度 without a normalised value: the evaluation then compares spans only.
        return value


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """The labelled lines of an evaluation file: {text, intent, also?, entities?, context?}; blank lines are skipped.

    Raises CorpusError at the first line that is no such object.
    """
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield _read_line(line, f"{path}:{number}")


def _read_line(line: str, where: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise CorpusError(f"{where}: not JSON ({error}).") from error
    if not isinstance(row, dict) or not isinstance(row.get("text"), str) or row.get("intent") not in INTENTS:
        raise CorpusError(f"{where}: needs `text` and an `intent` of the guide.")
    return row


def read_training(paths: Iterable[Path]) -> list[Sentence]:
    """The sentences of folders like data/intents/ and of JSONL files (exported verdicts), in this order.

    The last label of a text wins: a verdict corrects what the corpus says. Raises CorpusError.
    """
    sentences: dict[str, Sentence] = {}
    for path in paths:
        for sentence in read_corpus(path) if path.is_dir() else map(_from_row, read_jsonl(path)):
            sentences.pop(sentence.text, None)
            sentences[sentence.text] = sentence
    return list(sentences.values())


def _from_row(row: dict[str, Any]) -> Sentence:
    also = tuple(intent for intent in INTENTS if intent in (row.get("also") or ()) and intent not in NEVER_ALSO)
    return Sentence(row["text"], row["intent"], also, tuple(_row_entities(row)))


def _row_entities(row: dict[str, Any]) -> Iterator[Entity]:
    """The entities of a line that says where they stand; an evaluation file may only name their values."""
    text, items = row["text"], row.get("entities")
    for item in items if isinstance(items, list) else ():
        if item.get("entity") not in ENTITIES:
            raise CorpusError(
                f"{text:.40}: unknown entity {item.get('entity')!r}; the guide names {', '.join(ENTITIES)}."
            )
        if "start" in item and "end" in item:
            span = text[item["start"] : item["end"]]
            yield Entity(item["entity"], item.get("value", span), span, item["start"], item["end"])


def digest(sentences: list[Sentence]) -> str:
    """Eight hexadecimal digits that name exactly these sentences with these labels."""
    lines = sorted(f"{s.intent}\t{','.join(s.also)}\t{s.text}" for s in sentences)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:8]
