"""Calls that nobody picked up: kept once, owed a call, answered by one text; what the caller then reports settles them.

Not texted: landlines, who has opted out or cannot be reached by SMS, who had the text a few hours ago, and who rang too
long ago (the rule `missed_calls`). A call of the night is answered at once as long as the caller is surely awake (the rule
`night`), else in the morning.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import exists, select, update
from sqlalchemy.orm import Session

from bot import callers, calls, night, outbox
from bot.call_models import MissedCall
from bot.change import Context
from bot.channels import Entry
from bot.channels.phone import takes_texts
from bot.channels.telephone import TELEPHONE
from bot.models import Callback, Contact, Delivery, Ticket
from bot.texts import render
from bot.upsert import insert_new

REASON = "missed"
TEXT = "call.missed"
_ID = 64  # characters of a call's id that the column has room for


@dataclass(frozen=True, slots=True)
class Ring:
    """One call that nobody picked up: who rang (E.164), when, and the telephone system's id of the call."""

    number: str
    at: datetime
    call_id: str


@dataclass(slots=True)
class Noted:
    """What became of some calls: new ones, those known before, and those new ones that were texted."""

    new: int = 0
    known: int = 0
    texted: int = 0


def digest(*parts: str) -> str:
    """An id for a call that has none: the same call gives the same one."""
    return "hash:" + hashlib.sha256("\0".join(parts).encode()).hexdigest()[:48]


def note(context: Context, rings: Sequence[Ring], source: str, staff_id: int | None = None) -> Noted:
    """Keep missed calls, each once, and do what they ask for. `source` is webhook or desk."""
    noted = Noted()
    # In one order for everybody: two batches at once must not wait for one another's contacts.
    for ring in sorted(rings, key=lambda ring: (ring.number, ring.at, ring.call_id)):
        row = _keep(context, ring, source, staff_id)
        if row is None:
            noted.known += 1
            continue
        noted.new += 1
        noted.texted += _follow(context, row, ring)
    return noted


def _keep(context: Context, ring: Ring, source: str, staff_id: int | None) -> MissedCall | None:
    """The call as a row; None where it had been told before."""
    contact = _contact(context, ring.number)
    values: dict[str, Any] = {
        "source": source,
        "call_id": ring.call_id if len(ring.call_id) <= _ID else digest(ring.call_id),
        "contact_id": contact.id,
        "number_hash": callers.hash_of(ring.number),
        "rang_at": min(ring.at, context.now),
        "noted_at": context.now,
        "noted_by": staff_id,
    }
    made = insert_new(context.session, MissedCall, values, ["source", "call_id"])
    return context.session.get_one(MissedCall, made) if made is not None else None


def _contact(context: Context, number: str) -> Contact:
    """Whom the call-back and the text are for, locked: the number on SMS, or where it takes no texts the caller."""
    if takes_texts(number) and context.sms is not None:
        return callers.contact_of(context.session, "sms", context.sms, number, context.now)
    return callers.contact_of(context.session, TELEPHONE.medium, TELEPHONE.name, number, context.now)


def _follow(context: Context, row: MissedCall, ring: Ring) -> bool:
    """Owe the call and send the text; nothing of it where they have been heard since. Whether they were texted."""
    if _heard_since(context.session, ring):
        row.settled_at = context.now
        return False
    contact = context.session.get_one(Contact, row.contact_id)
    calls.owe(context, contact.id, REASON, minutes=int(_rule(context)["callback_minutes"]))
    row.callback_id = context.session.scalar(
        select(Callback.id).where(
            Callback.contact_id == contact.id, Callback.reason == REASON, Callback.done_at.is_(None)
        )
    )
    if _may_text(context, contact, row):
        row.delivery_id = _text(context, contact, row)
    context.session.flush()
    return row.delivery_id is not None


def _heard_since(session: Session, ring: Ring) -> bool:
    """Whether they have written, or got through on the phone, after this call."""
    contacts = callers.contacts_of(session, ring.number)
    return any(contact.last_inbound_at is not None and contact.last_inbound_at > ring.at for contact in contacts)


def _rule(context: Context) -> dict[str, Any]:
    return context.book.raw["missed_calls"]


def _may_text(context: Context, contact: Contact, row: MissedCall) -> bool:
    closed = contact.opted_out_at is not None or contact.unreachable_at is not None
    if contact.medium != "sms" or closed:
        return False
    rule = _rule(context)
    if row.rang_at < context.now - timedelta(hours=float(rule["fresh_hours"])):
        return False
    recently = exists().where(
        MissedCall.number_hash == row.number_hash,
        MissedCall.delivery_id.is_not(None),
        MissedCall.noted_at > context.now - timedelta(hours=float(rule["again_hours"])),
    )
    return not context.session.scalar(select(recently))


def _text(context: Context, contact: Contact, row: MissedCall) -> int | None:
    entry = Entry(TEXT)
    return outbox.queue(
        context.session,
        contact,
        render(context.book, entry.key, contact.medium, entry.params),
        occasion=f"missed:{row.id}",
        kind="notice",
        now=context.now,
        entries=[entry],
        due=_morning(context, row.rang_at),
    )


def _morning(context: Context, rang_at: datetime) -> datetime | None:
    """When to text who rang at night and may be asleep by now; None: at once."""
    rule = night.read(context.book)
    if rule is None or rang_at >= context.now - rule.answer:
        return None
    return rule.morning(context.now)


# --- what settles them


def reported(context: Context, contact: Contact, ticket: Ticket) -> None:
    """Somebody has reported: the calls from their number are this report's, and nobody owes them a call for those."""
    number = callers.number_of(contact)
    if number is None:
        return
    mine = (MissedCall.number_hash == callers.hash_of(number), MissedCall.settled_at.is_(None))
    if _settle(context, mine, note=f"住户已经报修，单号{ticket.number}", ticket_id=ticket.id):
        context.session.flush()


def spoken(context: Context, number: str, staff_id: int) -> None:
    """Who rang is on the line now: nobody owes them a call for the calls that were missed."""
    mine = (MissedCall.number_hash == callers.hash_of(number), MissedCall.settled_at.is_(None))
    _settle(context, mine, note="来电已接听", staff_id=staff_id)


def called(context: Context, callback_id: int) -> None:
    """The call that was owed has been made and noted."""
    _settle(context, (MissedCall.callback_id == callback_id, MissedCall.settled_at.is_(None)), note=None)


def _settle(
    context: Context, mine: Any, *, note: str | None, ticket_id: int | None = None, staff_id: int | None = None
) -> int:
    """Settle missed calls, their open call-backs (with a `note`), and take back texts that have not gone out yet."""
    rows = context.session.scalars(select(MissedCall).where(*mine).with_for_update()).all()
    for row in rows:
        row.settled_at, row.ticket_id = context.now, ticket_id
    if not rows:
        return 0
    if note is not None:
        owed = {row.callback_id for row in rows if row.callback_id is not None}
        done = update(Callback).where(Callback.id.in_(owed), Callback.done_at.is_(None))
        values = {"done_at": context.now, "done_by": staff_id, "note": note}
        context.session.execute(done.values(**values, **({"ticket_id": ticket_id} if ticket_id else {})))
    texts = [row.delivery_id for row in rows if row.delivery_id is not None]
    waiting = update(Delivery).where(Delivery.id.in_(texts), Delivery.state == "queued")
    context.session.execute(waiting.values(state="suppressed", done_at=context.now, error="answered meanwhile"))
    return len(rows)
