"""/desk/reviews: messages the machine was unsure about or got wrong, one after another, for a person to judge."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from flask import abort, flash, request, url_for
from sqlalchemy import func, or_, select, update
from sqlalchemy.orm import Session, selectinload
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import clock, staff, tickets
from bot.desk import talk, words
from bot.desk.pages import blueprint, me, page, permit, services, within_reach
from bot.models import Callback, Message, Review, Staff, Ticket
from bot.tickets import Actor
from nlu.types import INTENTS, NEVER_ALSO

# One key for each intent, in the order of the annotation guide. X is skip, Z takes the last verdict back.
KEYS = dict(zip(INTENTS, "1234567890QWERTYUIOPASDFGHJKL", strict=False))
URGENT_CALL = timedelta(minutes=15)


@blueprint.get("/reviews")
def reviews() -> str | Response:
    """The next message that nobody has judged; `after` is the review that was skipped or decided last."""
    permit(staff.REVIEW)
    with services().database.reading() as session:
        after = _asked(session, "after")
        following = _next(session, after)
        if following is not None:
            return redirect(url_for("desk.review", review_id=following, last=request.args.get("last")))
        return page(session, "reviews_done.html", last=_last(session), offer=_offer(session), recent=_recent(session))


@blueprint.get("/reviews/<int:review_id>")
def review(review_id: int) -> str:
    """One message with its conversation and what the machine made of it."""
    permit(staff.REVIEW)
    with services().database.reading() as session:
        row = session.scalar(select(Review).where(Review.id == review_id).options(selectinload(Review.message)))
        if row is None:
            abort(404)
        open_reviews = select(func.count()).select_from(Review).where(Review.decided_at.is_(None))
        return page(
            session,
            "review.html",
            review=row,
            decider=session.get(Staff, row.decided_by) if row.decided_by else None,
            lines=talk.around(session, row.message),
            guess=_guess(row.message),
            ticket=session.get(Ticket, row.message.ticket_id) if row.message.ticket_id else None,
            keys=KEYS,
            addable=[intent for intent in INTENTS if intent not in NEVER_ALSO],
            left=session.scalar(open_reviews) or 0,
            last=_last(session),
            offer=_offer(session),
            clean=(lambda text: text) if staff.may(me(), staff.SEE) else words.mask_numbers,
        )


def _asked(session: Session, name: str) -> Review | None:
    value = request.args.get(name, "")
    return session.get(Review, int(value)) if value.isascii() and value.isdigit() and len(value) < 18 else None


def _next(session: Session, after: Review | None) -> int | None:
    """The oldest open review behind `after`; from the start again where there is none behind it."""
    oldest = select(Review.id).where(Review.decided_at.is_(None)).order_by(Review.created_at, Review.id).limit(1)
    if after is not None:
        same_moment = (Review.created_at == after.created_at) & (Review.id > after.id)
        behind = session.scalar(oldest.where(or_(Review.created_at > after.created_at, same_moment)))
        if behind is not None:
            return behind
    return session.scalar(oldest)


def _guess(message: Message) -> dict[str, Any]:
    """What the machine made of the message: ranking, entities and facts, or nothing where it never got so far."""
    return dict(json.loads(message.understanding)) if message.understanding else {}


def _last(session: Session) -> Review | None:
    """The review this person has just judged, so that the verdict can be taken back."""
    row = _asked(session, "last")
    return row if row is not None and row.decided_by == me().id and row.verdict else None


def _offer(session: Session) -> Ticket | None:
    """The open ticket that the last verdict says is about something else."""
    last = _last(session)
    if last is None or last.message.ticket_id is None or not staff.may(me(), staff.WORK):
        return None
    faults = services().rules.current().tickets["faults"]
    ticket = session.scalar(select(Ticket).where(Ticket.id == last.message.ticket_id, *within_reach()))
    wrong = ticket is not None and ticket.closed_at is None and ticket.intent != last.verdict
    return ticket if wrong and last.verdict in faults else None


def _recent(session: Session) -> list[tuple[Review, str | None]]:
    query = (
        select(Review, Staff.name)
        .outerjoin(Staff, Staff.id == Review.decided_by)
        .where(Review.decided_at >= clock.now() - timedelta(days=7))
        .order_by(Review.id.desc())
        .limit(20)
    )
    return [(row, name) for row, name in session.execute(query)]


@blueprint.post("/reviews/<int:review_id>")
def judge(review_id: int) -> Response:
    """Store the verdict, unless somebody else was quicker, and go on to the next message."""
    permit(staff.REVIEW)
    verdict = request.form.get("verdict", "")
    if verdict not in INTENTS:
        flash("请选一个意图。")
        return redirect(url_for("desk.review", review_id=review_id))
    also = [intent for intent in request.form.getlist("also") if intent in INTENTS and intent != verdict]
    with services().database.transaction() as session:
        decided = session.execute(
            update(Review)
            .where(Review.id == review_id, Review.decided_at.is_(None))
            .values(
                verdict=verdict,
                verdict_also=[intent for intent in also if intent not in NEVER_ALSO],
                decided_at=clock.now(),
                decided_by=me().id,
            )
            .execution_options(synchronize_session=False)
        ).rowcount  # type: ignore[attr-defined]
    if not decided:
        flash("这条刚刚已经有人判过了，您的判断没有保存。")
        return redirect(url_for("desk.reviews", after=review_id))
    return redirect(url_for("desk.reviews", after=review_id, last=review_id))


@blueprint.post("/reviews/<int:review_id>/undo")
def undo(review_id: int) -> Response:
    """Take one's own verdict back: the message is open again."""
    permit(staff.REVIEW)
    with services().database.transaction() as session:
        session.execute(
            update(Review)
            .where(Review.id == review_id, Review.decided_by == me().id)
            .values(verdict=None, verdict_also=None, decided_at=None, decided_by=None)
            .execution_options(synchronize_session=False)
        )
    return redirect(url_for("desk.review", review_id=review_id))


