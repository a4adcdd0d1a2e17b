"""Whose word counts for a home: who hears what of its tickets, who may change them, and how a home is proved."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest

from bot import households, standing
from bot.clock import VirtualClock
from bot.conversation import Answer
from bot.models import Contact, ContactHome, Delivery, Household, Ticket, TicketContact
from tests.bot.helpers import COLD_AT_HOME, HOME, PHONE, Core

SECOND, THIRD, REGISTERED = "+8613900000002", "+8613900000003", "+8613900009876"
ACCOUNT = "1002003004"
FACTS = ("N2026", "阳光花园3号楼", "师傅", "班组", "下午", "13900", "12度")  # what no stranger to a home may hear


@pytest.fixture(autouse=True)
def _unhurried(core: Core, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody takes their time, so that no burst is collected."""
    at_once = core.say

    def say(text: str, sender: str = PHONE) -> Answer | None:
        clock.advance(timedelta(seconds=20))
        return at_once(text, sender)

    monkeypatch.setattr(core, "say", say)


def on_the_books(core: Core) -> None:
    entry = households.Entry(ACCOUNT, HOME, REGISTERED)
    with core.services.database.transaction() as session:
        households.load(session, [entry])


def prove(core: Core, sender: str) -> None:
    core.say("核实", sender)
    core.say(f"{ACCOUNT} {REGISTERED[-4:]}", sender)


def how_known(core: Core, sender: str) -> str | None:
    contact = next(c for c in core.rows(Contact) if c.address == sender)
    return core.one(ContactHome, ContactHome.contact_id == contact.id).verified_by


def number(core: Core) -> str:
    return core.one(Ticket).number


def both_report(core: Core) -> None:
    core.say(COLD_AT_HOME)
    core.say(COLD_AT_HOME, SECOND)


@pytest.mark.parametrize("question", [COLD_AT_HOME, "催一下", "不热", "不热，现在12度", "你好", "谢谢"])
def test_who_has_not_proved_the_home_hears_nothing_of_its_household(core: Core, question: str) -> None:
    both_report(core)
    core.move(number(core), "accepted", "on_site", note="下午三点到")
    core.say(question, SECOND)
    said = "".join(core.replies(SECOND))
    assert "已有人报修" in said
    assert not [fact for fact in FACTS if fact in said]


@pytest.mark.parametrize("words", ["撤销", "催", "不是3号楼，是5号楼", "我电话13900000009"])
def test_who_has_not_proved_the_home_changes_nothing_of_the_ticket(core: Core, words: str) -> None:
    both_report(core)
    before = core.one(Ticket)
    core.say(words, SECOND)
    after = core.ticket(before.number)
    changed = ("status", "community", "building", "unit", "room", "phone", "scope", "severity", "temperature")
    assert [getattr(after, name) for name in changed] == [getattr(before, name) for name in changed]


def test_a_worse_leak_counts_whoever_tells_it(core: Core) -> None:
    core.say("阳光花园3号楼2单元501漏水，滴水")
    core.say("阳光花园3号楼2单元501漏水，水喷出来了", SECOND)
    assert core.one(Ticket).severity == "burst"


def test_the_first_reporter_goes_on_hearing_everything(core: Core) -> None:
    both_report(core)
    core.move(number(core), "on_site", note="下午三点到")
    assert "下午三点到" in core.replies()[-1]
    assert how_known(core, PHONE) == standing.FIRST


def test_who_reports_first_where_others_have_been_known_is_not_trusted_for_it(core: Core) -> None:
    core.say(COLD_AT_HOME)
    core.move(number(core), "closed")
    core.say(COLD_AT_HOME, SECOND)
    assert how_known(core, SECOND) is None


def test_an_address_that_was_only_said_is_no_claim_to_the_home(core: Core) -> None:
    core.say("阳光花园3号楼2单元501", SECOND)
    core.say(COLD_AT_HOME)
    assert how_known(core, PHONE) == standing.FIRST


def test_the_account_number_with_the_registered_phone_proves_the_home(core: Core) -> None:
    on_the_books(core)
    both_report(core)
    prove(core, SECOND)
    assert how_known(core, SECOND) == "account"
    core.move(number(core), "on_site", note="下午三点到")
    assert "下午三点到" in core.replies(SECOND)[-1]


def test_who_opened_it_unproved_hears_no_more_once_a_member_of_the_household_has_joined(core: Core) -> None:
    on_the_books(core)
    both_report(core)
    prove(core, SECOND)
    heard = len(core.replies())
    core.move(number(core), "on_site", note="下午三点到")
    core.say("撤销")
    assert not [fact for fact in FACTS if fact in "".join(core.replies()[heard:])]
    assert core.one(Ticket).status == "on_site"


@pytest.mark.parametrize("wrong", [f"{ACCOUNT} 0000", f"9{ACCOUNT[1:]} {REGISTERED[-4:]}", "123456 9876"])
def test_wrong_numbers_prove_nothing(core: Core, wrong: str) -> None:
    on_the_books(core)
    both_report(core)
    core.say("核实", SECOND)
    core.say(wrong, SECOND)
    assert how_known(core, SECOND) is None


