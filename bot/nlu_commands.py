"""`heatline nlu …`: train, serve, parse, evaluate and look after the models."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from sqlalchemy.exc import SQLAlchemyError

from bot.nlu_server import running_nlu, shelf
from bot.settings import ROOT, Settings
from nlu.environment import NotInstalled
from nlu.gazetteer import Gazetteer
from nlu.interpreter import Interpreter, NluError, RasaInterpreter, as_row
from nlu.places import default_gazetteer
from nlu.shelf import ShelfError
from nlu.training import TrainingFailed

Wrap = Callable[[Callable[..., None]], Callable[..., None]]


def register(group: click.Group, settings: Callable[[], Settings], plain_errors: Wrap) -> None:
    """Add the commands to `heatline nlu`."""

    @group.command()
    @click.option("--data", multiple=True, type=click.Path(exists=True, path_type=Path), help="Further labelled files.")
    @plain_errors
    def train(data: tuple[Path, ...]) -> None:
        """Train a model on data/intents/; the first one goes live by itself."""
        _train(settings(), data)

    @group.command()
    @plain_errors
    def models() -> None:
        """List the models, the live one marked."""
        for model in shelf(settings()).models():
            click.echo(f"{'*' if model.live else ' '} {model.name}  {_figures(model.measured)}")

    @group.command()
    @click.argument("name")
    @plain_errors
    def promote(name: str) -> None:
        """Make a model the live one; a running server follows within seconds."""
        _on_shelf(lambda: shelf(settings()).promote(name).name)

    @group.command()
    @plain_errors
    def rollback() -> None:
        """Go back to the model that was live before."""
        _on_shelf(lambda: shelf(settings()).rollback().name)

    @group.command()
    @plain_errors
    def serve() -> None:
        """Serve the live model at HEATLINE_NLU_URL."""
        _serve(settings())

    @group.command()
    @click.argument("text", required=False)
    @click.option("--jsonl", is_flag=True, help="Read JSON Lines with `text` from standard input.")
    @plain_errors
    def parse(text: str | None, jsonl: bool) -> None:
        """Show what TEXT means."""
        if (text is None) == (not jsonl):
            raise click.UsageError("Give either TEXT or --jsonl.")
        lines = sys.stdin if jsonl else [json.dumps({"text": text})]
        sys.exit(1 if _parse(settings(), iter(lines), indent=None if jsonl else 2) else 0)

    @group.command()
    @click.argument("file", type=click.Path(exists=True, path_type=Path))
    @click.option("--json", "as_json", is_flag=True, help="Print the whole report as JSON.")
    @plain_errors
    def evaluate(file: Path, as_json: bool) -> None:
        """Score understanding on labelled messages (JSON Lines, or a folder of corpus files)."""
        from bot.nlu_evaluation import evaluate as run

        run(settings(), file, as_json)

    @group.command()
    @click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
    @click.option("--held-back", is_flag=True, help="Write those that are kept for comparing models instead.")
    @plain_errors
    def verdicts(file: Path, held_back: bool) -> None:
        """Write what reviewers have judged, without personal data, to FILE: JSON Lines for `nlu train --data FILE`."""
        _verdicts(settings(), file, held_back)

    @group.command(hidden=True)
    @click.argument("run", type=int)
    @plain_errors
    def learn(run: int) -> None:
        """Carry out training RUN, which was asked for at the desk."""
        _learn(settings(), run)


def _verdicts(settings: Settings, file: Path, held_back: bool) -> None:
    from bot import services, verdicts
    from bot.learning import write_lines

    made = services.create(settings)
    try:
        with made.database.reading() as session:
            lines = list(verdicts.export(session, made.gazetteer.current(), held_back=held_back))
    finally:
        made.database.dispose()
    write_lines(file, lines)
    conflicts = verdicts.conflicts(lines)
    click.echo(f"{len(lines)} verdicts written to {file}.")
    for found in conflicts:
        labels = ", ".join(f"{intent} ({origin})" for intent, origin in found.labels)
        click.echo(f"Labelled in two ways: {found.text}: {labels}", err=True)


def _learn(settings: Settings, run: int) -> None:
    from bot import learning, services

    made = services.create(settings)
    try:
        learning.carry_out(made.database, settings, made, run)
    finally:
        made.database.dispose()


def _train(settings: Settings, data: tuple[Path, ...]) -> None:
    from nlu.training import train

    with click.progressbar(length=100, label="Training", file=sys.stderr) as bar:

        def progress(done: float, what: str) -> None:
            bar.label = f"Training: {what:<24.24}"
            bar.update(int(done * 100) - bar.pos)

        try:
            model = train([ROOT / "data" / "intents", *data], shelf(settings).folder, progress)
        except (TrainingFailed, NotInstalled) as error:
            raise click.ClickException(str(error)) from None
    click.echo(f"{model.name}{' is live' if model.live else ''}  {_figures(model.measured)}")


def _figures(measured: dict[str, Any]) -> str:
    names = ("corpus_sentences", "seconds", "accuracy")
    return "  ".join(f"{name} {measured[name]}" for name in names if name in measured)


def _on_shelf(act: Callable[[], str]) -> None:
    try:
        click.echo(f"{act()} is live.")
    except ShelfError as error:
        raise click.ClickException(str(error)) from None


def _serve(settings: Settings) -> None:
    from nlu.serving import serve

    address = urlsplit(settings.nlu_url)
    try:
        serve(
            shelf(settings),
            address.hostname or "127.0.0.1",
            address.port or 5005,
            settings.nlu_token,
            int(settings.nlu_processes),
        )
    except (ShelfError, NotInstalled) as error:
        raise click.ClickException(str(error)) from None


def _parse(settings: Settings, lines: Iterator[str], indent: int | None) -> bool:
    """Parse line by line; returns whether one was bad."""
    failed = False
    with running_nlu(settings) as ready:
        interpreter = RasaInterpreter(ready.nlu_url, ready.nlu_token)
        places = _places(settings)
        for line in lines:
            row = _parse_line(interpreter, places, line)
            failed = failed or "error" in row
            print(_as_json(row, indent), flush=True)
    return failed


def _as_json(row: dict[str, Any], indent: int | None) -> str:
    """JSON that any terminal and file can hold: half a character (a lone surrogate) is written as its escape."""
    text = json.dumps(row, ensure_ascii=False, indent=indent)
    return text if text.isascii() or _is_whole(text) else json.dumps(row, indent=indent)


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def _parse_line(interpreter: Interpreter, places: Gazetteer, line: str) -> dict[str, Any]:
    try:
        given = json.loads(line)
    except (ValueError, RecursionError) as error:  # an endless number and too deep a nesting are no JSON either
        return {"error": f"not JSON: {getattr(error, 'msg', type(error).__name__)}"}
    if not isinstance(given, dict) or not isinstance(given.get("text"), str):
        return {"error": "a line must be an object with a text `text`"}
    try:
        understood = interpreter.understand(given["text"], places)
    except NluError as error:
        return {**given, "error": type(error).__name__}
    return {**given, **as_row(understood)}


def _places(settings: Settings) -> Gazetteer:
    """The operator's places where there is a database, else the ones that ship."""
    from bot.database import Database
    from bot.gazetteer import GazetteerSource

    if settings.is_sqlite and not (ROOT / settings.database_url.removeprefix("sqlite:///")).exists():
        return default_gazetteer()
    database = Database(settings.database_url)
    try:
        places = GazetteerSource(database).current()
    except SQLAlchemyError:
        return default_gazetteer()
    finally:
        database.dispose()
    return places if places.communities else default_gazetteer()
