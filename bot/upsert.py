"""INSERT … ON CONFLICT on both engines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeVar

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bot.models import Base, Counter

M = TypeVar("M", bound=Base)


def insert_ignoring(session: Session, model: type[Base], rows: Sequence[dict[str, Any]], unique: Sequence[str]) -> int:
    """Insert rows unless one with the same unique columns exists; returns how many were inserted."""
    statement = _insert(_dialect(session), model, tuple(unique))
    counts: list[int] = [session.execute(statement, row).rowcount for row in rows]  # type: ignore[attr-defined]
    return sum(counts)


def insert_new(session: Session, model: type[Base], row: dict[str, Any], unique: Sequence[str]) -> int | None:
    """Insert one row and return its id; None where one with the same unique columns exists."""
    key: int | None = session.execute(_insert_returning(_dialect(session), model, tuple(unique)), row).scalar()
    return key


def insert_object(session: Session, model: type[M], row: dict[str, Any], unique: Sequence[str]) -> M | None:
    """Insert one row and return it as the session's object; None where one with the same unique columns exists."""
    return session.scalars(_insert_object(_dialect(session), model, tuple(unique)), row).one_or_none()


def put(session: Session, model: type[Base], row: dict[str, Any], unique: Sequence[str]) -> None:
    """Insert one row, or give the one with the same unique columns these values."""
    session.execute(_put(_dialect(session), model, tuple(unique), tuple(row)), row)


def count_up(session: Session, name: str) -> int:
    """The next value of a counter, from 1; two sessions never get the same one."""
    return int(session.execute(_count_up(_dialect(session)), {"name": name, "value": 1}).scalar_one())


def _dialect(session: Session) -> str:
    return session.get_bind().dialect.name


# Statements are built once: building one costs more than running it.
@lru_cache(maxsize=64)
def _insert(dialect: str, model: type[Base], unique: tuple[str, ...]) -> Any:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    statement = insert(model.__table__).on_conflict_do_nothing(index_elements=list(unique))  # type: ignore[arg-type]
    # Without this psycopg answers -1 for an insert that may do nothing, which would read as "inserted".
    return statement.execution_options(preserve_rowcount=True)


@lru_cache(maxsize=64)
def _insert_returning(dialect: str, model: type[Base], unique: tuple[str, ...]) -> Any:
    return _insert(dialect, model, unique).returning(model.__table__.c.id)


@lru_cache(maxsize=64)
def _insert_object(dialect: str, model: type[Base], unique: tuple[str, ...]) -> Any:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return insert(model).on_conflict_do_nothing(index_elements=list(unique)).returning(model)


@lru_cache(maxsize=64)
def _put(dialect: str, model: type[Base], unique: tuple[str, ...], columns: tuple[str, ...]) -> Any:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    statement = insert(model.__table__)  # type: ignore[arg-type]
    given = {name: statement.excluded[name] for name in columns if name not in unique}
    return statement.on_conflict_do_update(index_elements=list(unique), set_=given)


@lru_cache(maxsize=2)
def _count_up(dialect: str) -> Any:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    table: Any = Counter.__table__
    statement = insert(table).on_conflict_do_update(index_elements=["name"], set_={"value": table.c.value + 1})
    return statement.returning(table.c.value)
