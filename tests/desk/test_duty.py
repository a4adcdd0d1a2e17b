"""The desk's pages of duty: dangers to acknowledge, jobs to take, rosters and people to keep, handovers to pass on."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from bot import alerts, clock, dispatch, roster, worker
from bot.clock import VirtualClock
from bot.duty_models import Alert, Handover, Job, Member, Shift
from bot.models import Community, Company, Contact, Ticket, Update
from bot.roster import Where
from bot.services import Services
from tests.desk.conftest import Desk, Report, hear

GROUP = timedelta(seconds=21)


def person(services: Services, name: str, code: str = "M1") -> int:
    with services.database.transaction() as session:
        row = Member(code=code, name=name, role="worker", active=True)
        session.add(row)
        session.flush()
        return row.id


def burst(services: Services, report: Report, clock: VirtualClock) -> str:
    """A danger that the worker has begun to call people about."""
    number = report("暖气管爆了", intent="leak", severity="burst")
    with services.database.transaction() as session:
        ticket = session.scalars(select(Ticket).where(Ticket.number == number)).one()
        contact = session.get_one(Contact, ticket.contact_id)
        alerts.raise_for(services.context(session), ticket, contact, None, "")
    alerts.run(services)
    return number


def test_a_danger_stands_in_the_menu_until_somebody_acknowledges_it(
    desk: Desk, services: Services, report: Report, clock: VirtualClock
) -> None:
    number = burst(services, report, clock)
    account = desk.enter("dispatcher")
    assert 'id="alerts-badge"' in desk.get("/desk/")
    assert desk.client.get("/desk/alerts/open.json").json == {"open": 1}
    page = desk.get("/desk/alerts")
    assert number in page
    assert "爆管喷水" in page
    with services.database.reading() as session:
        alert_id = session.scalars(select(Alert.id)).one()
    desk.send("/desk/alerts", f"/desk/alerts/{alert_id}")
    assert desk.client.get("/desk/alerts/open.json").json == {"open": 0}
    assert account.name in desk.get("/desk/alerts")
    with services.database.reading() as session:
        alert = session.scalars(select(Alert)).one()
        assert (alert.acknowledged_by, alert.acknowledged_at) == (account.id, clock())
        notes = session.scalars(select(Update.note).where(Update.kind == "alerted")).all()
        assert "险情：已确认" in notes


def test_a_crew_sees_the_dangers_of_its_own_team_only(
    desk: Desk, services: Services, report: Report, clock: VirtualClock
) -> None:
    number = burst(services, report, clock)
    desk.enter("crew", "T-js-1")
    assert number not in desk.get("/desk/alerts")
    assert desk.client.get("/desk/alerts/open.json").json == {"open": 0}


def test_a_reviewer_sees_no_dangers(desk: Desk) -> None:
    desk.enter("reviewer")
    assert desk.client.get("/desk/alerts").status_code == 403


def test_a_job_is_taken_at_the_desk_with_all_its_homes(
    desk: Desk, services: Services, report: Report, clock: VirtualClock
) -> None:
    number = report()
    worker.drain(services)
    clock.advance(GROUP)
    dispatch.run(services)
    desk.enter("dispatcher")
    page = desk.get("/desk/jobs")
    assert number in page
    assert "没有人接" in page  # there are no members to ask
    with services.database.reading() as session:
        job_id = session.scalars(select(Job.id)).one()
    desk.send("/desk/jobs", f"/desk/jobs/{job_id}")
    assert desk.ticket(number).status == "accepted"
    assert number not in desk.get("/desk/jobs")


def test_a_shift_is_added_copied_and_deleted(desk: Desk, services: Services, clock: VirtualClock) -> None:
    member = person(services, "甲")
    desk.enter("supervisor")
    given = {"member": str(member), "starts": "2026-11-23T08:00", "ends": "2026-11-23T20:00", "line": "1"}
    desk.send("/desk/roster", "/desk/roster", **given)
    assert "甲" in desk.get("/desk/roster?from=2026-11-23")
    with services.database.reading() as session:
        assert [one.member.name for one in roster.for_alert(session, Where(), clock())] == ["甲"]
    desk.send("/desk/roster?from=2026-11-23", "/desk/roster/copy")
    with services.database.reading() as session:
        first, second = session.scalars(select(Shift).order_by(Shift.starts_at))
        assert second.starts_at - first.starts_at == timedelta(days=7)
        first_id = first.id
    desk.send("/desk/roster?from=2026-11-23", f"/desk/roster/{first_id}/delete")
    with services.database.reading() as session:
        assert roster.for_alert(session, Where(), clock()) == []


def test_a_pasted_roster_changes_nothing_where_a_row_is_wrong(desk: Desk, services: Services) -> None:
    person(services, "甲")
    desk.enter("supervisor")
    head, good = "member,team,starts,ends,rank", "M1,,2026-11-23 08:00,2026-11-23 20:00,1"
    refused = desk.send(
        "/desk/roster", "/desk/roster/csv", csv=f"{head}\n{good}\nM9,,2026-11-24 08:00,2026-11-24 20:00,1"
    )
    assert "shifts.csv line 3: member M9" in refused.text
    with services.database.reading() as session:
        assert session.scalars(select(Shift)).all() == []
    desk.send("/desk/roster", "/desk/roster/csv", csv=f"{head}\n{good}")
    with services.database.reading() as session:
        assert len(session.scalars(select(Shift)).all()) == 1
    assert good in desk.client.get("/desk/roster.csv?from=2026-11-23").text


@pytest.mark.parametrize("address", ["/desk/roster", "/desk/roster/copy", "/desk/roster/csv", "/desk/people"])
def test_only_supervisors_and_administrators_change_rosters_and_people(desk: Desk, address: str) -> None:
    desk.enter("dispatcher")
    token = desk.get("/desk/roster")  # a page with a form of its own, for its token
    found = token.split('name="csrf_token" value="')[1].split('"')[0]
    assert desk.client.post(address, data={"csrf_token": found}).status_code == 403


def test_a_members_phone_is_changed_and_found_again_by_what_they_send(desk: Desk, services: Services) -> None:
    member = person(services, "甲")
    desk.enter("administrator")
    desk.send("/desk/people", f"/desk/people/{member}", name="甲", role="duty", phone="14000000301", active="1")
    with services.database.reading() as session:
        row = session.get_one(Member, member)
        assert (row.phone, row.role) == ("+8614000000301", "duty")
        assert row.phone_hash == _hash(services, "+8614000000301")


def _hash(services: Services, phone: str) -> str:
    contact_id = hear(services, "你好", sender=phone)
    with services.database.reading() as session:
        return session.get_one(Contact, contact_id).address_hash


def test_a_handover_shows_what_was_agreed_to_and_is_ticked_off(desk: Desk, services: Services) -> None:
    contact_id = hear(services, "暖气不热")
    with services.database.transaction() as session:
        company = Company(code="CO", name="邻城热力", ours=False, self_run=False)
        session.add(company)
        session.flush()
        session.execute(update(Community).where(Community.name == "阳光花园").values(company_id=company.id))
        row = {"text": "暖气不热", "address": "阳光花园3号楼", "phone": "+8614000009999", "agreed_at": clock.now()}
        session.add(Handover(contact_id=contact_id, company_id=company.id, **row))
    desk.enter("agent")
    page = desk.get("/desk/handovers")
    assert "邻城热力" in page
    assert "阳光花园3号楼" in page
    with services.database.reading() as session:
        found = session.scalars(select(Handover.id)).one()
    desk.send("/desk/handovers", f"/desk/handovers/{found}")
    assert "阳光花园3号楼" not in desk.get("/desk/handovers")
