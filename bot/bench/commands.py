"""`heatline bench …`: the benchmarks as commands; each prints its figures, or JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import click

from bot.settings import ROOT, Settings

Wrap = Callable[[Callable[..., None]], Callable[..., None]]


def register(group: click.Group, settings: Callable[[], Settings], plain_errors: Wrap) -> None:
    """Add the commands to `heatline bench`."""

    @group.command()
    @click.option("--postgres", help="postgresql+psycopg://… of a server where a database may be made; default: SQLite")
    @click.option("--messages", default=2000, show_default=True, help="how many messages are posted")
    @click.option("--clients", default=8, show_default=True, help="how many connections post them")
    @click.option("--processes", default=2, show_default=True, help="how many web processes there are (PostgreSQL)")
    @click.option("--json", "as_json", is_flag=True, help="print JSON")
    @plain_errors
    def turns(postgres: str | None, messages: int, clients: int, processes: int, as_json: bool) -> None:
        """Complete turns a second over signed, encrypted WeChat webhooks."""
        from bot.bench.turns import run

        prepared = replace(settings(), web_processes=str(processes))
        result = run(prepared, database_url=postgres, messages=messages, clients=clients)
        _print(result.as_dict(), as_json)

    @group.command()
    @click.option("--postgres", help="postgresql+psycopg://… of a server where a database may be made; default: SQLite")
    @click.option("--messages", default=6000, show_default=True, help="how many messages are posted")
    @click.option("--clients", default=16, show_default=True, help="how many connections post them")
    @click.option("--processes", default=2, show_default=True, help="how many web processes there are (PostgreSQL)")
    @click.option("--channel", type=click.Choice(["wechat", "aliyun"]), default="wechat", show_default=True)
    @click.option("--json", "as_json", is_flag=True, help="print JSON")
    @plain_errors
    def acks(postgres: str | None, messages: int, clients: int, processes: int, channel: str, as_json: bool) -> None:
        """Acknowledgements a second: webhooks verified, stored, thanked. On SQLite the worker answers meanwhile."""
        from bot.bench.acks import run

        prepared = replace(settings(), web_processes=str(processes))
        result = run(prepared, database_url=postgres, messages=messages, clients=clients, channel=channel)
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

    @group.command()
    @click.option("--postgres", help="postgresql+psycopg://… of a server where a database may be made; default: SQLite")
    @click.option("--tickets", default=100_000, show_default=True, help="how many tickets are open")
    @click.option("--due", default=200, show_default=True, help="how many of them fall due at once")
    @click.option("--json", "as_json", is_flag=True, help="print JSON")
    @plain_errors
    def clocks(postgres: str | None, tickets: int, due: int, as_json: bool) -> None:
        """One pass over the clocks of open tickets, in milliseconds; and over those that have fallen due."""
        from bot.bench.clocks import run

        _print(run(settings(), database_url=postgres, tickets=tickets, due=due).as_dict(), as_json)

    @group.command()
    @click.option("--weeks", default=8, show_default=True, help="how long the season is")
    @click.option("--messages", default=1000, show_default=True, help="how many messages arrive in a week")
    @click.option("--verdicts", default=200, show_default=True, help="how many of them a reviewer judges")
    @click.option("--seed", default=1, show_default=True, help="another season with the same sentences")
    @plain_errors
    def learning(weeks: int, messages: int, verdicts: int, seed: int) -> None:
        """The error of understanding over a season of reviewing: in random order, and by what a correction is worth."""
        from bot.bench.learning import picture, run

        click.echo("order   week  labelled   error    cost")
        rows = run(weeks, messages, verdicts, seed, _tell_week)
        for score in ("error", "cost"):
            path = ROOT / "var" / f"learning-{score}.svg"
            path.parent.mkdir(exist_ok=True)
            path.write_text(picture(rows, score, f"{score} on the frozen test set by week"), encoding="utf-8")
            click.echo(f"Picture: {path}")

    _register_week(group, settings, plain_errors)


def _register_week(group: click.Group, settings: Callable[[], Settings], plain_errors: Wrap) -> None:
    @group.command()
    @click.option("--homes", default=2000, show_default=True, help="how many homes report")
    @click.option("--days", default=7, show_default=True, help="on how many days they report")
    @click.option("--seed", default=1, show_default=True, help="another week with the same rules")
    @click.option("--labelled", is_flag=True, help="understand the sentences as labelled, without a model")
    @plain_errors
    def week(homes: int, days: int, seed: int, labelled: bool) -> None:
        """A cold week of invented homes on virtual time: who waits how long, which promises held, what was told."""
        from bot.bench.week import hours_of, run

        with click.progressbar(length=hours_of(days), label="Virtual hours", file=sys.stderr) as bar:
            result = run(settings(), homes=homes, days=days, seed=seed, labelled=labelled, progress=bar.update)
        for line in result.lines():
            click.echo(line)
        if not result.holds:
            raise click.ClickException("Not every property holds.")


def _tell_week(row: Mapping[str, Any]) -> None:
    click.echo(f"{row['order']:<7} {row['week']:4d} {row['labelled']:9d} {row['error']:7.4f} {row['cost']:7.4f}")


def _print(figures: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(figures, ensure_ascii=False))
        return
    width = max(map(len, figures))
    for name, value in figures.items():
        click.echo(f"{name:<{width}}  {value}")
