"""The tables: migrations and models agree, and bringing a database up to date can be repeated."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, func, inspect, select

from bot import gazetteer_import, schema
from bot.database import Database
from bot.models import Base, Community, Rule, Station
from bot.rules import DATA
from bot.settings import Settings


def test_migrations_and_models_describe_the_same_tables(database: Database) -> None:
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []
    assert schema.is_current(database)


def test_checks_of_the_models_are_in_the_database(database: Database) -> None:
    inspector = inspect(database.engine)
    for table in Base.metadata.sorted_tables:
        expected = {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint)}
        assert {c["name"] for c in inspector.get_check_constraints(table.name)} == expected, table.name


def test_a_second_upgrade_adds_nothing(database: Database, settings: Settings) -> None:
    before = _counts(database)
    schema.upgrade(settings)
    assert _counts(database) == before
    assert all(before.values())


def test_an_upgrade_leaves_an_operators_own_places_alone(database: Database, settings: Settings) -> None:
    with database.transaction() as session:
        station = session.scalars(select(Station)).first()
        assert station is not None
        station.name = "改过的站"
    schema.upgrade(settings)
    with database.reading() as session:
        assert session.scalar(select(Station.name).where(Station.code == station.code)) == "改过的站"


def test_migrations_can_be_taken_back(database: Database, settings: Settings) -> None:
    schema.revert(database, "base")
    assert set(inspect(database.engine).get_table_names()) <= {"alembic_version"}
    schema.upgrade(settings)
    assert _counts(database)["rule"]


def test_an_upgrade_brings_no_invented_places(database: Database, settings: Settings) -> None:
    schema.revert(database, "base")
    schema.upgrade(settings)
    assert _counts(database)["community"] == 0


def test_the_shipped_places_have_no_wrong_row(database: Database) -> None:
    with database.transaction() as session:
        assert (
            gazetteer_import.import_path(session, DATA / "gazetteer")["communities"] == _counts(database)["community"]
        )


@pytest.fixture
def upgraded(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    """An up-to-date database that meets a next migration, which fails after it has changed something."""
    folder = tmp_path / "migrations"
    folder.mkdir()
    for path in schema.MIGRATIONS.rglob("*.*"):
        if path.suffix in (".py", ".mako"):
            copy = folder / path.relative_to(schema.MIGRATIONS)
            copy.parent.mkdir(exist_ok=True)
            copy.write_text(path.read_text(encoding="utf-8"), encoding="utf-8")
    head = schema.head()
    (folder / "versions" / "9999_broken.py").write_text(
        f"from alembic import op\nrevision = '9999'\ndown_revision = {head!r}\n"
        "def upgrade() -> None:\n"
        "    op.execute('CREATE TABLE half_done (id INTEGER)')\n"
        "    op.execute('INSERT INTO no_such_table VALUES (1)')\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(schema, "MIGRATIONS", folder)
    return database


def test_a_migration_that_fails_changes_nothing(upgraded: Database) -> None:
    with pytest.raises(Exception, match="no_such_table"):
        schema.migrate(upgraded)
    assert "half_done" not in inspect(upgraded.engine).get_table_names()


def _counts(database: Database) -> dict[str, int]:
    with database.reading() as session:
        return {
            model.__tablename__: session.scalar(select(func.count()).select_from(model)) or 0
            for model in (Rule, Community, Station)
        }
