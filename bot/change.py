"""What every change of a ticket is made of: who and when, the line in its history, and the word to its contacts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import crypto, outbox, standing
from bot.channels import Entry
from bot.models import Contact, Task, Ticket, TicketContact, Update
from bot.rules import RuleBook
from bot.texts import exists, render
from bot.upsert import insert_ignoring


@dataclass(frozen=True)
class Actor:
    """Who changes a ticket: a resident's contact, a member of staff, or the system itself."""

    kind: str  # resident | staff | system
    contact_id: int | None = None
    staff_id: int | None = None
    member_id: int | None = None  # of the crew, who acts from their phone


SYSTEM = Actor("system")


@dataclass(frozen=True)
class Context:
    """What every change needs: the session, the rules, the moment and the zone in which days are counted."""

    session: Session
    book: RuleBook
    now: datetime
    zone: ZoneInfo
    sms: str | None = None  # the channel that carries a text message to a phone which has never written

    @property
    def proofs_since(self) -> datetime:
        """From when on it counts that a contact proved a home."""
        return standing.proofs_since(self.book.dialogue.proof_days, self.now)


def tell(
    context: Context, ticket: Ticket, update: Update, key: str, actor: Actor, note: str | None = None, **params: str
) -> str | None:
    """Queue one text about an update for everybody who hears of the ticket; returns what they are told, None if nobody.

    The contact who caused it is left out: they are being answered.
    """
    if not exists(context.book, key):
        return None
    told, params = None, {**_told_params(context, ticket, note, actor), **params}
    query = select(Contact).join(TicketContact, TicketContact.contact_id == Contact.id)
    parties = context.session.scalars(query.where(TicketContact.ticket_id == ticket.id)).all()
    for contact in parties:
        if contact.id == actor.contact_id or _told_by_sms(context, ticket, contact, parties):
            continue
        entry = _words_for(context, ticket, contact, key, params)
        if entry is None:
            continue
        said = render(context.book, entry.key, contact.medium, entry.params)
        told = said if entry.key == key else told or said
        outbox.queue(
            context.session,
            contact,
            said,
            occasion=f"ticket:{ticket.id}:update:{update.id}",
            kind="notice",
            now=context.now,
            ticket=ticket,
            entries=[entry],
        )
    return told


def _told_by_sms(context: Context, ticket: Ticket, contact: Contact, parties: Sequence[Contact]) -> bool:
    """Whether a caller hears everything as the sender of text messages that they are too: one phone is told once."""
    if contact.medium != "phone" or contact.address is None:
        return False
    hashed = crypto.blind_index("sms", contact.address)
    return any(
        party.medium == "sms"
        and party.address_hash == hashed
        and standing.hears(context.session, ticket, party.id, context.proofs_since) == "all"
        for party in parties
    )


def _words_for(context: Context, ticket: Ticket, contact: Contact, key: str, params: dict[str, str]) -> Entry | None:
    """How a contact is told of a move: in full, in neutral words without any fact of the household, or not at all."""
    heard = standing.hears(context.session, ticket, contact.id, context.proofs_since)
    if heard == "all":
        return Entry(key, params)
    if heard == "own part":
        return Entry(key, {**params, "note": ""})
    neutral = f"{key}_neutral"
    return Entry(neutral, {}) if exists(context.book, neutral) else None


def _told_params(context: Context, ticket: Ticket, note: str | None, actor: Actor) -> dict[str, str]:
    said = f"{note.strip()}" if note and actor.kind == "staff" else ""
    if said and said[-1] not in "。！？!?.":
        said += "。"
    return {
        "number": ticket.number,
        "problem": context.book.intent_name(ticket.intent),
        "note": said,
        "team": ticket.team.name if ticket.team else "维修人员",
    }


def add_update(
    context: Context,
    ticket: Ticket,
    actor: Actor,
    kind: str,
    from_status: str | None = None,
    to_status: str | None = None,
    note: str | None = None,
    step: str | None = None,
) -> Update:
    """Add one line to the ticket's history, and write everything so far, so that the line has its number."""
    update = Update(
        ticket_id=ticket.id,
        at=context.now,
        actor=actor.kind,
        staff_id=actor.staff_id,
        member_id=actor.member_id,
        kind=kind,
        from_status=from_status,
        to_status=to_status,
        note=note,
        step=step,
    )
    context.session.add(update)
    context.session.flush()
    if to_status == "dispatched":
        _have_offered(context, ticket, update)
    return update


def _have_offered(context: Context, ticket: Ticket, update: Update) -> None:
    """Have the worker ask somebody to take a ticket that has been dispatched."""
    lane = 0 if ticket.urgent else 1
    row = {"kind": "offer", "ref": f"{ticket.id}:{update.id}", "lane": lane, "due_at": context.now, "attempts": 0}
    insert_ignoring(context.session, Task, [row], ["kind", "ref"])


def schedule_dispatch(context: Context, ticket: Ticket) -> None:
    """Have the worker give the ticket to its team at once; a ticket that waits already is left alone."""
    context.session.flush()
    ref = f"{ticket.id}:{ticket.reopened}:{ticket.team_id or 0}"
    lane = 0 if ticket.urgent else 1
    insert_ignoring(
        context.session,
        Task,
        [{"kind": "dispatch", "ref": ref, "lane": lane, "due_at": context.now, "attempts": 0}],
        ["kind", "ref"],
    )
