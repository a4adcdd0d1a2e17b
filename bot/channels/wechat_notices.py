"""Registered wordings of WeChat: template messages (类目模板) and subscription notices (订阅通知), with their typed fields.

Which catalogue entry goes out by which template is the rule `wechat_templates` (data/rules/wechat_templates.yml).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any, Protocol

from sqlalchemy import select, update

from bot import clock, crypto, texts
from bot.channels import Entry, Outgoing
from bot.channels.wording import ELLIPSIS, clean
from bot.database import Database
from bot.models import Contact
from bot.push_models import Subscription
from bot.rules import RuleBook, RuleSource

RULE = "wechat_templates"
TEMPLATES, NOTICES = "templates", "notices"
# How WeChat types a field, by the beginning of its name (sendNewSubscribeMsg, 订阅通知参数值内容限制): what it may hold.
TYPES: dict[str, re.Pattern[str]] = {
    "thing": re.compile(r".{1,20}"),
    "number": re.compile(r"[0-9.]{1,32}"),
    "letter": re.compile(r"[A-Za-z]{1,32}"),
    "symbol": re.compile(r"\W{1,5}"),
    "character_string": re.compile(r"[\x21-\x7e]{1,32}"),
    "time": re.compile(r".{1,20}"),
    "date": re.compile(r".{1,20}"),
    "amount": re.compile(r"\D?[0-9.]{1,10}元?"),
    "phone_number": re.compile(r"[0-9+() -]{1,17}"),
    "car_number": re.compile(r".{1,8}"),
    "name": re.compile(r"(?:[\u4e00-\u9fff·]{1,10}|[A-Za-z .]{1,20})"),
    "phrase": re.compile(r"[\u4e00-\u9fff]{1,5}"),
    "const": re.compile(r".{1,20}"),
}
LONGEST_THING = 20
_FIELD = re.compile(r"([a-z]+(?:_[a-z]+)*)[0-9]{1,3}\Z")


@dataclass(frozen=True, slots=True)
class Filled:
    """A template with its fields; `long_term`: a subscription that is not used up by sending."""

    id: str
    fields: Mapping[str, str]
    url: str | None = None
    long_term: bool = True


class Notices(Protocol):
    """The registered wordings as they stand, and who has subscribed to which."""

    def template(self, outgoing: Outgoing) -> Filled | None:
        """The template message that says all of `outgoing`; None where there is none."""
        ...

    def notice(self, outgoing: Outgoing) -> Filled | None:
        """The subscription notice that says it, where this resident has subscribed to it."""
        ...

    def used(self, openid: str, filled: Filled) -> None:
        """A notice went out."""
        ...

    def ended(self, openid: str, template_id: str) -> None:
        """The subscription is refused or used up."""
        ...


class StoredNotices:
    """Templates from the rules, subscriptions from their table."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rules = RuleSource(database, "")

    def template(self, outgoing: Outgoing) -> Filled | None:
        """See Notices."""
        return next(choices(self._rules.current(), TEMPLATES, outgoing.entries), None)

    def notice(self, outgoing: Outgoing) -> Filled | None:
        """See Notices."""
        found = list(choices(self._rules.current(), NOTICES, outgoing.entries))
        if not found:
            return None
        subscribed = (
            select(Subscription.template_id)
            .join(Contact, Contact.id == Subscription.contact_id)
            .where(*_mine(outgoing.to), Subscription.left > 0)
        )
        with self._database.reading() as session:
            allowed = set(session.scalars(subscribed))
        return next((filled for filled in found if filled.id in allowed), None)

    def used(self, openid: str, filled: Filled) -> None:
        """See Notices."""
        if not filled.long_term:
            self._change(openid, filled.id, Subscription.left - 1)

    def ended(self, openid: str, template_id: str) -> None:
        """See Notices."""
        self._change(openid, template_id, 0)

    def _change(self, openid: str, template_id: str, left: Any) -> None:
        contact = select(Contact.id).where(*_mine(openid)).scalar_subquery()
        mine = (Subscription.contact_id == contact, Subscription.template_id == template_id)
        with self._database.transaction() as session:
            session.execute(
                update(Subscription)
                .where(*mine, Subscription.left > 0)
                .values(left=left, changed_at=clock.now())
                .execution_options(synchronize_session=False)
            )


def _mine(openid: str) -> tuple[Any, Any]:
    return Contact.medium == "wechat", Contact.address_hash == crypto.blind_index("wechat", openid)


def choices(book: RuleBook, section: str, entries: tuple[Entry, ...]) -> Iterator[Filled]:
    """The registered wordings of `entries` that leave nothing out and fit, the whole ones before the shortened ones."""
    if not entries or (values := _values(entries)) is None:
        return
    rows = rows_of(book, section, "+".join(entry.key for entry in entries))
    said = _said(book, entries, values)
    values = {**texts.known(book), **values}
    for shorten in (False, True):
        for row in rows:
            if said <= params_of(row) and (filled := _fill(row, values, shorten)) is not None:
                yield filled


def rows_of(book: RuleBook, section: str, key: str) -> list[dict[str, Any]]:
    """The templates registered for a catalogue key: none, one or several to choose from."""
    found = (book.raw.get(RULE, {}).get(section) or {}).get(key)
    return found if isinstance(found, list) else [found] if found else []


def params_of(row: Mapping[str, Any]) -> set[str]:
    """The parameters that a template tells."""
    return {name for wording in row["fields"].values() for _, name, _, _ in Formatter().parse(wording) if name}


def type_of(field: str) -> str | None:
    """The type of a field by its name (`thing1`); None for a name that WeChat does not have."""
    match = _FIELD.match(field)
    return match[1] if match and match[1] in TYPES else None


def _values(entries: tuple[Entry, ...]) -> dict[str, str] | None:
    """The parameters of all entries as one; None where two entries mean different things by one name."""
    values: dict[str, str] = {}
    for entry in entries:
        for name, value in entry.params.items():
            if values.setdefault(name, _flat(value)) != _flat(value):
                return None
    return values


def _said(book: RuleBook, entries: tuple[Entry, ...], values: Mapping[str, str]) -> set[str]:
    """The parameters that the catalogue's wording tells: a template that leaves one out says less than we mean."""
    wordings = "".join(texts.wording(book, entry.key, "wechat") for entry in entries if texts.exists(book, entry.key))
    named = {name for _, name, _, _ in Formatter().parse(wordings) if name}
    return {name for name in named - set(texts.known(book)) if values.get(name)}


def _fill(row: Mapping[str, Any], values: Mapping[str, str], shorten: bool) -> Filled | None:
    """The template filled in; None where a value is missing or not of its field's type."""
    fields: dict[str, str] = {}
    for name, wording in row["fields"].items():
        try:
            value = _flat(wording.format_map(values))
        except (KeyError, ValueError, IndexError):
            return None
        kind = type_of(name)
        if shorten and kind == "thing" and len(value) > LONGEST_THING:
            value = value[: LONGEST_THING - 1] + ELLIPSIS
        if kind is None or not TYPES[kind].fullmatch(value):
            return None
        fields[name] = value
    return Filled(str(row["id"]), fields, row.get("url"), bool(row.get("long_term", True)))


def _flat(text: str) -> str:
    return " ".join(clean(text).split())
