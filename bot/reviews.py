"""What reviewers are shown: which messages become reviews, in which order, and to whom.

Beside what the dialogue files itself, `gather` finds messages whose resident contradicted the bot, what staff changed at
the desk, and every day a random sample of confident predictions; it says of each what a correction is worth.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from bot import clock
from bot.models import Counter, Message, Review, Staff, Ticket, Update
from bot.review_models import ReviewSkip
from bot.rules import RuleBook
from bot.services import Services
from bot.similar import alike, labelled_sentences
from bot.upsert import insert_ignoring, put

BATCH = 500  # rows that one round looks at
LOOK = 300  # open reviews among which look-alikes are sought
TELLING = timedelta(hours=2)  # a report is told within this long before its ticket opens
_SEEN, _CHANGED, _DRAWN, _ROUND = "review:message", "review:update", "review:drawn", "review:minute"
_WORDS = ("text", "voice")


def run(services: Services) -> int:
    """Gather once a minute, whichever worker comes first; returns 0, for nothing waits on it."""
    now = clock.now()
    minute = int(now.timestamp()) // 60
    with services.database.reading() as session:
        if _mark(session, _ROUND) >= minute:
            return 0
    with services.database.transaction() as session:
        if not _take_round(session, minute):
            return 0
        gather(session, services.rules.current(), now, services.settings.zone)
    return 0


def _take_round(session: Session, minute: int) -> bool:
    """Whether this round is ours; two workers never gather at once."""
    insert_ignoring(session, Counter, [{"name": _ROUND, "value": 0}], ["name"])
    mine = update(Counter).where(Counter.name == _ROUND, Counter.value < minute).values(value=minute)
    return bool(session.execute(mine).rowcount)  # type: ignore[attr-defined]


def gather(session: Session, book: RuleBook, now: datetime, zone: Any) -> None:
    """File what has come up since the last time, and reckon what each open review is worth."""
    rules = book.raw["reviews"]
    _file_contradicted(session, rules, now)
    _file_changed(session, book, now)
    _draw_sample(session, rules, now, zone)
    _reckon(session, rules)


# --- what becomes a review


def _file_contradicted(session: Session, rules: Mapping[str, Any], now: datetime) -> None:
    """The message before one that says "you got me wrong"."""
    said = re.compile("|".join(rules["contradictions"]["patterns"]))
    within = timedelta(minutes=rules["contradictions"]["within_minutes"])
    seen = _mark(session, _SEEN)
    rows = session.scalars(
        select(Message)
        .where(Message.id > seen, Message.handled_at.is_not(None), Message.kind.in_(_WORDS))
        .order_by(Message.id)
        .limit(BATCH)
    ).all()
    for message in rows:
        if message.intent is not None and said.search(message.text):
            before = _before(session, message, within)
            if before is not None:
                _file(session, before, "contradicted", now)
    if rows:
        _set_mark(session, _SEEN, rows[-1].id)


def _before(session: Session, message: Message, within: timedelta) -> Message | None:
    return session.scalar(
        select(Message)
        .where(
            Message.contact_id == message.contact_id,
            Message.id < message.id,
            Message.received_at >= message.received_at - within,
            Message.intent.is_not(None),
            Message.kind.in_(_WORDS),
        )
        .order_by(Message.received_at.desc(), Message.id.desc())
        .limit(1)
    )


def _file_changed(session: Session, book: RuleBook, now: datetime) -> None:
    """Re-typed and merged tickets: what staff made of a report is a candidate for what its message meant."""
    seen = _mark(session, _CHANGED)
    rows = session.execute(
        select(Update.id, Update.ticket_id)
        .where(Update.id > seen, Update.actor == "staff", Update.kind.in_(("edited", "moved")))
        .order_by(Update.id)
        .limit(BATCH)
    ).all()
    for ticket_id in dict.fromkeys(row.ticket_id for row in rows):
        ticket = session.get_one(Ticket, ticket_id)
        stands = session.get(Ticket, ticket.merged_into_id) if ticket.merged_into_id else ticket
        message = telling(session, book, ticket)
        if stands is not None and message is not None and message.intent not in (stands.intent, *stands.also):
            _file(session, message, "desk", now, candidate=stands.intent)
    if rows:
        _set_mark(session, _CHANGED, rows[-1].id)


def telling(session: Session, book: RuleBook, ticket: Ticket) -> Message | None:
    """The message that told the problem of a ticket: its first one that was taken for a problem."""
    return session.scalar(
        select(Message)
        .where(
            Message.contact_id == ticket.contact_id,
            Message.received_at >= ticket.opened_at - TELLING,
            Message.received_at <= ticket.opened_at,
            Message.intent.in_(book.tickets["faults"]),
            Message.kind.in_(_WORDS),
            or_(Message.ticket_id.is_(None), Message.ticket_id == ticket.id),
        )
        .order_by(Message.received_at, Message.id)
        .limit(1)
    )


def _draw_sample(session: Session, rules: Mapping[str, Any], now: datetime, zone: Any) -> None:
    """Once a local day: some of the messages of the day before that the machine was sure of, drawn at random."""
    day, sample = int(now.astimezone(zone).strftime("%Y%m%d")), rules["sample"]
    if _mark(session, _DRAWN) >= day:
        return
    since = now - timedelta(days=1)
    reviewed = select(Review.id).where(Review.message_id == Message.id).exists()
    drawn = session.scalars(
        select(Message)
        .where(
            Message.received_at >= since,
            Message.confidence >= sample["from_confidence"],
            Message.kind.in_(_WORDS),
            Message.model.is_not(None),
            Message.model != "rules",
            ~reviewed,
        )
        .order_by(func.random())
        .limit(sample["a_day"])
    ).all()
    for message in drawn:
        _file(session, message, "sample", now)
    _set_mark(session, _DRAWN, day)


def _file(session: Session, message: Message, reason: str, now: datetime, candidate: str | None = None) -> None:
    """One review for a message; an open one is told the better reason, a judged one stays as it is."""
    row = {
        "message_id": message.id,
        "reason": reason,
        "guess": message.intent,
        "confidence": message.confidence,
        "candidate": candidate,
        "created_at": now,
    }
    if insert_ignoring(session, Review, [row], ["message_id"]):
        return
    changes: dict[str, Any] = {"reason": reason, "worth": None}
    if candidate:
        changes["candidate"] = candidate
    session.execute(
        update(Review)
        .where(Review.message_id == message.id, Review.decided_at.is_(None))
        .values(**changes)
        .execution_options(synchronize_session=False)
    )


def _mark(session: Session, name: str) -> int:
    return session.scalar(select(Counter.value).where(Counter.name == name)) or 0


def _set_mark(session: Session, name: str, value: int) -> None:
    put(session, Counter, {"name": name, "value": value}, ["name"])


# --- what a correction is worth


def _reckon(session: Session, rules: Mapping[str, Any]) -> None:
    waiting = (
        select(Review)
        .where(Review.decided_at.is_(None), Review.worth.is_(None))
        .order_by(Review.id.desc())
        .limit(BATCH)
    )
    rows = session.scalars(waiting).all()
    if not rows:
        return
    others, known = open_texts(session), labelled_sentences()
    for review in rows:
        text = review.message.text
        twins = len(alike(text, [other for other in others if other[0] != review.id]))
        resembles = next((match.score for match in known.nearest(text, 1)), 0.0)
        review.worth = worth(rules, review, ranking_of(review.message), 1.0 - resembles, twins)


def open_texts(session: Session) -> list[tuple[int, str]]:
    """The newest open reviews with their messages' texts."""
    rows = session.execute(
        select(Review.id, Message.text)
        .join(Message, Message.id == Review.message_id)
        .where(Review.decided_at.is_(None), Review.flagged_at.is_(None))
        .order_by(Review.id.desc())
        .limit(LOOK)
    )
    return [(row.id, row.text) for row in rows]


