"""The inbox: when a contact's messages are due, and the lease that keeps them in order."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from bot import clock
from bot.channels import Inbound
from bot.database import Database
from bot.models import LANE_NORMAL, LANE_URGENT, Contact, Message

LEASE = timedelta(seconds=6)
BURST_WINDOW = timedelta(seconds=10)  # from the third message within it on, messages are collected …
BURST_SILENCE = timedelta(seconds=3)  # … until this much silence,
BURST_LIMIT = timedelta(seconds=10)  # … or this long at most
TURN_WINDOW = timedelta(minutes=10)  # a contact with more than …
TURN_LIMIT = 40  # … this many turns within it is a flood, …
FLOOD_SILENCE = timedelta(seconds=30)  # … whose messages, danger excepted, are then handled no more often than this
PILE = 5  # more messages than this waiting at once are one turn, however far apart they came
UNSAID = frozenset(
    {"unfollow", "report", "subscription", "other_event"}
)  # kinds that show nothing of the resident's being there
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


@dataclass(slots=True)
class State:
    """What an arriving message looks at or changes at its contact; the columns have the same names."""

    id: int
    channel: str
    account: str | None
    following: bool
    unreachable_at: datetime | None
    last_inbound_at: datetime | None
    before_last_at: datetime | None
    turns_since: datetime | None
    turns: int
    pending_since: datetime | None
    pending_lane: int
    due_at: datetime | None
    lease_until: datetime | None
    lease_token: str | None
    message_left: int
    message_until: datetime | None
    action_left: int
    action_until: datetime | None
    holding: bool


def note_arrival(state: State, inbound: Inbound, danger: str | None, now: datetime) -> bool:
    """Note a new message at its contact. Whether it may be answered at once: nothing waits before it, and it is due."""
    waiting_before = state.pending_since is not None
    said = inbound.kind in SAID
    # At the phone seat somebody waits on the line for every answer: what is typed there is never collected.
    _make_pending(state, now, danger, said and inbound.medium != "phone")
    if said:
        state.before_last_at, state.last_inbound_at = state.last_inbound_at, now
    if inbound.kind not in UNSAID:
        state.channel, state.account = inbound.channel, inbound.recipient
        state.following, state.unreachable_at = True, None
    state.following = state.following and inbound.kind != "unfollow"
    return not waiting_before and (state.due_at or now) <= now


def _make_pending(contact: State, now: datetime, danger: str | None, said: bool) -> None:
    """Note that the contact has something to handle, and when: danger and single messages now, bursts after silence."""
    if danger:
        contact.pending_lane, contact.due_at = LANE_URGENT, now
    elif contact.pending_lane != LANE_URGENT or contact.due_at is None:
        third = said and contact.before_last_at is not None and contact.before_last_at > now - BURST_WINDOW
        limit = (contact.pending_since or now) + BURST_LIMIT
        contact.due_at = min(now + BURST_SILENCE, limit) if third else min(contact.due_at or now, now)
        if _floods(contact, now):
            contact.due_at = max(contact.due_at, (contact.pending_since or now) + FLOOD_SILENCE)
    contact.pending_since = contact.pending_since or now


def _floods(contact: Contact | State, now: datetime) -> bool:
    """Whether this contact keeps the service busier than any person could."""
    counted = contact.turns_since is not None and contact.turns_since > now - TURN_WINDOW
    return counted and contact.turns >= TURN_LIMIT


def _count_turn(contact: Contact, now: datetime) -> None:
    if contact.turns_since is None or contact.turns_since <= now - TURN_WINDOW:
        contact.turns_since, contact.turns = now, 0
    contact.turns += 1


def lease(state: State, now: datetime) -> bool:
    """Lease the contact, where nobody has it."""
    if state.lease_until is not None and state.lease_until > now:
        return False
    state.lease_token, state.lease_until = secrets.token_hex(8), now + LEASE
    return True


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
    if retry_after is None:
        _count_turn(contact, now)
    if not remaining:
        contact.pending_since = contact.due_at = None
        contact.pending_lane = LANE_NORMAL
        return
    contact.pending_since = min(row.received_at for row in remaining)
    contact.pending_lane = min(row.lane for row in remaining)
    slowed = _floods(contact, now) and contact.pending_lane != LANE_URGENT
    wait = retry_after or (FLOOD_SILENCE if slowed else None)
    contact.due_at = now + wait if wait else max(contact.due_at or now, now)


def in_work(session: Session, message_id: int) -> bool:
    """Whether somebody is handling this message right now."""
    row = session.execute(
        select(Message.handled_at, Contact.lease_until)
        .join(Contact, Contact.id == Message.contact_id)
        .where(Message.id == message_id)
    ).one()
    return row.handled_at is None and row.lease_until is not None and row.lease_until > clock.now()
