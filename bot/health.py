"""Whether the service lives (/healthz), can do its work (/readyz), and how it is doing (/metrics)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, current_app, jsonify
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy import func, select, text
from sqlalchemy.exc import SQLAlchemyError

from bot import clock
from bot.models import ChannelState, Contact, Delivery, Review, Task, Ticket
from bot.services import Services
from nlu.interpreter import NluError

blueprint = Blueprint("health", __name__)
MAX_QUEUE_AGE = 60.0  # seconds a message may wait before /readyz says so


def _services() -> Services:
    services: Services = current_app.extensions["heatline"]
    return services


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process answers."""
    return jsonify(ok=True)


@blueprint.get("/readyz")
def readyz() -> tuple[Response, int]:
    """Database, understanding, channels and the age of the queues; 503 while one of them is not well."""
    state = report(_services())
    return jsonify(state), 200 if state["ok"] else 503


def report(services: Services) -> dict[str, Any]:
    """The state of everything a message needs; ages in seconds."""
    try:
        with services.database.reading() as session:
            session.execute(text("SELECT 1"))
            inbox_age = _age(session.scalar(select(func.min(Contact.pending_since))))
            due = select(func.min(Delivery.due_at)).where(Delivery.state == "queued")
            outbox_age = _age(session.scalar(due))
            red = {row.channel: row.reason for row in session.scalars(select(ChannelState)) if not row.ok}
    except SQLAlchemyError as error:
        return {"ok": False, "database": type(error).__name__}
    nlu = _model(services)
    return {
        "ok": nlu is not None and not red and inbox_age < MAX_QUEUE_AGE and outbox_age < MAX_QUEUE_AGE,
        "database": "ok",
        "nlu": nlu or "down",
        "channels": dict.fromkeys(services.channels, "ok") | red,
        "inbox_age": inbox_age,
        "outbox_age": outbox_age,
    }


def _model(services: Services) -> str | None:
    """The model that understanding answers with; None while it does not answer."""
    try:
        return services.interpreter.model()
    except NluError:
        return None


def _age(moment: datetime | None) -> float:
    return 0.0 if moment is None else max(0.0, round((clock.now() - moment).total_seconds(), 1))


@blueprint.get("/metrics")
def metrics() -> Response:
    """Figures for Prometheus, read from the database at each call."""
    registry = CollectorRegistry()
    services = _services()
    state = report(services)
    up = state["database"] == "ok"
    Gauge("heatline_database_up", "whether the database answers", registry=registry).set(up)
    if up:
        _add_figures(services, state, registry)
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)


def _add_figures(services: Services, state: Mapping[str, Any], registry: CollectorRegistry) -> None:
    for name in ("inbox_age", "outbox_age"):
        Gauge(f"heatline_{name}_seconds", "age of the oldest waiting row", registry=registry).set(state[name])
    Gauge("heatline_nlu_up", "whether understanding answers", registry=registry).set(state["nlu"] != "down")
    with services.database.reading() as session:
        tickets = Gauge("heatline_tickets", "tickets by status", ["status"], registry=registry)
        for status, count in session.execute(select(Ticket.status, func.count()).group_by(Ticket.status)).all():
            tickets.labels(status).set(count)
        deliveries = Gauge("heatline_deliveries", "deliveries by state", ["state"], registry=registry)
        for name, count in session.execute(select(Delivery.state, func.count()).group_by(Delivery.state)).all():
            deliveries.labels(name).set(count)
        waiting = select(func.count()).select_from(Review).where(Review.decided_at.is_(None))
        Gauge("heatline_reviews_open", "messages to judge", registry=registry).set(session.scalar(waiting) or 0)
        tasks = select(func.count()).select_from(Task).where(Task.done_at.is_(None), Task.due_at <= clock.now())
        Gauge("heatline_tasks_due", "tasks that are due", registry=registry).set(session.scalar(tasks) or 0)
