"""The tables and what they start with: migrations and shipped rules; and the invented places, for trying out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select

from bot import crypto, gazetteer_import, rules
from bot.database import Database
from bot.models import Community
from bot.settings import Settings

MIGRATIONS = Path(__file__).parent / "migrations"
# Two machines that start at once upgrade one after the other; any number that nobody else locks will do.
_UPGRADE_LOCK = 4_312_023


def upgrade(settings: Settings) -> None:
    """Bring a database up to date: tables and shipped rules. Safe to repeat. Places are the operator's to import.

    Raises what the engine raises when the database cannot be reached; a migration that fails changes nothing.
    """
    if settings.data_key:
        crypto.configure(settings.data_key)
    database = Database(settings.database_url)
    try:
        migrate(database)
        load_defaults(database)
    finally:
        database.dispose()


def migrate(database: Database, revision: str = "head") -> None:
    """Run the migrations up to `revision` in one transaction."""
    with _locked(database) as connection:
        command.upgrade(_config(connection), revision)


def revert(database: Database, revision: str) -> None:
    """Take migrations back down to `revision` ("base": all of them, with everything stored)."""
    with _locked(database) as connection:
        command.downgrade(_config(connection), revision)


def load_defaults(database: Database) -> None:
    """Add shipped rules that are new or changed."""
    with database.transaction() as session:
        rules.load_shipped(session)


def load_invented_places(database: Database) -> None:
    """Load the invented network of data/gazetteer where there are no places yet.

    For the demonstration, tests, replays and benchmarks only: a real database must not know streets that are not there.
    """
    with database.transaction() as session:
        if session.scalar(select(Community.id).limit(1)) is None:
            gazetteer_import.import_path(session, rules.DATA / "gazetteer")


def is_current(database: Database) -> bool:
    """Whether the database has the tables that this version of the software expects."""
    with database.engine.connect() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    return found == head()


def head() -> str | None:
    """The newest migration."""
    return ScriptDirectory(str(MIGRATIONS)).get_current_head()


def write_revision(settings: Settings, message: str) -> None:
    """Write the migration from an up-to-date database to today's models; a person reads it before it is committed."""
    database = Database(settings.database_url)
    try:
        with _locked(database) as connection:
            command.revision(_config(connection), message, autogenerate=True, rev_id=_next_id())
    finally:
        database.dispose()


def _next_id() -> str:
    return f"{len(list(MIGRATIONS.glob('versions/[0-9]*.py'))) + 1:04}"


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.set_main_option("file_template", "%%(rev)s_%%(slug)s")
    config.attributes["connection"] = connection
    return config


@contextmanager
def _locked(database: Database) -> Iterator[Connection]:
    """A connection in a transaction that no other upgrade runs beside; commits at the end."""
    with database.engine.connect() as connection:
        if not database.is_sqlite:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_UPGRADE_LOCK})")
            yield connection
            connection.commit()
            return
        # A table that SQLite rebuilds is dropped on the way; with foreign keys on, that would delete what refers to it.
        connection.exec_driver_sql("PRAGMA foreign_keys=OFF")
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        yield connection
        if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
            raise RuntimeError("A migration left rows that refer to nothing; it was rolled back.")
        connection.commit()
        connection.exec_driver_sql("PRAGMA foreign_keys=ON")
