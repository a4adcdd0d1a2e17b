"""/desk/moves: the table of moves and the limits as they stand, to read."""

from __future__ import annotations

from bot import staff
from bot.desk.pages import blueprint, page, permit, services
from bot.texts import exists, wording


@blueprint.get("/moves")
def moves() -> str:
    """Which move leads where, who may make it, what it does to the clocks, and what the resident is told."""
    permit(staff.SEE)
    book = services().rules.current()
    told = {
        step.key: wording(book, step.said, "sms")
        for step in book.table.steps.values()
        if step.tell and exists(book, step.said)
    }
    with services().database.reading() as session:
        return page(
            session,
            "moves.html",
            table=book.table,
            told=told,
            rules=book.clocks,
            sources={name: book.raw[name].get("source", "") for name in ("moves", "clocks", "calendar")},
        )
