"""The command `heatline`: every way of running and tending the service."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from functools import wraps
from pathlib import Path
from typing import Any

import click

from bot import settings as settings_module
from bot.settings import ROOT, Settings, SettingsError


def _settings() -> Settings:
    """Settings of this call; secrets that nobody configured are made once for this machine and kept under var/."""
    configured = settings_module.load()
    missing = [name for name in ("secret_key", "data_key", "nlu_token") if not getattr(configured, name)]
    if missing:
        made = settings_module.local_secrets(ROOT / "var")
        configured = replace(configured, **{name: made[settings_module.variable(name)] for name in missing})
    return configured


def _plain_errors(function: Callable[..., None]) -> Callable[..., None]:
    """Say what is wrong with the settings or the set-up in one sentence, without a traceback."""

    @wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            function(*args, **kwargs)
        except SettingsError as error:
            raise click.ClickException(str(error)) from None

    return wrapped


@click.group()
@click.version_option(package_name="heatline")
def main() -> None:
    """暖线 Heatline: residents report heating problems by WeChat or SMS."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("waitress").setLevel(logging.WARNING)
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of every request that waits for a thread
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger("twilio.http_client").setLevel(logging.WARNING)  # it logs bodies with phones at INFO
    logging.getLogger("urllib3").setLevel(logging.WARNING)  # its DEBUG lines hold addresses with tokens


@main.command()
@_plain_errors
def serve() -> None:
    """Run web, worker and NLU server on this machine."""
    from bot import schema
    from bot import serve as serving

    settings = _settings()
    if settings.is_demo:
        settings = serving.demo_settings(settings)
    schema.upgrade(settings)
    login = _load_demo(settings) if settings.is_demo else None

    def announce() -> None:
        click.echo(f"\n  暖线 Heatline: {settings.base_url}/")
        if login is not None:
            click.echo(f"  试用页 {settings.base_url}/try   工作台 {settings.base_url}/desk/")
            click.echo(f"  演示登录 / demonstration login: {login[0]} / {login[1]}")
        click.echo("  Ctrl-C ends everything.\n")

    serving.serve(settings, announce)


def _load_demo(settings: Settings) -> tuple[str, str]:
    from bot import demo, services

    built = services.create(settings)
    try:
        return demo.load_demo(built)
    finally:
        built.database.dispose()


@main.command()
@_plain_errors
def web() -> None:
    """Run the web server alone (PostgreSQL)."""
    from bot.serve import run_web

    run_web(_settings())


@main.command()
@_plain_errors
def worker() -> None:
    """Run the worker alone (PostgreSQL)."""
    from bot.serve import run_worker

    run_worker(_settings())


@main.command()
@click.option("--sms", is_flag=True, help="Talk as a resident on SMS instead of WeChat.")
@_plain_errors
def chat(sms: bool) -> None:
    """Talk to it in the terminal, through the real path."""
    from bot.chat import talk

    talk(_settings(), "sms" if sms else "wechat")


@main.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_plain_errors
def replay(file: Path) -> None:
    """Play dialogues (JSON Lines) through the real path; prints JSON Lines of what happened."""
    from bot.replay import run

    failed = run(_settings(), file.read_text(encoding="utf-8").splitlines(), sys.stdout)
    sys.exit(1 if failed else 0)


@main.command()
@_plain_errors
def config() -> None:
    """List every setting, its value and what it is for."""
    settings = _settings()
    for field in fields(Settings):
        value = getattr(settings, field.name)
        shown = ("(set)" if value else "(not set)") if field.metadata["secret"] else value or "(not set)"
        click.echo(f"{settings_module.variable(field.name)} = {shown}\n    {field.metadata['help']}")


@main.group()
def db() -> None:
    """The database."""


@db.command()
@_plain_errors
def upgrade() -> None:
    """Bring tables and shipped rules up to date."""
    from bot import schema

    schema.upgrade(_settings())
    click.echo("The database is up to date.")


