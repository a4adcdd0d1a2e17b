"""Calls that people owe to residents: one row for each contact and reason, however often it is asked for."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import select

from bot.change import Context
from bot.models import Callback


def owe(
    context: Context,
    contact_id: int,
    reason: str,
    *,
    ticket_id: int | None = None,
    message_id: int | None = None,
    minutes: float | None = None,
) -> None:
    """Put a contact on the call-back list; due in so many minutes, else in the rules' `callback_minutes`."""
    open_one = select(Callback.id).where(
        Callback.contact_id == contact_id, Callback.reason == reason, Callback.done_at.is_(None)
    )
    if context.session.scalar(open_one) is not None:
        return
    wait = timedelta(minutes=context.book.dialogue.callback_minutes if minutes is None else minutes)
    context.session.add(
        Callback(
            contact_id=contact_id,
            ticket_id=ticket_id,
            message_id=message_id,
            reason=reason,
            created_at=context.now,
            due_at=context.now + wait,
        )
    )
    context.session.flush()
