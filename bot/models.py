"""The tables. Names are the glossary's: Resident, Contact, Message, Conversation, Ticket, Update, Delivery, Review …

Times are aware UTC. Encrypted columns hold personal data; a `…_hash` beside one is the blind index it is found by.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    UniqueConstraint,
)
from sqlalchemy import text as sql
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from bot.crypto import Encrypted
from bot.database import UtcDateTime

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s",
    "pk": "pk_%(table_name)s",
}

TICKET_STATUSES = [
    "received",
    "dispatched",
    "accepted",
    "on_site",
    "waiting",
    "done",
    "confirming",
    "closed",
    "reopened",
    "cancelled",
    "returned",
    "merged",
]
DELIVERY_STATES = ["queued", "sending", "sent", "delivered", "failed", "unknown", "held", "suppressed"]
ROLES = ["reviewer", "agent", "dispatcher", "crew", "supervisor", "administrator"]

LANE_URGENT, LANE_NORMAL, LANE_BULK = 0, 1, 2


def _one_of(column: str, words: list[str] | tuple[str, ...]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({', '.join(repr(word) for word in words)})", name=f"{column}_known")


def _where(condition: str) -> dict[str, Any]:
    """A partial index's condition, said to both engines."""
    return {"sqlite_where": sql(condition), "postgresql_where": sql(condition)}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime, dict[str, Any]: JSON, list[str]: JSON}


Key = BigInteger().with_variant(Integer, "sqlite")


class Resident(Base):
    """A person; knows nothing but what a heating company needs."""

    __tablename__ = "resident"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str | None] = mapped_column(Encrypted)
    phone: Mapped[str | None] = mapped_column(Encrypted)
    phone_hash: Mapped[str | None] = mapped_column(String(32), index=True)
    created_at: Mapped[datetime]


class Contact(Base):
    """A person's address on one medium: an openid or a phone. Carries the lease that keeps their messages in order."""

    __tablename__ = "contact"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    resident_id: Mapped[int] = mapped_column(ForeignKey("resident.id"), index=True)
    medium: Mapped[str] = mapped_column(String(16))  # wechat | sms
    channel: Mapped[str] = mapped_column(String(16))  # the channel they last wrote by
    address: Mapped[str | None] = mapped_column(Encrypted)
    address_hash: Mapped[str] = mapped_column(String(32))
    account: Mapped[str | None] = mapped_column(String(64))  # our account or number that they wrote to
    created_at: Mapped[datetime]
    last_inbound_at: Mapped[datetime | None]
    before_last_at: Mapped[datetime | None]  # the message before that; the third within seconds begins a burst
    turns_since: Mapped[datetime | None]  # when turns were last counted from nought, and …
    turns: Mapped[int] = mapped_column(default=0)  # … how many there have been since: a flood is slowed down
    following: Mapped[bool] = mapped_column(default=True)
    opted_out_at: Mapped[datetime | None]
    unreachable_at: Mapped[datetime | None]
    pending_since: Mapped[datetime | None]  # the oldest unhandled message; NULL: nothing to do
    pending_lane: Mapped[int] = mapped_column(default=LANE_NORMAL)
    due_at: Mapped[datetime | None]  # when the pending messages may be handled (bursts wait for silence)
    lease_until: Mapped[datetime | None]
    lease_token: Mapped[str | None] = mapped_column(String(32))
    taken_over_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))  # the bot is silent while set
    place: Mapped[str | None] = mapped_column(Encrypted)  # JSON: the building whose QR code they scanned
    # What may still be pushed to them (WeChat): so many after their last message, so many after following or a tap.
    message_left: Mapped[int] = mapped_column(default=0)
    message_until: Mapped[datetime | None]
    action_left: Mapped[int] = mapped_column(default=0)
    action_until: Mapped[datetime | None]
    holding: Mapped[bool] = mapped_column(default=False)  # a text waits for their next word
    noticed_at: Mapped[datetime | None]  # when they were told how their data are used
    erase_asked_at: Mapped[datetime | None]  # they want their data deleted; done when their last case is settled
    resident: Mapped[Resident] = relationship(lazy="joined", innerjoin=True)
    __table_args__ = (
        UniqueConstraint("medium", "address_hash"),
        Index("ix_contact_due", "pending_lane", "due_at", "id", **_where("due_at IS NOT NULL")),
    )


