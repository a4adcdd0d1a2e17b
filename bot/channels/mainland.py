"""What mainland SMS providers have in common: callbacks without signatures, and nothing but registered templates."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from string import Formatter
from typing import Any
from zoneinfo import ZoneInfo

from flask import Request

from bot import texts
from bot.channels import BadSignature, Entry, Inbound, OtherWay, Outgoing, SendError, Unknown
from bot.channels.phone import normalise
from bot.channels.wording import clean
from bot.database import Database
from bot.rules import RuleBook, RuleSource
from bot.settings import SettingsError

CHINA = ZoneInfo("Asia/Shanghai")
SHORTEST_SECRET = 16
MOST_LINES = 9  # lines of a parameter that may each have one of their own
KEPT = 2000  # characters kept of what cannot be read
Network = IPv4Network | IPv6Network


# --- who calls


@dataclass(frozen=True, slots=True)
class Door:
    """Who may call back: whoever knows the address, from the networks that are listed (none: from anywhere)."""

    secret: str
    networks: tuple[Network, ...] = ()

    def check(self, request: Request) -> None:
        """Raises BadSignature for a false secret or a strange address. The body is not looked at before."""
        given = str((request.view_args or {}).get("secret", ""))
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self.secret.encode()):
            raise BadSignature("false secret")
        if self.networks and not any(_address(request) in network for network in self.networks):
            raise BadSignature("not an address that was allowed")


def _address(request: Request) -> Any:
    try:
        return ip_address(request.remote_addr or "")
    except ValueError:
        raise BadSignature("no address") from None


def door(prefix: str, secret: str, allowed: str) -> Door:
    """The door of a provider whose settings begin with `prefix`. Raises SettingsError for a guessable or false value."""
    if len(secret) < SHORTEST_SECRET or "/" in secret:
        raise SettingsError(f"{prefix}_CALLBACK_SECRET must have {SHORTEST_SECRET} characters or more and no slash.")
    try:
        networks = tuple(ip_network(part.strip(), strict=False) for part in allowed.split(",") if part.strip())
    except ValueError:
        raise SettingsError(f"{prefix}_ALLOWED_IPS must be addresses or networks with commas between them.") from None
    return Door(secret, networks)


# --- what they say


def items(request: Request) -> list[Any]:
    """The elements of a JSON array, or the one object; a body that cannot be read is one element, its text."""
    raw = request.get_data()
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return [raw.decode("utf-8", "replace")]
    return found if isinstance(found, list) else [found]


def objects(request: Request) -> Iterator[Mapping[str, Any]]:
    """The elements that are objects; reports of any other shape report nothing."""
    return (item for item in items(request) if isinstance(item, dict))


def word(item: Mapping[str, Any], name: str) -> str:
    """A field as text: providers have sent the same one as a string and as a number; "" for anything else."""
    value = item.get(name)
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""


def digest(*parts: str) -> str:
    """An id for what has none: equal for equal parts."""
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:40]


def unreadable(channel: str, item: Any) -> Inbound:
    """What came by the right door and is no message: kept for a person to look at, answered by nobody."""
    try:
        text = item if isinstance(item, str) else json.dumps(item, sort_keys=True)
    except RecursionError:
        text = "nested too deeply"
    return Inbound(
        channel=channel,
        medium="sms",
        provider_id=f"raw:{digest(text)}",
        sender="unknown",
        recipient="",
        kind="other_event",
        payload={"raw": text[:KEPT]},
    )


def mobile(number: str) -> str | None:
    """A sender's number in E.164; None where it is no number that could be answered."""
    spelled = normalise(number)
    return spelled if spelled.startswith("+") else None


def china_time(told: str) -> datetime | None:
    """A provider's "YYYY-MM-DD HH:MM:SS", which is China's time whatever our zone is; None where it is none."""
    try:
        return datetime.strptime(told, "%Y-%m-%d %H:%M:%S").replace(tzinfo=CHINA).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# --- what we say


@dataclass(frozen=True, slots=True)
class Template:
    """A registered template with its values, in the order in which it was registered."""

    id: str
    values: Mapping[str, str]


Choose = Callable[[Outgoing], list[Template]]


def chooser(database: Database, provider: str, longest: int | None = None) -> Choose:
    """`choose` by the rules as they stand in the database when something is sent."""
    rules = RuleSource(database, "")
    return lambda outgoing: choose(rules.current(), provider, outgoing, longest)


