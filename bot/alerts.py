"""Dangers, bursts and children alone: the duty person is told again and again until somebody acknowledges, then the next.

An alert is stored with the message that tells of the danger, so it depends on no understanding, hour, rate limit,
opting out or take-over. The worker carries it on, one step at a time: `data/rules/alerts.yml`, `bot/roster.py`.
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import yaml
from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bot import clock, dispatch, outbox, paging, roster, tickets
from bot.change import SYSTEM, Actor, Context
from bot.channels import Channel, Entry
from bot.duty_models import Alert, AlertStep, Member
from bot.models import Contact, Message, Staff, Ticket, Update
from bot.roster import Called, Where
from bot.rules import DATA
from bot.services import Services
from bot.texts import render
from bot.trace import trace

log = logging.getLogger(__name__)

CHILD = "child"
BATCH = 20
# A ticket in one of these has been taken up by somebody, or is over.
TAKEN_UP = frozenset({"accepted", "on_site", "waiting", "done", "confirming", "closed", "cancelled"})
_alert: Any = Alert.__table__


@dataclass(frozen=True, slots=True)
class Plan:
    """The rule `alerts` as it stands."""

    settle: timedelta
    repeat: timedelta
    times: int
    escalate: timedelta
    contact: timedelta
    again: timedelta
    names: Mapping[str, str]


def plan(raw: Mapping[str, Any]) -> Plan:
    """Read the rule's body."""
    return Plan(
        settle=timedelta(seconds=int(raw["settle_seconds"])),
        repeat=timedelta(seconds=int(raw["repeat_seconds"])),
        times=int(raw["times"]),
        escalate=timedelta(minutes=int(raw["escalate_minutes"])),
        contact=timedelta(minutes=int(raw["contact_minutes"])),
        again=timedelta(minutes=int(raw["again_minutes"])),
        names=dict(raw["names"]),
    )


# --- raising


def kind_of(danger: str | None, text: str) -> str | None:
    """What a message alerts of before anybody has understood it; None for nothing. A child alone goes before the rest."""
    if text and child_alone(text):
        return CHILD
    return danger


def child_alone(text: str) -> bool:
    """Whether a child tells, or somebody tells of a child, that it is alone with something that can hurt it."""
    return all(pattern.search(text[:500]) for pattern in _child_patterns())


@lru_cache(maxsize=1)
def _child_patterns() -> tuple[re.Pattern[str], ...]:
    rule = _shipped()["child_alone"]
    return tuple(re.compile(rule[name]) for name in ("alone", "child", "hurt"))


@lru_cache(maxsize=1)
def _shipped() -> dict[str, Any]:
    return dict(yaml.safe_load((DATA / "rules" / "alerts.yml").read_text(encoding="utf-8")))


def store(connection: Connection, kind: str, contact_id: int, message_id: int, now: datetime) -> None:
    """Keep an alert in the transaction that stores its message; a contact who has an open one keeps that.

    Its first step waits a moment for the ticket, which says where to go.
    """
    settle = plan(_shipped()).settle
    _insert(connection, kind, contact_id, message_id, None, now, now + settle)


def raise_for(context: Context, ticket: Ticket, contact: Contact, message_id: int | None, text: str) -> None:
    """A ticket that is an emergency is alerted at once, by the alert its message has made or by one of its own."""
    kind = _kind_of_ticket(ticket, text)
    if kind is None:
        return
    _insert(context.session.connection(), kind, contact.id, message_id, ticket.id, context.now, context.now)
    open_one = update(Alert).where(Alert.contact_id == contact.id, Alert.acknowledged_at.is_(None))
    told_nobody = open_one.where(Alert.step == 0, Alert.next_at > context.now)
    for statement, values in (
        (open_one.where(Alert.ticket_id.is_(None)), {"ticket_id": ticket.id}),
        (told_nobody, {"next_at": context.now}),
    ):
        context.session.execute(statement.values(**values).execution_options(synchronize_session=False))


def again(context: Context, contact: Contact, ticket: Ticket | None, message_id: int | None) -> None:
    """An emergency was acknowledged and nobody has spoken with the resident in time: people are called once more."""
    ticket_id = ticket.id if ticket is not None else None
    connection = context.session.connection()
    _insert(connection, "uncontacted", contact.id, message_id, ticket_id, context.now, context.now)


def is_emergency(ticket: Ticket) -> bool:
    """Whether a ticket by itself calls the people on duty."""
    return _kind_of_ticket(ticket, "") is not None


def _kind_of_ticket(ticket: Ticket, text: str) -> str | None:
    if not ticket.urgent:
        return None
    if child_alone(text):
        return CHILD
    if ticket.severity == "burst":
        return "burst"
    return (ticket.danger or "danger") if "danger" in (ticket.intent, *ticket.also) else None


