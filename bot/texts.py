"""The catalogue of everything residents are told: a key and its parameters become one text."""

from __future__ import annotations

from collections.abc import Mapping

from bot.rules import RuleBook
from handlers.dialogue.types import Address
from handlers.dialogue.wording import address_line as wording_of


def render(book: RuleBook, key: str, medium: str, params: Mapping[str, str]) -> str:
    """The wording of `key` for a medium ("wechat" or "sms"). Raises KeyError for an unknown key or parameter."""
    return wording(book, key, medium).format_map({**known(book), **params})


def wording(book: RuleBook, key: str, medium: str) -> str:
    """The wording of `key` for a medium, its parameters in braces. Raises KeyError for an unknown key."""
    wordings = book.texts[key]
    return (wordings.get(medium) or wordings.get("*") or next(iter(wordings.values()))).strip()


def known(book: RuleBook) -> dict[str, str]:
    """The parameters that every wording may use without being given them."""
    rules = book.dialogue
    return {
        "hotline": rules.hotline,
        "company": rules.company,
        "callback_minutes": str(rules.callback_minutes),
        "code_minutes": str(rules.code_minutes),
    }


def exists(book: RuleBook, key: str) -> bool:
    """Whether the catalogue has this key."""
    return key in book.texts


def address_line(community: str | None, building: str | None, unit: str | None, room: str | None) -> str:
    """An address as people read it out: 阳光花园3号楼2单元501室. Empty where nothing is known."""
    return wording_of(Address(None, community, building, unit, room))
