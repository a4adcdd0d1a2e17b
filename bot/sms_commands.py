"""`heatline sms …`: what texts cost as SMS."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from string import Formatter

import click

from bot.settings import Settings, SettingsError
from bot.texts import known, wording

Wrap = Callable[[Callable[..., None]], Callable[..., None]]

ONE, EACH = 70, 67  # characters (UTF-16 units) of a single message, and of each part of a longer one

# What the parameters of the catalogue typically are.
TYPICAL = {
    "address": "阳光花园3号楼2单元501室",
    "answer": "",
    "community": "阳光花园",
    "company": "供热公司",
    "end": "3月15日",
    "note": "等配件，明天上午到。",
    "number": "N20261123-0007",
    "options": "1 阳光花园3号楼2单元501室\n2 金水路12号院5号楼1单元202室",
    "phone": "13800001234",
    "problem": "暖气不热",
    "start": "11月15日",
    "state": "已派给二七班组",
    "team": "二七班组",
}
OTHER = "四个汉字"  # a parameter that is not listed


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
    """Every entry of the catalogue and every answer, the dearest first. Raises SettingsError without a database."""
    from bot.database import Database
    from bot.rules import RuleSource

    database = Database(settings.database_url)
    try:
        book = RuleSource(database, settings.shown_hotline).current()
    except Exception as error:
        raise SettingsError(
            f"The catalogue cannot be read ({type(error).__name__}); run `heatline db upgrade`."
        ) from None
    finally:
        database.dispose()
    signature = settings.aliyun_sign_name or settings.tencent_sign_name
    texts = {key: _typical(wording(book, key, "sms"), known(book)) for key in book.texts}
    texts |= {f"answer {answer.id}": answer.sms or answer.text for answer in book.dialogue.answers}
    found = [cost(key, text, signature) for key, text in texts.items() if text]
    return sorted(found, key=lambda row: (-row.messages, -row.characters, row.key))


def _typical(text: str, fixed: dict[str, str]) -> str:
    names = {name for _, name, _, _ in Formatter().parse(text) if name}
    return text.format_map({name: {**TYPICAL, **fixed}.get(name, OTHER) for name in names})


def register(group: click.Group, settings: Callable[[], Settings], plain_errors: Wrap) -> None:
    """Add the commands to `heatline sms`."""

    @group.command()
    @click.option("--json", "as_json", is_flag=True, help="print JSON")
    @plain_errors
    def segments(as_json: bool) -> None:
        """Length and cost of every text as SMS, with typical parameters; the dearest first."""
        _print(costs(settings()), as_json)


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
