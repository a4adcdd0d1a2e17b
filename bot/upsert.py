"""INSERT … ON CONFLICT DO NOTHING on both engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bot.models import Base


def insert_ignoring(session: Session, model: type[Base], rows: Sequence[dict[str, Any]], unique: Sequence[str]) -> int:
    """Insert rows unless one with the same unique columns exists; returns how many were inserted."""
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    statement = insert(model).values(list(rows)).on_conflict_do_nothing(index_elements=list(unique))
    return int(session.execute(statement).rowcount)  # type: ignore[attr-defined]