class Home(Base):
    """A flat or shop: where heat arrives. `key` is the blind index of its normalised address."""

    __tablename__ = "home"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    key: Mapped[str] = mapped_column(String(32), unique=True)
    district: Mapped[str | None] = mapped_column(String(32))
    community: Mapped[str | None] = mapped_column(String(64), index=True)
    building: Mapped[str | None] = mapped_column(String(16))
    unit: Mapped[str | None] = mapped_column(String(16))
    room: Mapped[str | None] = mapped_column(Encrypted)


class ContactHome(Base):
    """A home that a contact has reported for; the last used one is taken for granted in the next report.

    `verified_by` says how they were found to belong there, None for who never was: see bot/standing.py.
    """

    __tablename__ = "contact_home"
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"), primary_key=True)
    home_id: Mapped[int] = mapped_column(ForeignKey("home.id"), primary_key=True, index=True)
    used_at: Mapped[datetime]
    verified_at: Mapped[datetime | None]
    verified_by: Mapped[str | None] = mapped_column(String(16))  # first | account | code | phone | crew | desk
    home: Mapped[Home] = relationship(lazy="joined", innerjoin=True)


class Household(Base):
    """A home as the company's books have it; who knows its account number and phone belongs there."""

    __tablename__ = "household"
    home_id: Mapped[int] = mapped_column(ForeignKey("home.id"), primary_key=True)
    account_hash: Mapped[str] = mapped_column(String(32), unique=True)
    phone: Mapped[str | None] = mapped_column(Encrypted)  # the registered one, E.164
    phone_tail_hash: Mapped[str | None] = mapped_column(String(32))  # of its last four digits
    home: Mapped[Home] = relationship(lazy="joined", innerjoin=True)


class Proof(Base):
    """How a contact is trying to prove a home: the wrong answers of a day, and the code that was sent last."""

    __tablename__ = "proof"
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"), primary_key=True)
    day: Mapped[date]  # the local day on which `wrong` answers are counted
    wrong: Mapped[int] = mapped_column(default=0)
    home_id: Mapped[int | None] = mapped_column(ForeignKey("home.id"))  # the home that the code is for
    code_hash: Mapped[str | None] = mapped_column(String(32))
    code_until: Mapped[datetime | None]


class Message(Base):
    """One inbound message or event, kept exactly as received; unique per channel and provider id."""

    __tablename__ = "message"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    channel: Mapped[str] = mapped_column(String(16))
    provider_id: Mapped[str] = mapped_column(String(128))
    kind: Mapped[str] = mapped_column(String(16))
    text: Mapped[str] = mapped_column(Encrypted)
    payload: Mapped[str | None] = mapped_column(Encrypted)  # JSON: what else the provider said
    received_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]  # the provider's time
    lane: Mapped[int] = mapped_column(default=LANE_NORMAL)
    danger: Mapped[str | None] = mapped_column(String(24))  # kind found by the rule-based check
    handled_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)
    told_waiting: Mapped[bool] = mapped_column(default=False)  # 已收到 went out while understanding was down
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"))
    intent: Mapped[str | None] = mapped_column(String(24))  # what it was taken for, after the dialogue's choice
    confidence: Mapped[float | None]
    model: Mapped[str | None] = mapped_column(String(96))
    understanding: Mapped[str | None] = mapped_column(Encrypted)  # JSON: ranking, entities, facts
    emptied_at: Mapped[datetime | None]  # when its words were taken away: past their time, or as the resident asked
    contact: Mapped[Contact] = relationship(lazy="select")
    __table_args__ = (
        UniqueConstraint("channel", "provider_id"),
        Index("ix_message_contact_id_received_at", "contact_id", "received_at"),
        Index("ix_message_unhandled", "contact_id", "id", **_where("handled_at IS NULL")),
        Index("ix_message_kept", "received_at", **_where("emptied_at IS NULL")),
    )