def choose(book: RuleBook, provider: str, outgoing: Outgoing, longest: int | None = None) -> list[Template]:
    """The registered templates that say all of `outgoing`, to be sent in this order.

    One for the whole where there is one; else one for each entry; else the general one with the text as its value.
    `longest`: how many characters a value may have. Raises OtherWay where no template fits.
    """
    rule = book.raw.get("sms_templates", {})
    entries = tuple(_resolved(book, entry) for entry in outgoing.entries)
    if whole := _template(book, provider, entries, longest):
        return [whole]
    parts = [
        _template(book, provider, (entry,), longest) or _short(book, provider, entry, longest) for entry in entries
    ]
    if parts and all(parts):
        return [part for part in parts if part]
    for row in _rows(rule, "general", provider):
        if found := _fill(row, {name: flat(outgoing.text) for name in row["params"]}, longest):
            return [found]
    key = "+".join(entry.key for entry in entries)
    raise OtherWay(f"no registered template at {provider} for {key or 'a typed text'}"[:160])


def send_all(templates: list[Template], send: Callable[[Template], str | None]) -> str | None:
    """Send one after the other; the last one's id. Raises SendError: Unknown once a part has gone out."""
    ref = None
    for gone, template in enumerate(templates):
        try:
            ref = send(template)
        except SendError as error:
            if not gone:
                raise
            raise Unknown(f"only a part went out: {error.reason}", error.code) from None
    return ref


def _resolved(book: RuleBook, entry: Entry) -> Entry:
    """An answer to a question is registered as itself, not as a text with one long parameter."""
    said = entry.params.get("answer")
    for answer in book.dialogue.answers if said else ():
        if said in (answer.text, answer.sms):
            return Entry(f"answer.{answer.id}")
    return entry


def _template(book: RuleBook, provider: str, entries: tuple[Entry, ...], longest: int | None) -> Template | None:
    """The template of these entries together that tells everything."""
    values = _values(entries)
    if values is None:
        return None
    said = _said(book, entries, values)
    key = "+".join(entry.key for entry in entries)
    for row in _rows(book.raw.get("sms_templates", {}), "templates", provider, key):
        if all(_tells(row, name, values) for name in said) and (found := _fill(row, values, longest)):
            return found
    return None


def _tells(row: Mapping[str, Any], name: str, values: Mapping[str, str]) -> bool:
    """Whether a template has room for a parameter: as a whole, or for each of its lines."""
    lines = [line_name(name, number) for number in range(1, MOST_LINES + 1)]
    used = [line for line in lines if line in values]
    return name in row["params"] or (bool(used) and set(used) <= set(row["params"]))


def _short(book: RuleBook, provider: str, entry: Entry, longest: int | None) -> Template | None:
    """The template of `<entry>_short`, where the catalogue has one: less is said, and still more than nothing."""
    return _template(book, provider, (replace(entry, key=f"{entry.key}_short"),), longest)


def _rows(rule: Mapping[str, Any], *path: str) -> list[dict[str, Any]]:
    """The templates at a place of the rule: none, one or several to choose from."""
    found: Any = rule
    for name in path:
        found = (found or {}).get(name)
    rows = found if isinstance(found, list) else [found] if found else []
    return [{"params": [], **row} for row in rows]


def _values(entries: tuple[Entry, ...]) -> dict[str, str] | None:
    """The parameters of all entries as one; None where two entries mean different things by one name."""
    values: dict[str, str] = {}
    for entry in entries:
        for name, value in entry.params.items():
            if values.setdefault(name, flat(value)) != flat(value):
                return None
            lines = clean(value).splitlines()
            if len(lines) > 1:
                values |= {line_name(name, number): flat(line) for number, line in enumerate(lines, 1)}
    return values


def line_name(name: str, number: int) -> str:
    """What one line of a parameter is called, where a template has a parameter for each."""
    return f"{name}_{number}"


def _said(book: RuleBook, entries: tuple[Entry, ...], values: Mapping[str, str]) -> set[str]:
    """The parameters that the catalogue's wording would tell: a template that leaves one out says less than we mean."""
    wordings = "".join(texts.wording(book, entry.key, "sms") for entry in entries if texts.exists(book, entry.key))
    named = {name for _, name, _, _ in Formatter().parse(wordings) if name}
    return {name for name in named - set(texts.known(book)) if values.get(name)}


def _fill(row: Mapping[str, Any], values: Mapping[str, str], longest: int | None) -> Template | None:
    """The template filled in; None where a value is missing or too long: providers take neither."""
    filled = {name: values.get(name, "") for name in row["params"]}
    fits = all(value and (longest is None or len(value) <= longest) for value in filled.values())
    return Template(str(row["id"]), filled) if fits else None


def flat(text: str) -> str:
    """The text on one line."""
    return " ".join(clean(text).split())
