"""The values of a dialogue: what a handler is given (Turn) and what it wants to happen (Outcome).

All are frozen: a handler changes nothing, it says what should change. Times are aware datetimes in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from nlu.places import Gazetteer
from nlu.types import Understanding

OPEN_STATUSES = frozenset(
    {"received", "dispatched", "accepted", "on_site", "waiting", "done", "confirming", "reopened", "returned"}
)
"""Every status but closed, cancelled and merged (data/rules/moves.yml)."""


@dataclass(frozen=True, slots=True)
class Address:
    """A home, as far as it is known; `known` says that the gazetteer has the community."""

    district: str | None = None
    community: str | None = None
    building: str | None = None
    unit: str | None = None
    room: str | None = None
    known: bool = False

    def __bool__(self) -> bool:
        return any((self.community, self.building, self.unit, self.room))


@dataclass(frozen=True, slots=True)
class Case:
    """One problem as the resident has told it so far."""

    intent: str
    also: tuple[str, ...] = ()
    address: Address = field(default_factory=Address)
    phone: str | None = None
    account_no: str | None = None
    temperature: float | None = None
    duration: str | None = None
    scope: str | None = None
    severity: str | None = None
    need: str | None = None
    rooms: tuple[str, ...] = ()  # further rooms named in the same report
    danger: str | None = None  # the kind of danger, by rule or by understanding
    phone_of_other: bool = (
        False  # the phone is somebody else's at that home (租客电话): not one to remember for this contact
    )


@dataclass(frozen=True, slots=True)
class Option:
    """One numbered answer; `value` is what it stands for: an intent, a ticket number, a community, a home's index."""

    value: str
    label: str


@dataclass(frozen=True, slots=True)
class Conversation:
    """What we are in the middle of with one contact. It lapses after 30 minutes of silence."""

    case: Case | None = None
    waiting_for: str | None = None  # what the last question asked for: see handlers/dialogue/collect.py
    options: tuple[Option, ...] = ()
    ticket: str | None = None  # the ticket that corrections and further facts belong to
    asked: tuple[str, ...] = ()  # every question of this conversation, so that none is asked for ever
    misunderstood: int = 0  # turns in a row that were not understood


@dataclass(frozen=True, slots=True)
class TicketView:
    """A ticket of this contact, or of a home this contact is known for, as the dialogue may speak of it."""

    number: str
    intents: tuple[str, ...]
    status: str
    address: Address
    opened_at: datetime
    status_at: datetime
    closed_at: datetime | None = None
    urgent: bool = False
    responsible: str | None = None  # the team that has it
    note: str | None = None  # the last note to the resident
    chases: int = 0
    reopened: int = 0
    has_phone: bool = False
    scope: str | None = None
    mine: bool = True  # this contact has a say in it: see bot/standing.py

    @property
    def intent(self) -> str:
        return self.intents[0]

    @property
    def is_open(self) -> bool:
        return self.status in OPEN_STATUSES


@dataclass(frozen=True, slots=True)
class Season:
    """One dated heating season of an area; both dates are local days, and both belong to the season."""

    area: str  # a district's full name, or "*" for everywhere
    start: date
    end: date


