"""What people have judged: a verdict is kept, repairs the live case, and becomes training data without personal data."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot.change import Actor, Context
from bot.masking import mask, masked_entities
from bot.models import Review
from bot.repairs import Repair, mend, take_back
from bot.review_models import Opinion
from bot.reviews import skip
from bot.similar import FROZEN, SENTENCES, Sentences, bare
from bot.upsert import insert_ignoring
from nlu.corpus import read_corpus, read_jsonl
from nlu.entities import extract
from nlu.places import Gazetteer
from nlu.types import ENTITIES, INTENTS, NEVER_ALSO, RULE_INTENTS, Entity

HELD_BACK = 5  # every so manieth verdict is kept to compare models with, and never trained on
TOO_ALIKE = 0.8  # share of common character pairs from which on a message stands in the frozen test set
SHORTEST = 4  # characters: 对 and 好的 cannot be worded otherwise


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a reviewer says of a message."""

    intent: str
    also: tuple[str, ...] = ()
    entities: tuple[Entity, ...] | None = None
    note: str | None = None

    @classmethod
    def of(
        cls,
        intent: str,
        also: Iterable[str] = (),
        entities: tuple[Entity, ...] | None = None,
        note: str | None = None,
    ) -> Judgement:
        """A judgement of words from a form. Raises ValueError for an intent that does not exist."""
        if intent not in INTENTS:
            raise ValueError(f"{intent!r} is no intent.")
        chosen = set(also) - NEVER_ALSO - {intent}
        return cls(intent, tuple(name for name in INTENTS if name in chosen), entities, (note or "").strip() or None)


def decide(
    context: Context, review_id: int, staff_id: int, judgement: Judgement, places: Gazetteer, *, repair: bool = True
) -> Review | None:
    """Keep a verdict and repair the live case; None, and nothing changes, where somebody else was quicker."""
    session = context.session
    fresh = session.execute(
        update(Review)
        .where(Review.id == review_id, Review.decided_at.is_(None))
        .values(
            verdict=judgement.intent,
            verdict_also=list(judgement.also),
            verdict_entities=_dump(judgement.entities),
            decided_at=context.now,
            decided_by=staff_id,
            flagged_at=None,
            **({"note": judgement.note} if judgement.note else {}),
        )
        .execution_options(synchronize_session=False)
    )
    if not fresh.rowcount:  # type: ignore[attr-defined]
        return None
    review = session.get_one(Review, review_id, populate_existing=True)
    if repair:
        done = mend(context, review, Actor("staff", staff_id=staff_id), places, judgement.entities)
        _note_repair(review, done)
    return review


def _note_repair(review: Review, done: Repair | None) -> None:
    review.repair = done.kind if done else None
    review.repair_ticket_id = done.ticket_id if done else None
    review.told_id = done.told_id if done else None
    review.repair_before = json.dumps(done.before) if done and done.before is not None else None


def _dump(entities: Sequence[Entity] | None) -> str | None:
    if entities is None:
        return None
    rows = [{"entity": e.entity, "value": e.value, "start": e.start, "end": e.end} for e in entities]
    return json.dumps(rows, ensure_ascii=False)


def withdraw(context: Context, review_id: int, staff_id: int) -> bool:
    """Take one's own verdict back: the message is open again; False where what followed cannot be undone any more."""
    review = context.session.get(Review, review_id, with_for_update={"of": Review})
    if review is None or review.decided_by != staff_id:
        return False
    if not take_back(context, review, Actor("staff", staff_id=staff_id)):
        return False
    review.verdict = review.verdict_also = review.verdict_entities = None
    review.decided_at = review.decided_by = None
    return True


def flag(context: Context, review_id: int, staff_id: int, note: str | None) -> bool:
    """Put a message aside for a colleague, with a word on why."""
    values: dict[str, Any] = {"flagged_at": context.now}
    if note:
        values["note"] = note
    done = context.session.execute(
        update(Review)
        .where(Review.id == review_id, Review.decided_at.is_(None))
        .values(**values)
        .execution_options(synchronize_session=False)
    )
    if done.rowcount:  # type: ignore[attr-defined]
        skip(context.session, review_id, staff_id, context.now)
    return bool(done.rowcount)  # type: ignore[attr-defined]


def marked_entities(text: str, rows: object, places: Gazetteer) -> tuple[Entity, ...] | None:
    """The entities that a reviewer marked, from the form's JSON; None where nothing was touched.

    Values are read from the marked words as understanding reads them. Raises ValueError for what is no such list.
    """
    if not rows:
        return None
    items = json.loads(str(rows))
    if not isinstance(items, list) or len(items) > 40:
        raise ValueError("no list of entities")
    found = [_marked(text, item, places) for item in items]
    return tuple(sorted(found, key=lambda entity: entity.start))


def _marked(text: str, item: Any, places: Gazetteer) -> Entity:
    kind, start, end = str(item["entity"]), int(item["start"]), int(item["end"])
    if kind not in ENTITIES or not 0 <= start < end <= len(text):
        raise ValueError("an entity outside its text")
    span = text[start:end]
    read = next((e.value for e in extract(span, places) if e.entity == kind), None)
    return Entity(kind, span if read is None else read, span, start, end)


# --- agreement


