"""What must hold after the simulated week, read from the database and from every phone; and its figures."""

from __future__ import annotations

import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import clock
from bot.bench.week_people import Home
from bot.models import Callback, Contact, ContactHome, Delivery, Message, Ticket, TicketContact, Update
from bot.overdue import PROMISED
from bot.replay import Replayer
from bot.standins.phones import SAID, Line

GRACE = timedelta(minutes=6)  # the worker looks every five
UNPROVED = {"second", "stranger"}
HALF = 0.5  # of the median wait: the coldest tenth waits no longer
_AMOUNT = re.compile(
    r"(?:退|赔|补偿|减免|返还)[^。；？]{0,10}?\d+(?:\.\d+)?\s*(?:元|块|%|％|折)|\d+(?:\.\d+)?\s*(?:元|块)[^。；，？]{0,6}(?:退|赔|补偿)"
)
_CALL = re.compile(r"分钟内(?:有人)?打电话|有人打电话给您")


def note(number: str, words: str) -> str:
    """What a crew writes about a home: a fact of that household that no stranger may hear."""
    return f"{words}，柜号{number[-4:]}K"


@dataclass
class Result:
    """What was found. `broken`: property → what is wrong, in words without personal data."""

    homes: int
    tickets: int
    messages: int
    sent: int
    repaired: int
    median_hours: float
    deciles: list[float]  # mean wait in hours by decile of the told reading, the coldest first
    true_deciles: list[float]  # the same by how cold homes truly were, told or not
    coldest_share: float  # median wait of the coldest tenth that told a reading, as a share of the median of all
    promises: int
    kept: int
    late_told: int
    chases: int
    calls: Counter[str]
    unproved_texts: int  # heard by strangers and second reporters
    proved: int  # others who proved the home
    broken: dict[str, list[str]] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every property does."""
        return not any(self.broken.values())

    def lines(self) -> Iterable[str]:
        """For people to read."""
        yield f"{self.homes} homes, {self.tickets} tickets, {self.repaired} repaired, {self.messages} messages in, {self.sent} texts out"
        yield f"median wait {self.median_hours:.1f} h; coldest tenth {self.coldest_share:.0%} of it"
        yield "mean wait by told coldness, coldest tenth first:  " + " ".join(f"{hours:5.1f}" for hours in self.deciles)
        yield "mean wait by true coldness, coldest tenth first:  " + " ".join(
            f"{hours:5.1f}" for hours in self.true_deciles
        )
        yield f"promised calls {self.promises}: kept {self.kept}, late and said so {self.late_told}; pressed {self.chases} times"
        yield f"calls by reason: {dict(self.calls)}"
        yield f"texts heard by strangers and second reporters {self.unproved_texts}; others who proved the home {self.proved}"
        for name, wrong in self.broken.items():
            yield f"{'holds ' if not wrong else 'BROKEN'}  {name}{'' if not wrong else f' ({len(wrong)})'}"
            yield from (f"        {line}" for line in wrong[:5])


def check(player: Replayer, homes: Sequence[Home]) -> Result:
    """Read everything and judge it."""
    with player.services.database.reading() as session:
        opened = _tickets_of(session, homes)
        waits = {place: hours for place, ticket in opened.items() if (hours := _wait(session, ticket)) is not None}
        told = sorted((p for p in waits if homes[p].tells), key=lambda p: homes[p].celsius)
        true = sorted(waits, key=lambda p: homes[p].celsius)
        median = statistics.median(waits.values()) if waits else 0.0
        tenth = [waits[p] for p in told[: max(1, len(told) // 10)]]
        share = statistics.median(tenth) / median if median and tenth else 0.0
        calls = session.scalars(select(Callback)).all()
        promised = [call for call in calls if call.reason in PROMISED]
        late = [call for call in promised if _is_late(call)]
        silent = [call for call in late if not _said(session, call)]
        result = Result(
            homes=len(homes),
            tickets=len(opened),
            messages=len(session.scalars(select(Message.id)).all()),
            sent=len(session.scalars(select(Delivery.id).where(Delivery.sent_at.is_not(None))).all()),
            repaired=len(waits),
            median_hours=median,
            deciles=_tenths([waits[p] for p in told]),
            true_deciles=_tenths([waits[p] for p in true]),
            coldest_share=share,
            promises=len(promised),
            kept=len(promised) - len(late),
            late_told=len(late) - len(silent),
            chases=len(session.scalars(select(Update.id).where(Update.kind == "chased")).all()),
            calls=Counter(call.reason for call in calls),
            unproved_texts=sum(
                line.how != SAID
                for home in homes
                for role in home.others.keys() & UNPROVED
                for line in _heard(player, home, role)
            ),
            proved=len(session.scalars(select(ContactHome.home_id).where(ContactHome.verified_by == "account")).all()),
        )
        slow = [f"{share:.0%} of the median of {median:.1f} h"] if share > HALF else []
        result.broken = {
            "no promise broken silently": [f"call {call.id} ({call.reason})" for call in silent]
            + _unkept_words(session),
            "the coldest tenth waits at most half the median": slow,
            "no household fact told to an unverified contact": _betrayed(session, player, homes, opened),
            "no amount promised": _amounts(session),
            "nobody told the same thing twice": _repeated(player, homes),
            "every home that reported has a ticket": [f"home {p}" for p in range(len(homes)) if p not in opened],
        }
        return result


def _tickets_of(session: Session, homes: Sequence[Home]) -> dict[int, Ticket]:
    """The first ticket of each home, by the home's place."""
    found: dict[tuple[str | None, ...], Ticket] = {}
    for row in session.scalars(select(Ticket).order_by(Ticket.id)):
        found.setdefault((row.community, row.building, row.unit, row.room), row)
    keys = [(h.address.community, h.address.building, h.address.unit, h.address.room) for h in homes]
    return {place: found[key] for place, key in enumerate(keys) if key in found}


