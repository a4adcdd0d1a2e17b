"""Tickets move as the table says, keep every change, and tell everyone but whoever caused it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from bot import conversation, tickets, worker
from bot.models import TICKET_STATUSES, Contact, Delivery, Team, Ticket, TicketContact
from bot.rules import DATA
from bot.tickets import Actor, Context, MoveRefused
from handlers.dialogue.types import Address, EditTicket
from tests.bot.helpers import COLD_AT_HOME, HOME, OTHER_HOME, PHONE, Core, together

TABLE = yaml.safe_load((DATA / "rules" / "moves.yml").read_text(encoding="utf-8"))
STEPS: dict[str, dict[str, Any]] = TABLE["moves"]
MOVES: dict[str, set[str]] = {
    status: {row["to"] for row in STEPS.values() if row["to"] and status in row["from"] and "staff" in row["by"]}
    for status in TABLE["statuses"]
}
TOLD = {row["to"] for row in STEPS.values() if row.get("tell")}
PAIRS = [(before, to) for before in TICKET_STATUSES for to in TICKET_STATUSES]
STAFF = Actor("staff")
NEIGHBOUR = "+8619900007777"


def ticket_in(core: Core, status: str) -> str:
    """A ticket that is in a status, however it came there."""
    number = core.open()
    with core.services.database.transaction() as session:
        ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
        ticket.status = status
        ticket.closed_at = ticket.opened_at if status in ("closed", "cancelled", "merged") else None
    return number


def change(core: Core, number: str, act: Callable[[Context, Ticket], Any]) -> Any:
    """Do something to a ticket in a transaction of its own."""
    with core.services.database.transaction() as session:
        ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
        return act(core.services.context(session), ticket)


def edit(core: Core, number: str, **facts: Any) -> str:
    """Correct a ticket; returns the number that now stands for the case."""
    made = change(core, number, lambda c, t: tickets.edit(c, t, EditTicket(number, **facts), STAFF).number)
    return str(made)


def notices(core: Core) -> dict[str, list[str]]:
    """Texts that were queued as notices, by the address they go to."""
    addresses = {contact.id: contact.address or "" for contact in core.rows(Contact)}
    told: dict[str, list[str]] = {}
    for row in core.rows(Delivery, Delivery.kind == "notice"):
        told.setdefault(addresses[row.contact_id], []).append(row.text)
    return told


# --- the table of moves


def test_the_table_names_every_status_of_the_schema() -> None:
    assert set(MOVES) == set(TABLE["statuses"]) == set(TICKET_STATUSES)


@pytest.mark.parametrize("status", TICKET_STATUSES)
def test_moves_are_allowed_and_refused_by_the_table(core: Core, status: str) -> None:
    for to in TICKET_STATUSES:
        if to == "merged":
            continue  # by `merge` only
        number = ticket_in(core, status)
        if to in MOVES[status]:
            core.move(number, to)
            moved = core.history(number)[-1]
            assert (moved.kind, moved.from_status, moved.to_status) == ("moved", status, to)
            assert core.ticket(number).status == to
        else:
            before = core.history(number)
            with pytest.raises(MoveRefused):
                core.move(number, to)
            assert core.ticket(number).status == status
            assert len(core.history(number)) == len(before)
        done = core.ticket(number)
        assert (done.closed_at is not None) == (done.status in ("closed", "cancelled", "merged"))
        with core.services.database.transaction() as session:  # out of the way of the next one
            row = session.get_one(Ticket, done.id)
            row.home_key = None


def test_an_unknown_status_is_refused(core: Core) -> None:
    with pytest.raises(MoveRefused):
        core.move(core.open(), "teleported")


def test_a_resolution_stays_until_the_ticket_is_reopened(core: Core) -> None:
    number = core.open()
    change(core, number, lambda c, t: tickets.move(c, t, "closed", STAFF, resolution="confirmed"))
    assert core.ticket(number).resolution == "confirmed"
    core.move(number, "reopened")
    reopened = core.ticket(number)
    assert (reopened.resolution, reopened.closed_at, reopened.reopened) == (None, None, 1)


# --- who is told


def test_told_statuses_are_told_and_the_others_are_not(core: Core) -> None:
    number = core.open()
    path = ["dispatched", "accepted", "on_site", "waiting", "done", "confirming", "closed", "reopened"]
    core.move(number, *path)
    assert len(notices(core)[PHONE]) == len([status for status in path if status in TOLD])
    told = [update.to_status for update in core.history(number) if update.told]
    assert told == [status for status in path if status in TOLD]


def test_everyone_of_a_building_hears_of_progress_but_whoever_caused_it(core: Core) -> None:
    building = replace(HOME, unit=None, room=None)
    number = core.open(address=building, scope="building")
    assert core.open(NEIGHBOUR, address=building, scope="building") == number
    core.move(number, "accepted")
    assert set(notices(core)) == {PHONE, NEIGHBOUR}
    reporter = next(c.id for c in core.rows(Contact) if c.address == PHONE)
    core.move(number, "cancelled", actor=Actor("resident", reporter))
    assert {address: len(texts) for address, texts in notices(core).items()} == {PHONE: 1, NEIGHBOUR: 2}


def test_who_joined_unproved_hears_only_that_it_has_ended(core: Core) -> None:
    number = core.open()
    assert core.open(NEIGHBOUR) == number
    core.move(number, "accepted", "on_site", note="下午三点到，先打电话")
    assert set(notices(core)) == {PHONE}
    core.move(number, "done", "closed")
    assert len(notices(core)[NEIGHBOUR]) == 1
    assert number not in notices(core)[NEIGHBOUR][0]


def test_a_note_of_staff_is_told_and_a_residents_words_are_not(core: Core) -> None:
    number = core.open()
    core.move(number, "waiting", note="等配件，明天上午到")
    assert "等配件，明天上午到。" in notices(core)[PHONE][0]
    core.open(NEIGHBOUR)
    neighbour = next(c.id for c in core.rows(Contact) if c.address == NEIGHBOUR)
    core.move(number, "cancelled", note="别来了我在外地", actor=Actor("resident", neighbour))
    assert "外地" not in notices(core)[PHONE][-1]


def test_notices_fit_one_text_message_and_name_the_ticket(core: Core) -> None:
    number = core.open()
    core.move(number, "dispatched", "accepted", "on_site", "waiting", "done", "closed", "reopened", "cancelled")
    for text in notices(core)[PHONE]:
        assert number in text
        assert len(text) <= 70, text


# --- numbers


def test_numbers_can_be_read_out_and_begin_anew_each_local_day(core: Core, clock: Any) -> None:
    assert core.open() == "N20261123-0001"
    assert core.open(address=OTHER_HOME) == "N20261123-0002"
    clock.advance(timedelta(hours=14))  # midnight in China, still the same day in UTC
    assert core.open(address=replace(HOME, room="503")) == "N20261124-0001"


def test_tickets_opened_at_once_have_numbers_of_their_own(core: Core) -> None:
    homes = [replace(HOME, room=str(room)) for room in range(101, 111)]
    senders = [f"+8619900000{n:03d}" for n in range(10)]
    for sender in senders:
        core.receive(sender=sender)
    numbers = together([partial(core.open, *pair) for pair in zip(senders, homes, strict=True)])
    assert sorted(numbers) == [f"N20261123-{n:04d}" for n in range(1, 11)]


# --- the same fault at the same home


def test_a_second_report_of_the_same_fault_and_home_joins(core: Core) -> None:
    number = core.open()
    assert core.open(NEIGHBOUR, intent="low_temperature", temperature=13.0, also=("billing",)) == number
    ticket = core.one(Ticket)
    assert (ticket.temperature, ticket.also, ticket.priority) == (None, [], 3), "who has no say corrects nothing"
    assert [update.kind for update in core.history(number)] == ["opened", "joined"]
    assert core.history(number)[-1].note == "室温13度"
    assert len(core.rows(TicketContact)) == 2


@pytest.mark.parametrize("other", [{"intent": "leak"}, {"address": OTHER_HOME}])
def test_another_fault_or_another_home_is_another_ticket(core: Core, other: dict[str, Any]) -> None:
    assert core.open() != core.open(**other)


def test_a_closed_ticket_is_not_joined(core: Core) -> None:
    first = core.open()
    core.move(first, "closed")
    assert core.open() != first


def test_reports_of_one_home_at_once_are_one_ticket(core: Core) -> None:
    senders = [f"+8619900000{n:03d}" for n in range(6)]
    for sender in senders:
        core.receive(sender=sender)
    numbers = together([partial(core.open, sender) for sender in senders])
    assert len(set(numbers)) == 1
    assert len(core.rows(Ticket)) == 1
    assert len(core.rows(TicketContact)) == 6


def test_messages_of_two_neighbours_at_once_are_one_ticket_and_two_answers(core: Core) -> None:
    claims = [core.receive(COLD_AT_HOME, sender, claim=True).claim for sender in (PHONE, NEIGHBOUR)]
    together([partial(conversation.handle, core.services, claim) for claim in claims if claim])
    number = core.one(Ticket).number
    assert sorted(update.kind for update in core.history(number)) == ["joined", "opened"]
    answers = [core.replies(sender)[-1] for sender in (PHONE, NEIGHBOUR)]
    assert sum("已有人报修" in answer for answer in answers) == 1
    assert sum(number in answer for answer in answers) == 1


# --- corrections


def test_a_corrected_address_readdresses_the_ticket_and_says_so(core: Core) -> None:
    number = core.open()
    assert edit(core, number, address=replace(HOME, room="1502")) == number
    assert core.ticket(number).room == "1502"
    note = core.history(number)[-1].note or ""
    assert "501" in note
    assert "1502" in note
    assert core.open() != number
    assert core.open(address=replace(HOME, room="1502")) == number


def test_a_completed_address_ends_the_call_that_was_owed_for_it(core: Core) -> None:
    number = core.open(address=Address(community="阳光花园"), incomplete=True)
    assert core.ticket(number).home_key is None
    edit(core, number, address=HOME)
    ticket = core.ticket(number)
    assert (ticket.incomplete, ticket.home_key is None, ticket.district) == (False, False, "二七区")


def test_an_address_elsewhere_brings_another_team(core: Core) -> None:
    number = core.open(address=Address(community="不在表上的小区", building="1", room="101"))
    worker.run_tasks(core.services)
    assert (core.ticket(number).team_id, core.ticket(number).status) == (None, "received")
    edit(core, number, address=HOME)
    worker.run_tasks(core.services)
    assert core.ticket(number).team_id is not None
    assert core.ticket(number).status == "dispatched"


def test_a_correction_that_makes_two_tickets_the_same_merges_them(core: Core) -> None:
    first = core.open()
    second = core.open(NEIGHBOUR, OTHER_HOME)
    assert edit(core, second, address=HOME) == first
    merged = core.ticket(second)
    assert (merged.status, merged.merged_into_id, merged.home_key) == ("merged", core.ticket(first).id, None)
    core.move(first, "accepted")
    assert len(notices(core)[NEIGHBOUR]) == 1


def test_the_history_of_a_merge_is_that_of_the_ticket_that_was_corrected(core: Core) -> None:
    first = core.open()
    second = core.open(NEIGHBOUR, OTHER_HOME)
    edit(core, second, address=HOME)
    assert [update.kind for update in core.history(first)] == ["opened"]
    assert [update.kind for update in core.history(second)] == ["opened", "moved", "edited"]
    assert "502" in (core.history(second)[-1].note or "")


def test_what_made_the_merged_ticket_urgent_makes_the_other_one_urgent(core: Core) -> None:
    first = core.open(intent="leak", severity="drip")
    second = core.open(NEIGHBOUR, OTHER_HOME, intent="leak", severity="burst", need="yes")
    assert core.ticket(first).priority == 2
    edit(core, second, address=HOME)
    ticket = core.ticket(first)
    assert (ticket.severity, ticket.priority, ticket.urgent, ticket.need) == ("burst", 1, True, True)


def test_a_merge_hands_over_the_phone_and_the_faults(core: Core) -> None:
    first = core.open()
    second = core.open(NEIGHBOUR, OTHER_HOME, intent="low_temperature", temperature=12.5, also=("billing",))
    change(core, first, lambda c, t: setattr(t, "phone", None))
    edit(core, second, address=HOME)
    ticket = core.ticket(first)
    assert (ticket.phone, ticket.temperature, ticket.also) == (NEIGHBOUR, 12.5, ["billing"])


def test_a_corrected_scope_alone_finds_the_ticket_of_the_whole_building(core: Core) -> None:
    building = replace(HOME, unit=None, room=None)
    whole = core.open(address=building, scope="building")
    second = core.open(NEIGHBOUR, building, incomplete=True)
    assert core.ticket(second).home_key is None
    assert edit(core, second, scope="building") == whole


def test_a_retyped_ticket_joins_the_open_one_of_its_new_fault(core: Core) -> None:
    leak = core.open(intent="leak")
    cold = core.open(NEIGHBOUR)
    assert change(core, cold, lambda c, t: tickets.retype(c, t, "leak", STAFF).number) == leak
    assert core.ticket(cold).status == "merged"


def test_a_money_matter_goes_to_the_office_and_back(core: Core) -> None:
    number = core.open(intent="billing")
    with core.services.database.reading() as session:
        office = session.scalars(
            select(Team.id).where(Team.code == core.services.rules.current().tickets["office_team"])
        )
        expected = office.one_or_none()
    assert core.ticket(number).team_id == expected
    change(core, number, lambda c, t: tickets.retype(c, t, "no_heat", STAFF))
    assert core.ticket(number).team_id not in (None, expected)


# --- reopening


def test_a_reopened_ticket_counts_and_is_dispatched_again(core: Core) -> None:
    number = core.open()
    worker.run_tasks(core.services)
    core.move(number, "done", "closed", "reopened")
    worker.run_tasks(core.services)
    ticket = core.ticket(number)
    assert (ticket.reopened, ticket.status) == (1, "dispatched")


def test_a_ticket_reopened_beside_its_twin_leaves_the_home_to_the_twin(core: Core) -> None:
    first = core.open()
    core.move(first, "closed")
    twin = core.open(NEIGHBOUR)
    core.move(first, "reopened")
    assert (core.ticket(first).home_key, core.ticket(first).status) == (None, "reopened")
    assert core.open("+8619900003333") == twin


# --- rank


@pytest.mark.parametrize(
    ("case", "priority", "urgent"),
    [
        ({"intent": "no_heat"}, 3, False),
        ({"intent": "no_heat", "need": "yes"}, 2, False),
        ({"intent": "low_temperature", "temperature": 13.9}, 2, False),
        ({"intent": "low_temperature", "temperature": 14.0}, 3, False),
        ({"intent": "leak"}, 2, True),
        ({"intent": "leak", "severity": "burst"}, 1, True),
        ({"intent": "danger"}, 1, True),
        ({"intent": "billing"}, 4, False),
        ({"intent": "billing", "need": "yes"}, 4, False),
        ({"intent": "no_heat", "also": ("leak",)}, 2, True),
        ({"intent": "other_repair"}, 3, False),
    ],
)
def test_priority_follows_from_what_is_known(core: Core, case: dict[str, Any], priority: int, urgent: bool) -> None:
    ticket = core.ticket(core.open(**case))
    assert (ticket.priority, ticket.urgent) == (priority, urgent)


def test_what_is_learnt_later_changes_the_rank(core: Core) -> None:
    number = core.open()
    edit(core, number, temperature=11.0)
    assert core.ticket(number).priority == 2
    number = core.open(intent="leak")
    edit(core, number, severity="burst")
    assert core.ticket(number).priority == 1


def test_a_number_is_built_as_people_are_told(core: Core) -> None:
    assert re.fullmatch(r"N\d{8}-\d{4}", core.open())
