"""The wordings that mainland providers must have registered before they send them: one for everything we may say.

They are made from the catalogue, so that none can be forgotten; what an operator adds is the id that the provider gives
each. A wording has room for its parameters, each of 1 to 35 characters at Aliyun, so that one which may be empty (a
note) or long (a list of homes) needs several.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from string import Formatter
from typing import Any

from bot import texts
from bot.channels.mainland import flat, line_name
from bot.rules import RuleBook

MANY = range(2, 6)  # how many homes or tickets a resident may be offered
LONGEST = 500  # characters of a template
COLUMNS = ("key", "wording", "sample", "id")
ANSWER = "consult.answer"  # says one of the answers, each of which is a wording of its own
EMPTY = "note"  # the one parameter of residents' texts that may be empty
# For staff: a group's chat is no SMS, and what the others say is too free for a template, which has a `…_short` instead.
FREE = frozenset({"staff.alert", "staff.alert_group", "staff.job", "staff.job_group"})
IDS = {"aliyun": re.compile(r"SMS_\d+"), "tencent": re.compile(r"\d+")}

# What the parameters of the catalogue typically are.
TYPICAL = {
    "address": "阳光花园3号楼2单元501室",
    "answer": "",
    "code": "1234",
    "community": "阳光花园",
    "company": "供热公司",
    "count": "3",
    "degrees": "16",
    "end": "3月15日",
    "minutes": "30",
    "note": "等配件，明天上午到。",
    "number": "N20261123-0007",
    "option": "暖气不热",
    "options": "1 阳光花园3号楼2单元501室\n2 金水路12号院5号楼1单元202室",
    "phone": "13800001234",
    "place": "阳光花园3号楼",
    "problem": "暖气不热",
    "problems": "暖气不热、漏水",
    "since": "9:30",
    "start": "11月15日",
    "state": "已派给二七班组",
    "team": "二七班组",
    "what": "煤气味",
}
OTHER = "四个汉字"  # a parameter that is not listed


class BadFile(Exception):
    """A file of approved templates that cannot be taken; the message says what is wrong where."""


@dataclass(frozen=True, slots=True)
class Wording:
    """One text to register: `text` has its parameters in braces, on one line. `key`: entry, or entry#variant."""

    key: str
    text: str

    @property
    def entry(self) -> str:
        """The entry of the catalogue."""
        return self.key.split("#")[0]

    @property
    def params(self) -> tuple[str, ...]:
        """The parameters in the order in which they first occur."""
        return tuple(dict.fromkeys(names(self.text)))

    def sample(self) -> str:
        """The text with typical parameters."""
        return self.text.format_map({name: typical(name) for name in self.params})

    def written_for(self, provider: str) -> str:
        """The text as a provider wants it: ${name} at Aliyun, {1} at Tencent Cloud."""
        numbers = {name: number for number, name in enumerate(self.params, 1)}
        forms = {name: f"${{{name}}}" if provider == "aliyun" else f"{{{numbers[name]}}}" for name in self.params}
        return self.text.format_map(forms)


def typical(name: str) -> str:
    """What a parameter usually says; options_2 is the second line of the options."""
    if name in TYPICAL:
        return TYPICAL[name]
    base, _, line = name.rpartition("_")
    lines = TYPICAL.get(base, "").splitlines()
    return f"{line} {lines[0].split(' ', 1)[-1]}" if lines and line.isdigit() else OTHER


def wordings(book: RuleBook) -> list[Wording]:
    """Everything that may go out by SMS, each part of a reply by itself, in the catalogue's order."""
    found = [wording for key in book.texts if key != ANSWER and key not in FREE for wording in _variants(book, key)]
    answers = [Wording(f"answer.{answer.id}", flat(answer.sms or answer.text)) for answer in book.dialogue.answers]
    return found + answers


def _variants(book: RuleBook, key: str) -> Iterator[Wording]:
    fixed = texts.known(book)
    text = flat(_keeping(texts.wording(book, key, "sms"), fixed))
    used = set(names(text))
    if "options" in used:
        for many in MANY:
            lines = "；".join(f"{{{line_name('options', number)}}}" for number in range(1, many + 1))
            yield Wording(f"{key}#{many}", text.replace("{options}", lines))
    elif EMPTY in used:
        yield Wording(key, text.replace(f"{{{EMPTY}}}", ""))
        yield Wording(f"{key}#{EMPTY}", text)
    else:
        yield Wording(key, text)


