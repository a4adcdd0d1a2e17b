"""Every inbound message exactly once: many requests' messages in one transaction, each request told about its own.

A commit costs the same for one message as for twenty. While one transaction is on its way, the messages of all other
requests of this process collect; the next transaction takes them all. A request alone waits for nobody.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select, tuple_
from sqlalchemy.orm import Session

from bot import alerts, clock, crypto, inbox, media, ways
from bot.channels import Inbound
from bot.database import Database
from bot.inbox import Claim, Pending, Received, State
from bot.models import LANE_NORMAL, LANE_URGENT, Contact, Message, Resident
from bot.trace import trace
from bot.upsert import insert_all, update_all
from nlu.danger import match_danger

log = logging.getLogger(__name__)

MAX_TEXT = 5000  # characters kept of one message,
MAX_ID = 128  # … of a provider's id, and
MAX_ACCOUNT = 64  # … of our account's name: what the columns have room for
MOST = 64  # messages of one transaction
Key = tuple[str, str]

# Tables, not classes: this is the path of every message, and the ORM costs more than the rest of it together.
_contact: Any = Contact.__table__
_message: Any = Message.__table__
_KEYS = ("id", "channel", "provider_id")
_SAME = (_contact.c.medium == bindparam("medium"), _contact.c.address_hash.in_(bindparam("hashes", expanding=True)))
_KNOWN = select(_contact.c.address_hash).where(*_SAME)
_STATES = select(_contact.c.address_hash, *(_contact.c[name] for name in State.__slots__)).where(*_SAME)
_LOCKED = {wait: _STATES.order_by(_contact.c.id).with_for_update(skip_locked=not wait) for wait in (True, False)}
_CHANGED = tuple(name for name in State.__slots__ if name not in ("turns_since", "turns"))  # a turn counts itself
_STORED = select(_message.c.contact_id, *(_message.c[name] for name in _KEYS)).where(
    tuple_(_message.c.channel, _message.c.provider_id).in_(bindparam("keys", expanding=True))
)


@dataclass(frozen=True, slots=True)
class Arrival:
    """An inbound message as it will be stored. `claim`: its webhook would answer it at once, if its contact is free."""

    inbound: Inbound
    address_hash: str
    received_at: datetime
    danger: str | None
    claim: bool

    @property
    def key(self) -> Key:
        """What repeated pushes of one message have in common."""
        return self.inbound.channel, self.inbound.provider_id

    @property
    def lane(self) -> int:
        """Danger goes first."""
        return LANE_URGENT if self.danger else LANE_NORMAL


# --- one message after the other


def receive(database: Database, inbound: Inbound, *, claim: bool = True) -> Received:
    """Store a message (once) and, if asked and free, lease its contact. After this commit nothing can lose it."""
    return _receive_alone(database, arriving(inbound, claim=claim))


def _receive_alone(database: Database, arrival: Arrival) -> Received:
    with database.transaction() as session:
        [received] = store(session, [arrival], wait=True)
    if received is None:
        raise RuntimeError("A message that waits for its contact is always stored.")
    return received


def arriving(inbound: Inbound, *, claim: bool) -> Arrival:
    """What can be known of a message before a transaction is opened for it."""
    inbound = _clean(inbound)
    danger = match_danger(inbound.text) if inbound.text else None
    return Arrival(inbound, crypto.blind_index(inbound.medium, inbound.sender), clock.now(), danger, claim)


def _clean(inbound: Inbound) -> Inbound:
    """What a sender cannot be trusted to send: valid Unicode, no NUL (it breaks PostgreSQL), and a sensible length."""
    provider_id = storable(inbound.provider_id)
    if len(provider_id) > MAX_ID:  # two that only differ at their ends are still two
        provider_id = hashlib.sha256(provider_id.encode()).hexdigest()
    return replace(
        inbound,
        provider_id=provider_id,
        sender=storable(inbound.sender),
        recipient=storable(inbound.recipient)[:MAX_ACCOUNT],
        text=storable(inbound.text[:MAX_TEXT]),
    )


def storable(text: str) -> str:
    """Text that both databases can hold: valid Unicode without NUL."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode()


# --- many at once


@dataclass(slots=True)
class _Waiting:
    """A request whose messages are to be stored. `turn` opens when they are, or when it is its turn to store for all."""

    arrivals: list[Arrival]
    turn: threading.Lock
    received: list[Received | None] | None = None


