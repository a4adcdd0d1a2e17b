"""The tables of the desk itself: who talks in the bot's place, who looks at what, saved filters, and the log of views."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from bot.crypto import Encrypted
from bot.models import Base, Key, _one_of, _where

ENDINGS = ("returned", "passed", "silent", "late")
AUDIT_KINDS = ("viewed", "changed")


class Takeover(Base):
    """A person talks with a contact in the bot's place, from when until when. One is open per contact.

    `contact.taken_over_by` says the same of the present in the row that every turn reads anyway.
    """

    __tablename__ = "takeover"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"), index=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"))  # whose history tells of it
    taken_at: Mapped[datetime]
    returns_at: Mapped[datetime]  # when the bot has it again, unless they write before
    heard_id: Mapped[int] = mapped_column(default=0)  # the contact's last message that has been answered
    ended_at: Mapped[datetime | None]
    ended_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))  # None: it ended by itself
    ending: Mapped[str | None] = mapped_column(String(8))
    __table_args__ = (
        _one_of("ending", ENDINGS),
        Index("uq_takeover_open", "contact_id", unique=True, **_where("ended_at IS NULL")),
        Index("ix_takeover_returns", "returns_at", **_where("ended_at IS NULL")),
    )


class Presence(Base):
    """Who has a ticket's page open, and who is writing there; rows are overwritten, old ones mean nothing."""

    __tablename__ = "presence"
    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True, index=True)
    seen_at: Mapped[datetime]
    wrote_at: Mapped[datetime | None]


class SavedFilter(Base):
    """Filters of the ticket list that a member of staff has given a name."""

    __tablename__ = "saved_filter"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    name: Mapped[str] = mapped_column(String(24))
    query: Mapped[str] = mapped_column(Encrypted)  # as it stands in the address of the list
    __table_args__ = (UniqueConstraint("staff_id", "name"),)


class Audit(Base):
    """Who saw or changed what at the desk, and when; rows are only added. It holds no personal data itself."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    at: Mapped[datetime]
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    kind: Mapped[str] = mapped_column(String(8))
    page: Mapped[str] = mapped_column(String(32))  # the desk's own name of the page or form
    subject: Mapped[str] = mapped_column(String(40), default="")  # the ticket's number, or the number of another thing
    status: Mapped[int] = mapped_column(default=200)  # how it was answered: 409 and 422 changed nothing
    __table_args__ = (
        _one_of("kind", AUDIT_KINDS),
        Index("ix_audit_subject", "subject", "id"),
        Index("ix_audit_staff_id", "staff_id", "id"),
    )