def _insert(
    connection: Connection,
    kind: str,
    contact_id: int,
    message_id: int | None,
    ticket_id: int | None,
    now: datetime,
    next_at: datetime,
) -> None:
    dialect = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row = {"kind": kind, "contact_id": contact_id, "message_id": message_id, "ticket_id": ticket_id}
    row |= {"opened_at": now, "next_at": next_at, "step": 0}
    connection.execute(dialect(_alert).on_conflict_do_nothing(), row)


# --- telling people, step by step


def run(services: Services) -> int:
    """Take the next step of every alert that is due; returns how many there were."""
    due = select(Alert.id).where(Alert.acknowledged_at.is_(None), Alert.next_at <= clock.now())
    with services.database.reading() as session:
        ids = session.scalars(due.order_by(Alert.next_at).limit(BATCH)).all()
    for alert_id in ids:
        try:
            with services.database.transaction() as session:
                _step(services, services.context(session), alert_id)
        except Exception as error:
            # The others must not wait for one that fails; it is tried again at the next look.
            log.error("Alert %s could not be carried on: %s", alert_id, trace(error))
    return len(ids)


def _step(services: Services, context: Context, alert_id: int) -> None:
    """One step, by whoever has the row; a step that another worker has taken meanwhile is not taken twice."""
    session = context.session
    due = select(Alert).where(Alert.id == alert_id, Alert.acknowledged_at.is_(None), Alert.next_at <= context.now)
    alert = session.scalar(due.with_for_update(skip_locked=True, of=Alert))
    if alert is None:
        return
    rule = plan(context.book.raw["alerts"])
    ticket = _ticket_of(session, alert)
    if _is_taken_up(session, alert, ticket) or _is_repeated(session, alert, rule.again):
        acknowledge(context, alert)
        return
    alert.step += 1
    alert.next_at = context.now + rule.repeat
    called = roster.for_alert(session, _where(ticket), context.now)
    late = alert.escalated_at is None and context.now >= alert.opened_at + rule.escalate
    chosen = _next(session, alert, called, rule.times)
    told = [chosen] if chosen else []
    if late:
        told += [one for one in called if one.why == roster.SUPERVISOR and one not in told]
        _escalate(context, alert, ticket)
    _tell(services.channels, context, alert, ticket, told)
    _note(context, alert, ticket)


def _ticket_of(session: Session, alert: Alert) -> Ticket | None:
    """The alert's ticket; found by its message where the ticket came later."""
    if alert.ticket_id is None and alert.message_id is not None:
        alert.ticket_id = session.scalar(select(Message.ticket_id).where(Message.id == alert.message_id))
    ticket = session.get(Ticket, alert.ticket_id) if alert.ticket_id is not None else None
    while ticket is not None and ticket.merged_into_id is not None:
        ticket = session.get(Ticket, ticket.merged_into_id)
    return ticket


def _is_taken_up(session: Session, alert: Alert, ticket: Ticket | None) -> bool:
    """Whether staff have taken the ticket up since the alert began, so that nobody needs to be called any more."""
    if ticket is None or alert.kind == "uncontacted" or ticket.status not in TAKEN_UP:
        return False
    moved = select(Update.id).where(
        Update.ticket_id == ticket.id, Update.actor == "staff", Update.kind == "moved", Update.at >= alert.opened_at
    )
    return session.scalar(moved.limit(1)) is not None


def _is_repeated(session: Session, alert: Alert, again: timedelta) -> bool:
    """Whether the same contact's same danger was acknowledged a moment ago: whoever has it knows."""
    earlier = select(Alert.id).where(
        Alert.contact_id == alert.contact_id,
        Alert.kind == alert.kind,
        Alert.acknowledged_at > alert.opened_at - again,
        Alert.acknowledged_at <= alert.opened_at,
    )
    return alert.kind != "uncontacted" and session.scalar(earlier.limit(1)) is not None


def _where(ticket: Ticket | None) -> Where:
    return Where(ticket.team_id, ticket.community, ticket.building) if ticket is not None else Where()


