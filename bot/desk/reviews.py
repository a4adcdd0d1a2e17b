"""/desk/reviews: messages the machine was unsure about or got wrong, one after another, for a person to judge."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

from flask import abort, flash, request, url_for
from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session, selectinload
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import clock, repairs, reviews, staff, verdicts
from bot.desk import talk
from bot.desk.pages import blueprint, me, page, permit, services
from bot.masking import mask
from bot.models import Message, Review, Staff, Ticket
from bot.review_models import Opinion
from bot.similar import labelled_sentences
from bot.verdicts import Judgement
from nlu.interpreter import NluError
from nlu.types import ENTITIES, INTENTS, NEVER_ALSO

# One key for each intent, in the order of the annotation guide. A is "also", Z takes the last verdict back, X skips,
# F flags, N is the note, B takes all look-alikes, Enter agrees with what is proposed.
KEYS = dict(zip(INTENTS, "1234567890QWERTYUIOPSD", strict=True))
MAX_NOTE = 500  # characters
MAX_ALIKE = 12


@blueprint.get("/reviews", endpoint="reviews")
def reviews_page() -> str | Response:
    """The message that is worth most to this person now; the end of the queue where there is none."""
    permit(staff.REVIEW)
    flagged = request.args.get("queue") == "flagged"
    with services().database.reading() as session:
        following = reviews.following(session, me().id, flagged=flagged)
        if following is not None:
            queue = "flagged" if flagged else None
            return redirect(url_for("desk.review", review_id=following, last=request.args.get("last"), queue=queue))
        return page(
            session,
            "reviews_done.html",
            **_just_judged(session),
            recent=_recent(session),
            flagged=_count(session, flagged=True),
            agreement=verdicts.agreement(session),
        )


@blueprint.get("/reviews/<int:review_id>")
def review(review_id: int) -> str:
    """One message with its conversation and what the machine made of it."""
    permit(staff.REVIEW)
    with services().database.reading() as session:
        row = _load(session, review_id)
        lines = talk.around(session, row.message)
        shown = _shown(row.message)
        session.expunge_all()
    counted = _why(row.message.text, shown(row.message.text))
    with services().database.reading() as session:
        row = _load(session, review_id)
        return page(
            session,
            "review.html",
            review=row,
            text=shown(row.message.text),
            decider=reviews.decider(session, row),
            lines=lines,
            guess=_guess(row.message),
            entities=_entities(row.message, shown(row.message.text)),
            counted=counted,
            similar=labelled_sentences().nearest(row.message.text, 5),
            twins=_twins(session, row),
            ticket=session.get(Ticket, row.message.ticket_id) if row.message.ticket_id else None,
            keys=KEYS,
            kinds=ENTITIES,
            addable=[intent for intent in INTENTS if intent not in NEVER_ALSO],
            left=_count(session),
            **_just_judged(session),
            queue=request.args.get("queue"),
            clean=shown,
        )


def _load(session: Session, review_id: int) -> Review:
    row = session.scalar(select(Review).where(Review.id == review_id).options(selectinload(Review.message)))
    return row or abort(404)


def _count(session: Session, *, flagged: bool = False) -> int:
    query = select(func.count()).select_from(Review).where(*reviews.queue(me().id, flagged=flagged))
    return session.scalar(query) or 0


def _shown(message: Message) -> Callable[[str], str]:
    """How texts of this message's conversation are shown: as they are, or with stand-ins to who may not see people."""
    if staff.may(me(), staff.SEE):
        return lambda text: text
    places = services().gazetteer.current()
    return lambda text: mask(text, str(message.id), places)


def _why(text: str, shown: str) -> list[str]:
    """The words that counted for the guess, so far as they may be seen; none where understanding cannot say."""
    tell = getattr(services().interpreter, "why", None)
    if tell is None:
        return []
    try:
        return [word for word in tell(text) if all(part in shown for part in word.split())][:8]
    except NluError:
        return []


def _twins(session: Session, row: Review) -> list[tuple[int, str]]:
    places, free = services().gazetteer.current(), staff.may(me(), staff.SEE)
    found = reviews.look_alikes(session, row, MAX_ALIKE)
    return [(key, text if free else mask(text, f"review {key}", places)) for key, text in found]


def _guess(message: Message) -> dict[str, Any]:
    """What the machine made of the message: ranking, entities and facts, or nothing where it never got so far."""
    return dict(json.loads(message.understanding)) if message.understanding else {}


def _entities(message: Message, shown: str) -> list[dict[str, Any]]:
    """What was recognised, as it may be seen: kind, the words, and where they stand."""
    found = [e for e in _guess(message).get("entities") or () if "start" in e]
    return [
        {"entity": e["entity"], "start": e["start"], "end": e["end"], "text": shown[e["start"] : e["end"]]}
        for e in found
    ]


def _asked(session: Session, name: str) -> Review | None:
    value = request.args.get(name, "")
    return session.get(Review, int(value)) if value.isascii() and value.isdigit() and len(value) < 18 else None


def _last(session: Session) -> Review | None:
    """The review this person has just judged, so that the verdict can be taken back."""
    row = _asked(session, "last")
    return row if row is not None and row.decided_by == me().id and row.verdict else None


def _just_judged(session: Session) -> dict[str, Any]:
    """The last verdict of this person, what it did, and until when the resident has not heard of it."""
    last = _last(session)
    if last is None:
        return {"last": None}
    ticket = session.get(Ticket, last.repair_ticket_id) if last.repair_ticket_id else None
    return {"last": last, "repaired": ticket, "untold_until": repairs.tells_at(session, last)}