@main.group()
def staff() -> None:
    """People who work at the desk."""


@staff.command()
@click.argument("name")
@click.option(
    "--role", default="agent", show_default=True, help="reviewer, agent, dispatcher, crew, supervisor, administrator"
)
@click.option("--team", help="code of the team, for crew")
@click.password_option()
@_plain_errors
def add(name: str, role: str, team: str | None, password: str) -> None:
    """Add someone; the first is an administrator."""
    from bot import crypto
    from bot import staff as accounts
    from bot.database import Database

    settings = _settings()
    crypto.configure(settings.data_key)
    database = Database(settings.database_url)
    try:
        with database.transaction() as session:
            person = accounts.add(session, name, password, role, team)
            click.echo(f"{person.name} can log in as {person.role}.")
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    finally:
        database.dispose()


@main.group()
def gazetteer() -> None:
    """Places and people: companies, estates, buildings, stations, teams, rosters."""


@gazetteer.command("import")
@click.argument("path", type=click.Path(exists=True, path_type=Path))
@_plain_errors
def import_(path: Path) -> None:
    """Import places and people from PATH: a folder of CSV files, one of them, or an Excel workbook.

    Every row is checked first; where one is wrong, each error is told with its row and nothing changes.
    """
    from bot import crypto
    from bot import gazetteer_import as places
    from bot.database import Database

    settings = _settings()
    crypto.configure(settings.data_key)
    database = Database(settings.database_url)
    try:
        tables = places.read(path)
        total = sum(len(rows) for rows in tables.values())
        with (
            click.progressbar(length=total, label="Importing", file=sys.stderr) as bar,
            database.transaction() as session,
        ):
            counts = places.import_rows(session, tables, bar.update)
    except places.ImportRefused as refused:
        for error in refused.errors[:50]:
            click.echo(error, err=True)
        raise click.ClickException(str(refused)) from None
    finally:
        database.dispose()
    click.echo(", ".join(f"{count} {name}" for name, count in counts.items()))


@main.group()
def nlu() -> None:
    """Understanding: train, serve, parse, evaluate."""


@main.group()
def households() -> None:
    """The company's books of homes, by which residents prove that a home is theirs."""


@households.command("import")
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_plain_errors
def import_households(path: Path) -> None:
    """Import account numbers, addresses and registered phones from a CSV file; a wrong row changes nothing."""
    from bot import crypto
    from bot import households as books
    from bot.database import Database
    from bot.gazetteer import GazetteerSource

    settings = _settings()
    crypto.configure(settings.data_key)
    database = Database(settings.database_url)
    try:
        entries = books.read(path, GazetteerSource(database).current())
        with (
            click.progressbar(length=len(entries), label="Importing", file=sys.stderr) as bar,
            database.transaction() as session,
        ):
            count = books.load(session, entries, bar.update)
    except books.BooksRefused as refused:
        raise click.ClickException("\n".join((str(refused), *refused.errors))) from None
    finally:
        database.dispose()
    click.echo(f"{count} homes are in the books.")


@main.group()
def privacy() -> None:
    """Personal data: what is past its time."""


@main.group()
def sms() -> None:
    """SMS: what texts cost."""


@main.group()
def wechat() -> None:
    """The WeChat account: check it, set its menu, make the buildings' QR codes."""


@main.group()
def bench() -> None:
    """What the performance claims are measured with."""


def _register() -> None:
    from bot.bench import commands as bench_commands
    from bot.nlu_commands import register
    from bot.privacy_commands import register as register_privacy
    from bot.sms_commands import register as register_sms
    from bot.wechat_commands import register as register_wechat

    register(nlu, _settings, _plain_errors)
    register_privacy(privacy, _settings, _plain_errors)
    register_sms(sms, _settings, _plain_errors)
    register_wechat(wechat, _settings, _plain_errors)
    bench_commands.register(bench, _settings, _plain_errors)


_register()

if __name__ == "__main__":
    main()
