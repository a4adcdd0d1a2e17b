"""The hours in which text messages rest: what can wait for the morning, and what never does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from bot.models import Contact, Delivery, Ticket
from bot.rules import RuleBook


@dataclass(frozen=True, slots=True)
class Night:
    """The rule `night`: from `begins` to `ends` in `zone`, entries of `families` wait."""

    begins: time
    ends: time
    zone: ZoneInfo
    media: frozenset[str]
    families: tuple[str, ...]
    never: frozenset[str]  # faults of tickets that are told at any hour
    answer: timedelta  # who wrote this recently is awake

    def morning(self, now: datetime) -> datetime | None:
        """When the present night ends; None by day."""
        local = now.astimezone(self.zone)
        at = local.time()
        over_midnight = self.begins > self.ends
        is_night = (at >= self.begins or at < self.ends) if over_midnight else self.begins <= at < self.ends
        if not is_night:
            return None
        day = local.date() + timedelta(days=1 if over_midnight and at >= self.begins else 0)
        return datetime.combine(day, self.ends, self.zone).astimezone(UTC)

    def waits(self, session: Session, delivery: Delivery, contact: Contact, now: datetime) -> bool:
        """Whether this delivery is one that waits; asked at night only."""
        medium = "sms" if delivery.by else contact.medium  # by another channel than their own goes a text message
        if delivery.kind != "notice" or medium not in self.media:
            return False
        if contact.last_inbound_at is not None and contact.last_inbound_at >= now - self.answer:
            return False
        if not any(_belongs(key, family) for key in delivery.keys for family in self.families):
            return False
        ticket = session.get(Ticket, delivery.ticket_id) if delivery.ticket_id is not None else None
        return ticket is None or not (ticket.urgent or ticket.fault in self.never)


def read(book: RuleBook) -> Night | None:
    """The rule as it stands; None where there is none, and nothing then waits."""
    rule = book.raw.get("night")
    if not rule:
        return None
    return Night(
        begins=time.fromisoformat(str(rule["begins"])),
        ends=time.fromisoformat(str(rule["ends"])),
        zone=ZoneInfo(str(rule["zone"])),
        media=frozenset(rule["media"]),
        families=tuple(rule["waits"]),
        never=frozenset(rule["never"]),
        answer=timedelta(minutes=int(rule["answer_minutes"])),
    )


def _belongs(key: str, family: str) -> bool:
    return key == family or key.startswith(f"{family}.")
