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

    @group.command()
    @click.option("--messages", default=2000, show_default=True, help="how many messages are parsed, twice")
    @click.option("--clients", default=8, show_default=True, help="how many connections parse at once")
    @click.option("--processes", default=2, show_default=True, help="how many serving processes there are")
    @click.option("--compare", is_flag=True, help="train and measure Rasa's default pipeline and scikit-learn too")
    @click.option("--epochs", default=100, show_default=True, help="rounds of training of Rasa's DIET, for --compare")
    @click.option("--json", "as_json", is_flag=True, help="print JSON")
    @plain_errors
    def nlu(messages: int, clients: int, processes: int, compare: bool, epochs: int, as_json: bool) -> None:
        """Parses a second over HTTP, their latency and memory."""
        from bot.bench.nlu import run, table

        rows = run(settings(), messages=messages, clients=clients, processes=processes, compare=compare, epochs=epochs)
        click.echo(json.dumps(rows, ensure_ascii=False) if as_json else table(rows))


def _print(figures: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(figures, ensure_ascii=False))
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        click.echo(f"{name:<{width}}  {value}")
