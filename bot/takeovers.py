"""A person talks with a resident in the bot's place: taking the conversation, writing, giving it back.

`take` and `give_back` are the only doors; whoever else ends a person's turn (a call-back that nobody made, silence) comes
through them. While it lasts, messages are kept and shown, and the bot says nothing; a danger is answered all the same
(bot/conversation.py). What nobody has answered when it ends is then answered by the bot.
"""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from bot import clock, outbox, tickets
from bot.change import SYSTEM, Actor, Context
from bot.desk_models import Takeover
from bot.inbox import SAID
from bot.models import LANE_NORMAL, Contact, Delivery, Message, Ticket
from bot.services import Services

BATCH = 50
ENDED = {
    "returned": "交还给机器人",
    "passed": "由同事接手",
    "silent": "坐席没有再说话，自动交还给机器人",
    "late": "该回的电话过时了，自动交还给机器人",
}


class NotYours(Exception):
    """The conversation is not, or no longer, with who wants to write in it."""


def locked(session: Session, contact_id: int) -> Contact | None:
    """A contact whose conversation is about to change hands; a turn in progress is waited for."""
    return session.scalar(select(Contact).where(Contact.id == contact_id).with_for_update(of=Contact))


def current(session: Session, contact_id: int) -> Takeover | None:
    """Who has the conversation now; None: the bot."""
    return session.scalar(select(Takeover).where(Takeover.contact_id == contact_id, Takeover.ended_at.is_(None)))


def take(context: Context, contact: Contact, staff_id: int, ticket: Ticket | None = None) -> Takeover:
    """Give a conversation (its contact locked) to a member of staff; from a colleague it passes over to them."""
    before = current(context.session, contact.id)
    if before is not None and before.staff_id == staff_id:
        return before
    heard = _last_heard(context.session, contact.id)
    if before is not None:
        heard = before.heard_id  # what the colleague left unanswered is still to be answered
        _end(context, before, "passed", staff_id)
    contact.taken_over_by = staff_id
    row = Takeover(
        contact_id=contact.id,
        staff_id=staff_id,
        ticket_id=ticket.id if ticket is not None else None,
        taken_at=context.now,
        returns_at=context.now + _patience(context),
        heard_id=heard,
    )
    context.session.add(row)
    context.session.flush()
    if ticket is not None:
        tickets.add_note(context, ticket, "接手对话，机器人暂停回复", Actor("staff", staff_id=staff_id), "taken")
    return row


def _last_heard(session: Session, contact_id: int) -> int:
    """The last message that the bot has dealt with; one that still waits for its turn is left for the person."""
    handled = (Message.contact_id == contact_id, Message.handled_at.is_not(None))
    return session.scalar(select(func.max(Message.id)).where(*handled)) or 0


def write(context: Context, contact: Contact, staff_id: int, text: str, *, nonce: str, heard: int) -> None:
    """Send the resident (their contact locked) a person's words, once for each `nonce`.

    `heard` is the last message that the person saw when writing; what came later still wants an answer. Raises NotYours.
    """
    row = current(context.session, contact.id)
    if row is None or row.staff_id != staff_id:
        raise NotYours
    delivery_id = outbox.queue(
        context.session,
        contact,
        text,
        occasion=f"desk:{nonce}",
        kind="reply",
        now=context.now,
        ticket=_of(context, row),
    )
    row.returns_at = context.now + _patience(context)
    row.heard_id = max(row.heard_id, heard)
    if delivery_id is None:
        return  # the same form came twice
    context.session.execute(update(Delivery).where(Delivery.id == delivery_id).values(staff_id=staff_id))
    if (ticket := _of(context, row)) is not None:
        tickets.add_note(context, ticket, text, Actor("staff", staff_id=staff_id), "replied")


def give_back(context: Context, contact: Contact, ending: str, staff_id: int | None = None) -> bool:
    """Let the bot have a conversation (its contact locked) again; returns whether anybody had it.

    What was said since the person's last word and not answered is due again.
    """
    row = current(context.session, contact.id)
    contact.taken_over_by = None
    if row is None:
        return False
    _end(context, row, ending, staff_id)
    _have_answered(context, contact, row.heard_id)
    return True


def _end(context: Context, row: Takeover, ending: str, staff_id: int | None) -> None:
    row.ended_at, row.ended_by, row.ending = context.now, staff_id, ending
    context.session.flush()
    if (ticket := _of(context, row)) is not None:
        actor = Actor("staff", staff_id=staff_id) if staff_id is not None else SYSTEM
        tickets.add_note(context, ticket, ENDED[ending], actor, "gave_back")


def _of(context: Context, row: Takeover) -> Ticket | None:
    return context.session.get(Ticket, row.ticket_id, with_for_update={"of": Ticket}) if row.ticket_id else None


def _have_answered(context: Context, contact: Contact, heard: int) -> None:
    """Put what nobody answered back into the inbox; dangers were answered when they came."""
    again = (
        update(Message)
        .where(
            Message.contact_id == contact.id,
            Message.id > heard,
            Message.kind.in_(SAID),
            Message.danger.is_(None),
            Message.handled_at.is_not(None),
        )
        .values(handled_at=None, attempts=0)
        .returning(Message.received_at)
        .execution_options(synchronize_session=False)
    )
    since = context.session.scalars(again).all()
    if since:
        contact.pending_since = min([*since, *([contact.pending_since] if contact.pending_since else [])])
        contact.pending_lane = min(contact.pending_lane, LANE_NORMAL)
        contact.due_at = context.now


def _patience(context: Context) -> timedelta:
    return timedelta(minutes=float(context.book.raw["desk"]["silent_minutes"]))


def run(services: Services) -> int:
    """Return the conversations whose person has fallen silent; returns how many."""
    due = select(Takeover.contact_id).where(Takeover.ended_at.is_(None), Takeover.returns_at <= clock.now())
    with services.database.reading() as session:
        ids = session.scalars(due.order_by(Takeover.returns_at).limit(BATCH)).all()
    returned = 0
    for contact_id in ids:
        with services.database.transaction() as session:
            context = services.context(session)
            contact = locked(session, contact_id)
            row = current(session, contact_id)
            if contact is not None and row is not None and row.returns_at <= context.now:  # they may just have written
                returned += give_back(context, contact, "silent")
    return returned