@blueprint.post("/reviews/<int:review_id>/retype")
def retype(review_id: int) -> Response:
    """Mend the live ticket behind a message that had been taken for something else."""
    permit(staff.REVIEW)
    permit(staff.WORK)
    with services().database.transaction() as session:
        row = session.get(Review, review_id)
        if row is None or row.verdict is None or row.message.ticket_id is None:
            abort(404)
        query = select(Ticket).where(Ticket.id == row.message.ticket_id, *within_reach()).with_for_update(of=Ticket)
        ticket = session.scalar(query)
        context = services().context(session)
        if ticket is None or row.verdict not in context.book.tickets["faults"]:
            abort(404)
        if ticket.closed_at is not None:
            flash(f"{ticket.number} 已经结束，没有改动。")
        else:
            actor = Actor("staff", staff_id=me().id)
            standing = tickets.retype(context, ticket, row.verdict, actor)
            flash(f"{standing.number} 已改为“{words.intent_name(standing.intent)}”。")
    return redirect(url_for("desk.reviews", after=review_id))


@blueprint.post("/reviews/<int:review_id>/call")
def owe_call(review_id: int) -> Response:
    """Put the resident of a misread message on the call-back list."""
    permit(staff.REVIEW)
    with services().database.transaction() as session:
        row = session.get(Review, review_id)
        if row is None:
            abort(404)
        book, now = services().rules.current(), clock.now()
        wait = URGENT_CALL if row.verdict in ("danger", "leak") else timedelta(minutes=book.dialogue.callback_minutes)
        owed = select(Callback.id).where(
            Callback.contact_id == row.message.contact_id, Callback.reason == "review", Callback.done_at.is_(None)
        )
        if session.scalar(owed) is None:
            session.add(
                Callback(
                    contact_id=row.message.contact_id,
                    ticket_id=row.message.ticket_id,
                    message_id=row.message_id,
                    reason="review",
                    created_at=now,
                    due_at=now + wait,
                )
            )
    flash("已加入待回电。")
    return redirect(url_for("desk.reviews", after=review_id))