class Conversation(Base):
    """What we are in the middle of with one contact; `state` is JSON of handlers.dialogue.types.Conversation."""

    __tablename__ = "conversation"
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"), primary_key=True)
    state: Mapped[str] = mapped_column(Encrypted)
    updated_at: Mapped[datetime]
    open_case: Mapped[bool] = mapped_column(default=False)  # a problem is being told and has no ticket yet
    reminded_at: Mapped[datetime | None]
    lapses_at: Mapped[datetime | None] = mapped_column(index=True)


class Company(Base):
    """Who runs the pipes of a community (热力公司, 自管物业)."""

    __tablename__ = "company"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    ours: Mapped[bool] = mapped_column(default=True)
    self_run: Mapped[bool] = mapped_column(default=False)  # a property company or employer that runs its own pipes
    phone: Mapped[str | None] = mapped_column(String(32))  # the number that residents are told, …
    phone_checked: Mapped[date | None]  # … if somebody dialled it not long ago


class Team(Base):
    """Who repairs: 班组."""

    __tablename__ = "team"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(64))
    branch_id: Mapped[int | None] = mapped_column(ForeignKey("branch.id"))


class Station(Base):
    """What feeds a building: 换热站."""

    __tablename__ = "station"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(64))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))


class Community(Base):
    """An estate of the gazetteer (小区)."""

    __tablename__ = "community"
    id: Mapped[int] = mapped_column(primary_key=True)
    code: Mapped[str] = mapped_column(String(32), unique=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    district: Mapped[str | None] = mapped_column(String(32))
    aliases: Mapped[list[str]] = mapped_column(default=list)
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    phase_of_id: Mapped[int | None] = mapped_column(ForeignKey("community.id"))  # the estate that it is a phase of
    station_id: Mapped[int | None] = mapped_column(ForeignKey("station.id"))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    company_id: Mapped[int | None] = mapped_column(ForeignKey("company.id"))  # who serves it; NULL: we do
    member_id: Mapped[int | None] = mapped_column(ForeignKey("member.id"))  # its responsible worker, and …
    stand_in_id: Mapped[int | None] = mapped_column(ForeignKey("member.id"))  # … who stands in


class Building(Base):
    """A building of a community; `units` is empty where it has none."""

    __tablename__ = "building"
    id: Mapped[int] = mapped_column(primary_key=True)
    community_id: Mapped[int] = mapped_column(ForeignKey("community.id"))
    number: Mapped[str] = mapped_column(String(16))
    units: Mapped[list[str]] = mapped_column(default=list)
    floors: Mapped[int | None]
    station_id: Mapped[int | None] = mapped_column(ForeignKey("station.id"))
    member_id: Mapped[int | None] = mapped_column(ForeignKey("member.id"))  # where it differs from its estate's
    stand_in_id: Mapped[int | None] = mapped_column(ForeignKey("member.id"))
    __table_args__ = (UniqueConstraint("community_id", "number"),)


class Ticket(Base):
    """One heating problem at one address."""

    __tablename__ = "ticket"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    intent: Mapped[str] = mapped_column(String(24))
    also: Mapped[list[str]] = mapped_column(default=list)
    fault: Mapped[str] = mapped_column(String(24))  # the fault family that joins: cold, leak, danger, …
    status: Mapped[str] = mapped_column(String(16), default="received")
    priority: Mapped[int] = mapped_column(default=3)  # 1 emergency … 4 can wait
    urgent: Mapped[bool] = mapped_column(default=False)
    incomplete: Mapped[bool] = mapped_column(default=False)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"), index=True)
    home_key: Mapped[str | None] = mapped_column(String(32))  # NULL while the address is incomplete
    district: Mapped[str | None] = mapped_column(String(32))
    community: Mapped[str | None] = mapped_column(String(64))
    building: Mapped[str | None] = mapped_column(String(16))
    unit: Mapped[str | None] = mapped_column(String(16))
    room: Mapped[str | None] = mapped_column(Encrypted)
    known: Mapped[bool] = mapped_column(default=False)  # the gazetteer has the community
    phone: Mapped[str | None] = mapped_column(Encrypted)  # the phone to call
    phone_typed: Mapped[bool] = mapped_column(default=False)  # it was typed, not taken from the SMS sender
    phone_hash: Mapped[str | None] = mapped_column(String(32), index=True)
    phone_tail_hash: Mapped[str | None] = mapped_column(String(32), index=True)
    account_no: Mapped[str | None] = mapped_column(Encrypted)
    temperature: Mapped[float | None]  # ℃, the last reading the resident told
    duration: Mapped[str | None] = mapped_column(String(64))
    scope: Mapped[str | None] = mapped_column(String(16))
    severity: Mapped[str | None] = mapped_column(String(8))
    need: Mapped[bool] = mapped_column(default=False)
    neighbours: Mapped[str | None] = mapped_column(String(8))  # warm | cold | unknown, as the resident told
    danger: Mapped[str | None] = mapped_column(String(24))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"), index=True)
    assignee_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    member_id: Mapped[int | None] = mapped_column(ForeignKey("member.id"), index=True)  # who has taken it
    opened_at: Mapped[datetime]
    status_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]
    resolution: Mapped[str | None] = mapped_column(String(24))  # confirmed | unconfirmed | withdrawn | …
    chases: Mapped[int] = mapped_column(default=0)
    reopened: Mapped[int] = mapped_column(default=0)
    merged_into_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"))
    split_from_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"))
    waits_for: Mapped[str | None] = mapped_column(String(8))  # resident | property | parts: the clocks rest
    weight: Mapped[int] = mapped_column(default=0)  # within a priority: how cold, for how long, and who lives there
    cold_rungs: Mapped[int] = mapped_column(default=0)  # how many of the spans of `cold_hours` it has been cold for
    satisfaction: Mapped[int | None]  # 1 … 5, as the resident answered after the repair
    emptied_at: Mapped[datetime | None]  # when phone, room and notes were taken away from it
    version: Mapped[int] = mapped_column(default=1)
    team: Mapped[Team | None] = relationship(lazy="select")
    contact: Mapped[Contact] = relationship(lazy="select")
    updates: Mapped[list[Update]] = relationship(back_populates="ticket", order_by="Update.id")
    __mapper_args__ = {"version_id_col": version}
    __table_args__ = (
        _one_of("status", TICKET_STATUSES),
        Index("ix_ticket_urgency", "status", "priority", "weight", "chases", "opened_at"),
        Index("ix_ticket_opened_at", "opened_at"),
        Index("ix_ticket_kept", "closed_at", **_where("closed_at IS NOT NULL AND emptied_at IS NULL")),
        # The same fault of the same home is one open ticket: two reports at once cannot open two.
        Index(
            "uq_ticket_open_fault",
            "home_key",
            "fault",
            unique=True,
            **_where("closed_at IS NULL AND home_key IS NOT NULL"),
        ),
    )


