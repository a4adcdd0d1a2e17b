"""The table of calls that nobody picked up: each is kept once, and says what became of it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bot.models import Base, Key, _one_of, _where


class MissedCall(Base):
    """One call that nobody picked up. Settled once the caller has reported, has been called, or got through after all."""

    __tablename__ = "missed_call"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    source: Mapped[str] = mapped_column(String(8))  # webhook: the telephone system said so | desk: somebody pasted it
    call_id: Mapped[str] = mapped_column(String(64))  # the telephone system's own, or made of number and time
    contact_id: Mapped[int] = mapped_column(
        ForeignKey("contact.id"), index=True
    )  # SMS where it can be texted, else phone
    number_hash: Mapped[str] = mapped_column(
        String(32)
    )  # of the number in E.164: whoever reports by it settles the call
    rang_at: Mapped[datetime]
    noted_at: Mapped[datetime]
    noted_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))  # who pasted it
    delivery_id: Mapped[int | None] = mapped_column(ForeignKey("delivery.id"))  # the text that answered it
    callback_id: Mapped[int | None] = mapped_column(ForeignKey("callback.id"), index=True)
    settled_at: Mapped[datetime | None]
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"))  # what the caller then reported
    __table_args__ = (
        _one_of("source", ("webhook", "desk")),
        UniqueConstraint("source", "call_id"),
        Index("ix_missed_call_open", "number_hash", **_where("settled_at IS NULL")),
    )
