"""Engines, sessions and the two kinds of transaction: `transaction` writes, `reading` only reads."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import DateTime, Engine, create_engine, event, make_url
from sqlalchemy.engine import Dialect
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.types import TypeDecorator

from bot.settings import ROOT

# How many transactions a process has open at once on PostgreSQL: Python runs one thread at a time, and more of them
# only keep one another from it (`heatline bench turns`: 8 % slower without this).
TRANSACTIONS = 3
RESTED = 1.0  # seconds after which an unused connection is asked whether it still stands


class UtcDateTime(TypeDecorator[datetime]):
    """Aware datetimes, kept in UTC on both engines. A naive datetime is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("A naive datetime cannot be stored; times are aware and in UTC.")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        stored: datetime = value
        return stored.replace(tzinfo=UTC) if stored.tzinfo is None else stored.astimezone(UTC)


class Database:
    """One database address: its engine and its transactions."""

    def __init__(self, url: str, pool_size: int = 24) -> None:
        self.url = make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(str(url)) if self.is_sqlite else _server_engine(url, pool_size)
        # SQLite: one write lock around every BEGIN IMMEDIATE, for waiting threads then queue in order instead of its
        # busy handler letting one starve for seconds.
        self._gate: Any = threading.Lock() if self.is_sqlite else threading.BoundedSemaphore(TRANSACTIONS)
        self._sessions = sessionmaker(self.engine, expire_on_commit=False, autoflush=False)

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A writing transaction: commits at the end, rolls back on any exception. Never hold one over a network call."""
        with self._gate, self._sessions() as session:
            session.info["writing"] = True
            with session.begin():
                yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """A session for reading; nothing is written, and it does not wait for writers."""
        with self._sessions() as session:
            try:
                yield session
            finally:
                session.rollback()

    def dispose(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _server_engine(url: str, pool_size: int) -> Engine:
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=8,
        hide_parameters=True,  # errors must not quote residents
    )

    @event.listens_for(engine, "checkin")
    def _note(_connection: Any, record: Any) -> None:
        record.info["since"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _test(connection: Any, record: Any, _proxy: Any) -> None:
        """`pool_pre_ping` for connections that have rested: busy ones would be asked twice a turn."""
        if time.monotonic() - record.info.get("since", math.inf) < RESTED:
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            raise DisconnectionError from error  # the pool tries the next one

    return engine


def _sqlite_engine(url: str) -> Engine:
    # Debian 12's SQLite 3.40 has the WAL-reset corruption bug (mended in 3.51.3), so the driver brings its own.
    from pysqlite3 import dbapi2

    path = make_url(url).database
    if path and path != ":memory:":
        absolute = ROOT / path
        absolute.parent.mkdir(parents=True, exist_ok=True)
        url = f"sqlite:///{absolute}"
    engine = create_engine(
        url, module=dbapi2, connect_args={"timeout": 30, "check_same_thread": False}, pool_size=24, hide_parameters=True
    )

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-32000",
            "temp_store=MEMORY",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


@event.listens_for(Session, "after_begin")
def _begin(session: Session, _transaction: Any, connection: Any) -> None:
    """SQLite: a writing session takes the write lock at once; one that upgraded later could fail on a busy snapshot."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE" if session.info.get("writing") else "BEGIN")