def _recent(session: Session) -> Sequence[tuple[Review, str | None]]:
    query = (
        select(Review, Staff.name)
        .outerjoin(Staff, Staff.id == Review.decided_by)
        .where(Review.decided_at >= clock.now() - timedelta(days=7), Review.verdict.is_not(None))
        .order_by(Review.decided_at.desc(), Review.id.desc())
        .limit(20)
    )
    return [(row, name) for row, name in session.execute(query)]


@blueprint.post("/reviews/<int:review_id>")
def judge(review_id: int) -> Response:
    """Store the verdict, mend the live case, do the same for the look-alikes that are ticked, and go on."""
    permit(staff.REVIEW)
    queue = request.form.get("queue") or None
    places = services().gazetteer.current()
    with services().database.transaction() as session:
        row = session.get(Review, review_id) or abort(404)
        try:
            judgement = _judgement(row)
        except (ValueError, KeyError, TypeError):
            flash("请选一个意图。" if request.form.get("verdict") not in INTENTS else "标注没有看懂，请再选一次。")
            return redirect(url_for("desk.review", review_id=review_id, queue=queue))
        context = services().context(session)
        decided = verdicts.decide(context, review_id, me().id, judgement, places)
        plain = Judgement(judgement.intent, judgement.also)
        twins = [verdicts.decide(context, key, me().id, plain, places) for key in _ticked(session, row)]
    if decided is None:
        flash("这条刚刚已经有人判过了，您的判断没有保存。")
        return redirect(url_for("desk.reviews", queue=queue))
    if count := sum(twin is not None for twin in twins):
        flash(f"另有 {count} 条相似的消息判成了同样的意图。")
    return redirect(url_for("desk.reviews", last=review_id, queue=queue))


def _judgement(row: Review) -> Judgement:
    """What the form says. Raises ValueError, KeyError or TypeError for what no page of ours sends."""
    places = services().gazetteer.current()
    entities = verdicts.marked_entities(row.message.text, request.form.get("entities"), places)
    note = request.form.get("note", "")[:MAX_NOTE]
    return Judgement.of(request.form.get("verdict", ""), request.form.getlist("also"), entities, note)


def _ticked(session: Session, row: Review) -> list[int]:
    """The look-alikes to judge alike: only such as the page showed."""
    asked = {int(key) for key in request.form.getlist("twin") if key.isascii() and key.isdigit() and len(key) < 18}
    return [key for key, _ in reviews.look_alikes(session, row, MAX_ALIKE) if key in asked]


@blueprint.post("/reviews/<int:review_id>/undo")
def undo(review_id: int) -> Response:
    """Take one's own verdict back: the message is open again, and so is the case as it was."""
    permit(staff.REVIEW)
    with services().database.transaction() as session:
        done = verdicts.withdraw(services().context(session), review_id, me().id)
    if not done:
        flash("不能撤销了：不是您判的，或者住户已经收到通知、工单已经有人处理。")
        return redirect(url_for("desk.reviews"))
    return redirect(url_for("desk.review", review_id=review_id))


@blueprint.post("/reviews/<int:review_id>/skip")
def skip(review_id: int) -> Response:
    """Leave a message to somebody else; it is not offered to this person again."""
    permit(staff.REVIEW)
    with services().database.transaction() as session:
        row = session.get(Review, review_id) or abort(404)
        reviews.skip(session, row.id, me().id, clock.now())
    return redirect(url_for("desk.reviews", queue=request.form.get("queue") or None))


@blueprint.post("/reviews/<int:review_id>/flag")
def flag(review_id: int) -> Response:
    """Put a message aside for a colleague, with a word on why."""
    permit(staff.REVIEW)
    note = request.form.get("note", "").strip()[:MAX_NOTE] or None
    with services().database.transaction() as session:
        done = verdicts.flag(services().context(session), review_id, me().id, note)
    flash("已标记，留给同事看。" if done else "这条刚刚已经有人判过了。")
    return redirect(url_for("desk.reviews"))


# --- a second pair of eyes


@blueprint.get("/reviews/second")
def second() -> str:
    """A message that a colleague has judged, shown without the verdict."""
    permit(staff.REVIEW)
    with services().database.reading() as session:
        row = session.scalar(_unseconded().order_by(Review.decided_at.desc(), Review.id).limit(1))
        shown = _shown(row.message) if row is not None else None
        return page(
            session,
            "review_second.html",
            review=row,
            text=shown(row.message.text) if row is not None and shown is not None else "",
            lines=talk.around(session, row.message) if row is not None else [],
            clean=shown,
            keys=KEYS,
            agreement=verdicts.agreement(session),
        )


def _unseconded() -> Any:
    mine = select(Opinion.review_id).where(Opinion.review_id == Review.id, Opinion.staff_id == me().id)
    return select(Review).where(
        Review.verdict.is_not(None),
        Review.decided_at >= clock.now() - timedelta(days=30),
        or_(Review.decided_by.is_(None), Review.decided_by != me().id),
        ~mine.exists(),
    )


@blueprint.post("/reviews/<int:review_id>/second")
def give_opinion(review_id: int) -> Response:
    """Keep a second verdict; it changes neither the first nor the case."""
    permit(staff.REVIEW)
    verdict = request.form.get("verdict", "")
    with services().database.transaction() as session:
        row = session.scalar(_unseconded().where(Review.id == review_id))
        if row is not None and verdict in INTENTS:
            verdicts.add_opinion(session, row.id, me().id, verdict, clock.now())
        else:
            flash("请选一个意图。" if row is not None else "这条您已经看过了。")
    return redirect(url_for("desk.second"))