def ranking_of(message: Message) -> list[tuple[str, float]]:
    """What the machine thought of a message, the likeliest first; empty where it never got so far."""
    kept = json.loads(message.understanding) if message.understanding else {}
    return [(str(name), float(share)) for name, share in kept.get("ranking") or ()]


def worth(
    rules: Mapping[str, Any], review: Review, ranking: Sequence[tuple[str, float]], novelty: float, twins: int
) -> float:
    """What a correction is worth: uncertainty, the expected cost of the guess being wrong, novelty, look-alikes, the reason.

    `ranking` gives each other meaning its probability; the cost of missing it is in data/rules/reviews.yml. `novelty` is
    1 where no labelled sentence resembles the message, `twins` the number of look-alikes that wait.
    """
    costs, guess = rules["costs"], review.guess
    expected = sum(share * costs.get(name, costs["*"]) for name, share in ranking if name != guess)
    unsure = 1.0 - dict(ranking).get(str(guess), 0.0)
    if not ranking:
        expected = float(max(costs.values())) / 2  # nothing was understood at all
    alikes = rules["alike"] * min(twins, rules["alike_most"])
    taught = rules["uncertainty"] * unsure + rules["cost"] * expected
    return float(taught + rules["novelty"] * novelty + alikes + rules["reasons"].get(review.reason, 0.0))


# --- whom they are shown to


def queue(staff_id: int, *, flagged: bool = False) -> list[ColumnElement[bool]]:
    """The conditions of one person's queue: nobody has judged it, and they have not passed over it; voices wait elsewhere."""
    passed = select(ReviewSkip.review_id).where(ReviewSkip.staff_id == staff_id, ReviewSkip.review_id == Review.id)
    aside = Review.flagged_at.is_not(None) if flagged else Review.flagged_at.is_(None)
    return [Review.decided_at.is_(None), Review.reason != "voice", aside, ~passed.exists()]


def following(session: Session, staff_id: int, *, flagged: bool = False) -> int | None:
    """The review that this person is shown next: the worthiest, and what is not reckoned yet before all."""
    return session.scalar(
        select(Review.id)
        .where(*queue(staff_id, flagged=flagged))
        .order_by(Review.worth.desc().nulls_first(), Review.id)
        .limit(1)
    )


def skip(session: Session, review_id: int, staff_id: int, now: datetime) -> None:
    """This person does not want to judge this message; somebody else may."""
    row = {"review_id": review_id, "staff_id": staff_id, "at": now}
    insert_ignoring(session, ReviewSkip, [row], ["review_id", "staff_id"])


def take_up(session: Session, review_id: int, staff_id: int) -> None:
    """Take a skip back."""
    row = session.get(ReviewSkip, (review_id, staff_id))
    if row is not None:
        session.delete(row)


def look_alikes(session: Session, review: Review, most: int = 12) -> list[tuple[int, str]]:
    """Open reviews whose messages resemble this one's, with their texts, the most alike first."""
    texts = dict(open_texts(session))
    texts.pop(review.id, None)
    return [(key, texts[key]) for key in alike(review.message.text, list(texts.items()))[:most]]


def decider(session: Session, review: Review) -> Staff | None:
    """Who has judged it."""
    return session.get(Staff, review.decided_by) if review.decided_by else None
