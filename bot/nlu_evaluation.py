"""`heatline nlu evaluate`: scores on labelled messages; those that need a conversation go through the dialogue."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import click

from bot.nlu_server import running_nlu
from bot.rules import shipped_dialogue_rules
from bot.settings import ROOT, Settings
from handlers.dialogue.respond import RULE_DANGERS, choose_intent, meaning
from handlers.dialogue.types import Address, Case, Conversation, Rules, TicketView, Turn
from nlu.chart import confusion_svg, reliability_svg
from nlu.corpus import CorpusError, read_corpus, read_intent, read_jsonl
from nlu.danger import match_danger
from nlu.evaluate import Pair, score, score_acts
from nlu.interpreter import Interpreter, RasaInterpreter
from nlu.places import Gazetteer, default_gazetteer
from nlu.types import Understanding

_NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
_HOME = Address("金水区", "阳光花园", "3", "2", "501", known=True)
_PARTS = ("community", "building", "unit", "room")


def evaluate(settings: Settings, file: Path, as_json: bool) -> None:
    """Score a JSON Lines file, a corpus file or a folder of them; prints the report."""
    try:
        rows = read_labelled(file)
    except CorpusError as error:
        raise click.ClickException(str(error)) from None
    with running_nlu(settings) as ready:
        report = report_on(rows, RasaInterpreter(ready.nlu_url, ready.nlu_token), default_gazetteer())
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    _print(report)
    _draw("confusion", confusion_svg(report["confusion"]))
    _draw("reliability", reliability_svg(report["calibration"]["table"]))


def _draw(name: str, picture: str) -> None:
    """Leave a picture under var/ and say where."""
    path = ROOT / "var" / f"{name}.svg"
    path.parent.mkdir(exist_ok=True)
    path.write_text(picture, encoding="utf-8")
    click.echo(f"\nPicture: {path}")


def read_labelled(path: Path) -> list[dict[str, Any]]:
    """Labelled messages of a JSON Lines file, of one corpus file, or of a folder of both. Raises CorpusError."""
    if path.is_dir():
        lines = [row for file in sorted(path.glob("*.jsonl")) for row in read_jsonl(file)]
        return [asdict(sentence) for sentence in read_corpus(path)] + lines
    if path.suffix == ".yml":
        return [asdict(sentence) for sentence in read_intent(path)]
    return list(read_jsonl(path))


def report_on(rows: Sequence[Mapping[str, Any]], interpreter: Interpreter, places: Gazetteer) -> dict[str, Any]:
    """The scores of labelled rows; those with a `context` are told apart, under "context"."""
    free = [row for row in rows if not row.get("context")]
    bound = [row for row in rows if row.get("context")]
    pairs = []
    with click.progressbar(length=len(free), label="Reading", file=sys.stderr) as bar:
        for row in free:
            pairs.append(Pair(row, interpreter.understand(str(row["text"]), places)))
            bar.update(1)
    report = score(pairs)
    report["acted"] = score_acts([(pair, _act(pair, places)) for pair in pairs])
    if bound:
        report["context"] = _in_context(bound, interpreter, places)
    return report


def _act(pair: Pair, places: Gazetteer) -> str | None:
    """What a first message, with nothing before it, is acted on as; None where the resident is asked what is meant."""
    danger = match_danger(pair.got.text)
    if danger is not None:
        return "danger" if danger in RULE_DANGERS else "leak"
    if pair.got.intent == "unsubscribe":
        return "unsubscribe"
    return choose_intent(_turn({}, pair.got, places))


def _in_context(rows: Sequence[Mapping[str, Any]], interpreter: Interpreter, places: Gazetteer) -> dict[str, Any]:
    """Messages whose meaning needs the dialogue: what was asked last, and the resident's ticket."""
    wrong = []
    for row in rows:
        got = meaning(_turn(row["context"], interpreter.understand(str(row["text"]), places), places))
        if got != row["intent"]:
            wrong.append({"text": row["text"], "context": row["context"], "intent": row["intent"], "got": got})
    return {"messages": len(rows), "accuracy": 1 - len(wrong) / len(rows), "errors": wrong}


def _turn(context: Mapping[str, Any], understanding: Understanding, places: Gazetteer) -> Turn:
    asked, fault = context.get("asked"), context.get("open_ticket")
    status = context.get("status") or ("done" if asked == "resolved" else "dispatched")
    tickets = (_ticket(fault or "no_heat", status),) if fault or asked == "resolved" else ()
    telling = asked in (*_PARTS, "confirm_community")
    number = tickets[0].number if tickets and not telling else None
    case = Case(intent=fault or "no_heat") if telling or number else None
    return Turn(
        understanding=understanding,
        channel="wechat",
        received_at=_NOW,
        today=_NOW.date(),
        conversation=Conversation(case, None if asked == "resolved" else asked, ticket=number),
        places=places,
        rules=_rules(),
        tickets=tickets,
    )


@cache
def _rules() -> Rules:
    """The dialogue's rules as they ship, read once for all messages."""
    return shipped_dialogue_rules()


def _ticket(fault: str, status: str) -> TicketView:
    closed = _NOW if status == "closed" else None
    return TicketView("N20261122-0001", (fault,), status, _HOME, _NOW, _NOW, closed_at=closed)


def _print(report: Mapping[str, Any]) -> None:
    for name, value in report.items():
        if isinstance(value, int | float):
            click.echo(f"{name:<23} {value:.4f}" if isinstance(value, float) else f"{name:<23} {value}")
    click.echo(f"{'also (micro F1)':<23} {report['also']['f1']:.4f}")
    click.echo(f"{'calibration (ECE)':<23} {report['calibration']['ece']:.4f}")
    click.echo("\nAs the dialogue acts on first messages (rules of danger, thresholds, leaks in second place):")
    for name, value in report["acted"].items():
        click.echo(f"{name:<23} {value:.4f}")
    click.echo(f"\n{'intent':<20} precision  recall      F1  support")
    for intent, row in report["intents"].items():
        click.echo(f"{intent:<20} {row['precision']:9.3f} {row['recall']:7.3f} {row['f1']:7.3f} {row['support']:8.0f}")
    for title, rows in (("entity", report["entities"]), ("fact", report["facts"])):
        click.echo(f"\n{title:<20} precision  recall      F1")
        for name, row in rows.items():
            click.echo(f"{name:<20} {row['precision']:9.3f} {row['recall']:7.3f} {row['f1']:7.3f}")
    click.echo("\nReliability: confidence from, messages, mean confidence, share right")
    for row in report["calibration"]["table"]:
        click.echo(f"  {row['from']:.1f} {row['sentences']:5d} {row['confidence']:.3f} {row['accuracy']:.3f}")
    click.echo("\nThe surest errors:")
    for row in report["errors"][:20]:
        click.echo(f"  {row['confidence']:.2f} {row['intent']} → {row['got']}: {row['text'][:60]}")
    if "context" in report:
        context = report["context"]
        click.echo(f"\nWith context: {context['messages']} messages, accuracy {context['accuracy']:.4f}")
        for row in context["errors"][:20]:
            click.echo(f"  {row['context']} {row['intent']} → {row['got']}: {row['text'][:40]}")