class TicketContact(Base):
    """Who hears of a ticket's progress: its reporter and everyone who joined."""

    __tablename__ = "ticket_contact"
    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"), primary_key=True, index=True)
    joined_at: Mapped[datetime]


class Update(Base):
    """One line of a ticket's history; rows are only added."""

    __tablename__ = "update"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    ticket_id: Mapped[int] = mapped_column(ForeignKey("ticket.id"), index=True)
    at: Mapped[datetime]
    actor: Mapped[str] = mapped_column(String(16))  # resident | staff | system
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    member_id: Mapped[int | None] = mapped_column(ForeignKey("member.id"))  # who of the crew, from their phone
    kind: Mapped[str] = mapped_column(String(16))  # opened | moved | edited | note | chased | joined | dispatched
    from_status: Mapped[str | None] = mapped_column(String(16))
    to_status: Mapped[str | None] = mapped_column(String(16))
    step: Mapped[str | None] = mapped_column(String(16))  # the move of data/rules/moves.yml
    note: Mapped[str | None] = mapped_column(Encrypted)  # why, in words; what was changed
    told: Mapped[str | None] = mapped_column(Encrypted)  # what the resident was told
    ticket: Mapped[Ticket] = relationship(back_populates="updates")


class Counter(Base):
    """Numbers that people read out: one row per kind and day."""

    __tablename__ = "counter"
    name: Mapped[str] = mapped_column(String(32), primary_key=True)
    value: Mapped[int] = mapped_column(default=0)


