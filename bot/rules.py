"""The rules of the trade at run time: versioned rows that started as files in data/.

`load_shipped` adds a row for every shipped rule that is new or changed; an administrator's own version wins over the
shipped one. A process reads the rows into a RuleBook and looks for newer ones every few seconds.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import yaml
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bot import clock, clock_rules
from bot import moves as move_table
from bot.database import Database
from bot.models import Rule
from bot.settings import ROOT, Settings
from handlers.dialogue.types import Answer, Rules, Season

DATA = ROOT / "data"
REFRESH_SECONDS = 3.0


@dataclass(frozen=True)
class RuleBook:
    """One consistent reading of all rules. `texts` maps a catalogue key to its wordings by medium ("*" is any)."""

    version: int
    texts: dict[str, dict[str, str]]
    moves: dict[str, frozenset[str]]
    status_names: dict[str, str]
    told_statuses: frozenset[str]
    tickets: dict[str, Any]
    dialogue: Rules
    raw: dict[str, dict[str, Any]] = field(repr=False)
    table: move_table.Moves = field(repr=False)
    clocks: clock_rules.ClockRules = field(repr=False)

    def fault(self, intent: str) -> str:
        """The fault family of an intent: reports of one family at one home are one ticket."""
        return str(self.tickets["faults"].get(intent, "other"))

    def intent_name(self, intent: str) -> str:
        """How an intent is read by people."""
        return str(self.tickets["names"].get(intent, intent))


def shipped() -> dict[str, dict[str, Any]]:
    """Every shipped rule by name, read from data/: rules/*.yml, the texts and the answers."""
    rules = {path.stem: _read(path) for path in sorted((DATA / "rules").glob("*.yml"))}
    rules["texts"] = {"valid_from": "2026-11-01", "texts": _shipped_texts()}
    rules["answers"] = {
        "valid_from": "2026-11-01",
        "answers": [answer for path in sorted((DATA / "answers").glob("*.yml")) for answer in _read(path)["answers"]],
    }
    return rules


def _shipped_texts() -> dict[str, Any]:
    texts = dict(_read(DATA / "texts.yml")["texts"])
    for path in sorted((DATA / "intents").glob("*.yml")):
        replies = _top_level(path, "replies")
        texts.update({f"{path.stem}.{name}": text for name, text in replies.items()})
    return texts


def _top_level(path: Path, key: str) -> dict[str, Any]:
    """One top-level block of a YAML file without parsing the thousands of sentences beside it."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    block: list[str] = []
    for line in lines:
        if block and line[:1] not in (" ", "\n", "#"):
            break
        if block or line.startswith(f"{key}:"):
            block.append(line)
    return dict((yaml.safe_load("".join(block)) or {}).get(key) or {})


def _read(path: Path) -> dict[str, Any]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8")))


def load_shipped(session: Session) -> int:
    """Add a version of every shipped rule whose content is new; returns how many were added."""
    added = 0
    for name, body in shipped().items():
        body = json.loads(json.dumps(body, default=str))
        digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
        latest = session.scalar(select(Rule).where(Rule.name == name, Rule.shipped).order_by(Rule.id.desc()).limit(1))
        if latest is not None and latest.digest == digest:
            continue
        valid_from = date.fromisoformat(str(body.get("valid_from", "2026-11-01")))
        source = str(body["source"])[:200] if body.get("source") else None
        session.add(
            Rule(name=name, digest=digest, body=body, source=source, valid_from=valid_from, created_at=clock.now())
        )
        added += 1
    return added


class RuleSource:
    """Gives the current RuleBook to a process; safe to share between threads."""

    def __init__(
        self, database: Database, hotline: str, zone: ZoneInfo | None = None, company: str = "供热公司"
    ) -> None:
        """`zone` is where days begin; the settings' own default where it is not given."""
        self._database = database
        self._hotline, self._company = hotline, company
        self._zone = zone or Settings().zone
        self._day: date | None = None
        self._lock = threading.Lock()
        self._checked = 0.0
        self._book: RuleBook | None = None

    def current(self) -> RuleBook:
        """The rules as they stand; at most REFRESH_SECONDS old."""
        if self._book is not None and time.monotonic() - self._checked < REFRESH_SECONDS:
            return self._book
        with self._lock:
            if self._book is None or time.monotonic() - self._checked >= REFRESH_SECONDS:
                self._refresh()
            assert self._book is not None
            return self._book

    def _refresh(self) -> None:
        with self._database.reading() as session:
            version, today = session.scalar(select(func.max(Rule.id))) or 0, clock.local_day(clock.now(), self._zone)
            # A new day may bring a rule into force that has long been there.
            if self._book is None or (self._book.version, self._day) != (version, today):
                self._book, self._day = _book(_effective(session, today), version, self._hotline, self._company), today
        self._checked = time.monotonic()


def _effective(session: Session, today: date) -> dict[str, dict[str, Any]]:
    """The body that counts for each name: the newest version of an administrator, else the newest shipped one."""
    rows = session.scalars(select(Rule).where(Rule.valid_from <= today).order_by(Rule.shipped.desc(), Rule.id))
    return {row.name: row.body for row in rows}


def in_force(session: Session, name: str, now: datetime) -> dict[str, Any]:
    """The body of one rule as it stands; {} where there is none. For rare needs: a process has its RuleBook."""
    return _effective(session, clock.local_day(now, Settings().zone)).get(name, {})


def _book(raw: dict[str, dict[str, Any]], version: int, hotline: str, company: str = "供热公司") -> RuleBook:
    if "moves" not in raw:
        raise RuntimeError("The database has no rules yet; run `heatline db upgrade`.")
    table, dialogue = move_table.read(raw["moves"]), _dialogue_rules(raw, hotline, company)
    return RuleBook(
        version=version,
        texts={key: text if isinstance(text, dict) else {"*": text} for key, text in raw["texts"]["texts"].items()},
        moves=dict(table.targets),
        status_names=dict(table.names),
        told_statuses=frozenset(step.to for step in table.steps.values() if step.tell and step.to),
        tickets=raw["tickets"],
        dialogue=dialogue,
        raw=raw,
        table=table,
        clocks=clock_rules.read(raw, dialogue.seasons),
    )


def shipped_dialogue_rules(hotline: str = "12345") -> Rules:
    """The dialogue's rules as they ship, for scoring the dialogue without a database."""
    return _dialogue_rules(shipped(), hotline)


def _dialogue_rules(raw: dict[str, dict[str, Any]], hotline: str, company: str = "供热公司") -> Rules:
    dialogue = raw["dialogue"]
    proof = dialogue.get("proof", {})
    return Rules(
        seasons=tuple(
            Season(row["area"], date.fromisoformat(row["start"]), date.fromisoformat(row["end"]))
            for row in raw["season"]["seasons"]
        ),
        answers=tuple(_answer(row) for row in raw["answers"]["answers"]),
        thresholds=dict(dialogue["thresholds"]),
        account_matters=tuple(dialogue["account_matters"]),
        reopen_days=int(dialogue["reopen_days"]),
        callback_minutes=int(dialogue["callback_minutes"]),
        hotline=hotline,
        company=company,
        **{name: int(proof[key]) for key, name in _PROOF.items() if key in proof},
    )


_PROOF = {"days": "proof_days", "tries": "proof_tries", "code_minutes": "code_minutes", "codes_a_day": "codes_a_day"}


def _answer(row: dict[str, Any]) -> Answer:
    def day(key: str) -> date | None:
        return date.fromisoformat(str(row[key])) if row.get(key) else None

    return Answer(
        id=row["id"],
        intent=row["intent"],
        variants=tuple(row["variants"]),
        text=row["text"].strip(),
        sms=row.get("sms"),
        opens=row.get("opens"),
        valid_from=day("valid_from"),
        valid_to=day("valid_to"),
    )
