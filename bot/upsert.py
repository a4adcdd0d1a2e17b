"""INSERT … ON CONFLICT on both engines."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    Row,
    String,
    Text,
    TypeDecorator,
    bindparam,
    cast,
    column,
    func,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bot.models import Base, Counter

Rows = Sequence[dict[str, Any]]


def insert_ignoring(session: Session, model: type[Base], rows: Sequence[dict[str, Any]], unique: Sequence[str]) -> int:
    """Insert rows unless one with the same unique columns exists; returns how many were inserted."""
    statement = _insert(_dialect(session), model, tuple(unique))
    counts: list[int] = [session.execute(statement, row).rowcount for row in rows]  # type: ignore[attr-defined]
    return sum(counts)


def insert_new(session: Session, model: type[Base], row: dict[str, Any], unique: Sequence[str]) -> int | None:
    """Insert one row and return its id; None where one with the same unique columns exists."""
    key: int | None = session.execute(_insert_returning(_dialect(session), model, tuple(unique)), row).scalar()
    return key


def insert_all(
    connection: Connection, model: type[Base], rows: Rows, returning: Sequence[str], unique: Sequence[str] = ()
) -> Sequence[Row[Any]]:
    """Insert rows of the same columns in one statement; those inserted, so far as `returning` names their columns.

    With `unique`, rows are left out whose values of those columns are there already.
    """
    if not rows:
        return ()
    statement = _insert_all(connection.dialect.name, model, tuple(rows[0]), tuple(returning), tuple(unique))
    return connection.execute(statement, _many(connection, model, rows)).all()


def update_all(connection: Connection, model: type[Base], rows: Rows) -> None:
    """Give the rows that these name by `id` their other values."""
    if rows:
        given = [{f"given_{name}": value for name, value in row.items()} for row in rows]
        connection.execute(_update_all(model, tuple(rows[0])), given)


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


# Many rows at once. PostgreSQL is sent them as one JSON text: a statement that is the same for any number of rows is
# read once by SQLAlchemy, by psycopg and by the server; several times faster than one with a parameter for each value.
# In SQLite, which is in-process, there is nothing to gain.


def _many(connection: Connection, model: type[Base], rows: Rows) -> Any:
    if connection.dialect.name == "sqlite":
        return [{f"given_{name}": value for name, value in row.items()} for row in rows]
    columns: Any = model.__table__.c
    decorated = {name: columns[name].type for name in rows[0] if isinstance(columns[name].type, TypeDecorator)}
    plain = [
        row | {name: kind.process_bind_param(row[name], connection.dialect) for name, kind in decorated.items()}
        for row in rows
    ]
    return {"rows": json.dumps(plain, default=_as_json, ensure_ascii=False)}


def _as_json(value: Any) -> str:
    """What PostgreSQL reads as a bytea or a timestamp."""
    return f"\\x{value.hex()}" if isinstance(value, bytes) else str(value.isoformat())


def _given(table: Any, names: tuple[str, ...]) -> Any:
    """The rows of the JSON text as a table. Texts have no length there, for a cast would cut what should be refused."""
    kinds = {name: table.c[name].type for name in names}
    columns = [column(name, String() if type(kind) is String else kind) for name, kind in kinds.items()]
    text = cast(bindparam("rows", type_=Text), JSON)
    return func.json_to_recordset(text).table_valued(*columns, name="given").render_derived(with_types=True)


@lru_cache(maxsize=64)
def _insert_all(
    dialect: str, model: type[Base], names: tuple[str, ...], returning: tuple[str, ...], unique: tuple[str, ...]
) -> Any:
    table: Any = model.__table__
    statement: Any
    if dialect == "sqlite":
        statement = sqlite.insert(table).values({name: bindparam(f"given_{name}") for name in names})
    else:
        given = _given(table, names)
        statement = postgresql.insert(table).from_select(names, select(*given.c), include_defaults=False)
    if unique:
        statement = statement.on_conflict_do_nothing(index_elements=list(unique))
    return statement.returning(*(table.c[name] for name in returning))


@lru_cache(maxsize=64)
def _update_all(model: type[Base], names: tuple[str, ...]) -> Any:
    # Row by row, which the drivers do in one go: joined with a list of rows, PostgreSQL would read the whole table.
    table: Any = model.__table__
    values = {name: bindparam(f"given_{name}", type_=table.c[name].type) for name in names if name != "id"}
    return update(table).where(table.c.id == bindparam("given_id")).values(values)


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
