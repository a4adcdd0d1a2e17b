"""Texts that staff need every day (常用语), with their variables filled in; `data/rules/canned.yml`, or an operator's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

from bot.models import Ticket
from bot.rules import RuleBook
from bot.texts import address_line, known

REPLY, NOTE = "reply", "note"


@dataclass(frozen=True, slots=True)
class Canned:
    """One text, ready to be sent."""

    name: str
    text: str


def offered(book: RuleBook, use: str, ticket: Ticket | None) -> list[Canned]:
    """The texts for a `use` (reply or note) that can be filled in from this ticket, in the order of the file."""
    values = _values(book, ticket)
    rows = [row for row in book.raw["canned"]["texts"] if use in row.get("use", (REPLY, NOTE))]
    return [
        Canned(row["name"], row["text"].format_map(values)) for row in rows if variables(row["text"]) <= set(values)
    ]


def variables(text: str) -> set[str]:
    """The names in braces."""
    return {name for _, name, _, _ in Formatter().parse(text) if name is not None}


def _values(book: RuleBook, ticket: Ticket | None) -> Mapping[str, str]:
    """What the variables stand for; what is not known is left out."""
    values = {"hotline": known(book)["hotline"]}
    if ticket is not None:
        found = {
            "number": ticket.number,
            "problem": book.intent_name(ticket.intent),
            "team": ticket.team.name if ticket.team else "",
            "address": address_line(ticket.community, ticket.building, ticket.unit, ticket.room),
        }
        values |= {name: value for name, value in found.items() if value}
    return values
