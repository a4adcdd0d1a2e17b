"""/desk/health: whether channels, queues and understanding work, for people."""

from __future__ import annotations

from sqlalchemy import func, select

from bot import clock, health, staff
from bot.clock_models import Clock
from bot.desk.pages import blueprint, page, permit, services
from bot.models import ChannelState, Contact, Delivery, Review, Task

NOTICE_MONTH = 10  # the State Council's notice for the next year comes out from then on


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
        late = select(func.count()).select_from(Clock).where(Clock.next_at.is_not(None), Clock.due_at < now)
        return page(
            session,
            "health.html",
            state=state,
            waiting={name: session.scalar(query) or 0 for name, query in waiting.items()},
            channels=services().channels,
            channel_states={row.channel: row for row in session.scalars(select(ChannelState))},
            max_age=health.MAX_QUEUE_AGE,
            unarranged=_unarranged(),
            late=session.scalar(late) or 0,
        )


def _unarranged() -> list[int]:
    """This year and, from October on, the next: those whose notice of moved working days (调休) is not entered."""
    today = clock.local_day(clock.now(), services().settings.zone)
    years = [today.year, *([today.year + 1] if today.month >= NOTICE_MONTH else [])]
    return [year for year in years if year not in services().rules.current().clocks.arranged]
