"""Whose word counts for a home, and who hears what of its tickets (docs/privacy.md tells why).

A contact *belongs* to a home once that is proved: by its account number with the registered phone, by a code to that
phone, by writing from it, by the crew on site, or to the desk on the phone. Whoever opened a ticket may speak of it while nobody better placed has
joined it. Everybody else is told that the address has been reported, and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, exists, select
from sqlalchemy.orm import Session, aliased

from bot.models import Contact, ContactHome, Home, Household, Ticket, TicketContact
from bot.ticket_facts import home_key
from bot.upsert import insert_ignoring
from handlers.dialogue.types import Address

FIRST = "first"  # opened the home's first ticket, while nobody else was known there: holds until somebody proves it
PROOFS = ("account", "code", "phone", "crew", "desk")
WIDE = ("unit", "building", "community")  # the scopes that are nobody's household
_LASTS = 365  # days, where the rules do not say


@dataclass(frozen=True, slots=True)
class Standing:
    """What a contact is to a ticket."""

    opened: bool
    proof: str | None  # how they belong to its home
    others: bool  # whether somebody else is a party
    others_proved: bool  # … who has proved the home

    @property
    def has_say(self) -> bool:
        """Whether they hear everything about the ticket and may change it."""
        if self.proof in PROOFS:
            return True
        return self.opened and (not self.others or (self.proof == FIRST and not self.others_proved))


def standings(session: Session, contact_id: int, ticket_ids: Sequence[int], since: datetime) -> dict[int, Standing]:
    """What a contact is to each of these tickets; proofs older than `since` have lapsed. One statement for all."""
    if not ticket_ids:
        return {}
    rows = session.execute(_standings(contact_id, since).where(Ticket.id.in_(ticket_ids)))
    return {
        row.id: Standing(row.contact_id == contact_id, _valid(row, since), row.others, row.others_proved)
        for row in rows
    }


def has_say(session: Session, ticket: Ticket, contact_id: int, since: datetime) -> bool:
    """Whether a contact hears everything about a ticket and may change it."""
    standing = standings(session, contact_id, [ticket.id], since).get(ticket.id)
    return standing is not None and standing.has_say


def hears(session: Session, ticket: Ticket, contact_id: int, since: datetime) -> str:
    """What a party hears of a ticket's moves: "all"; their "own part", where their report elsewhere was merged into it
    or it is about more than one home; "nothing" of a household that they have not proved to be theirs.
    """
    if has_say(session, ticket, contact_id, since):
        return "all"
    if ticket.scope in WIDE:
        return "own part"
    merged = select(Ticket).where(Ticket.merged_into_id == ticket.id, Ticket.contact_id == contact_id)
    here = (ticket.community, ticket.building, ticket.unit, ticket.room)
    elsewhere = any((t.community, t.building, t.unit, t.room) != here for t in session.scalars(merged))
    return "own part" if elsewhere else "nothing"


def proofs_since(days: int | None, now: datetime) -> datetime:
    """From when on a proof counts."""
    return now - timedelta(days=days or _LASTS)


def _valid(row: Any, since: datetime) -> str | None:
    if row.verified_by in PROOFS and row.verified_at < since:
        return None
    return str(row.verified_by) if row.verified_by else None


def _standings(contact_id: int, since: datetime) -> Any:
    mine = aliased(ContactHome)
    theirs, their_home = aliased(TicketContact), aliased(ContactHome)
    # Of a whole building nobody's household is told: its reporters are not of one home.
    others = exists().where(
        theirs.ticket_id == Ticket.id,
        theirs.contact_id != contact_id,
        Ticket.scope.is_(None) | Ticket.scope.not_in(WIDE),
    )
    others_proved = exists().where(
        theirs.ticket_id == Ticket.id,
        theirs.contact_id != contact_id,
        their_home.contact_id == theirs.contact_id,
        their_home.home_id == Home.id,
        their_home.verified_by.in_(PROOFS),
        their_home.verified_at >= since,
    )
    return (
        select(
            Ticket.id,
            Ticket.contact_id,
            mine.verified_by,
            mine.verified_at,
            others.label("others"),
            others_proved.correlate(Ticket, Home).label("others_proved"),
        )
        .outerjoin(Home, Home.key == Ticket.home_key)
        .outerjoin(mine, and_(mine.home_id == Home.id, mine.contact_id == contact_id))
    )


def bind(session: Session, contact: Contact, address: Address, now: datetime, *, opened: bool = False) -> None:
    """Remember a home for a contact. `opened`: they have just opened a ticket there, which may be the home's first."""
    key = home_key(address)
    if key is None:
        return
    home_id = home_at(session, address)
    link = session.get(ContactHome, (contact.id, home_id))
    if link is None:
        link = ContactHome(contact_id=contact.id, home_id=home_id, used_at=now)
        session.add(link)
    link.used_at = now
    if link.verified_by in (None, FIRST) and _writes_from_registered(session, contact, home_id):
        link.verified_by, link.verified_at = "phone", now
    elif opened and link.verified_by is None and not _known_to_others(session, contact, key, home_id):
        link.verified_by, link.verified_at = FIRST, now
    session.flush()


