"""The tables of what providers ration and keep: subscriptions, quotas that are used up, photos and voice messages."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bot.crypto import Encrypted, EncryptedBytes
from bot.models import Base, Key, Message, _one_of, _where


class Subscription(Base):
    """A notice that a contact has asked for (WeChat's 订阅通知): how many may still be sent of a template."""

    __tablename__ = "subscription"
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"), primary_key=True)
    template_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    left: Mapped[int]  # 0: refused or used up; a long-term one is not counted down
    changed_at: Mapped[datetime]


class Pause(Base):
    """A provider's quota that is used up: nothing is tried before `until`."""

    __tablename__ = "pause"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    until: Mapped[datetime]


class Media(Base):
    """A photo, a voice message or a film: a resident's, fetched while the provider still has it; or a crew's of a ticket."""

    __tablename__ = "media"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    message_id: Mapped[int | None] = mapped_column(ForeignKey("message.id"))  # what a resident sent; or …
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"), index=True)  # … what a crew took, with …
    update_id: Mapped[int | None] = mapped_column(ForeignKey("update.id"))  # … the line of history that tells of it
    number: Mapped[int]  # 0, 1, … within its message
    channel: Mapped[str] = mapped_column(String(16))  # whose `fetch` knows `ref`
    kind: Mapped[str] = mapped_column(String(16))  # image | voice | video
    ref: Mapped[str] = mapped_column(Encrypted)  # what the provider calls it
    state: Mapped[str] = mapped_column(String(8), default="wanted")
    due_at: Mapped[datetime]
    expires_at: Mapped[datetime]  # after this the provider has it no more
    attempts: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    lease_token: Mapped[str | None] = mapped_column(String(32))
    error: Mapped[str | None] = mapped_column(String(160))
    fetched_at: Mapped[datetime | None]
    content_type: Mapped[str | None] = mapped_column(String(64))
    content: Mapped[bytes | None] = mapped_column(EncryptedBytes, deferred=True)
    message: Mapped[Message | None] = relationship(lazy="select")
    __table_args__ = (
        _one_of("state", ("wanted", "kept", "lost")),
        UniqueConstraint("message_id", "number"),
        Index("ix_media_queue", "due_at", "id", **_where("state = 'wanted'")),
    )
