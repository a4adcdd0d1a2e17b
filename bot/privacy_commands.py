"""`heatline privacy …`: what is past its time, in numbers."""

from __future__ import annotations

from collections.abc import Callable

import click

from bot.settings import Settings

Wrap = Callable[[Callable[..., None]], Callable[..., None]]


def register(group: click.Group, settings: Callable[[], Settings], plain_errors: Wrap) -> None:
    """Add the commands to `heatline privacy`."""

    @group.command()
    @plain_errors
    def due() -> None:
        """How much of each kind is past its time and goes in the coming night; changes nothing."""
        from bot import retention, services

        built = services.create(settings())
        try:
            with built.database.reading() as session:
                rows = retention.due(built.context(session))
        finally:
            built.database.dispose()
        zone = built.settings.zone
        for row in rows:
            click.echo(f"{row.kind:<9} before {row.before.astimezone(zone):%Y-%m-%d}  {row.rows:>8}  {row.name}")
        click.echo(f"{sum(row.rows for row in rows)} rows would go.")