@dataclass(slots=True)
class Intake:
    """Stores the messages of all requests of a process; safe to share between threads.

    Whoever comes while nobody is storing stores everything that waits, then hands over to the next who waits.
    """

    database: Database
    _waiting: list[_Waiting] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _storing: bool = False

    def receive(self, inbound: Inbound, *, claim: bool = True) -> Received:
        """See `receive`."""
        return self.receive_all([inbound], claim=claim)[0]

    def receive_all(self, inbounds: Sequence[Inbound], *, claim: bool = False) -> list[Received]:
        """The same for the messages of one webhook. What cannot be stored with others' messages is stored alone; when
        that fails too, it raises for this request only.
        """
        if not inbounds:
            return []
        mine = _Waiting([arriving(inbound, claim=claim) for inbound in inbounds], threading.Lock())
        mine.turn.acquire()
        with self._lock:
            self._waiting.append(mine)
            storing, self._storing = self._storing, True
        if storing:
            mine.turn.acquire()
        if mine.received is None:
            self._store_waiting()
        received = mine.received or [None] * len(mine.arrivals)
        return [
            found or _receive_alone(self.database, arrival)
            for arrival, found in zip(mine.arrivals, received, strict=True)
        ]

    def _store_waiting(self) -> None:
        """Store what waits, oldest first, tell those who wait, and let the next one go on with what has come since."""
        with self._lock:
            batch: list[_Waiting] = []
            size = 0
            while self._waiting and (not batch or size + len(self._waiting[0].arrivals) <= MOST):
                batch.append(self._waiting.pop(0))
                size += len(batch[-1].arrivals)
        try:
            self._store(batch)
        finally:
            for waiting in batch:
                waiting.received = waiting.received or [None] * len(waiting.arrivals)
            with self._lock:
                self._storing = bool(self._waiting)
                following = self._waiting[0] if self._waiting else None
            for waiting in [following, *batch] if following else batch:
                waiting.turn.release()

    def _store(self, batch: list[_Waiting]) -> None:
        try:
            with self.database.transaction() as session:
                arrivals = [arrival for waiting in batch for arrival in waiting.arrivals]
                received = iter(store(session, arrivals, wait=False))
        except Exception as error:
            log.warning("%d messages could not be stored together: %s", len(batch), trace(error))
            return
        for waiting in batch:
            waiting.received = [next(received) for _ in waiting.arrivals]


# --- in the transaction


def store(session: Session, arrivals: Sequence[Arrival], *, wait: bool) -> list[Received | None]:
    """Store messages in the order in which they came, and say what became of each.

    Without `wait`, messages of a contact whom somebody else has locked are left out (None): many residents must not
    wait for one, and two batches never for each other.
    """
    connection = session.connection()
    firsts: dict[Key, Arrival] = {}
    for arrival in arrivals:
        firsts.setdefault(arrival.key, arrival)
    states = _states(connection, list(firsts.values()), wait)
    kept = [arrival for arrival in firsts.values() if arrival.address_hash in states]
    ids = _insert(connection, [_row(arrival, states[arrival.address_hash].id) for arrival in kept])
    new = {arrival.key: arrival for arrival in kept if arrival.key in ids}
    for key, arrival in new.items():
        ways.arrived(connection, states[arrival.address_hash], arrival.inbound, arrival.received_at)
        media.want(connection, arrival.inbound, ids[key], arrival.received_at)
        if (alarming := alerts.kind_of(arrival.danger, arrival.inbound.text)) is not None:
            contact_id = states[arrival.address_hash].id
            alerts.store(connection, alarming, contact_id, ids[key], arrival.received_at)
    claims = {key: _arrive(states[arrival.address_hash], arrival, ids[key]) for key, arrival in new.items()}
    touched = {arrival.address_hash for arrival in new.values()}
    update_all(connection, Contact, [_columns(states[address_hash]) for address_hash in touched])
    known = {key: Received(ids[key], states[arrival.address_hash].id, new=False) for key, arrival in new.items()}
    known |= _stored(connection, [arrival.key for arrival in kept if arrival.key not in ids])
    return [
        replace(known[arrival.key], new=True, claim=claims[arrival.key])
        if new.get(arrival.key) is arrival
        else known.get(arrival.key)
        for arrival in arrivals
    ]


def _states(connection: Connection, arrivals: Sequence[Arrival], wait: bool) -> dict[str, State]:
    """The contacts who sent these, locked, by the hash of their address; made at their first message."""
    senders = {arrival.address_hash: arrival for arrival in reversed(arrivals)}
    states = _lock(connection, senders, wait)
    strangers = {key: sender for key, sender in senders.items() if key not in states}
    if strangers and not wait:  # they are locked, or there are none
        known = [found.address_hash for found in _of_each_medium(connection, _KNOWN, strangers)]
        strangers = {key: sender for key, sender in strangers.items() if key not in known}
    if strangers:
        states |= _make(connection, strangers)
        if wait and len(states) < len(senders):  # another request made them between our look and our insert
            states |= _lock(connection, {key: sender for key, sender in strangers.items() if key not in states}, wait)
    return states


def _lock(connection: Connection, senders: Mapping[str, Arrival], wait: bool) -> dict[str, State]:
    rows = _of_each_medium(connection, _LOCKED[wait], senders)
    return {address_hash: State(*values) for address_hash, *values in rows}


