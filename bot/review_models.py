"""The tables of learning: who passed over a message, second opinions, and the trainings asked for at the desk."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from bot.crypto import Encrypted
from bot.models import Base, Key, _one_of, _where


class ReviewSkip(Base):
    """Who has passed over a message: it is not offered to them again."""

    __tablename__ = "review_skip"
    review_id: Mapped[int] = mapped_column(ForeignKey("review.id"), primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    at: Mapped[datetime]


class Opinion(Base):
    """A second reviewer's verdict on a message, given without seeing the first; agreement is reckoned from these."""

    __tablename__ = "opinion"
    review_id: Mapped[int] = mapped_column(ForeignKey("review.id"), primary_key=True)
    staff_id: Mapped[int] = mapped_column(ForeignKey("staff.id"), primary_key=True)
    verdict: Mapped[str] = mapped_column(String(24))
    at: Mapped[datetime]


class Learning(Base):
    """One training asked for at the desk, how far it is, how its model compares, and who put it live."""

    __tablename__ = "learning"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    state: Mapped[str] = mapped_column(String(12))  # running | done | failed
    progress: Mapped[float] = mapped_column(default=0.0)
    step: Mapped[str | None] = mapped_column(String(80))
    started_at: Mapped[datetime]
    started_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    beat_at: Mapped[datetime]  # the training was last heard of
    ended_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(String(400))
    model: Mapped[str | None] = mapped_column(String(96))
    compared_with: Mapped[str | None] = mapped_column(String(96))  # the model that was live then
    report: Mapped[str | None] = mapped_column(Encrypted)  # JSON: scores of both, label errors with their sentences
    asked_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))  # wants it live although something falls …
    promoted_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))  # … and who has put it live
    promoted_at: Mapped[datetime | None]
    __table_args__ = (
        _one_of("state", ("running", "done", "failed")),
        # One at a time: two cores are few.
        Index("uq_learning_running", "state", unique=True, **_where("state = 'running'")),
    )
