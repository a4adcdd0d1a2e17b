"""Every inbound message exactly once, and the lease that keeps one contact's messages in order."""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from bot import clock, crypto
from bot.channels import Inbound
from bot.database import Database
from bot.models import LANE_NORMAL, LANE_URGENT, Contact, Message, Resident
from bot.upsert import insert_new, insert_object
from nlu.danger import match_danger

LEASE = timedelta(seconds=6)
BURST_WINDOW = timedelta(seconds=10)  # from the third message within it on, messages are collected …
BURST_SILENCE = timedelta(seconds=3)  # … until this much silence,
BURST_LIMIT = timedelta(seconds=10)  # … or this long at most
MAX_TEXT = 5000  # characters kept of one message,
MAX_ID = 128  # … of a provider's id, and
MAX_ACCOUNT = 64  # … of our account's name: what the columns have room for
UNSAID = frozenset({"unfollow", "report", "other_event"})  # kinds that show nothing of the resident's being there
SAID = frozenset({"text", "voice"})  # kinds that residents say something with; following an account is no burst


_MINE = (Message.contact_id == bindparam("contact_id"), Message.handled_at.is_(None))
_PENDING = select(
    Message.id,
    Message.kind,
    Message.text,
    Message.received_at,
    Message.sent_at,
    Message.lane,
    Message.danger,
    Message.attempts,
    Message.told_waiting,
).where(*_MINE)
_REMAINING = select(Message.received_at, Message.lane).where(*_MINE)
_BY_ADDRESS = (
    select(Contact)
    .where(Contact.medium == bindparam("medium"), Contact.address_hash == bindparam("hash"))
    .with_for_update(of=Contact)
)
_LEASED = (
    select(Contact)
    .where(Contact.id == bindparam("contact_id"), Contact.lease_token == bindparam("token"))
    .with_for_update(of=Contact)
)


@dataclass(frozen=True, slots=True)
class Pending:
    """An unhandled message, as a turn needs it."""

    id: int
    kind: str
    text: str
    received_at: datetime
    sent_at: datetime | None
    lane: int
    danger: str | None
    attempts: int = 0
    told_waiting: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to handle a contact's messages until `until`."""

    contact_id: int
    token: str
    until: datetime
    only: Pending | None = None  # the one message to handle, where the claimer has just stored it


@dataclass(frozen=True, slots=True)
class Received:
    """What became of an inbound message. `claim` is set when the webhook may answer it itself, at once."""

    message_id: int
    contact_id: int
    new: bool
    claim: Claim | None = None


def receive(database: Database, inbound: Inbound, *, claim: bool = True) -> Received:
    """Store a message (once) and, if asked and free, lease its contact. After this commit nothing can lose it."""
    with database.transaction() as session:
        return store(session, inbound, claim=claim)


def store(session: Session, inbound: Inbound, *, claim: bool) -> Received:
    """`receive` within the caller's transaction."""
    now, inbound = clock.now(), _clean(inbound)
    contact = _contact(session, inbound, now)
    row = _row(inbound, contact, now)
    message_id = insert_new(session, Message, row, ["channel", "provider_id"])
    if message_id is None:
        same = (Message.channel == row["channel"], Message.provider_id == row["provider_id"])
        return Received(session.scalars(select(Message.id).where(*same)).one(), contact.id, new=False)
    waiting_before = contact.pending_since is not None
    said = inbound.kind in SAID
    _make_pending(contact, now, row["danger"], said)
    if said:
        contact.before_last_at, contact.last_inbound_at = contact.last_inbound_at, now
    if inbound.kind not in UNSAID:
        contact.channel, contact.account = inbound.channel, inbound.recipient
        contact.following, contact.unreachable_at = True, None
    contact.following = contact.following and inbound.kind != "unfollow"
    if not claim or waiting_before or (contact.due_at or now) > now:
        return Received(message_id, contact.id, new=True)
    only = Pending(message_id, row["kind"], row["text"], now, inbound.sent_at, row["lane"], row["danger"])
    return Received(message_id, contact.id, new=True, claim=_lease(contact, now, only))


def _clean(inbound: Inbound) -> Inbound:
    """What a sender cannot be trusted to send: valid Unicode, no NUL (it breaks PostgreSQL), and a sensible length."""
    provider_id = _storable(inbound.provider_id)
    if len(provider_id) > MAX_ID:  # two that only differ at their ends are still two
        provider_id = hashlib.sha256(provider_id.encode()).hexdigest()
    return replace(
        inbound,
        provider_id=provider_id,
        sender=_storable(inbound.sender),
        recipient=_storable(inbound.recipient)[:MAX_ACCOUNT],
        text=_storable(inbound.text[:MAX_TEXT]),
    )


def _storable(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "ignore").decode()


