"""From the filters of the ticket list to a query: quick with 100,000 tickets, without decrypting any."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, false, func, or_, select, true
from sqlalchemy.orm import InstrumentedAttribute, Session, selectinload

from bot import crypto
from bot.desk import words
from bot.models import Contact, Ticket, TicketContact
from bot.ticket_facts import home_key
from handlers.dialogue.types import Address
from nlu.gazetteer import Gazetteer
from nlu.places import Address as SpokenAddress
from nlu.places import parse_address

WAITING = ("received", "dispatched", "reopened", "returned")
WORKING = ("accepted", "on_site", "waiting", "done", "confirming")
FINISHED = ("closed", "cancelled", "merged")
GROUPS: dict[str, tuple[str, tuple[str, ...]]] = {
    "open": ("未办结", WAITING + WORKING),
    "waiting": ("待处理", WAITING),
    "working": ("处理中", WORKING),
    "finished": ("已办结", FINISHED),
    "all": ("全部", ()),
}
PAGE_SIZE = 50

URGENCY = (Ticket.priority, Ticket.weight.desc(), Ticket.chases.desc(), Ticket.opened_at, Ticket.id)

_NUMBER = re.compile(r"[Nn]?\s*(20\d{6})(?:[-\s]*(\d{1,6}))?")
_SERIAL = re.compile(r"\d{4}")
_PHONE = re.compile(r"\+?\d{7,16}")
_BEFORE_NUMBERS = re.compile(r"[^\d一二三四五六七八九十\s]+")


@dataclass(frozen=True, slots=True)
class Filters:
    """What the list is narrowed to; empty strings narrow nothing."""

    group: str = "open"
    kind: str = ""
    priority: str = ""
    team: str = ""
    community: str = ""
    q: str = ""

    @classmethod
    def read(cls, args: Mapping[str, str]) -> Filters:
        """From a query string; what it does not know, it ignores."""
        group = args.get("group", "open")
        return cls(
            group=group if group in GROUPS else "open",
            kind=args.get("kind", "") if args.get("kind", "") in words.intent_names() else "",
            priority=args.get("priority", "") if args.get("priority", "") in ("1", "2", "3", "4") else "",
            team=_digits(args.get("team", "")),
            community=args.get("community", "").strip()[:64],
            q=unicodedata.normalize("NFKC", args.get("q", "")).strip()[:80],
        )

    def query(self, **changes: str) -> dict[str, str]:
        """The query string of these filters with some changed; defaults are left out."""
        return {key: value for key, value in {**asdict(self), **changes}.items() if value and (key, value) != _DEFAULT}

    @property
    def narrowed(self) -> bool:
        """Whether anything but the status group is set."""
        return any((self.kind, self.priority, self.team, self.community, self.q))


_DEFAULT = ("group", "open")


def _digits(value: str) -> str:
    return value if value.isascii() and value.isdigit() and len(value) < 10 else ""


@dataclass(frozen=True, slots=True)
class Found:
    """One page of tickets, whether more follow, and how many open ones each status group has under these filters."""

    tickets: list[Ticket]
    more: bool
    counts: dict[str, int]


def find(
    session: Session, filters: Filters, scope: list[ColumnElement[bool]], places: Gazetteer, today: str, page: int
) -> Found:
    """Tickets under the filters: open ones by priority and weight, then the longest waiting; finished ones newest first.

    How often a resident has pressed only decides between tickets of one priority and weight.

    `scope` narrows what the asker may see; `today` is the local day as it stands in numbers (20261123).
    """
    conditions = [*scope, *_conditions(filters, places, today)]
    statuses = GROUPS[filters.group][1]
    query = select(Ticket.id).where(*conditions)
    if statuses:
        query = query.where(Ticket.status.in_(statuses))
    if filters.group in ("finished", "all"):
        query = query.order_by(Ticket.opened_at.desc(), Ticket.id.desc())
    else:
        query = query.order_by(*URGENCY)
    # Ids first: the sort then runs over an index alone and never touches a row it does not show.
    ids = list(session.scalars(query.limit(PAGE_SIZE + 1).offset((page - 1) * PAGE_SIZE)))
    rows = session.scalars(
        select(Ticket).where(Ticket.id.in_(ids[:PAGE_SIZE])).options(selectinload(Ticket.team))
    ).all()
    order = {ticket_id: place for place, ticket_id in enumerate(ids)}
    tickets = sorted(rows, key=lambda ticket: order[ticket.id])
    return Found(tickets, len(ids) > PAGE_SIZE, _counts(session, conditions))


def _counts(session: Session, conditions: list[ColumnElement[bool]]) -> dict[str, int]:
    """Open tickets by group; finished ones are not counted, for nobody acts on that figure and there are many."""
    counted = (
        select(Ticket.status, func.count())
        .where(Ticket.status.in_(WAITING + WORKING), *conditions)
        .group_by(Ticket.status)
    )
    by_status: Mapping[str, int] = dict(session.execute(counted).all())
    names = ("open", "waiting", "working")
    return {name: sum(by_status.get(status, 0) for status in GROUPS[name][1]) for name in names}


def _conditions(filters: Filters, places: Gazetteer, today: str) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.kind:
        found.append(Ticket.intent == filters.kind)
    if filters.priority:
        found.append(Ticket.priority == int(filters.priority))
    if filters.team:
        found.append(Ticket.team_id == int(filters.team))
    if filters.community:
        known = places.community(filters.community)
        found.append(Ticket.community == (known.name if known else filters.community))
    if filters.q:
        found.append(_text(filters.q, places, today))
    return found


def _text(q: str, places: Gazetteer, today: str) -> ColumnElement[bool]:
    """What somebody typed into the search box: a number, a phone or its last four digits, or a place."""
    if match := _NUMBER.fullmatch(q):
        day, serial = match[1], match[2]
        if serial:
            return Ticket.number == f"N{day}-{int(serial):04d}"
        return Ticket.number.startswith(f"N{day}-")
    bare = re.sub(r"[\s\-()（）]", "", q)
    if _SERIAL.fullmatch(bare):
        tail = Ticket.phone_tail_hash == crypto.blind_index("phone tail", bare)
        return or_(tail, Ticket.number == f"N{today}-{bare}")
    if _PHONE.fullmatch(bare):
        return by_phone(bare)
    return _place(q, places)


def by_phone(number: str) -> ColumnElement[bool]:
    """Tickets to be called at this number, and those that somebody reported from it by SMS or by a call."""
    local = re.sub(r"^(?:\+86|0086|86(?=1\d{10}$))", "", number)
    forms = {number, local, f"+86{local}"}
    reported = (
        select(TicketContact.ticket_id)
        .join(Contact, Contact.id == TicketContact.contact_id)
        .where(
            Contact.medium.in_(("sms", "phone")),
            Contact.address_hash.in_([crypto.blind_index(m, form) for m in ("sms", "phone") for form in forms]),
        )
    )
    return or_(
        Ticket.phone_hash.in_([crypto.blind_index("phone", form) for form in forms]),
        Ticket.id.in_(reported),
    )


def _place(q: str, places: Gazetteer) -> ColumnElement[bool]:
    """An address as it is spoken (阳光花园3号楼2单元501, or 光花3号楼), else words, each of which must be found."""
    address = parse_address(q, places)
    known = places.community(address.community) if address.community else None
    if known is not None and address.building and address.room:
        full = Address(None, known.name, address.building, address.unit, address.room)
        if key := home_key(full):
            return or_(Ticket.home_key == key, _parts(Ticket.community == known.name, address))
    if known is not None and (address.building or known.name in q):
        return _parts(Ticket.community == known.name, address)
    if address.building:
        name = _BEFORE_NUMBERS.match(q)
        return _parts(_contains(Ticket.community, name[0]) if name else true(), address)
    found = [_word(word) for word in q.split() if word.strip("%_")]
    listed = and_(*found) if found else false()
    # What is another name of one estate may be a part of others' names.
    return or_(Ticket.community == known.name, listed) if known is not None else listed


def _word(word: str) -> ColumnElement[bool]:
    """Any part of an estate's or a district's name, or of what a ticket is about (漏水)."""
    intents = [intent for intent, name in words.intent_names().items() if word in name]
    return or_(_contains(Ticket.community, word), _contains(Ticket.district, word), Ticket.intent.in_(intents))


def _contains(column: InstrumentedAttribute[str | None], part: str) -> ColumnElement[bool]:
    return column.contains(part, autoescape=True)


def _parts(community: ColumnElement[bool], address: SpokenAddress) -> ColumnElement[bool]:
    found = community
    if address.building:
        found &= Ticket.building == address.building
    if address.unit:
        found &= Ticket.unit == address.unit
    return found


def local_today(now: datetime, zone: ZoneInfo) -> str:
    """The local day as it stands in ticket numbers."""
    return now.astimezone(zone).strftime("%Y%m%d")