def _wait(session: Session, ticket: Ticket) -> float | None:
    """Hours from the report until a crew said for the first time that it is repaired."""
    done = select(Update.at).where(Update.ticket_id == ticket.id, Update.to_status == "done").order_by(Update.id)
    at = session.scalar(done.limit(1))
    return (at - ticket.opened_at) / timedelta(hours=1) if at is not None else None


def _tenths(hours: Sequence[float]) -> list[float]:
    size = len(hours) / 10
    parts = [hours[int(n * size) : int((n + 1) * size)] for n in range(10)]
    return [round(statistics.fmean(part), 1) if part else 0.0 for part in parts]


# --- promises


def _is_late(call: Callback) -> bool:
    return (call.done_at or clock.now()) > call.due_at + GRACE


def _said(session: Session, call: Callback) -> bool:
    """Whether they heard that the call is late, or are about to (texts of the night wait until the morning)."""
    told = select(Delivery.id).where(
        Delivery.contact_id == call.contact_id, Delivery.occasion == f"callback:{call.id}:late"
    )
    return session.scalar(told) is not None


def _unkept_words(session: Session) -> list[str]:
    """Texts that promise a call which nobody owes."""
    calls: dict[int, list[Callback]] = defaultdict(list)
    for call in session.scalars(select(Callback)):
        calls[call.contact_id].append(call)
    return [
        f"delivery {row.id} promises a call that nobody owes"
        for row in session.scalars(select(Delivery).where(Delivery.state != "suppressed"))
        if _CALL.search(row.text) and not any(_covers(call, row) for call in calls[row.contact_id])
    ]


def _covers(call: Callback, row: Delivery) -> bool:
    told_when_late = call.reason in PROMISED or call.reason == "urgent"
    return told_when_late and call.created_at <= row.created_at and (call.done_at or row.created_at) >= row.created_at


# --- what people heard


def _heard(player: Replayer, home: Home, role: str) -> list[Line]:
    speaker = home.others[role] if role else home.speaker
    return player.standins.phones.lines(speaker.medium, speaker.address)


def _betrayed(session: Session, player: Replayer, homes: Sequence[Home], opened: dict[int, Ticket]) -> list[str]:
    """Strangers, and second reporters who proved nothing, who heard of a household's ticket."""
    openers: dict[str, set[str]] = defaultdict(set)
    parties = select(Ticket.number, Contact).join(TicketContact, TicketContact.ticket_id == Ticket.id)
    for number, contact in session.execute(parties.join(Contact, Contact.id == TicketContact.contact_id)):
        if contact.id == session.scalar(select(Ticket.contact_id).where(Ticket.number == number)):
            openers[contact.address or ""].add(number)
    wrong = []
    for place, ticket in opened.items():
        home = homes[place]
        for role in home.others.keys() & UNPROVED:
            if ticket.number in openers[home.others[role].address]:
                continue  # they were the first to report it
            secrets = (ticket.number, f"柜号{ticket.number[-4:]}K", home.phone[-8:], home.account)
            said = [line.text for line in _heard(player, home, role) if line.how != SAID]
            wrong += [f"home {place}: the {role} heard of {ticket.number}" for text in said if _has(text, secrets)]
    return wrong


def _has(text: str, secrets: Iterable[str]) -> bool:
    return any(secret in text for secret in secrets)


def promises_amount(text: str) -> bool:
    """Whether a text promises money back, or less to pay; a tariff does not."""
    return _AMOUNT.search(text) is not None


def _amounts(session: Session) -> list[str]:
    rows = session.scalars(select(Delivery).where(Delivery.state != "suppressed"))
    return [f"delivery {row.id}: {','.join(row.keys)}" for row in rows if promises_amount(row.text)]


def _repeated(player: Replayer, homes: Sequence[Home]) -> list[str]:
    return [
        f"home {place} ({role or 'reporter'}): {text[:40]}"
        for place, home in enumerate(homes)
        for role in ("", *sorted(home.others))
        for text in repeats(_heard(player, home, role))
    ]


def repeats(lines: Iterable[Line]) -> list[str]:
    """The texts that a phone received twice without a word of its owner's in between."""
    found: list[str] = []
    since_said: set[str] = set()
    for line in lines:
        if line.how == SAID:
            since_said.clear()
        elif line.text in since_said:
            found.append(line.text)
        else:
            since_said.add(line.text)
    return found