def _of_each_medium(connection: Connection, statement: Any, senders: Mapping[str, Arrival]) -> list[Any]:
    """The rows of these senders; the index that finds them begins with the medium."""
    rows: list[Any] = []
    for medium in sorted({sender.inbound.medium for sender in senders.values()}):
        hashes = [key for key, sender in senders.items() if sender.inbound.medium == medium]
        rows += connection.execute(statement, {"medium": medium, "hashes": hashes})
    return rows


def _make(connection: Connection, strangers: Mapping[str, Arrival]) -> dict[str, State]:
    """New residents and their contacts; without those whom another transaction made meanwhile."""
    ordered = [strangers[key] for key in sorted(strangers)]  # two transactions that make the same wait in one order
    residents = _make_residents(connection, ordered)
    rows = [_contact_row(arrival, resident) for arrival, resident in zip(ordered, residents, strict=True)]
    made = insert_all(connection, Contact, rows, ("id", "resident_id", "address_hash"), ("medium", "address_hash"))
    if lost := set(residents) - {row.resident_id for row in made}:
        connection.execute(delete(Resident).where(Resident.id.in_(lost)))
    given = {row["address_hash"]: row for row in rows}
    return {row.address_hash: _blank(row.id, given[row.address_hash]) for row in made}


def _make_residents(connection: Connection, arrivals: Sequence[Arrival]) -> list[int]:
    """A new resident for each; their ids. Of senders of SMS and of callers the phone is known already."""
    ids: dict[str | None, list[int]] = defaultdict(list)
    rows = [_resident_row(arrival) for arrival in arrivals]
    for made in insert_all(connection, Resident, rows, ("id", "phone_hash")):
        ids[made.phone_hash].append(made.id)
    return [ids[row["phone_hash"]].pop() for row in rows]


def _blank(contact_id: int, row: Mapping[str, Any]) -> State:
    """The state of a contact that has just been made of `row`."""
    values: dict[str, Any] = {name: row.get(name) for name in State.__slots__}
    return State(**{**values, "id": contact_id})


def _resident_row(arrival: Arrival) -> dict[str, Any]:
    phone = arrival.inbound.sender if arrival.inbound.medium in ("sms", "phone") else None
    phone_hash = crypto.blind_index("phone", phone) if phone is not None else None
    return {"created_at": arrival.received_at, "phone": phone, "phone_hash": phone_hash}


def _contact_row(arrival: Arrival, resident_id: int) -> dict[str, Any]:
    return {
        "resident_id": resident_id,
        "medium": arrival.inbound.medium,
        "channel": arrival.inbound.channel,
        "address": arrival.inbound.sender,
        "address_hash": arrival.address_hash,
        "account": arrival.inbound.recipient,
        "created_at": arrival.received_at,
        "following": True,
        "pending_lane": LANE_NORMAL,
        "turns": 0,
        "message_left": 0,
        "action_left": 0,
        "holding": False,
    }


def _row(arrival: Arrival, contact_id: int) -> dict[str, Any]:
    inbound = arrival.inbound
    return {
        "contact_id": contact_id,
        "channel": inbound.channel,
        "provider_id": inbound.provider_id,
        "kind": inbound.kind,
        "text": inbound.text,
        # Escaped, so that a lone surrogate in it can be encrypted.
        "payload": json.dumps(inbound.payload) if inbound.payload else None,
        "received_at": arrival.received_at,
        "sent_at": inbound.sent_at,
        "lane": arrival.lane,
        "danger": arrival.danger,
        "attempts": 0,
        "told_waiting": False,
    }


def _insert(connection: Connection, rows: list[dict[str, Any]]) -> dict[Key, int]:
    """The ids of the messages that were not there before."""
    unique = ("channel", "provider_id")
    return {(row.channel, row.provider_id): row.id for row in insert_all(connection, Message, rows, _KEYS, unique)}


def _arrive(state: State, arrival: Arrival, message_id: int) -> Claim | None:
    """Note a new message at its contact; a claim where its webhook asked for one and nothing stands before it."""
    inbound, now = arrival.inbound, arrival.received_at
    free = inbox.note_arrival(state, inbound, arrival.danger, now)
    if not (arrival.claim and free and inbox.lease(state, now)):
        return None
    only = Pending(message_id, inbound.kind, inbound.text, now, inbound.sent_at, arrival.lane, arrival.danger)
    return Claim(state.id, str(state.lease_token), state.lease_until or now, only)


def _columns(state: State) -> dict[str, Any]:
    return {name: getattr(state, name) for name in _CHANGED}


def _stored(connection: Connection, keys: Sequence[Key]) -> dict[Key, Received]:
    """What became of messages that had been there before."""
    rows = connection.execute(_STORED, {"keys": keys}) if keys else ()
    return {(row.channel, row.provider_id): Received(row.id, row.contact_id, new=False) for row in rows}
