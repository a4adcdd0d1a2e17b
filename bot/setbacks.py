"""What follows when a text did not get through: tried once more, the contact marked, the channel red, a person calls.

A provider may say so at once (sending raises) or hours later (a report); both lead here.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import clock, ways
from bot.channels import Filtered, Misconfigured, OptedOut, Report, Retry, SendError, Unknown, Unreachable
from bot.models import Callback, ChannelState, Contact, Delivery, Message
from bot.rules import in_force
from bot.upsert import insert_ignoring

log = logging.getLogger(__name__)

AGAIN = timedelta(minutes=30)  # until a text that a report called undelivered is sent once more
CALL_URGENT = timedelta(minutes=15)  # as any other call about danger
# Entries that nobody needs to be called about when they do not arrive.
_COURTESIES = frozenset({"unsubscribe", "greet", "thanks", "affirm", "staff"})
_BESIDE = frozenset({"privacy.notice"})  # is said beside an answer, whatever that is


def told(report: Report) -> str:
    """A report's code with its meaning, as the desk shows it."""
    reason = f"{report.code}: {report.failure.reason}" if report.failure else str(report.code)
    return reason[:160]


def after_report(session: Session, delivery: Delivery, report: Report) -> None:
    """A report says that a text which the provider had taken has failed; what may still arrive is sent once more."""
    error = report.failure
    if error is None:
        return
    if isinstance(error, Retry | Unknown) and delivery.failed_ref is None:
        wait = timedelta(seconds=error.after) if error.after else AGAIN
        delivery.state, delivery.done_at = "queued", None
        delivery.due_at, delivery.failed_ref = clock.now() + wait, delivery.provider_ref
        return
    follow(session, delivery, report.channel, error, final=True, by=delivery.by)


def follow(
    session: Session, delivery: Delivery, channel: str, error: SendError, *, final: bool, by: str | None = None
) -> None:
    """Note what an error says of the contact and the channel; where this text is lost to them, a person calls.

    `by`: the other channel that was tried, in place of the contact's own.
    """
    now = clock.now()
    contact = session.get_one(Contact, delivery.contact_id, with_for_update={"of": Contact})
    tried = ways.by_phone(session, contact) if by else contact
    if tried is not None and isinstance(error, OptedOut):
        tried.opted_out_at = tried.opted_out_at or now
    if tried is not None and isinstance(error, Unreachable):
        tried.unreachable_at = now
    if isinstance(error, Misconfigured):
        set_channel_state(session, channel, False, error.reason)
    if isinstance(error, Filtered):
        log.error("%s refuses the wording of %s (%s)", channel, "+".join(delivery.keys) or "a text", error.code)
    if final and (contact.medium == "sms" or by) and _owes_call(session, delivery):
        _owe_call(session, delivery, now)


def _owes_call(session: Session, delivery: Delivery) -> bool:
    """Whether this was an answer that somebody waits for."""
    if delivery.kind == "notice":
        return False
    families = {key.split(".")[0] for key in delivery.keys if key not in _BESIDE}
    return not families or not families <= _COURTESIES


def _owe_call(session: Session, delivery: Delivery, now: datetime) -> None:
    open_one = select(Callback.id).where(
        Callback.contact_id == delivery.contact_id, Callback.reason == "unreached", Callback.done_at.is_(None)
    )
    if session.scalar(open_one) is not None:
        return
    minutes = timedelta(minutes=int(in_force(session, "dialogue", now)["callback_minutes"]))
    answered = session.get(Message, delivery.message_id) if delivery.message_id is not None else None
    session.add(
        Callback(
            contact_id=delivery.contact_id,
            ticket_id=delivery.ticket_id or (answered.ticket_id if answered else None),
            message_id=delivery.message_id,
            reason="unreached",
            created_at=now,
            due_at=now + (CALL_URGENT if delivery.kind == "urgent" else minutes),
        )
    )
    session.flush()


def set_channel_state(session: Session, channel: str, ok: bool, reason: str | None) -> None:
    """Turn a channel red after a refused credential, green again after a success."""
    state = session.get(ChannelState, channel)
    if state is None:
        row = {"channel": channel, "ok": ok, "reason": reason, "changed_at": clock.now()}
        insert_ignoring(session, ChannelState, [row], ["channel"])
    elif state.ok != ok or state.reason != reason:
        state.ok, state.reason, state.changed_at = ok, reason, clock.now()