def _keeping(text: str, fixed: Mapping[str, str]) -> str:
    """The text with what never changes filled in, its other parameters still in braces."""
    return text.format_map({name: fixed.get(name, f"{{{name}}}") for name in names(text)})


def names(text: str) -> list[str]:
    """The parameters of a wording, in order."""
    return [name for _, name, _, _ in Formatter().parse(text) if name]


def flaws(wording: Wording) -> list[str]:
    """Why a provider would refuse this wording; empty where it has no reason to."""
    rest = re.sub(r"\{\w+\}", "", wording.text)
    found = []
    if len(wording.text) > LONGEST:
        found.append(f"longer than {LONGEST} characters")
    if re.search(r"\}\s*\{", wording.text):
        found.append("two parameters beside one another")
    if not re.search(r"\w", rest):
        found.append("nothing but parameters")
    if re.search(r"[【】]|拒收请回复|https?:|www\.", rest):
        found.append("a signature, a way out or an address in it")
    if re.search(r"(?<!\d)1[3-9]\d{9}(?!\d)|微信号|QQ", rest):
        found.append("a personal contact in it")
    return found


# --- what the operator has had approved


def rows(rule: Mapping[str, Any], provider: str, entry: str) -> list[dict[str, Any]]:
    """The approved templates of an entry in the rule `sms_templates`."""
    found = ((rule.get("templates") or {}).get(provider) or {}).get(entry)
    return [dict(row) for row in (found if isinstance(found, list) else [found] if found else [])]


def approved(rule: Mapping[str, Any], provider: str, wording: Wording) -> str:
    """The id under which this very wording is registered; "" where it is not (any more)."""
    for row in rows(rule, provider, wording.entry):
        if tuple(row.get("params", ())) == wording.params and row.get("text", wording.text) == wording.text:
            return str(row["id"])
    return ""


def missing(book: RuleBook, provider: str) -> list[Wording]:
    """What this provider has no approved template for."""
    rule = book.raw.get("sms_templates", {})
    return [wording for wording in wordings(book) if not approved(rule, provider, wording)]


def write(book: RuleBook, provider: str) -> str:
    """A table (CSV) of every wording with its sample, and its id where it has one: to register, fill in, bring back."""
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(COLUMNS)
    rule = book.raw.get("sms_templates", {})
    for wording in wordings(book):
        id_ = approved(rule, provider, wording)
        table.writerow((wording.key, wording.written_for(provider), wording.sample(), id_))
    return out.getvalue()


def read(book: RuleBook, provider: str, table: Iterable[str]) -> dict[str, Any]:
    """The rule `sms_templates` with the ids of a filled-in table; other providers' stay. Raises BadFile."""
    known = {wording.key: wording for wording in wordings(book)}
    found: dict[str, list[dict[str, Any]]] = {}
    for number, row in enumerate(_table(table), 2):
        id_ = (row.get("id") or "").strip()
        if not id_:
            continue
        wording = known.get((row.get("key") or "").strip())
        if wording is None:
            raise BadFile(f"Line {number}: the catalogue has no {row.get('key')!r}.")
        if row.get("wording") != wording.written_for(provider):
            raise BadFile(f"Line {number}: {wording.key} now reads {wording.written_for(provider)!r}; register that.")
        if not IDS[provider].fullmatch(id_):
            raise BadFile(f"Line {number}: {id_!r} is no template id of this provider.")
        found.setdefault(wording.entry, []).append({"id": id_, "params": list(wording.params), "text": wording.text})
    rule = book.raw.get("sms_templates", {})
    # An operator's own combinations ("a+b") were not in the table, so they stay.
    old = (rule.get("templates") or {}).get(provider) or {}
    joined = {key: value for key, value in old.items() if "+" in key}
    return {**rule, "templates": {**(rule.get("templates") or {}), provider: {**joined, **found}}}


def _table(table: Iterable[str]) -> Sequence[Mapping[str, str]]:
    reader = csv.DictReader(line.lstrip("\ufeff") for line in table)
    if not {"key", "wording", "id"} <= set(reader.fieldnames or ()):
        raise BadFile("The first line must name the columns key, wording, sample, id.")
    return list(reader)
