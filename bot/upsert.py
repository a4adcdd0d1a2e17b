"""INSERT … ON CONFLICT DO NOTHING on both engines."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bot.models import Base


def insert_ignoring(session: Session, model: type[Base], rows: Sequence[dict[str, Any]], unique: Sequence[str]) -> int:
    """Insert rows unless one with the same unique columns exists; returns how many were inserted."""
    statement = _insert(session, model).values(list(rows)).on_conflict_do_nothing(index_elements=list(unique))
    # SQLAlchemy keeps an INSERT's row count only when asked to; psycopg's would be -1, which reads as "inserted".
    result = session.execute(statement, execution_options={"preserve_rowcount": True})
    return int(result.rowcount)  # type: ignore[attr-defined]


def insert_new(session: Session, model: type[Base], row: dict[str, Any], unique: Sequence[str]) -> int | None:
    """Insert one row and return its id; None where one with the same unique columns exists."""
    statement = _insert(session, model).values(row).on_conflict_do_nothing(index_elements=list(unique))
    key: int | None = session.execute(statement.returning(model.__table__.c.id)).scalar()
    return key


def _insert(session: Session, model: type[Base]) -> Any:
    insert = sqlite.insert if session.get_bind().dialect.name == "sqlite" else postgresql.insert
    return insert(model.__table__)  # type: ignore[arg-type]