def test_after_too_many_wrong_answers_even_the_right_one_proves_nothing_that_day(
    core: Core, clock: VirtualClock
) -> None:
    on_the_books(core)
    both_report(core)
    core.say("核实", SECOND)
    for last in range(5):
        core.say(f"{ACCOUNT} 000{last}", SECOND)
    core.say(f"{ACCOUNT} {REGISTERED[-4:]}", SECOND)
    assert how_known(core, SECOND) is None
    clock.advance(timedelta(days=1))
    prove(core, SECOND)
    assert how_known(core, SECOND) == "account"


def sent_code(core: Core) -> str:
    [text] = core.replies(REGISTERED)
    found = re.search(r"\d{6}", text)
    assert found is not None
    return found[0]


def test_a_code_goes_to_the_registered_phone_only_and_proves_the_home_once(core: Core) -> None:
    on_the_books(core)
    both_report(core)
    core.say("核实", SECOND)
    core.say("发码", SECOND)
    code = sent_code(core)
    assert code not in "".join(core.replies(SECOND))
    core.say(code, THIRD)
    core.say(code, SECOND)
    assert how_known(core, SECOND) == "code"


def test_a_code_is_good_for_minutes(core: Core, clock: VirtualClock) -> None:
    on_the_books(core)
    both_report(core)
    core.say("核实", SECOND)
    core.say("发码", SECOND)
    clock.advance(timedelta(minutes=11))
    core.say(sent_code(core), SECOND)
    assert how_known(core, SECOND) is None


def test_whether_a_home_is_on_the_books_is_not_told(core: Core) -> None:
    both_report(core)
    core.say("核实", SECOND)
    core.say("发码", SECOND)
    without = core.replies(SECOND)[-1]
    on_the_books(core)
    core.say("发码", SECOND)
    assert core.replies(SECOND)[-1] == without
    assert len(core.replies(REGISTERED)) == 1


def test_a_phone_gets_few_codes_a_day(core: Core) -> None:
    on_the_books(core)
    both_report(core)
    core.say("核实", SECOND)
    for _ in range(6):
        core.say("发码", SECOND)
    assert len(core.replies(REGISTERED)) == core.services.rules.current().dialogue.codes_a_day


def test_who_writes_from_the_registered_phone_belongs_to_the_home(core: Core) -> None:
    on_the_books(core)
    core.say(COLD_AT_HOME)
    core.say(COLD_AT_HOME, REGISTERED)
    assert how_known(core, REGISTERED) == "phone"
    assert number(core) in core.replies(REGISTERED)[-1]


def test_a_proof_lapses(core: Core, clock: VirtualClock) -> None:
    on_the_books(core)
    both_report(core)
    prove(core, SECOND)
    clock.advance(timedelta(days=366))
    ticket = core.one(Ticket)
    with core.services.database.reading() as session:
        contact = next(c for c in core.rows(Contact) if c.address == SECOND)
        since = core.services.context(session).proofs_since
        assert not standing.has_say(session, ticket, contact.id, since)


def test_a_number_alone_tells_a_state_and_nothing_else(core: Core) -> None:
    core.say(COLD_AT_HOME)
    core.move(number(core), "accepted", note="下午三点到")
    core.say(f"催 {number(core)}", THIRD)
    core.say(number(core), THIRD)
    said = core.replies(THIRD)[-1]
    assert number(core) in said
    assert not [fact for fact in FACTS[1:] if fact not in ("师傅", "班组") and fact in said]
    assert len(core.rows(TicketContact)) == 1
    assert core.one(Ticket).chases == 0


def test_the_notice_of_data_use_is_given_once_and_never_before_help(core: Core) -> None:
    core.say("漏水了")
    assert "删除" not in core.replies()[-1]
    core.say("阳光花园3号楼2单元501")
    core.say("2")
    assert "删除我的信息" in "".join(core.replies())
    for words in ("谢谢", "催", "你好"):
        core.say(words)
    assert "".join(core.replies()).count("删除我的信息") == 1


def test_books_with_a_wrong_row_change_nothing(core: Core, tmp_path: Path) -> None:
    file = tmp_path / "books.csv"
    file.write_text(
        "account_no,community,building,unit,room,phone\n"
        f"{ACCOUNT},阳光花园,3号楼,2单元,501室,13900009876\n"
        "12,哪里也没有的小区,3,2,,123\n"
        f"{ACCOUNT},阳光花园,5,1,101,\n",
        encoding="utf-8",
    )
    with pytest.raises(households.BooksRefused) as refused:
        households.read(file, core.services.gazetteer.current())
    assert [error.split(":")[0] for error in refused.value.errors] == ["row 3"] * 4 + ["row 4"]
    assert core.rows(Household) == []


def test_books_are_read_as_residents_write_addresses(core: Core, tmp_path: Path) -> None:
    file = tmp_path / "books.csv"
    row = f"{ACCOUNT},阳光花园小区,3号楼,2单元,501室,139 0000 9876\n"
    file.write_text(f"account_no,community,building,unit,room,phone\n{row}", encoding="utf-8")
    [entry] = households.read(file, core.services.gazetteer.current())
    with core.services.database.transaction() as session:
        households.load(session, [entry])
    core.say(COLD_AT_HOME, REGISTERED)
    assert how_known(core, REGISTERED) == "phone"
    assert core.rows(Delivery)
