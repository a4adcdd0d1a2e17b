"""How well messages are understood, week by week: volume, how often we asked back, how often people corrected us."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, and_, case, func, literal_column, select
from sqlalchemy.orm import Session

from bot.masking import mask
from bot.models import Message, Review
from bot.similar import bare, labelled_sentences
from nlu.places import Gazetteer
from nlu.types import INTENTS

# Reviews that the dialogue files where it has asked back instead of acting.
_ASKED = ("unsure", "misunderstood")
LOOKED_AT = 400  # newest messages in which new words are sought
SPREAD = 3  # residents who must have used a word before it counts as new


@dataclass(slots=True)
class Figures:
    """One week's messages of one intent."""

    intent: str
    volume: int = 0
    asked: int = 0
    reviewed: int = 0
    corrected: int = 0

    @property
    def asked_rate(self) -> float:
        """The share of messages that we asked back about."""
        return self.asked / self.volume if self.volume else 0.0

    @property
    def correction_rate(self) -> float:
        """The share of reviewed messages that meant something else."""
        return self.corrected / self.reviewed if self.reviewed else 0.0


@dataclass(frozen=True, slots=True)
class Week:
    """A week from Monday, local time, and its figures by intent in the guide's order."""

    start: datetime
    rows: list[Figures] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.start:%m-%d}"

    @property
    def total(self) -> Figures:
        """All intents together."""
        sums = Figures("")
        for row in self.rows:
            sums.volume, sums.asked = sums.volume + row.volume, sums.asked + row.asked
            sums.reviewed, sums.corrected = sums.reviewed + row.reviewed, sums.corrected + row.corrected
        return sums


def weeks(session: Session, now: datetime, zone: ZoneInfo, count: int) -> list[Week]:
    """The last `count` weeks, the present one last."""
    local = now.astimezone(zone)
    monday = datetime.combine(local.date() - timedelta(days=local.weekday()), time(), zone)
    starts = [monday - timedelta(weeks=back) for back in range(count - 1, -1, -1)]
    found: dict[int, dict[str, Figures]] = defaultdict(dict)
    for number, intent, volume, asked, reviewed, corrected in session.execute(_query(starts)):
        found[number][intent] = Figures(intent, volume, int(asked or 0), int(reviewed or 0), int(corrected or 0))
    return [
        Week(start, [found[number][intent] for intent in INTENTS if intent in found[number]])
        for number, start in enumerate(starts)
    ]


def _query(starts: Sequence[datetime]) -> Select[Any]:
    """One pass over the messages: both engines count them by week through one expression."""
    numbered = list(enumerate(starts))
    week = case(*[(Message.received_at >= start, number) for number, start in reversed(numbered)], else_=-1)
    judged = Review.verdict.is_not(None)
    return (
        select(
            week.label("week"),
            Message.intent,
            func.count(),
            _sum(Review.reason.in_(_ASKED)),
            _sum(judged),
            _sum(and_(judged, Review.verdict != Message.intent)),
        )
        .outerjoin(Review, Review.message_id == Message.id)
        .where(Message.received_at >= starts[0], Message.intent.is_not(None))
        .group_by(literal_column("week"), Message.intent)
    )


def _sum(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return func.sum(case((condition, 1), else_=0))


def new_words(session: Session, now: datetime, places: Gazetteer, count: int = 30) -> list[tuple[str, int]]:
    """Pairs of characters that residents have used in the last four weeks and no training sentence holds.

    With the number of residents who used each; what tells who somebody is has been masked before.
    """
    rows = session.execute(
        select(Message.id, Message.contact_id, Message.text)
        .where(Message.received_at >= now - timedelta(weeks=4), Message.kind == "text", Message.intent.is_not(None))
        .order_by(Message.id.desc())
        .limit(LOOKED_AT)
    ).all()
    known = labelled_sentences()
    users: dict[str, set[int]] = defaultdict(set)
    for row in rows:
        plain, shown = bare(row.text), bare(mask(row.text, str(row.id), places))
        if len(plain) != len(shown):
            continue
        for place in range(len(plain) - 1):
            pair = plain[place : place + 2]
            if pair == shown[place : place + 2] and pair.isalpha() and not known.knows(pair):
                users[pair].add(row.contact_id)
    counts = Counter({pair: len(found) for pair, found in users.items() if len(found) >= SPREAD})
    return counts.most_common(count)