def add_opinion(session: Session, review_id: int, staff_id: int, verdict: str, now: datetime) -> None:
    """A second verdict on a message; only a person's first counts."""
    row = {"review_id": review_id, "staff_id": staff_id, "verdict": verdict, "at": now}
    insert_ignoring(session, Opinion, [row], ["review_id", "staff_id"])


def agreement(session: Session) -> tuple[int, float | None]:
    """How many messages two people have judged, and Cohen's κ of their verdicts; None where there are none."""
    rows = session.execute(
        select(Review.verdict, Opinion.verdict.label("second"))
        .join(Opinion, Opinion.review_id == Review.id)
        .where(Review.verdict.is_not(None))
    ).all()
    return len(rows), kappa([(str(row.verdict), str(row.second)) for row in rows])


def kappa(verdicts: Sequence[tuple[str, str]]) -> float | None:
    """Cohen's κ: agreement beyond chance, 1 for perfect. Source: J. Cohen, Educ. Psychol. Meas. 20 (1960), 37-46."""
    if not verdicts:
        return None
    count = len(verdicts)
    agreed = sum(a == b for a, b in verdicts) / count
    first, second = Counter(a for a, _ in verdicts), Counter(b for _, b in verdicts)
    chance = sum(first[name] * second[name] for name in first) / count**2
    return 1.0 if chance == 1.0 else (agreed - chance) / (1 - chance)


# --- training data


def export(session: Session, places: Gazetteer, *, held_back: bool = False) -> Iterator[dict[str, Any]]:
    """Every verdict as a labelled line without personal data: those to train on, or those held back from it.

    A line has text, intent, also, entities, origin, reviewer, date, and the guess and model that were corrected. What
    stands in the frozen test set is left out, and so is what a rule decides.
    """
    rows = session.scalars(
        select(Review).where(Review.decided_at.is_not(None)).order_by(Review.decided_at, Review.id)
    ).all()
    for review in rows:
        line = _line(review, places) if review.verdict and review.verdict not in RULE_INTENTS else None
        if line is not None and is_held_back(line["text"]) is held_back and not in_frozen_set(line["text"]):
            yield line


def _line(review: Review, places: Gazetteer) -> dict[str, Any] | None:
    message = review.message
    if message.kind not in ("text", "voice") or not bare(message.text) or in_frozen_set(message.text):
        return None
    known = _entities(review, places)
    text = mask(message.text, str(message.id), places, [*known, *extract(message.text, places)])
    entities = masked_entities(known, text, places)
    return {
        "text": text,
        "intent": review.verdict,
        "also": list(review.verdict_also or ()),
        "entities": [
            {"entity": e.entity, "value": e.value, "text": e.text, "start": e.start, "end": e.end} for e in entities
        ],
        "origin": f"verdict:{review.reason}",
        "reviewer": f"staff-{review.decided_by}",
        "date": review.decided_at.date().isoformat() if review.decided_at else None,
        "guess": review.guess,
        "model": message.model,
    }


def _entities(review: Review, places: Gazetteer) -> list[Entity]:
    text = review.message.text
    if review.verdict_entities is None:
        return extract(text, places)
    rows = json.loads(review.verdict_entities)
    return [Entity(r["entity"], r["value"], text[r["start"] : r["end"]], r["start"], r["end"]) for r in rows]


def is_held_back(text: str) -> bool:
    """Whether a verdict is kept for comparing models; the same words always fall on the same side."""
    return int(hashlib.sha256(bare(text).encode()).hexdigest(), 16) % HELD_BACK == 0


def in_frozen_set(text: str, folder: Path = FROZEN) -> bool:
    """Whether a message stands, exactly or nearly, in the test set that nobody trains on."""
    exact, near = _frozen(folder)
    plain = bare(text)
    if plain in exact:
        return len(plain) >= SHORTEST
    return len(plain) >= SHORTEST + 2 and any(match.score > TOO_ALIKE for match in near.nearest(text, 1))


@lru_cache(maxsize=2)
def _frozen(folder: Path) -> tuple[frozenset[str], Sentences]:
    labelled = [(s.text, s.intent) for s in read_corpus(folder)] if any(folder.glob("*.yml")) else []
    labelled += [(row["text"], row["intent"]) for path in sorted(folder.glob("*.jsonl")) for row in read_jsonl(path)]
    return frozenset(bare(text) for text, _ in labelled), Sentences(labelled)


@dataclass(frozen=True, slots=True)
class Conflict:
    """One text that people gave different meanings; `labels` says which, and where each comes from."""

    text: str
    labels: tuple[tuple[str, str], ...]


def conflicts(lines: Iterable[Mapping[str, Any]], corpus: Path = SENTENCES) -> list[Conflict]:
    """Texts that verdicts label in two ways, or otherwise than the corpus does."""
    said: dict[str, dict[str, str]] = defaultdict(dict)
    texts: dict[str, str] = {}
    for line in lines:
        key = bare(str(line["text"]))
        texts[key] = str(line["text"])
        said[key].setdefault(str(line["intent"]), str(line.get("origin", "verdict")))
    for sentence in read_corpus(corpus) if texts else ():
        if (key := bare(sentence.text)) in texts:
            said[key].setdefault(sentence.intent, "corpus")
    return [Conflict(texts[key], tuple(labels.items())) for key, labels in said.items() if len(labels) > 1]
