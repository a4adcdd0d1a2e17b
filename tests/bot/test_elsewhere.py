"""Homes that another company serves: whom to call, and handing over only what the resident agreed to."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
from sqlalchemy import select, update

from bot.clock import VirtualClock
from bot.duty_models import Handover
from bot.models import Community, Company, Ticket
from tests.bot.helpers import COLD_AT_HOME, PHONE, Core


@pytest.fixture
def elsewhere(core: Core, clock: VirtualClock) -> Core:
    """阳光花园 is served by a neighbouring company whose number was dialled this month."""
    serve(core, phone_checked=date(2026, 11, 10))
    return core


def serve(core: Core, **values: object) -> None:
    with core.services.database.transaction() as session:
        company = session.scalar(select(Company).where(Company.code == "CO"))
        if company is None:
            company = Company(code="CO", name="邻城热力", ours=False, self_run=False, phone="0371-00000001")
            session.add(company)
        for name, value in values.items():
            setattr(company, name, value)
        session.flush()
        session.execute(update(Community).where(Community.name == "阳光花园").values(company_id=company.id))
    forget(core)


def forget(core: Core) -> None:
    """Have the places read anew; between these tests their counter begins again, so it shows no change."""
    core.services.gazetteer._version = None


@pytest.fixture(autouse=True)
def _ours_again(core: Core) -> Iterator[None]:
    yield
    with core.services.database.transaction() as session:
        session.execute(update(Community).values(company_id=None))
        session.query(Handover).delete()
        session.query(Company).delete()
    forget(core)


def said(core: Core, text: str) -> str:
    answer = core.say(text)
    assert answer is not None
    return answer.text


def test_they_are_told_whom_to_call_and_nothing_is_opened_or_handed_over(elsewhere: Core) -> None:
    told = said(elsewhere, COLD_AT_HOME)
    assert "邻城热力" in told
    assert "0371-00000001" in told
    assert "同意请回1" in told
    assert elsewhere.rows(Ticket) == []
    assert elsewhere.rows(Handover) == []


def test_with_their_consent_their_own_words_go_over(elsewhere: Core) -> None:
    said(elsewhere, COLD_AT_HOME)
    assert "转给邻城热力" in said(elsewhere, "1")
    kept = elsewhere.one(Handover)
    assert (kept.text, kept.address, kept.phone) == (COLD_AT_HOME, "阳光花园3号楼2单元501室", PHONE)
    assert elsewhere.rows(Ticket) == []


@pytest.mark.parametrize("no", ["2", "不用", "不同意"])
def test_without_their_consent_nothing_goes_over(elsewhere: Core, no: str) -> None:
    said(elsewhere, COLD_AT_HOME)
    assert "不转" in said(elsewhere, no)
    assert elsewhere.rows(Handover) == []


def test_a_number_that_nobody_dialled_for_long_is_not_told(elsewhere: Core) -> None:
    serve(elsewhere, phone_checked=date(2025, 11, 10))
    told = said(elsewhere, COLD_AT_HOME)
    assert "邻城热力" in told
    assert "0371" not in told


def test_a_home_that_its_property_company_serves_is_told_so(elsewhere: Core) -> None:
    serve(elsewhere, self_run=True, name="康盛物业")
    assert "康盛物业自己管" in said(elsewhere, COLD_AT_HOME)


def test_who_insists_gets_a_ticket_for_a_person_to_look_at(elsewhere: Core) -> None:
    said(elsewhere, COLD_AT_HOME)
    said(elsewhere, "就是你们管的，暖气不热")
    assert len(elsewhere.rows(Ticket)) == 1


def test_a_danger_is_ours_whoever_serves_the_home(elsewhere: Core) -> None:
    told = said(elsewhere, "阳光花园3号楼2单元501 闻到很重的煤气味")
    assert told.index("离开") < told.index("邻城热力")
    assert elsewhere.one(Ticket).intent == "danger"