def prove(session: Session, contact_id: int, home_id: int, by: str, now: datetime) -> None:
    """A contact has proved that they belong to a home. Raises ValueError for a proof that we do not know."""
    if by not in PROOFS:
        raise ValueError(f"{by} proves nothing.")
    link = session.get(ContactHome, (contact_id, home_id))
    if link is None:
        link = ContactHome(contact_id=contact_id, home_id=home_id, used_at=now)
        session.add(link)
    link.verified_by, link.verified_at = by, now
    session.flush()


def withdraw(session: Session, contact_id: int, home_id: int) -> None:
    """A contact does not belong to a home (any more)."""
    link = session.get(ContactHome, (contact_id, home_id))
    if link is not None:
        link.verified_by = link.verified_at = None


def home_of(session: Session, ticket: Ticket) -> int | None:
    """The home that a ticket is about; None where its address is incomplete or wider than a home."""
    return session.scalar(select(Home.id).where(Home.key == ticket.home_key)) if ticket.home_key else None


def known_by(session: Session, ticket: Ticket, contact_id: int) -> str | None:
    """How a contact is known to belong to the ticket's home; "" where they are not, None where it is about no home."""
    home_id = home_of(session, ticket)
    if home_id is None or ticket.scope in WIDE:
        return None
    link = session.get(ContactHome, (contact_id, home_id))
    return (link.verified_by or "") if link is not None else ""


def home_at(session: Session, address: Address) -> int:
    """The home at a complete address; made where it is new. Raises ValueError for an address without a door."""
    key = home_key(address)
    if key is None:
        raise ValueError("The address is not complete.")
    row = {
        "key": key,
        "district": address.district,
        "community": address.community,
        "building": address.building,
        "unit": address.unit,
        "room": address.room,
    }
    insert_ignoring(session, Home, [row], ["key"])
    return session.scalars(select(Home.id).where(Home.key == key)).one()


def _known_to_others(session: Session, contact: Contact, key: str, home_id: int) -> bool:
    """Whether anybody else has proved this home or ever had a ticket there. An address that was only said is no claim."""
    proved = select(ContactHome.contact_id).where(
        ContactHome.home_id == home_id, ContactHome.contact_id != contact.id, ContactHome.verified_by.is_not(None)
    )
    ticket = select(Ticket.id).where(Ticket.home_key == key, Ticket.contact_id != contact.id)
    return session.scalar(proved.limit(1)) is not None or session.scalar(ticket.limit(1)) is not None


def _writes_from_registered(session: Session, contact: Contact, home_id: int) -> bool:
    """Whether a text message comes from the very phone that the company's books have for the home."""
    if contact.medium != "sms" or contact.address is None:
        return False
    return session.scalar(select(Household.phone).where(Household.home_id == home_id)) == contact.address
