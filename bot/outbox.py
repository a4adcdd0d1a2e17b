"""Deliveries: queue, claim, send, retry, and take the providers' reports.

queued → sending → sent → delivered | failed | unknown; also held (no way open now) and suppressed (opted out). Sending
happens outside transactions; what is between a provider's yes and our commit is honestly `unknown`.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot import clock, setbacks, ways
from bot.channels import (
    Channel,
    Entry,
    Misconfigured,
    OtherWay,
    Outgoing,
    Report,
    Retry,
    SendError,
    Sent,
    Unknown,
    Unreachable,
)
from bot.channels.phone import takes_texts
from bot.channels.telephone import TELEPHONE
from bot.database import Database
from bot.models import LANE_NORMAL, LANE_URGENT, Contact, Delivery, Ticket, TicketContact
from bot.night import Night
from bot.rules import RuleBook
from bot.trace import trace
from bot.upsert import insert_new

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=30)
SEND_TIME = timedelta(seconds=15)  # what a send may take; with less left of its lease, it is not begun
PASSIVE_LEASE = timedelta(seconds=15)
BACKOFF = (5, 15, 60, 300, 900, 3600)  # seconds before the next attempt; after the last the delivery has failed

SPOKEN = ("remind:", "lapse:")  # occasions that go on with a conversation: on the phone it has ended

# A report may only move a delivery forward; reports come in any order, repeated and late.
RANK = {"queued": 0, "sending": 1, "unknown": 2, "sent": 3, "failed": 4, "delivered": 5}


def queue(
    session: Session,
    contact: Contact,
    text: str,
    *,
    occasion: str,
    kind: str,
    now: datetime,
    ticket: Ticket | None = None,
    message_id: int | None = None,
    entries: Sequence[Entry] = (),
    passive: bool = False,
    due: datetime | None = None,
) -> int | None:
    """Add a delivery unless this contact has had one for this occasion; returns its id, None where it existed.

    `kind` is reply, urgent or notice; `passive` says that the webhook's own response is about to carry it; `entries` are
    what the text was made of; `due`: not before then.
    """
    unsaid = None if passive else _unsaid(contact, kind, message_id is not None or occasion.startswith(SPOKEN))
    suppressed = unsaid is not None or (kind == "notice" and contact.opted_out_at is not None)
    state = "suppressed" if suppressed else "sending" if passive else "queued"
    row: dict[str, Any] = {
        "contact_id": contact.id,
        "message_id": message_id,
        "ticket_id": ticket.id if ticket else None,
        "occasion": occasion,
        "kind": kind,
        "text": text,
        "keys": [entry.key for entry in entries],
        "params": json.dumps([dict(entry.params) for entry in entries], ensure_ascii=False) if entries else None,
        "state": state,
        "via": "passive" if passive else None,
        "lane": LANE_NORMAL if kind == "notice" else LANE_URGENT,
        "due_at": due or now,
        "created_at": now,
        "attempts": 1 if passive else 0,
        "lease_until": now + PASSIVE_LEASE if passive else None,
        "error": unsaid,
        "done_at": now if suppressed else None,
    }
    return insert_new(session, Delivery, row, ["contact_id", "occasion"])


def _unsaid(contact: Contact, kind: str, answers: bool) -> str | None:
    """Why a text for a caller is not sent: what `answers` them is spoken by who sits at the phone, and a landline takes
    no texts.
    """
    if contact.medium != TELEPHONE.medium:
        return None
    if kind == "reply" and answers:
        return "for the phone seat to say"
    return None if contact.address and takes_texts(contact.address) else "a landline takes no texts"


def drop_unsent(session: Session, ticket: Ticket, now: datetime) -> None:
    """What its contacts were to hear of a ticket and have not been sent yet is overtaken: they hear what follows."""
    parties = select(TicketContact.contact_id).where(TicketContact.ticket_id == ticket.id)
    waiting = update(Delivery).where(
        Delivery.contact_id.in_(parties),
        Delivery.ticket_id == ticket.id,
        Delivery.kind == "notice",
        Delivery.state.in_(("queued", "held")),
    )
    dropped = waiting.values(state="suppressed", waits_for=None, error="overtaken", done_at=now)
    session.execute(dropped.execution_options(synchronize_session=False))


def mark_passive_sent(session: Session, delivery_ids: Sequence[int], at: datetime) -> None:
    """The webhook responses that carried these deliveries have been handed to the network."""
    session.execute(
        update(Delivery)
        .where(Delivery.id.in_(delivery_ids), Delivery.state == "sending", Delivery.via == "passive")
        .values(state="sent", sent_at=at, lease_until=None)
    )


@dataclass(frozen=True, slots=True)
class Claimed:
    """A delivery this worker may send now, with what sending needs."""

    id: int
    kind: str
    channel: str
    attempts: int
    token: str
    until: datetime
    outgoing: Outgoing
    closed: bool = False  # the contact has left this channel: it is not tried


def claim(database: Database, limit: int = 20, night: Night | None = None) -> list[Claimed]:
    """Lease the next due deliveries, most urgent lane first.

    What its contact no longer wants is suppressed, and at `night` what can wait is put off until the morning.
    """
    now, token = clock.now(), secrets.token_hex(8)
    due = (
        select(Delivery.id)
        .where(Delivery.state == "queued", Delivery.due_at <= now)
        .order_by(Delivery.lane, Delivery.due_at, Delivery.id)
        .limit(limit)
    )
    with database.reading() as session:  # an idle poll takes no write lock
        if session.scalar(due.limit(1)) is None:
            return []
    with database.transaction() as session:
        ids = session.scalars(
            update(Delivery)
            .where(Delivery.id.in_(due.with_for_update(skip_locked=True).scalar_subquery()))
            .values(state="sending", lease_until=now + LEASE, lease_token=token, attempts=Delivery.attempts + 1)
            .returning(Delivery.id)
            .execution_options(synchronize_session=False)
        ).all()
        rows = session.execute(
            select(Delivery, Contact)
            .join(Contact, Contact.id == Delivery.contact_id)
            .where(Delivery.id.in_(ids))
            .order_by(Delivery.lane, Delivery.due_at, Delivery.id)
        ).all()
        wanted = [row for row in rows if not _suppress(*row, now) and not _put_off(session, *row, night, now)]
        return [_claimed(delivery, contact, token, now + LEASE) for delivery, contact in wanted]


def _suppress(delivery: Delivery, contact: Contact, now: datetime) -> bool:
    """Whether this is a notice to somebody who has opted out since it was queued; it then ends here."""
    if delivery.kind != "notice" or contact.opted_out_at is None:
        return False
    delivery.state, delivery.done_at, delivery.lease_until = "suppressed", now, None
    return True


def _put_off(session: Session, delivery: Delivery, contact: Contact, night: Night | None, now: datetime) -> bool:
    """Whether this waits until the morning; it is then due when the night ends."""
    morning = night.morning(now) if night is not None else None
    if night is None or morning is None or not night.waits(session, delivery, contact, now):
        return False
    delivery.state, delivery.due_at, delivery.lease_until = "queued", morning, None
    delivery.attempts -= 1
    return True


def _claimed(delivery: Delivery, contact: Contact, token: str, until: datetime) -> Claimed:
    return Claimed(
        id=delivery.id,
        kind=delivery.kind,
        channel=delivery.by or contact.channel,
        attempts=delivery.attempts,
        token=token,
        until=until,
        outgoing=Outgoing(
            to=(ways.number_of(contact) if delivery.by else contact.address) or "",
            text=delivery.text,
            ref=str(delivery.id),
            sender=None if delivery.by else contact.account,
            entries=ways.entries_of(delivery),
        ),
        closed=delivery.by is None and ways.is_closed(contact),
    )


def send(database: Database, channels: Mapping[str, Channel], claimed: Claimed, book: RuleBook | None = None) -> str:
    """Send one leased delivery and record how far it got; returns its new state.

    With the `book` of rules, a text that goes another way is said in that way's words.
    """
    if clock.now() + SEND_TIME > claimed.until:
        return _give_back(database, claimed)
    channel = TELEPHONE if claimed.channel == TELEPHONE.name else channels.get(claimed.channel)
    failure: SendError | None = None
    sent: Sent | None = None
    try:
        if channel is not None:
            sent = _carry(channel, claimed)
        changes = _switched_off(claimed) if sent is None else _sent(sent)
    except SendError as error:
        failure = error
        changes = _after_error(claimed, error)
    except Exception as error:
        # A fault of the channel's own: nobody knows how far it got, and the other deliveries do not wait for it.
        log.error("Delivery %s: channel %s failed: %s", claimed.id, claimed.channel, trace(error))
        failure = Unknown(type(error).__name__)
        changes = _after_error(claimed, failure)
    with database.transaction() as session:
        fresh = session.execute(
            update(Delivery)
            .where(Delivery.id == claimed.id, Delivery.lease_token == claimed.token, Delivery.state == "sending")
            .values(**{"via": claimed.channel, "lease_until": None, **changes})
        )
        if not fresh.rowcount or channel is None:  # type: ignore[attr-defined]
            return str(changes["state"])
        if failure is None:
            _after_success(session, claimed, sent)
            return str(changes["state"])
        return _after_failure(session, claimed, failure, channels, book)


def _carry(channel: Channel, claimed: Claimed) -> Sent:
    if claimed.closed:
        raise Unreachable("has left this channel")
    return channel.send(claimed.outgoing)


def _sent(sent: Sent) -> dict[str, Any]:
    via = {"via": sent.via} if sent.via else {}
    return {"state": "sent", "sent_at": clock.now(), "provider_ref": sent.provider_ref, "error": None, **via}


def _switched_off(claimed: Claimed) -> dict[str, Any]:
    return {"state": "held", "error": f"channel {claimed.channel} is switched off"}


def _give_back(database: Database, claimed: Claimed) -> str:
    """Slow sends before it have used up its lease: another worker may have it now, so it is not sent from here."""
    with database.transaction() as session:
        session.execute(
            update(Delivery)
            .where(Delivery.id == claimed.id, Delivery.lease_token == claimed.token, Delivery.state == "sending")
            .values(state="queued", lease_until=None, lease_token=None, attempts=Delivery.attempts - 1)
        )
    return "queued"


def _after_error(claimed: Claimed, error: SendError) -> dict[str, Any]:
    reason = f"{error.code}: {error.reason}"[:160] if error.code else error.reason[:160]
    now = clock.now()
    if isinstance(error, Misconfigured) and error.waits_for:
        return {"state": "held", "error": reason}
    if isinstance(error, Retry | Misconfigured) and claimed.attempts <= len(BACKOFF):
        wait = error.after or BACKOFF[claimed.attempts - 1]
        return {"state": "queued", "due_at": now + timedelta(seconds=wait), "error": reason}
    if isinstance(error, OtherWay):
        return {"state": "held", "error": reason}
    if isinstance(error, Unknown):
        return _unknown(claimed.kind, claimed.attempts, reason)
    return {"state": "failed", "done_at": now, "error": reason}


def _unknown(kind: str, attempts: int, reason: str) -> dict[str, Any]:
    """An ambiguous send: a reply or an urgent text is sent once more, a notice never."""
    if kind != "notice" and attempts <= 1:
        return {"state": "queued", "due_at": clock.now() + timedelta(seconds=BACKOFF[0]), "error": reason}
    return {"state": "unknown", "done_at": clock.now(), "error": reason}


def _after_success(session: Session, claimed: Claimed, sent: Sent | None) -> None:
    for part in {claimed.channel, sent.via if sent and sent.via else f"{claimed.channel}:message"}:
        ways.mended(session, part)
    setbacks.set_channel_state(session, claimed.channel, True, None)


def _after_failure(
    session: Session, claimed: Claimed, error: SendError, channels: Mapping[str, Channel], book: RuleBook | None
) -> str:
    """What a failure leads to: another way, waiting, a person; returns the delivery's state."""
    delivery = session.get_one(Delivery, claimed.id, populate_existing=True)
    tried = delivery.by
    goes_on = ways.elsewhere(session, delivery, channels, book)
    if not goes_on and delivery.state == "held":
        ways.hold(session, delivery, error)
    part = error.waits_for if isinstance(error, Misconfigured) and error.waits_for else claimed.channel
    setbacks.follow(session, delivery, part, error, final=delivery.state in ("failed", "held"), by=tried)
    return delivery.state