@dataclass(frozen=True, slots=True)
class Answer:
    """One dated answer to a question about money or heating; `variants` are ways of asking it."""

    id: str
    intent: str  # consult or billing
    variants: tuple[str, ...]
    text: str
    sms: str | None = None
    opens: str | None = None  # the intent that it offers to register when they tell their address
    valid_from: date | None = None
    valid_to: date | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of the trade that a dialogue needs, read from versioned rows that started as files in data/."""

    seasons: tuple[Season, ...] = ()
    answers: tuple[Answer, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)  # per intent; "*" is the default
    account_matters: tuple[str, ...] = ()  # words that make a money message a matter for the office
    reopen_days: int = 7
    hotline: str = "12345"  # the number residents are shown
    callback_minutes: int = 30  # how soon a person calls back, as promised
    company: str = "供热公司"  # who residents are told they speak with
    proof_days: int = 365  # how long it counts that a contact proved a home
    proof_tries: int = 5  # wrong answers a day, after which nothing is proved any more that day
    code_minutes: int = 10  # how long a code that was sent is good for
    codes_a_day: int = 3  # codes sent to one home in a day


@dataclass(frozen=True, slots=True)
class Turn:
    """Everything a handler may know about one message (or one burst of messages)."""

    understanding: Understanding
    channel: str  # "wechat" or "sms"
    received_at: datetime  # when the message reached us
    today: date  # the local day of received_at
    conversation: Conversation
    places: Gazetteer
    rules: Rules
    homes: tuple[Address, ...] = ()  # bound homes of this contact, last used first
    tickets: tuple[TicketView, ...] = ()  # open ones and those closed within reopen_days, newest first
    joined: tuple[TicketView, ...] = ()  # open ones of others at a home that is not proved: nothing may be told of them
    mentioned: tuple[TicketView, ...] = ()  # tickets whose number is in the text; address empty when not theirs
    danger: str | None = None  # kind found by the rule-based check
    phone: str | None = None  # the phone we may call: on SMS the sender's, on WeChat one given earlier
    first_contact: bool = False
    noticed: bool = True  # they have been told how their data are used
    proof: str | None = None  # what came of the account number or code in this message: right | wrong | locked

    @property
    def text(self) -> str:
        return self.understanding.text


@dataclass(frozen=True, slots=True)
class Reply:
    """One text to send, by its key in the catalogue (data/intents/*.yml, data/texts.yml) and its parameters.

    `about_ticket`: the reply tells of the ticket that this outcome opens. The recorder adds the parameter `number`; when
    the case joined an open ticket it says `<intent>.joined` or `report.joined` (the contact's own), or
    `report.joined_other` (someone else's, of which nothing is told).
    """

    key: str
    params: Mapping[str, str] = field(default_factory=dict)
    about_ticket: bool = False
    nth: int = 0  # which of the tickets that this outcome opens
    own_only: bool = False  # a question to the reporter: left out where the report joined somebody else's ticket


class Effect:
    """Something the dialogue wants to happen; applied in order, in one transaction, by bot/record.py."""


@dataclass(frozen=True, slots=True)
class OpenTicket(Effect):
    """Open a ticket, or join the open ticket of the same fault at the same home."""

    case: Case
    incomplete: bool = False  # opened without its full address: a person calls back


@dataclass(frozen=True, slots=True)
class EditTicket(Effect):
    """Put corrected or further facts on a ticket; None leaves a field as it is. The address is replaced whole."""

    number: str
    address: Address | None = None
    phone: str | None = None
    temperature: float | None = None
    severity: str | None = None
    scope: str | None = None
    need: str | None = None
    account_no: str | None = None
    neighbours: str | None = None  # warm | cold | unknown
    phone_of_other: bool = False  # as in Case


@dataclass(frozen=True, slots=True)
class AddNote(Effect):
    """Keep this turn's text on the ticket, for whoever works it; also where this contact has only joined it."""

    number: str


@dataclass(frozen=True, slots=True)
class CancelTicket(Effect):
    number: str


@dataclass(frozen=True, slots=True)
class ResolveTicket(Effect):
    """The resident says it is fixed: closes the ticket, or has a person confirm it where the case is urgent or a leak."""

    number: str


@dataclass(frozen=True, slots=True)
class ReopenTicket(Effect):
    number: str


@dataclass(frozen=True, slots=True)
class RateTicket(Effect):
    """How content the resident is with the repair: 1 (not at all) to 5."""

    number: str
    satisfaction: int


@dataclass(frozen=True, slots=True)
class ChaseTicket(Effect):
    """The resident presses; the second chase of a ticket reaches a person. Who has only joined it may press, too."""

    number: str


@dataclass(frozen=True, slots=True)
class AskForPerson(Effect):
    """Put this contact on the call-back list, due in rules.callback_minutes."""

    reason: str  # asked | chased | misunderstood | complaint | privacy | urgent | account


@dataclass(frozen=True, slots=True)
class HandOver(Effect):
    """The resident agrees that what they wrote goes to whoever serves their home."""

    case: Case


@dataclass(frozen=True, slots=True)
class KeepPhone(Effect):
    """Remember the number that this contact wants to be called on, where there is no ticket to put it on."""

    phone: str


@dataclass(frozen=True, slots=True)
class FileReview(Effect):
    """Have a person look at what the machine made of this message."""

    reason: str  # unsure | misunderstood | contradicted | voice


@dataclass(frozen=True, slots=True)
class OptOut(Effect):
    """Stop notices to this contact."""


@dataclass(frozen=True, slots=True)
class OptIn(Effect):
    """Take an earlier opting out back."""


@dataclass(frozen=True, slots=True)
class BindHome(Effect):
    """Remember this home for the contact."""

    address: Address


@dataclass(frozen=True, slots=True)
class Noticed(Effect):
    """This contact has now been told how their data are used."""


@dataclass(frozen=True, slots=True)
class ProveHome(Effect):
    """What this message gave proves a home: remember that this contact belongs there."""


@dataclass(frozen=True, slots=True)
class WrongProof(Effect):
    """What this message gave proves nothing: counted, so that nobody tries until it fits."""


@dataclass(frozen=True, slots=True)
class SendCode(Effect):
    """Send a code to the phone that the company's books have for this home, if they have one."""

    address: Address


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from a turn: texts in order (sent as one message), effects, and the conversation as it now stands."""

    replies: tuple[Reply, ...]
    conversation: Conversation
    effects: tuple[Effect, ...] = ()