def _row(inbound: Inbound, contact: Contact, now: datetime) -> dict[str, Any]:
    danger = match_danger(inbound.text) if inbound.text else None
    return {
        "contact_id": contact.id,
        "channel": inbound.channel,
        "provider_id": inbound.provider_id,
        "kind": inbound.kind,
        "text": inbound.text,
        # Escaped, so that a lone surrogate in it can be encrypted.
        "payload": json.dumps(inbound.payload) if inbound.payload else None,
        "received_at": now,
        "sent_at": inbound.sent_at,
        "lane": LANE_URGENT if danger else LANE_NORMAL,
        "danger": danger,
        "attempts": 0,
        "told_waiting": False,
    }


def _contact(session: Session, inbound: Inbound, now: datetime) -> Contact:
    """The contact who sent this, locked; made at the first message."""
    hashed = crypto.blind_index(inbound.medium, inbound.sender)
    found = {"medium": inbound.medium, "hash": hashed}
    contact = session.scalar(_BY_ADDRESS, found)
    if contact is not None:
        return contact
    resident = Resident(created_at=now)
    if inbound.medium == "sms":
        resident.phone, resident.phone_hash = inbound.sender, crypto.blind_index("phone", inbound.sender)
    session.add(resident)
    session.flush()
    row = {
        "resident_id": resident.id,
        "medium": inbound.medium,
        "channel": inbound.channel,
        "address": inbound.sender,
        "address_hash": hashed,
        "account": inbound.recipient,
        "created_at": now,
        "following": True,
        "pending_lane": LANE_NORMAL,
    }
    made = insert_object(session, Contact, row, ["medium", "address_hash"])
    if made is None:
        session.delete(resident)  # another request made this contact between our look and our insert
    return made or session.scalars(_BY_ADDRESS, found).one()


def _make_pending(contact: Contact, now: datetime, danger: str | None, said: bool) -> None:
    """Note that the contact has something to handle, and when: danger and single messages now, bursts after silence."""
    if danger:
        contact.pending_lane, contact.due_at = LANE_URGENT, now
    elif contact.pending_lane != LANE_URGENT or contact.due_at is None:
        third = said and contact.before_last_at is not None and contact.before_last_at > now - BURST_WINDOW
        limit = (contact.pending_since or now) + BURST_LIMIT
        contact.due_at = min(now + BURST_SILENCE, limit) if third else min(contact.due_at or now, now)
    contact.pending_since = contact.pending_since or now


def _lease(contact: Contact, now: datetime, only: Pending) -> Claim | None:
    if contact.lease_until is not None and contact.lease_until > now:
        return None
    contact.lease_token, contact.lease_until = secrets.token_hex(8), now + LEASE
    return Claim(contact.id, contact.lease_token, contact.lease_until, only)


def claim_next(database: Database, limit: int = 10) -> list[Claim]:
    """Lease contacts whose messages are due, danger first, then the oldest."""
    now, token = clock.now(), secrets.token_hex(8)
    due = (
        select(Contact.id)
        .where(Contact.due_at <= now, (Contact.lease_until.is_(None)) | (Contact.lease_until <= now))
        .order_by(Contact.pending_lane, Contact.due_at, Contact.id)
        .limit(limit)
    )
    with database.reading() as session:  # an idle poll takes no write lock
        if session.scalar(due.limit(1)) is None:
            return []
    with database.transaction() as session:
        ids = session.scalars(
            update(Contact)
            .where(Contact.id.in_(due.with_for_update(skip_locked=True).scalar_subquery()))
            .values(lease_token=token, lease_until=now + LEASE)
            .returning(Contact.id)
            .execution_options(synchronize_session=False)
        ).all()
    return [Claim(contact_id, token, now + LEASE) for contact_id in ids]


def still_ours(session: Session, claim: Claim) -> Contact | None:
    """The contact, locked, if the lease is still this claim's; None when somebody else has it."""
    return session.scalar(_LEASED, {"contact_id": claim.contact_id, "token": claim.token})


def unhandled(session: Session, contact_id: int) -> list[Pending]:
    """The contact's unhandled messages, danger first, then by the provider's time."""
    rows = session.execute(_PENDING, {"contact_id": contact_id})
    return sorted((Pending(*row) for row in rows), key=lambda m: (m.lane, m.sent_at or m.received_at, m.id))


def settle(session: Session, contact: Contact, *, retry_after: timedelta | None = None) -> None:
    """Give the lease back and say when the contact's remaining messages are due, if any remain."""
    now = clock.now()
    remaining = session.execute(_REMAINING, {"contact_id": contact.id}).all()
    contact.lease_token = contact.lease_until = None
    if not remaining:
        contact.pending_since = contact.due_at = None
        contact.pending_lane = LANE_NORMAL
        return
    contact.pending_since = min(row.received_at for row in remaining)
    contact.pending_lane = min(row.lane for row in remaining)
    contact.due_at = now + retry_after if retry_after else max(contact.due_at or now, now)


def in_work(session: Session, message_id: int) -> bool:
    """Whether somebody is handling this message right now."""
    row = session.execute(
        select(Message.handled_at, Contact.lease_until)
        .join(Contact, Contact.id == Message.contact_id)
        .where(Message.id == message_id)
    ).one()
    return row.handled_at is None and row.lease_until is not None and row.lease_until > clock.now()
