"""Readings of a room: what residents tell (自测) and what crews measure, each kept with its time and room."""

from __future__ import annotations

import re
from datetime import datetime

from bot.change import Actor, Context, add_update
from bot.clock_models import Reading
from bot.models import Ticket, Update
from bot.ticket_facts import rank

LOWEST, HIGHEST = -30.0, 50.0  # ℃ that a room can have
_ROOM = re.compile(
    r"主卧|次卧|卧室|儿童房|书房|客厅|餐厅|饭厅|厨房|卫生间|厕所|洗手间|浴室|阳台|走廊|老人房|小屋|大屋|里屋|外屋"
)


class BadReading(ValueError):
    """A reading that no room can have; the message says so."""


def room_in(text: str) -> str | None:
    """The room that a message names, where it names just one."""
    named = list(dict.fromkeys(_ROOM.findall(text)))
    return named[0] if len(named) == 1 else None


def told(
    context: Context, ticket: Ticket, value: float, *, contact_id: int, message_id: int | None, at: datetime, text: str
) -> None:
    """Keep what a resident has measured; `at` is when they wrote it."""
    context.session.add(
        Reading(
            ticket_id=ticket.id,
            at=at,
            value=value,
            room=room_in(text),
            by="resident",
            contact_id=contact_id,
            message_id=message_id,
        )
    )


def measured(
    context: Context, ticket: Ticket, value: float, room: str | None, actor: Actor, instrument: str | None = None
) -> Update:
    """Keep what a crew has measured on site; the ticket's rank follows it. Returns its line. Raises BadReading."""
    if not LOWEST <= value <= HIGHEST:
        raise BadReading(f"室温要在 {LOWEST:g} 到 {HIGHEST:g} 度之间。")
    row = Reading(ticket_id=ticket.id, at=context.now, value=value, room=room, by="crew", staff_id=actor.staff_id)
    row.instrument, row.member_id = instrument, actor.member_id
    context.session.add(row)
    ticket.temperature = value
    rank(context.book, ticket)
    return add_update(context, ticket, actor, "measured", note=f"现场测温：{room or '房间'} {value:g}℃")
