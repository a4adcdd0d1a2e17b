"""The ways to a resident: what their acts open, another channel where one is closed, and what waits until it opens again.

WeChat rations what may be pushed. Where its ways are closed a text goes out by SMS to the phone that the resident has
told us; without one it is held, stands on the desk, and leaves with the resident's next word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.orm import Session

from bot import clock, crypto
from bot.channels import Channel, Entry, Inbound, SendError
from bot.channels.phone import normalise
from bot.database import Database
from bot.inbox import UNSAID, State
from bot.models import ChannelState, Contact, Delivery
from bot.rules import RuleBook
from bot.texts import exists, render

INBOUND = "inbound"  # what `Delivery.waits_for` says of a text that waits for the resident's next word
STALE = timedelta(days=3)  # what was held for longer is old news and stays on the desk
SOON = timedelta(seconds=5)  # after the answer to the word that opened the way
PROBE = timedelta(minutes=10)  # how often one of the texts that wait for a red channel is tried
MAINLAND_FIRST = ("aliyun", "tencent", "twilio")  # by whom a text message goes out where the resident never wrote one


# --- what a resident's act opens


def arrived(connection: Connection, state: State, inbound: Inbound, now: datetime) -> None:
    """Before a new message is noted at its contact: fill the ledger, and let out what waited for it."""
    grant = inbound.grant
    if grant is not None:
        until = min(inbound.sent_at or now, now) + grant.lasts
        if grant.name == "message":
            state.message_left, state.message_until = grant.left, until
        else:
            state.action_left, state.action_until = grant.left, until
    if not state.following and inbound.kind not in UNSAID:
        # Who left was unlinked from their address (bot/unlink.py); they are back.
        back = update(_contact).where(_contact.c.id == state.id).values(address=inbound.sender)
        connection.execute(back)
    if state.holding and grant is not None:
        state.holding = False
        _release(connection, state.id, now)


_contact: Any = Contact.__table__
_delivery: Any = Delivery.__table__


def _release(connection: Connection, contact_id: int, now: datetime) -> None:
    """Queue what waited; of one ticket only the last news, for the earlier ones are no longer true."""
    d = _delivery.c
    mine = (d.contact_id == contact_id, d.state == "held", d.waits_for == INBOUND)
    rows = connection.execute(select(d.id, d.ticket_id, d.kind).where(*mine, d.created_at > now - STALE).order_by(d.id))
    fresh: list[int] = []
    last: dict[int, int] = {}
    for row in rows:
        if row.ticket_id is None or row.kind != "notice":
            fresh.append(row.id)
        else:
            last[row.ticket_id] = row.id
    ids = [*fresh, *last.values()]
    overtaken = update(_delivery).where(*mine, d.created_at > now - STALE, d.id.not_in(ids))
    connection.execute(
        overtaken.values(state="suppressed", done_at=now, waits_for=None, error="overtaken by later news")
    )
    queued = update(_delivery).where(d.id.in_(ids))
    connection.execute(queued.values(state="queued", due_at=now + SOON, waits_for=None, attempts=0))


# --- where the contact's own way is closed


def is_closed(contact: Contact) -> bool:
    """Whether nothing can be sent to this contact by its own channel, so that it is not tried."""
    left = contact.medium != "sms" and contact.unreachable_at is not None
    return contact.address is None or not contact.following or left


def elsewhere(session: Session, delivery: Delivery, channels: Mapping[str, Channel], book: RuleBook | None) -> bool:
    """Queue a text that its own channel did not take for SMS, where the resident has told us a phone."""
    contact = session.get_one(Contact, delivery.contact_id)
    if contact.medium == "sms" or delivery.by is not None or delivery.state not in ("held", "failed"):
        return False
    name = _sms_channel(session, contact, delivery, channels)
    if name is None:
        return False
    delivery.by, delivery.state, delivery.due_at, delivery.attempts = name, "queued", clock.now(), 0
    delivery.via = delivery.provider_ref = delivery.done_at = delivery.sent_at = None
    delivery.text = _reworded(delivery, book)
    return True


def _sms_channel(session: Session, contact: Contact, delivery: Delivery, channels: Mapping[str, Channel]) -> str | None:
    """The SMS provider to use, where the resident has a phone and has not refused such a text on it."""
    if not contact.resident.phone:
        return None
    on_phone = by_phone(session, contact)
    if on_phone is not None:
        if on_phone.unreachable_at is not None or (delivery.kind == "notice" and on_phone.opted_out_at is not None):
            return None
        if on_phone.channel in channels:
            return on_phone.channel
    return next((name for name in MAINLAND_FIRST if name in channels), None)


def by_phone(session: Session, contact: Contact) -> Contact | None:
    """The same resident on SMS, if that phone has ever written."""
    phone = contact.resident.phone
    if not phone:
        return None
    hashed = crypto.blind_index("sms", normalise(phone))
    return session.scalar(select(Contact).where(Contact.medium == "sms", Contact.address_hash == hashed))


def number_of(contact: Contact) -> str:
    """The resident's phone as SMS providers take it."""
    return normalise(contact.resident.phone or "")