def recover_expired(database: Database) -> int:
    """Take back leases that ran out: their process died between sending and recording. Returns how many."""
    now = clock.now()
    expired = select(Delivery).where(Delivery.state == "sending", Delivery.lease_until < now).limit(100)
    with database.reading() as session:
        if session.scalar(expired.with_only_columns(Delivery.id)) is None:
            return 0
    with database.transaction() as session:
        rows = session.scalars(expired.with_for_update(skip_locked=True)).all()
        for delivery in rows:
            changes = _unknown(delivery.kind, delivery.attempts, "the process ended while sending")
            for name, value in changes.items():
                setattr(delivery, name, value)
            delivery.lease_until = None
        return len(rows)


def take_report(
    session: Session, report: Report, channels: Mapping[str, Channel] | None = None, book: RuleBook | None = None
) -> bool:
    """Apply a provider's status report. Late, repeated and unknown ones change nothing. Returns whether it was known.

    What a report calls failed goes another way where there is one among `channels`.
    """
    delivery = _reported(session, report)
    if delivery is None:
        return False
    if report.code and not delivery.error:
        delivery.error = setbacks.told(report)
    if report.provider_ref == delivery.failed_ref and report.state != "delivered":
        return True  # told once more of the attempt that failed; the other one has its own reports
    if RANK.get(report.state, 0) > RANK.get(delivery.state, 0):
        delivery.state = report.state
        # "sent" settles what was unknown, but it is not the end: delivered or failed may still come.
        delivery.done_at = None if report.state == "sent" else report.at or clock.now()
        if report.state != "failed":
            delivery.sent_at = delivery.sent_at or report.at or clock.now()
        elif report.failure is not None and not ways.elsewhere(session, delivery, channels or {}, book):
            setbacks.after_report(session, delivery, report)
    return True