def _next(session: Session, alert: Alert, called: list[Called], times: int) -> Called | None:
    """Who is told now: the last person until they have been told `times` times, then whoever was told least."""
    if not called:
        return None
    steps = session.execute(
        select(AlertStep.member_id, func.max(AlertStep.step))
        .where(AlertStep.alert_id == alert.id, AlertStep.member_id.is_not(None))
        .group_by(AlertStep.member_id)
        .order_by(func.max(AlertStep.step).desc())
    ).all()
    counts = Counter(
        session.scalars(
            select(AlertStep.member_id).where(AlertStep.alert_id == alert.id, AlertStep.member_id.is_not(None))
        )
    )
    last = steps[0][0] if steps else None
    now = next((one for one in called if one.member.id == last), None)
    if now is not None and counts[last] % times:
        return now
    return min(called, key=lambda one: counts[one.member.id] // times)


def _tell(
    channels: Mapping[str, Channel], context: Context, alert: Alert, ticket: Ticket | None, told: list[Called]
) -> None:
    """Text everybody whose turn it is, and the group; what could not be texted stands at the desk all the same."""
    occasion = f"alert:{alert.id}:{alert.step}"
    params = _params(context, alert, ticket)
    for one in told:
        paging.page(context, channels, one.member, "staff.alert", params, occasion=occasion, ticket=ticket)
        context.session.add(_row(context, alert, one.member.id, one.why))
    if not told:
        context.session.add(_row(context, alert, None, "无人值班"))
    masked = {
        "what": params["what"],
        "address": paging.masked_address(ticket),
        "number": params["number"],
        "people": "、".join(one.member.name for one in told) or "无人值班",
    }
    paging.tell_group(context, channels, "staff.alert_group", masked, occasion=occasion, ticket=ticket)
    context.session.flush()


def _row(context: Context, alert: Alert, member_id: int | None, why: str) -> AlertStep:
    return AlertStep(alert_id=alert.id, step=alert.step, member_id=member_id, why=why, at=context.now, noted=False)


def _params(context: Context, alert: Alert, ticket: Ticket | None) -> dict[str, str]:
    names = plan(context.book.raw["alerts"]).names
    contact = context.session.get_one(Contact, alert.contact_id)
    message = context.session.get(Message, alert.message_id) if alert.message_id is not None else None
    said = paging.brief(message.text) if message is not None and message.text else ""
    phone = paging.phone_of(ticket, contact)
    return {
        "what": names.get(alert.kind, names["danger"]),
        "address": paging.whole_address(ticket),
        "phone": f"，电话{phone}" if phone else "，没留电话",
        "said": f"“{said}”。" if said else "",
        "number": f"单号{ticket.number}。" if ticket is not None else "",
    }


def _escalate(context: Context, alert: Alert, ticket: Ticket | None) -> None:
    """Nobody has answered: the resident hears, once, whom to call themselves."""
    alert.escalated_at = context.now
    contact = context.session.get_one(Contact, alert.contact_id)
    text = render(context.book, "alert.hotline", contact.medium, {})
    outbox.queue(
        context.session,
        contact,
        text,
        occasion=f"alert:{alert.id}:hotline",
        kind="urgent",
        now=context.now,
        ticket=ticket,
        entries=[Entry("alert.hotline")],
    )


def _note(context: Context, alert: Alert, ticket: Ticket | None) -> None:
    """Write the steps that the ticket's history lacks; early ones may be older than the ticket."""
    if ticket is None:
        return
    fresh = select(AlertStep).where(AlertStep.alert_id == alert.id, AlertStep.noted.is_(False))
    for step in context.session.scalars(fresh.order_by(AlertStep.id)):
        name = f"{step.member.name}（{step.why}）" if step.member is not None else step.why
        tickets.add_note(context, ticket, f"险情第{step.step}次通知：{name}", SYSTEM, kind="alerted")
        step.noted = True


# --- acknowledging


def acknowledge(context: Context, alert: Alert, *, staff: Staff | None = None, member: Member | None = None) -> bool:
    """Somebody has it now, and nobody is told any more; False where somebody had it already.

    Without `staff` or `member` it is the work on the ticket that shows it.
    """
    if alert.acknowledged_at is not None:
        return False
    alert.acknowledged_at = context.now
    alert.acknowledged_by = staff.id if staff else None
    alert.acknowledged_member_id = member.id if member else None
    ticket = _ticket_of(context.session, alert)
    context.session.flush()
    if ticket is not None:
        _note(context, alert, ticket)
        actor = Actor("staff", staff_id=staff.id) if staff else SYSTEM
        who = f"{member.name}回复收到" if member else "已确认" if staff else "工单已有人处理"
        tickets.add_note(context, ticket, f"险情：{who}", actor, kind="alerted")
        if member is not None:
            dispatch.take_ticket(context, ticket, member)
    return True


def acknowledge_by_member(context: Context, member: Member) -> list[Alert]:
    """Everything that this member was told of and nobody has acknowledged, acknowledged by them."""
    told = select(AlertStep.alert_id).where(AlertStep.member_id == member.id)
    mine = select(Alert).where(Alert.acknowledged_at.is_(None), Alert.id.in_(told)).with_for_update(of=Alert)
    return [
        alert
        for alert in context.session.scalars(mine.order_by(Alert.id))
        if acknowledge(context, alert, member=member)
    ]


def acknowledge_ticket(context: Context, ticket: Ticket, staff: Staff) -> None:
    """Whoever has spoken with the resident has acknowledged what this ticket was alerted for."""
    mine = select(Alert).where(Alert.ticket_id == ticket.id, Alert.acknowledged_at.is_(None)).with_for_update(of=Alert)
    for alert in context.session.scalars(mine):
        acknowledge(context, alert, staff=staff)
