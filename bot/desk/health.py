"""/desk/health: whether channels, queues and understanding work, for people."""

from __future__ import annotations

from sqlalchemy import func, select

from bot import clock, health, staff
from bot.desk.pages import blueprint, page, permit, services
from bot.models import ChannelState, Contact, Delivery, Review, Task


@blueprint.get("/health")
def health_page() -> str:
    """How the service is doing."""
    permit(staff.HEALTH)
    state = health.report(services())  # asks the NLU server, so before the session is opened
    now = clock.now()
    with services().database.reading() as session:
        waiting = {
            "messages": select(func.count()).select_from(Contact).where(Contact.due_at.is_not(None)),
            "deliveries": select(func.count()).select_from(Delivery).where(Delivery.state == "queued"),
            "tasks": select(func.count()).select_from(Task).where(Task.done_at.is_(None), Task.due_at <= now),
            "reviews": select(func.count()).select_from(Review).where(Review.decided_at.is_(None)),
        }
        return page(
            session,
            "health.html",
            state=state,
            waiting={name: session.scalar(query) or 0 for name, query in waiting.items()},
            channels=services().channels,
            channel_states={row.channel: row for row in session.scalars(select(ChannelState))},
            max_age=health.MAX_QUEUE_AGE,
        )