def _reported(session: Session, report: Report) -> Delivery | None:
    """The delivery a report is about: by the provider's id, or by ours where theirs is only learnt from the report."""
    known = select(Delivery).where(Delivery.provider_ref == report.provider_ref).with_for_update(of=Delivery).limit(1)
    delivery = session.scalar(known)
    if delivery is None and report.ref and report.ref.isascii() and report.ref.isdigit() and len(report.ref) < 19:
        delivery = session.get(Delivery, int(report.ref), with_for_update=True)
        if delivery is None or delivery.provider_ref not in (None, delivery.failed_ref):
            return None
        delivery.provider_ref = report.provider_ref
    return delivery


def requeue(session: Session, delivery_id: int) -> bool:
    """Have a delivery that failed, is held or unknown sent again, as if for the first time; False in any other state."""
    fresh = session.execute(
        update(Delivery)
        .where(Delivery.id == delivery_id, Delivery.state.in_(("failed", "held", "unknown")))
        .values(
            state="queued",
            due_at=clock.now(),
            attempts=0,
            via=None,
            by=None,
            waits_for=None,
            error=None,
            provider_ref=None,
            failed_ref=None,
            sent_at=None,
            done_at=None,
            lease_until=None,
            lease_token=None,
        )
        .execution_options(synchronize_session=False)
    )
    return bool(fresh.rowcount)  # type: ignore[attr-defined]