class Delivery(Base):
    """One outbound text and how far it got. One row per contact and occasion: nobody is told the same thing twice."""

    __tablename__ = "delivery"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("message.id"))  # the message it answers
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"))
    occasion: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(8))  # reply | urgent | notice
    text: Mapped[str] = mapped_column(Encrypted)
    keys: Mapped[list[str]] = mapped_column(default=list)  # catalogue entries it was made of, and as JSON …
    params: Mapped[str | None] = mapped_column(Encrypted)  # … the parameters of each, for providers of templates
    state: Mapped[str] = mapped_column(String(12), default="queued")
    via: Mapped[str | None] = mapped_column(String(16))  # passive | the channel's name | wechat:template …
    by: Mapped[str | None] = mapped_column(String(16))  # another channel than the contact's own, whose way was closed
    waits_for: Mapped[str | None] = mapped_column(String(16))  # held until: inbound | the part of a channel that is red
    lane: Mapped[int] = mapped_column(default=LANE_NORMAL)
    due_at: Mapped[datetime]
    created_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    lease_token: Mapped[str | None] = mapped_column(String(32))
    provider_ref: Mapped[str | None] = mapped_column(String(64))
    failed_ref: Mapped[str | None] = mapped_column(String(64))  # the attempt that a report ended and that was repeated
    error: Mapped[str | None] = mapped_column(String(160))
    staff_id: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))  # who wrote it, where a person did
    sent_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]  # delivered, failed, suppressed
    emptied_at: Mapped[datetime | None]  # when its words were taken away
    contact: Mapped[Contact] = relationship(lazy="select")
    __table_args__ = (
        _one_of("state", DELIVERY_STATES),
        UniqueConstraint("contact_id", "occasion"),
        Index("ix_delivery_queue", "lane", "due_at", "id", **_where("state = 'queued'")),
        Index("ix_delivery_sending", "lease_until", **_where("state = 'sending'")),
        Index("ix_delivery_trouble", "created_at", **_where("state IN ('failed', 'unknown', 'held')")),
        Index("ix_delivery_provider_ref", "provider_ref"),
        Index("ix_delivery_message_id", "message_id"),
        Index("ix_delivery_kept", "created_at", **_where("emptied_at IS NULL")),
        Index("ix_delivery_waiting", "waits_for", "due_at", **_where("state = 'held'")),
    )


class Task(Base):
    """Something due at a time: a dispatch, a reminder, a call-back. Claimed with a lease, done once."""

    __tablename__ = "task"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    kind: Mapped[str] = mapped_column(String(16))  # dispatch | unlink
    ref: Mapped[str] = mapped_column(String(64))
    lane: Mapped[int] = mapped_column(default=LANE_NORMAL)
    due_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    lease_until: Mapped[datetime | None]
    lease_token: Mapped[str | None] = mapped_column(String(32))
    done_at: Mapped[datetime | None]
    error: Mapped[str | None] = mapped_column(String(160))
    __table_args__ = (
        UniqueConstraint("kind", "ref"),
        Index("ix_task_queue", "lane", "due_at", "id", **_where("done_at IS NULL")),
    )


class Callback(Base):
    """A person is owed a call: who, why, and by when it was promised."""

    __tablename__ = "callback"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    contact_id: Mapped[int] = mapped_column(ForeignKey("contact.id"), index=True)
    ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"))
    message_id: Mapped[int | None] = mapped_column(ForeignKey("message.id"))
    reason: Mapped[str] = mapped_column(String(24))
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    escalated_at: Mapped[datetime | None]  # the promise was not kept, and somebody else has been told
    done_at: Mapped[datetime | None]
    done_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    note: Mapped[str | None] = mapped_column(Encrypted)
    contact: Mapped[Contact] = relationship(lazy="select")
    __table_args__ = (
        # One call is owed at a time for one reason, however often it is asked for.
        Index("uq_callback_open", "contact_id", "reason", unique=True, **_where("done_at IS NULL")),
    )


