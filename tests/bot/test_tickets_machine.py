"""Whatever is done to tickets in whatever order: the history tells it all, and one fault of one home is one open ticket."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import clocks, tickets
from bot.clock_models import Wait
from bot.models import TICKET_STATUSES, Contact, Delivery, Ticket, TicketContact, Update
from bot.tickets import Actor
from handlers.dialogue.types import Address, Case, EditTicket
from tests.bot.helpers import HOME, Core

CLOSED = {"closed", "cancelled", "merged"}
HOMES = [HOME, replace(HOME, room="502"), replace(HOME, room=None), Address(community="阳光花园"), Address()]
FAULTS = ["no_heat", "low_temperature", "leak", "danger", "billing", "other_repair"]
STEPS = [
    "accept",
    "go",
    "wait",
    "wait_resident",
    "wait_property",
    "wait_parts",
    "not_home",
    "resume",
    "finish",
    "confirm",
    "return",
    "unconfirmed",
]
SCOPES = [None, "home", "unit", "building", "community"]
SENDERS = ["+8619900000001", "+8619900000002"]
homes, faults, scopes = st.sampled_from(HOMES), st.sampled_from(FAULTS), st.sampled_from(SCOPES)
places = st.integers(0, 7)


class TicketMachine(RuleBasedStateMachine):
    """Residents report and correct, staff move; all in one transaction that is rolled back at the end."""

    core: ClassVar[Core]

    def __init__(self) -> None:
        super().__init__()
        self._transaction = self.core.services.database.transaction()
        self.session: Session = self._transaction.__enter__()
        self.context = self.core.services.context(self.session)
        self.expected: Counter[int] = Counter()  # ticket id → how many lines its history must have

    def teardown(self) -> None:
        self._transaction.__exit__(_Enough, _Enough(), None)

    @initialize()
    def residents_write(self) -> None:
        self.contacts = list(self.session.scalars(select(Contact).order_by(Contact.id)))

    @property
    def all(self) -> list[Ticket]:
        return list(self.session.scalars(select(Ticket).order_by(Ticket.id)))

    def pick(self, place: int) -> Ticket:
        found = self.all
        return found[place % len(found)]

    @rule(who=st.integers(0, 1), fault=faults, home=homes, scope=scopes, need=st.booleans())
    def report(self, who: int, fault: str, home: Address, scope: str | None, need: bool) -> None:
        case = Case(fault, address=home, scope=scope, need="yes" if need else None)
        waiting = self._waiting()
        opened = tickets.open_ticket(self.context, self.contacts[who], case, incomplete=False, phone=SENDERS[who])
        self.session.flush()
        self.expected[opened.ticket.id] += 1 + (opened.ticket.id in waiting)  # their word ends a wait for them
        if opened.joined is None:
            assert self.expected[opened.ticket.id] == 1
        assert tickets.is_party(self.session, opened.ticket, self.contacts[who].id)

    @precondition(lambda self: self.all)
    @rule(place=places, to=st.sampled_from([*(status for status in TICKET_STATUSES if status != "merged"), *STEPS]))
    def move(self, place: int, to: str) -> None:
        ticket, steps = self.pick(place), self.context.book.table.steps
        before = ticket.status
        allowed = {
            name for row in steps.values() if before in row.before and "staff" in row.by for name in (row.key, row.to)
        }
        try:
            tickets.move(self.context, ticket, to, Actor("staff"))
        except tickets.MoveRefused:
            assert to not in allowed
            assert ticket.status == before
        else:
            assert to in allowed
            self.expected[ticket.id] += 1
        self.session.flush()

    @precondition(lambda self: self.all)
    @rule(place=places, home=st.none() | homes, scope=scopes, reading=st.none() | st.floats(-20, 35))
    def correct(self, place: int, home: Address | None, scope: str | None, reading: float | None) -> None:
        ticket = self.pick(place)
        change = EditTicket(ticket.number, address=home, scope=scope, temperature=reading)
        stands = tickets.edit(self.context, ticket, change, Actor("staff"))
        self._changed(ticket, stands)

    @precondition(lambda self: self.all)
    @rule(place=places, fault=faults)
    def retype(self, place: int, fault: str) -> None:
        ticket = self.pick(place)
        if ticket.intent == fault:
            return
        lines = len(self._lines(ticket))
        stands = tickets.retype(self.context, ticket, fault, Actor("staff"))
        self.session.flush()
        if stands is ticket:  # going to another team may dispatch it as well
            self.expected[ticket.id] += 1 + (len(self._lines(ticket)) - lines > 1)
        else:
            self._changed(ticket, stands)

    @precondition(lambda self: self.all)
    @rule(place=places)
    def chase_and_dispatch(self, place: int) -> None:
        ticket = self.pick(place)
        waits = ticket.status in ("received", "reopened") and ticket.team_id is not None
        resumed = ticket.id in self._waiting()
        tickets.chase(self.context, ticket, Actor("resident", ticket.contact_id))
        tickets.dispatch(self.context, ticket)
        self.session.flush()
        self.expected[ticket.id] += (2 if waits else 1) + resumed

    def _waiting(self) -> set[int]:
        return {ticket.id for ticket in self.all if ticket.waits_for == "resident"}

    def _changed(self, ticket: Ticket, stands: Ticket) -> None:
        self.session.flush()
        self.expected[ticket.id] += 1
        if stands is not ticket:
            self.expected[ticket.id] += 1  # 并入
            assert (ticket.status, ticket.merged_into_id) == ("merged", stands.id)
            assert self._parties(ticket) <= self._parties(stands)
            assert stands.priority <= ticket.priority

    def _parties(self, ticket: Ticket) -> set[int]:
        query = select(TicketContact.contact_id).where(TicketContact.ticket_id == ticket.id)
        return set(self.session.scalars(query))

    def _lines(self, ticket: Ticket) -> list[Update]:
        query = select(Update).where(Update.ticket_id == ticket.id).order_by(Update.id)
        return list(self.session.scalars(query))

    @invariant()
    def the_history_is_complete(self) -> None:
        for ticket in self.all:
            lines = self._lines(ticket)
            assert len(lines) == self.expected[ticket.id], [line.kind for line in lines]
            assert [line.kind for line in lines].count("opened") == 1
            status = None
            for line in lines:
                if line.to_status is not None:
                    assert line.from_status == status
                    status = line.to_status
            assert status == ticket.status

    @invariant()
    def one_fault_of_one_home_is_one_open_ticket(self) -> None:
        keys = [(t.home_key, t.fault) for t in self.all if t.closed_at is None and t.home_key]
        assert len(keys) == len(set(keys))

    @invariant()
    def every_ticket_makes_sense(self) -> None:
        found = self.all
        assert len({ticket.number for ticket in found}) == len(found)
        for ticket in found:
            assert (ticket.closed_at is not None) == (ticket.status in CLOSED)
            assert (ticket.merged_into_id is not None) == (ticket.status == "merged")
            assert 1 <= ticket.priority <= 4
            assert ticket.contact_id in self._parties(ticket)
            assert ticket.reopened == sum(line.to_status == "reopened" for line in self._lines(ticket))

    @invariant()
    def only_tickets_in_work_have_clocks_and_those_that_wait_rest(self) -> None:
        self.session.flush()
        resting = set(self.session.scalars(select(Wait.ticket_id).where(Wait.until.is_(None))))
        for ticket in self.all:
            assert (ticket.waits_for is not None) == (ticket.id in resting)
            assert ticket.waits_for is None or ticket.status == "waiting"
            running = clocks.running(self.session, ticket.id)
            assert not running or ticket.status not in CLOSED | {"done", "confirming"}
            assert len({clock.kind for clock in running}) == len(running)
            assert all((clock.due_at is None) == (ticket.waits_for is not None) for clock in running)

    @invariant()
    def nobody_is_told_twice(self) -> None:
        told = self.session.execute(select(Delivery.contact_id, Delivery.occasion)).all()
        assert len(told) == len(set(told))


class _Enough(Exception):
    """Ends a transaction without keeping anything of it."""


def test_tickets_hold_their_promises_under_any_sequence_of_changes(core: Core) -> None:
    for sender in SENDERS:
        core.receive(sender=sender)
    TicketMachine.core = core
    run_state_machine_as_test(
        TicketMachine,
        settings=settings(
            max_examples=15,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
