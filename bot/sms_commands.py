"""`heatline sms …`: what texts cost as SMS, and the wordings that mainland providers must register."""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TextIO

import click
from sqlalchemy import String, cast, select

from bot import clock, crypto
from bot.database import Database
from bot.models import Delivery, Rule
from bot.rules import RuleBook, RuleSource
from bot.settings import Settings, SettingsError
from bot.sms_templates import IDS, BadFile, missing, names, read, typical, write
from bot.texts import exists, known, wording

Wrap = Callable[[Callable[..., None]], Callable[..., None]]

ONE, EACH = 70, 67  # characters (UTF-16 units) of a single message, and of each part of a longer one
LATELY = 100_000  # deliveries that are looked through for joined replies
ANSWERED = (
    "一般9月1日到11月10日交，整季一次交清，以供热单位通知为准。"  # an answer of usual length, where one is joined
)


@dataclass(frozen=True, slots=True)
class Cost:
    """One entry as SMS: `characters` with the signature, `messages` as the provider bills them."""

    key: str
    characters: int
    messages: int


def cost(key: str, text: str, signature: str = "") -> Cost:
    """What one text costs; an emoji counts two, and the signature in its 【】 counts too."""
    whole = f"【{signature}】{text}" if signature else text
    size = len(whole.encode("utf-16-le")) // 2
    return Cost(key, size, 1 if size <= ONE else math.ceil(size / EACH))


def costs(settings: Settings) -> list[Cost]:
    """Every entry of the catalogue, every answer and every joined reply, the dearest first.

    Raises SettingsError without a database.
    """
    signature = settings.aliyun_sign_name or settings.tencent_sign_name
    with _open(settings) as (database, book):
        sent = _joins_sent(database)
    said = {key: text for key in book.texts if (text := _typical(book, key))}
    said |= {f"answer {answer.id}": answer.sms or answer.text for answer in book.dialogue.answers}
    joins = sent | {tuple(keys) for keys in book.raw.get("sms_joined", {}).get("joined", ())}
    said |= {"+".join(keys): "\n".join(_typical(book, key) or ANSWERED for key in keys) for keys in sorted(joins)}
    found = [cost(key, text, signature) for key, text in said.items()]
    return sorted(found, key=lambda row: (-row.messages, -row.characters, row.key))


@contextmanager
def _open(settings: Settings) -> Iterator[tuple[Database, RuleBook]]:
    """The database and the rules in it. Raises SettingsError where there is none."""
    crypto.configure(settings.data_key)
    database = Database(settings.database_url)
    try:
        try:
            book = RuleSource(database, settings.shown_hotline, settings.zone).current()
        except Exception as error:
            raise SettingsError(
                f"The catalogue cannot be read ({type(error).__name__}); run `heatline db upgrade`."
            ) from None
        yield database, book
    finally:
        database.dispose()


def _joins_sent(database: Database) -> set[tuple[str, ...]]:
    """The combinations of entries that residents of this database have really been sent lately."""
    lately = select(Delivery.id).order_by(Delivery.id.desc()).limit(LATELY).scalar_subquery()
    keys = cast(Delivery.keys, String)
    with database.reading() as session:
        found = session.scalars(select(keys).where(Delivery.id.in_(lately)).group_by(keys))
        return {tuple(made) for text in found if len(made := json.loads(text)) > 1}


def _typical(book: RuleBook, key: str) -> str:
    """An entry as SMS with typical parameters; "" for one that says nothing of its own."""
    if not exists(book, key):
        return ""
    text, fixed = wording(book, key, "sms"), known(book)
    return text.format_map({name: fixed.get(name, typical(name)) for name in names(text)}).strip()


def register(group: click.Group, settings: Callable[[], Settings], plain_errors: Wrap) -> None:
    """Add the commands to `heatline sms`."""

    @group.command()
    @click.option("--json", "as_json", is_flag=True, help="print JSON")
    @plain_errors
    def segments(as_json: bool) -> None:
        """Length and cost of every text as SMS, with typical parameters; the dearest first."""
        _print(costs(settings()), as_json)

    @group.command()
    @click.argument("provider", type=click.Choice(sorted(IDS)))
    @click.option(
        "--approved", type=click.File(encoding="utf-8"), help="the same table with the provider's ids filled in"
    )
    @plain_errors
    def templates(provider: str, approved: TextIO | None) -> None:
        """Every wording that a mainland provider must register, as CSV; or take the ids of those that it has approved."""
        if approved is None:
            with _open(settings()) as (_, book):
                click.echo(write(book, provider), nl=False)
                lacking = len(missing(book, provider))
            click.echo(f"{lacking} wordings are not registered with {provider}.", err=True)
        else:
            click.echo(_take(settings(), provider, approved))


def _take(known_settings: Settings, provider: str, approved: TextIO) -> str:
    """Store the ids of a filled-in table as a version of the rule; returns what is said about it."""
    with _open(known_settings) as (database, book):
        try:
            rule = read(book, provider, approved)
        except BadFile as error:
            raise SettingsError(str(error)) from None
        now = clock.now()
        digest = hashlib.sha256(json.dumps(rule, sort_keys=True).encode()).hexdigest()
        row = Rule(name="sms_templates", digest=digest, body=rule, source=f"registered with {provider}")
        row.valid_from, row.created_at, row.shipped = clock.local_day(now, known_settings.zone), now, False
        with database.transaction() as session:
            session.add(row)
        left = missing(replace(book, raw={**book.raw, "sms_templates": rule}), provider)
    if not left:
        return f"Every wording is registered with {provider}."
    return (
        f"{len(left)} wordings are not registered with {provider}, the first is {left[0].key}: they will not be sent."
    )


def _print(rows: list[Cost], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps([asdict(row) for row in rows], ensure_ascii=False))
        return
    width = max(len(row.key) for row in rows)
    click.echo(f"{'entry':<{width}}  characters  messages")
    for row in rows:
        click.echo(f"{row.key:<{width}}  {row.characters:>10}  {row.messages:>8}")
    by_cost = Counter(row.messages for row in rows)
    counted = ", ".join(f"{count} cost {messages}" for messages, count in sorted(by_cost.items()))
    click.echo(
        f"\n{len(rows)} entries: {counted}. One message holds {ONE} characters, each part of a longer one {EACH}."
    )
