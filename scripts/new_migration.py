"""Writes the migration from the last one to today's bot/models.py: `python scripts/new_migration.py "what changes"`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from bot import schema
from bot.database import Database
from bot.settings import Settings


def main() -> None:
    """Compare the models with a scratch database that has every migration so far."""
    if len(sys.argv) != 2:
        sys.exit('Say what changes: python scripts/new_migration.py "what changes"')
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(database_url=f"sqlite:///{Path(folder) / 'scratch.db'}")
        database = Database(settings.database_url)
        schema.migrate(database)
        database.dispose()
        schema.write_revision(settings, sys.argv[1])


if __name__ == "__main__":
    main()
