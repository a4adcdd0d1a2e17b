"""/desk/listen: voice messages that nobody has listened to, to be played and written down."""

from __future__ import annotations

from flask import abort, flash, request, url_for
from sqlalchemy import select
from sqlalchemy.orm import Session
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from bot import clock, intake, listening, staff
from bot.desk import talk
from bot.desk.media import of_messages
from bot.desk.pages import blueprint, me, page, permit, services
from bot.models import Callback, Contact, Review

MAX_SHOWN = 50


@blueprint.get("/listen")
def listen() -> str:
    """Every recording that waits, with what was written around it and until when it is promised."""
    permit(staff.CALL)
    with services().database.reading() as session:
        rows = listening.waiting(session, MAX_SHOWN)
        kept = of_messages(session, [row.message_id for row in rows])
        return page(
            session,
            "listen.html",
            rows=rows,
            due={row.id: _due(session, row) for row in rows},
            lines={row.id: talk.around(session, row.message, before=3, after=3) for row in rows},
            media={row.id: [talk.shown(item) for item in kept.get(row.message_id, [])] for row in rows},
        )


def _due(session: Session, row: Review) -> Callback | None:
    owed = select(Callback).where(
        Callback.contact_id == row.message.contact_id, Callback.reason == listening.VOICE, Callback.done_at.is_(None)
    )
    return session.scalar(owed.limit(1))


@blueprint.post("/listen/<int:review_id>")
def heard(review_id: int) -> Response:
    """What the resident said, in writing: understood and answered like what they type."""
    permit(staff.CALL)
    words = request.form.get("words", "").strip()
    if not words:
        flash("请写下住户说了什么。听不清就点“听不清”。")
        return redirect(url_for("desk.listen", _anchor=f"v{review_id}"))
    with services().database.reading() as session:
        row = _load(session, review_id)
        contact = session.get_one(Contact, row.message.contact_id)
        said = listening.as_said(contact, row.message, words, me().id)
    if said is None:
        flash("这位住户的资料已经删除，不能再代录。")
        return redirect(url_for("desk.listen"))
    # First the words are safe, then the recording is done with: a fault between the two repeats nothing.
    received = intake.receive(services().database, said, claim=False)
    with services().database.transaction() as session:
        mine = listening.settle(session, review_id, me().id, clock.now())
    flash("已记下，正按住户的话办理。" if received.new and mine else "这条刚刚已经有人听写过了。")
    return redirect(url_for("desk.listen"))


@blueprint.post("/listen/<int:review_id>/again")
def unclear(review_id: int) -> Response:
    """Nobody can make it out: the resident is asked to say it again."""
    permit(staff.CALL)
    with services().database.transaction() as session:
        row = _load(session, review_id)
        mine = listening.settle(session, review_id, me().id, clock.now())
        if mine:
            listening.ask_again(services().context(session), row)
    flash("已请住户再说一遍。" if mine else "这条刚刚已经有人听写过了。")
    return redirect(url_for("desk.listen"))


@blueprint.post("/listen/<int:review_id>/nothing")
def nothing(review_id: int) -> Response:
    """There is nothing in it to be dealt with."""
    permit(staff.CALL)
    with services().database.transaction() as session:
        mine = listening.settle(session, _load(session, review_id).id, me().id, clock.now())
    flash("已听过，不用处理。" if mine else "这条刚刚已经有人听写过了。")
    return redirect(url_for("desk.listen"))


def _load(session: Session, review_id: int) -> Review:
    query = select(Review).where(Review.id == review_id, Review.reason == listening.VOICE)
    return session.scalar(query) or abort(404)