def _reworded(delivery: Delivery, book: RuleBook | None) -> str:
    """The same in the shorter words of SMS, where the catalogue knows what was said."""
    entries = entries_of(delivery)
    if book is None or not entries or not all(exists(book, entry.key) for entry in entries):
        return delivery.text
    return "\n".join(render(book, entry.key, "sms", entry.params) for entry in entries)


def entries_of(delivery: Delivery) -> tuple[Entry, ...]:
    """What a delivery's text was made of; empty for what was typed, and for what was queued before parameters were kept."""
    params = json.loads(delivery.params) if delivery.params else []
    if len(params) != len(delivery.keys):
        return ()
    return tuple(Entry(key, values) for key, values in zip(delivery.keys, params, strict=True))


def left(contact: Contact, now: datetime) -> int | None:
    """How many texts may be pushed to a contact now, before they write again; None where nothing is rationed."""
    if contact.medium in ("sms", "phone"):
        return None
    open_ones = ((contact.message_left, contact.message_until), (contact.action_left, contact.action_until))
    return sum(count for count, until in open_ones if until is not None and until > now)


# --- what is held


def hold(session: Session, delivery: Delivery, error: SendError) -> None:
    """Note what a held text waits for: a while, the resident's next word, or a channel that a person must mend."""
    if error.after is not None:
        delivery.state, delivery.due_at = "queued", clock.now() + timedelta(seconds=error.after)
    elif error.waits_for == INBOUND:
        delivery.waits_for = INBOUND
        session.execute(update(Contact).where(Contact.id == delivery.contact_id).values(holding=True))
    elif error.waits_for is not None:
        delivery.waits_for, delivery.due_at = error.waits_for, clock.now() + PROBE


def mended(session: Session, part: str) -> None:
    """A part of a channel works again: what waited for it is queued."""
    state = session.get(ChannelState, part)
    if state is None or state.ok:
        return
    state.ok, state.reason, state.changed_at = True, None, clock.now()
    session.execute(
        update(Delivery)
        .where(Delivery.state == "held", Delivery.waits_for == part)
        .values(state="queued", waits_for=None, due_at=clock.now(), attempts=0)
        .execution_options(synchronize_session=False)
    )


def probe(database: Database) -> int:
    """Let one of the texts that wait for a red channel try, every PROBE; returns how many. A success frees the rest."""
    now = clock.now()
    due = (
        select(Delivery.id, Delivery.waits_for)
        .where(Delivery.state == "held", Delivery.waits_for.is_not(None), Delivery.waits_for != INBOUND)
        .where(Delivery.due_at <= now)
        .order_by(Delivery.waits_for, Delivery.due_at, Delivery.id)
        .limit(1)
    )
    with database.reading() as session:
        if session.execute(due).first() is None:
            return 0
    with database.transaction() as session:
        row = session.execute(due.with_for_update(skip_locked=True)).first()
        if row is None:
            return 0
        waiting = update(Delivery).where(Delivery.state == "held", Delivery.waits_for == row.waits_for)
        quiet = waiting.execution_options(synchronize_session=False)
        session.execute(quiet.values(due_at=now + PROBE))
        session.execute(
            quiet.where(Delivery.id == row.id).values(state="queued", waits_for=None, due_at=now, attempts=0)
        )
    return 1