class Review(Base):
    """A message for a person to judge, and the verdict."""

    __tablename__ = "review"
    id: Mapped[int] = mapped_column(Key, primary_key=True)
    message_id: Mapped[int] = mapped_column(ForeignKey("message.id"), unique=True)
    reason: Mapped[str] = mapped_column(String(16))  # unsure | misunderstood | contradicted | failed
    guess: Mapped[str | None] = mapped_column(String(24))
    confidence: Mapped[float | None]
    created_at: Mapped[datetime]
    verdict: Mapped[str | None] = mapped_column(String(24))
    verdict_also: Mapped[list[str] | None] = mapped_column(JSON)
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[int | None] = mapped_column(ForeignKey("staff.id"))
    worth: Mapped[float | None]  # what a correction is worth: the queue's order; NULL until it is reckoned
    candidate: Mapped[str | None] = mapped_column(String(24))  # what staff made of it at the desk without being asked
    flagged_at: Mapped[datetime | None]  # put aside for a colleague
    note: Mapped[str | None] = mapped_column(Encrypted)
    verdict_entities: Mapped[str | None] = mapped_column(Encrypted)  # JSON, where a person has marked them
    # What the verdict did to the live case, and what it was before, as JSON; both until the verdict is taken back.
    repair: Mapped[str | None] = mapped_column(String(16))
    repair_ticket_id: Mapped[int | None] = mapped_column(ForeignKey("ticket.id"))
    repair_before: Mapped[str | None] = mapped_column(Encrypted)
    told_id: Mapped[int | None] = mapped_column(ForeignKey("delivery.id"))
    message: Mapped[Message] = relationship(lazy="joined", innerjoin=True)
    __table_args__ = (
        Index("ix_review_open", "created_at", **_where("decided_at IS NULL")),
        Index("ix_review_queue", "worth", "id", **_where("decided_at IS NULL AND flagged_at IS NULL")),
        Index("ix_review_decided_at", "decided_at"),
    )


class Staff(Base):
    """Someone who works at the desk."""

    __tablename__ = "staff"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    password_hash: Mapped[str] = mapped_column(String(128))
    role: Mapped[str] = mapped_column(String(16))
    team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"))
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime]
    __table_args__ = (_one_of("role", ROLES),)


class Rule(Base):
    """One version of one rule of the trade. `db upgrade` adds the shipped ones; the latest valid version counts."""

    __tablename__ = "rule"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(48))
    digest: Mapped[str] = mapped_column(String(64))
    body: Mapped[dict[str, Any]]
    source: Mapped[str | None] = mapped_column(String(200))
    valid_from: Mapped[date]
    created_at: Mapped[datetime]
    shipped: Mapped[bool] = mapped_column(default=True)  # came with the software; an administrator's version wins
    __table_args__ = (Index("ix_rule_name_id", "name", "id"),)


class Credential(Base):
    """A token a provider gave us, shared by all processes (WeChat's access token)."""

    __tablename__ = "credential"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Encrypted)
    expires_at: Mapped[datetime]


class ChannelState(Base):
    """Whether a channel works: red after a refused credential, until the next success."""

    __tablename__ = "channel_state"
    channel: Mapped[str] = mapped_column(String(16), primary_key=True)
    ok: Mapped[bool] = mapped_column(default=True)
    reason: Mapped[str | None] = mapped_column(String(160))
    changed_at: Mapped[datetime]


# The tables of these files belong to the same metadata, whoever imports this one first.
import bot.call_models  # noqa: E402
import bot.clock_models  # noqa: E402
import bot.crew_models  # noqa: E402
import bot.desk_models  # noqa: E402
import bot.duty_models  # noqa: E402
import bot.push_models  # noqa: E402
import bot.review_models  # noqa: E402, F401
