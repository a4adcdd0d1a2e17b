"""The loop behind the webhooks: the next messages, the next deliveries, the next tasks that are due."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import select, update

from bot import (
    alerts,
    chasing,
    clock,
    conversation,
    dispatch,
    erasure,
    escalations,
    inbox,
    lapses,
    loop,
    media,
    night,
    outbox,
    overdue,
    retention,
    reviews,
    takeovers,
    tickets,
    unlink,
    ways,
)
from bot.models import Task, Ticket
from bot.services import Services
from bot.trace import trace

log = logging.getLogger(__name__)

IDLE = 0.25  # seconds between polls when there was nothing to do
# What nobody is waiting for in seconds is done in batches: asking after every single one would cost the turns of
# others more than it gains.
PACE = 0.1  # seconds between batches that are not full
FULL = 10
TASK_LEASE = timedelta(seconds=30)
TASK_RETRY = timedelta(seconds=30)
MAX_TASK_ATTEMPTS = 8


def run_messages(services: Services) -> int:
    """Handle the messages that are due; returns how many turns there were."""
    claims = inbox.claim_next(services.database, limit=4)
    for claim in claims:
        try:
            conversation.handle(services, claim)
        except Exception as error:
            # The lease runs out and the message is tried again; the other contacts do not wait for that.
            log.error("Contact %s could not be handled: %s", claim.contact_id, trace(error))
    return len(claims)


def run_deliveries(services: Services) -> int:
    """Send the deliveries that are due; returns how many were tried."""
    outbox.recover_expired(services.database)
    book = services.rules.current()
    ways.probe(services.database)
    claimed = outbox.claim(services.database, limit=10, night=night.read(book))
    for delivery in claimed:
        outbox.send(services.database, services.channels, delivery, book)
    return len(claimed)


def run_media(services: Services) -> int:
    """Fetch the photos and voice messages that are due; returns how many were tried."""
    return media.run(services.database, services.channels)


def run_alerts(services: Services) -> int:
    """Tell people of dangers; apart from everything else, so that nothing can hold it up. Returns how many steps."""
    return alerts.run(services)


def run_tasks(services: Services) -> int:
    """Do the tasks that are due; returns how many."""
    retention.see_to(services)
    done = lapses.run(services) + escalations.run(services)
    for task_id, token in _claim_tasks(services):
        _run_task(services, task_id, token)
        done += 1
    return done + dispatch.run(services) + overdue.run(services) + takeovers.run(services)


def _claim_tasks(services: Services, limit: int = 20) -> list[tuple[int, str]]:
    now, token = clock.now(), secrets.token_hex(8)
    free = Task.lease_until.is_(None) | (Task.lease_until <= now)
    due = (
        select(Task.id)
        .where(Task.done_at.is_(None), Task.due_at <= now, free)
        .order_by(Task.lane, Task.due_at, Task.id)
        .limit(limit)
    )
    with services.database.reading() as session:
        if session.scalar(due.limit(1)) is None:
            return []
    with services.database.transaction() as session:
        ids = session.scalars(
            update(Task)
            .where(Task.id.in_(due.with_for_update(skip_locked=True).scalar_subquery()))
            .values(lease_token=token, lease_until=now + TASK_LEASE, attempts=Task.attempts + 1)
            .returning(Task.id)
            .execution_options(synchronize_session=False)
        ).all()
    return [(task_id, token) for task_id in ids]


def _run_task(services: Services, task_id: int, token: str) -> None:
    try:
        with services.database.transaction() as session:
            task = session.get(Task, task_id, with_for_update=True)
            if task is None or task.lease_token != token or task.done_at is not None:
                return
            TASKS[task.kind](services, task, services.context(session))
            task.done_at, task.lease_until = clock.now(), None
    except Exception as error:
        log.error("Task %s failed: %s", task_id, trace(error))
        _put_off(services, task_id, token, type(error).__name__)


def _put_off(services: Services, task_id: int, token: str, reason: str) -> None:
    with services.database.transaction() as session:
        task = session.get(Task, task_id, with_for_update=True)
        if task is None or task.lease_token != token:
            return
        task.lease_until, task.error = None, reason
        task.due_at = clock.now() + TASK_RETRY * task.attempts
        if task.attempts >= MAX_TASK_ATTEMPTS:
            task.done_at = clock.now()


def _dispatch(services: Services, task: Task, context: tickets.Context) -> None:
    ticket = context.session.get(Ticket, int(task.ref.split(":")[0]), with_for_update=True)
    if ticket is not None:
        tickets.dispatch(context, ticket)


def _offer(services: Services, task: Task, context: tickets.Context) -> None:
    ticket = context.session.get(Ticket, int(task.ref.split(":")[0]), with_for_update=True)
    if ticket is not None:
        dispatch.offer(context, ticket)


def _unlink(services: Services, task: Task, context: tickets.Context) -> None:
    unlink.settle(context.session, int(task.ref.split(":")[0]), context.now)


def _erase(services: Services, task: Task, context: tickets.Context) -> None:
    erasure.settle(context, int(task.ref.split(":")[0]))


def _retain(services: Services, task: Task, context: tickets.Context) -> None:
    retention.carry_on(context, task.ref)


def _chases(services: Services, task: Task, context: tickets.Context) -> None:
    chasing.tell(context, services.channels, task.ref)


def _cold(services: Services, task: Task, context: tickets.Context) -> None:
    loop.still_cold(context, task.ref)


def _silence(services: Services, task: Task, context: tickets.Context) -> None:
    step = loop.still_silent(context, task.ref)
    ticket = context.session.get(Ticket, int(task.ref.split(":")[0])) if step else None
    if ticket is not None and step is not None:
        resolution = "unconfirmed" if step == "unconfirmed" else None
        tickets.move(context, ticket, step, tickets.SYSTEM, resolution=resolution)


TASKS: dict[str, Callable[[Services, Task, tickets.Context], None]] = {
    "dispatch": _dispatch,
    "offer": _offer,
    "unlink": _unlink,
    "erase": _erase,
    retention.TASK: _retain,
    chasing.TASK: _chases,
    "cold": _cold,
    "silence": _silence,
}


def drain(services: Services) -> None:
    """Run every queue until nothing is due (replay, tests)."""
    while (
        run_messages(services)
        + run_alerts(services)
        + run_tasks(services)
        + run_deliveries(services)
        + run_media(services)
    ):
        pass


class Worker:
    """Threads that run the three queues until they are stopped."""

    def __init__(self, services: Services, threads: int = 2) -> None:
        self._services = services
        self._stop = threading.Event()
        jobs = [run_messages] * max(1, threads) + [run_deliveries, run_tasks, run_media, run_alerts, reviews.run]
        self._threads = [
            threading.Thread(target=self._loop, args=(job,), name=f"worker-{job.__name__}-{n}", daemon=True)
            for n, job in enumerate(jobs)
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Ask the threads to end after what they are doing, and wait for them."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout)

    def _loop(self, job: Callable[[Services], int]) -> None:
        while not self._stop.is_set():
            try:
                done = job(self._services)
            except Exception as error:
                # A database that is away for a moment must not end the loop.
                log.error("%s failed, trying again: %s", job.__name__, trace(error))
                done = 0
            self._stop.wait(_pause(job, done))


def _pause(job: Callable[[Services], int], done: int) -> float:
    """Seconds until a job is asked again, by how much it has just done."""
    if not done:
        return IDLE
    return 0.0 if job is run_messages or done >= FULL else PACE
