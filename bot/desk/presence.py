"""Who else has a ticket's page open, and who is writing there: said before two people do the same work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from bot import clock
from bot.desk.pages import me, services
from bot.desk_models import Presence
from bot.models import Staff
from bot.upsert import put

HERE = timedelta(seconds=20)  # a page that is open says so more often than this
WRITING = timedelta(seconds=12)
NOTED = timedelta(seconds=8)  # a look that follows so closely on the last one is not written down
OLD = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Other:
    """A colleague on the same ticket."""

    name: str
    writing: bool


def note(ticket_id: int, *, writing: bool = False) -> None:
    """This account has the ticket before it now."""
    now = clock.now()
    row = {"ticket_id": ticket_id, "staff_id": me().id, "seen_at": now, **({"wrote_at": now} if writing else {})}
    with services().database.reading() as session:
        known = session.get(Presence, (ticket_id, me().id))
        if known is not None and not writing and known.seen_at > now - NOTED:
            return
    with services().database.transaction() as session:
        session.execute(delete(Presence).where(Presence.staff_id == me().id, Presence.seen_at < now - OLD))
        put(session, Presence, row, ["ticket_id", "staff_id"])


def others(session: Session, ticket_id: int, now: datetime) -> list[Other]:
    """The colleagues who are there now, by name."""
    query = (
        select(Staff.name, Presence.wrote_at)
        .join(Staff, Staff.id == Presence.staff_id)
        .where(Presence.ticket_id == ticket_id, Presence.staff_id != me().id, Presence.seen_at > now - HERE)
        .order_by(Staff.name)
    )
    return [Other(name, wrote is not None and wrote > now - WRITING) for name, wrote in session.execute(query)]


def tell(found: list[Other]) -> str:
    """小李正在写，小张也在看. Empty where nobody is."""
    return "，".join(f"{other.name}{'正在写' if other.writing else '也在看'}" for other in found)
