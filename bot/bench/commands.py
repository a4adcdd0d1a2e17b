"""`heatline bench …`: the benchmarks as commands; each prints its figures, or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from bot.settings import Settings

Wrap = Callable[[Callable[..., None]], Callable[..., None]]


def register(group: click.Group, settings: Callable[[], Settings], plain_errors: Wrap) -> None:
    """Add the commands to `heatline bench`."""

    @group.command()
    @click.option("--postgres", help="postgresql+psycopg://… of a server where a database may be made; default: SQLite")
    @click.option("--messages", default=2000, show_default=True, help="how many messages are posted")
    @click.option("--clients", default=8, show_default=True, help="how many connections post them")
    @click.option("--json", "as_json", is_flag=True, help="print JSON")
    @plain_errors
    def turns(postgres: str | None, messages: int, clients: int, as_json: bool) -> None:
        """Complete turns a second over signed, encrypted WeChat webhooks."""
        from bot.bench.turns import run

        result = run(settings(), database_url=postgres, messages=messages, clients=clients)
        _print(result.as_dict(), as_json)


def _print(figures: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(figures, ensure_ascii=False))
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        click.echo(f"{name:<{width}}  {value}")
