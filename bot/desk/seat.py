"""The phone seat: what a caller says is typed in one line, and goes the way of every message.

Message → understanding → handlers → ticket, on the channel `phone`. The answer is for whoever typed it to say; what was
not ready while the caller was on the line becomes a call that is owed (bot/conversation.py).
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot import callers, clock, conversation, crypto, missed, outbox, standing
from bot.change import Actor, Context
from bot.channels.telephone import TELEPHONE
from bot.conversation import Answer
from bot.desk.search import by_phone
from bot.inbox import Received
from bot.intake import Intake
from bot.models import Callback, Contact, ContactHome, Home, Household, Ticket, TicketContact
from bot.services import Services
from bot.tickets import add_note
from bot.trace import trace
from bot.upsert import insert_ignoring
from handlers.dialogue.types import Address

log = logging.getLogger(__name__)

_RANK = {"": 0, "first": 1, "phone": 3}  # how far a home is verified; every other proof stands highest
_PROVED = 2


@dataclass(frozen=True, slots=True)
class Place:
    """A home that a number is known for. `proof`: how far that is verified, through whichever medium; `on_books`: the
    company's books have the number for it; `confirmed`: the desk has verified this caller.
    """

    home: Home
    proof: str
    on_books: bool = False
    confirmed: bool = False


def caller(context: Context, number: str) -> Contact:
    """The contact of who calls from a number (E.164), locked; made at the first call."""
    return callers.contact_of(context.session, TELEPHONE.medium, TELEPHONE.name, number, context.now)


def say(
    services: Services,
    intake: Intake,
    number: str,
    text: str,
    staff_id: int,
    home_id: int | None = None,
) -> None:
    """What a caller says, as `staff_id` typed it; `home_id`: one of the number's homes that the call is about.

    Once this returns, the message is stored; it is handled too, unless understanding is away or every slot is taken.
    """
    _begin(services, number, staff_id, home_id)
    deadline = clock.now() + timedelta(seconds=TELEPHONE.reply_deadline)
    slot = services.inline_slots.acquire(blocking=False)
    try:
        received = intake.receive(TELEPHONE.says(number, text, staff_id), claim=slot)
        answer = _answer(services, received, deadline)
    finally:
        if slot:
            services.inline_slots.release()
    with services.database.transaction() as session:
        if answer is not None and answer.passive and answer.delivery_id is not None:
            outbox.mark_passive_sent(session, [answer.delivery_id], clock.now())
        missed.spoken(services.context(session), number, staff_id)


def _answer(services: Services, received: Received, deadline: datetime) -> Answer | None:
    """Handle a stored line at once where that may be; its answer is then on the page, for the agent to say."""
    try:
        return conversation.handle(services, received.claim, deadline) if received.claim is not None else None
    except Exception as error:
        # The message is stored, so the worker handles it.
        log.error("A line of the phone seat was left to the worker: %s", trace(error))
        return None


def _begin(services: Services, number: str, staff_id: int, home_id: int | None) -> None:
    """They are on the line: no answer is owed any more, and the home that they call about is the one to speak of."""
    with services.database.transaction() as session:
        context = services.context(session)
        contact = caller(context, number)
        owed = update(Callback).where(
            Callback.contact_id == contact.id, Callback.reason == "seat", Callback.done_at.is_(None)
        )
        session.execute(owed.values(done_at=context.now, done_by=staff_id, note="在电话里接着说了"))
        place = next((place for place in places(session, number) if place.home.id == home_id), None)
        if place is not None:
            standing.bind(session, contact, _address(place.home), context.now)


def _address(home: Home) -> Address:
    return Address(home.district, home.community, home.building, home.unit, home.room, known=True)


def places(session: Session, number: str) -> list[Place]:
    """The homes that a number is known for, the last used first; then those that only the books have for it."""
    contacts = {contact.id: contact for contact in callers.contacts_of(session, number)}
    links = session.scalars(
        select(ContactHome).where(ContactHome.contact_id.in_(contacts)).order_by(ContactHome.used_at.desc())
    ).all()
    booked = {row.home_id: row.home for row in _on_books(session, number)}
    homes = {link.home_id: link.home for link in links} | booked
    found = []
    for home_id, home in homes.items():
        proofs = [(contacts[link.contact_id], link.verified_by or "") for link in links if link.home_id == home_id]
        best = max((proof for _, proof in proofs), key=lambda proof: _RANK.get(proof, _PROVED), default="")
        confirmed = any(contact.medium == TELEPHONE.medium and proof in standing.PROOFS for contact, proof in proofs)
        found.append(Place(home, best, home_id in booked, confirmed))
    return found


def _on_books(session: Session, number: str) -> list[Household]:
    """The homes for which the company's books have this number; a phone is found by its last four digits."""
    tail = crypto.blind_index("phone tail", number[-4:])
    rows = session.scalars(select(Household).where(Household.phone_tail_hash == tail))
    return [row for row in rows if row.phone == number]


def confirm(context: Context, number: str, home_id: int, staff_id: int) -> bool:
    """The desk has verified that who calls from a number belongs to one of its homes: from now on they hear of its tickets
    and may change them. False where the number is not known for that home.
    """
    place = next((place for place in places(context.session, number) if place.home.id == home_id), None)
    if place is None:
        return False
    contact = caller(context, number)
    standing.prove(context.session, contact.id, home_id, "desk", context.now)
    since = context.now - timedelta(days=context.book.dialogue.reopen_days)
    theirs = select(Ticket).where(
        Ticket.home_key == place.home.key, by_phone(number), Ticket.closed_at.is_(None) | (Ticket.closed_at >= since)
    )
    for ticket in context.session.scalars(theirs):
        row = {"ticket_id": ticket.id, "contact_id": contact.id, "joined_at": context.now}
        insert_ignoring(context.session, TicketContact, [row], ["ticket_id", "contact_id"])
        add_note(context, ticket, "已在电话里核实来电人是本户", Actor("staff", staff_id=staff_id))
    return True


def withdraw(context: Context, number: str, home_id: int) -> None:
    """Who calls from a number does not belong to a home after all."""
    standing.withdraw(context.session, caller(context, number).id, home_id)
