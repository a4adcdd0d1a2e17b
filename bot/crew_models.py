"""The tables of the crew's phones: how one is enrolled, which ones are, and what each has sent once."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bot.models import Base, Key

if TYPE_CHECKING:  # it may be that module which is being imported
    from bot.duty_models import Member


class Enrolment(Base):
    """A link that makes one phone a member's own, once and for a quarter of an hour; only the code's keyed hash is kept."""

    __tablename__ = "enrolment"
    id: Mapped[int] = mapped_column(primary_key=True)
    code_hash: Mapped[str] = mapped_column(String(32), unique=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"), index=True)
    created_at: Mapped[datetime]
    created_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    member: Mapped[Member] = relationship(lazy="joined", innerjoin=True)


class Device(Base):
    """A phone that is a member's; the cookie it shows is kept as a keyed hash only."""

    __tablename__ = "device"
    id: Mapped[int] = mapped_column(primary_key=True)
    token_hash: Mapped[str] = mapped_column(String(32), unique=True)
    member_id: Mapped[int] = mapped_column(ForeignKey("member.id"), index=True)
    name: Mapped[str] = mapped_column(String(32))  # what kind of phone, as its browser says
    enrolled_at: Mapped[datetime]
    enrolled_by: Mapped[int] = mapped_column(ForeignKey("staff.id"))
    used_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    revoked_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))  # NULL: logged out on the phone itself
    member: Mapped[Member] = relationship(lazy="joined", innerjoin=True)


class CrewForm(Base):
    """A form that a phone has sent and that was carried out: however often it comes, it is done once."""

    __tablename__ = "crew_form"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id"))
    key: Mapped[str] = mapped_column(String(40))
    at: Mapped[datetime]
    __table_args__ = (UniqueConstraint("device_id", "key"),)
