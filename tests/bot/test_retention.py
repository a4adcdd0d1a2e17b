"""What residents are told about how long their data are kept is done: past its time it goes, in chunks, never an open case."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner
from sqlalchemy import update

from bot import retention, rules, staff, worker
from bot.cli import main
from bot.clock import VirtualClock
from bot.desk_models import Audit
from bot.models import Callback, Contact, Delivery, Home, Message, Resident, Task, Ticket, Update
from bot.push_models import Media
from bot.rules import _book, shipped
from bot.settings import variable
from handlers.dialogue.types import Season
from tests.bot.duty import member
from tests.bot.helpers import COLD_AT_HOME, PHONE, Core

DAY, TWO_YEARS = timedelta(days=1), timedelta(days=731)
OTHER = "+8619900005678"
ZONE = ZoneInfo("Asia/Shanghai")


def night(core: Core, clock: VirtualClock) -> int:
    """The next night's pass, from its first chunk to its last; returns how many transactions it took."""
    worker.run_tasks(core.services)  # makes sure that there is one
    clock.advance(DAY)
    before = done_tasks(core)
    for _ in range(60):
        worker.run_tasks(core.services)
        clock.advance(timedelta(seconds=3))
    return done_tasks(core) - before


def done_tasks(core: Core) -> int:
    return len(core.rows(Task, Task.kind == retention.TASK, Task.done_at.is_not(None)))


def due(core: Core) -> dict[str, int]:
    with core.services.database.reading() as session:
        return {row.kind: row.rows for row in retention.due(core.services.context(session))}


def settled(core: Core, sender: str = PHONE, text: str = COLD_AT_HOME) -> str:
    """A case from the first word to the answer 好了."""
    core.say(text, sender)
    worker.drain(core.services)
    number = core.rows(Ticket)[-1].number
    core.move(number, "accepted", "done", "closed", note="换了滤网，电话19900001234")
    return number


def test_after_two_seasons_nothing_personal_of_a_settled_case_is_left(core: Core, clock: VirtualClock) -> None:
    number = settled(core)
    clock.advance(TWO_YEARS)
    assert night(core, clock)
    ticket, contact = core.ticket(number), core.one(Contact)
    assert (ticket.phone, ticket.phone_hash, ticket.room, ticket.home_key) == (None, None, None, None)
    assert (contact.address, core.one(Resident).phone) == (None, None)
    assert {message.text for message in core.rows(Message)} == {""}
    assert {row.text for row in core.rows(Delivery)} == {""}
    assert core.rows(Home) == []
    assert all("1990000" not in (line.note or "") and line.told is None for line in core.history(number))
    assert set(due(core).values()) == {0}


def test_figures_survive(core: Core, clock: VirtualClock) -> None:
    settled(core)
    settled(core, OTHER, "阳光花园5号楼1单元301，漏水")

    def figures() -> list[Counter[object]]:
        tickets, messages = core.rows(Ticket), core.rows(Message)
        return [
            Counter((t.intent, t.community, t.building, t.opened_at, t.closed_at, t.resolution) for t in tickets),
            Counter((m.intent, m.received_at) for m in messages),
            Counter(line.to_status for line in core.rows(Update)),
        ]

    before = figures()
    clock.advance(TWO_YEARS)
    night(core, clock)
    assert figures() == before


def test_within_two_seasons_nothing_goes(core: Core, clock: VirtualClock) -> None:
    number = settled(core)
    clock.advance(timedelta(days=400))
    night(core, clock)
    assert core.ticket(number).room == "501"
    assert core.rows(Message)[0].text == COLD_AT_HOME
    assert core.one(Contact).address == PHONE


def test_an_open_ticket_keeps_everything_it_needs(core: Core, clock: VirtualClock) -> None:
    core.say(COLD_AT_HOME)
    clock.advance(TWO_YEARS)
    assert set(due(core).values()) == {0}
    night(core, clock)
    assert core.one(Ticket).phone == PHONE
    assert core.one(Contact).address == PHONE
    assert core.rows(Message)[0].text == COLD_AT_HOME


def test_who_is_owed_a_call_is_not_forgotten_first(core: Core, clock: VirtualClock) -> None:
    core.say("转人工")
    clock.advance(TWO_YEARS)
    night(core, clock)
    assert core.one(Contact).address == PHONE
    with core.services.database.transaction() as session:
        session.execute(update(Callback).values(done_at=clock()))
    night(core, clock)
    assert core.one(Contact).address is None


def test_a_ticket_is_emptied_though_its_reporter_still_writes(core: Core, clock: VirtualClock) -> None:
    number = settled(core)
    with core.services.database.transaction() as session:
        session.execute(update(Contact).values(last_inbound_at=clock()))
    clock.advance(TWO_YEARS)
    night(core, clock)
    assert core.ticket(number).emptied_at is not None


def test_staff_stay_reachable(core: Core, clock: VirtualClock) -> None:
    phone = member(core, "管", role="supervisor")
    core.say("转人工")
    worker.drain(core.services)
    clock.advance(timedelta(minutes=31))
    worker.drain(core.services)  # the supervisor is told of the late call
    clock.advance(TWO_YEARS)
    night(core, clock)
    assert [row.address for row in core.rows(Contact) if row.address == phone] == [phone]


def test_media_go_with_their_time(core: Core, clock: VirtualClock) -> None:
    received = core.receive(kind="image", text="")
    with core.services.database.transaction() as session:
        session.execute(update(Message).values(handled_at=clock()))
        session.add(
            Media(
                message_id=received.message_id,
                number=0,
                channel="twilio",
                kind="image",
                ref="r",
                state="kept",
                due_at=clock(),
                expires_at=clock(),
                content=b"x",
            )
        )
    clock.advance(TWO_YEARS)
    assert due(core)["media"] == 1
    night(core, clock)
    assert core.rows(Media) == []


def test_photos_of_the_crew_go_with_their_ticket(core: Core, clock: VirtualClock) -> None:
    number = settled(core)
    with core.services.database.transaction() as session:
        photo = Media(ticket_id=core.ticket(number).id, number=0, channel="crew", kind="image", ref="r", state="kept")
        photo.due_at = photo.expires_at = clock()
        photo.content = b"x"
        session.add(photo)
    clock.advance(timedelta(days=400))
    assert due(core)["media"] == 0
    clock.advance(timedelta(days=400))
    assert due(core)["media"] == 1
    night(core, clock)
    assert core.rows(Media) == []


def test_who_did_what_at_the_desk_is_kept_three_years(core: Core, clock: VirtualClock) -> None:
    with core.services.database.transaction() as session:
        person = staff.add(session, "小王", "correct horse battery", "agent")
        session.add(Audit(at=clock(), staff_id=person.id, kind="viewed", page="ticket"))
    clock.advance(timedelta(days=1094))
    assert due(core)["audit"] == 0
    clock.advance(timedelta(days=2))
    night(core, clock)
    assert core.rows(Audit) == []


def test_it_goes_in_chunks_of_one_short_transaction_each(
    core: Core, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = shipped()
    raw["retention"] = {**raw["retention"], "chunk": 2}
    book = _book(raw, 1, "12345")
    monkeypatch.setattr(rules.RuleSource, "current", lambda self: book)
    for place in range(5):
        core.say("你好", f"+8619900{place:06d}")
    clock.advance(TWO_YEARS)
    assert due(core)["messages"] == 10  # five messages, five answers
    transactions = night(core, clock)
    assert transactions >= 1 + 2 * 3 + 3  # messages, answers, contacts by two; and the one that finds nothing
    assert set(due(core).values()) == {0}


def test_every_night_has_one_pass_however_many_workers_look(core: Core, clock: VirtualClock) -> None:
    for _ in range(3):
        retention.see_to(core.services)
    [task] = core.rows(Task, Task.kind == retention.TASK)
    assert f"{task.due_at.astimezone(ZONE):%d %H:%M}" == "24 03:10"


@pytest.mark.parametrize(
    ("today", "before"),
    [
        (date(2028, 3, 16), date(2027, 3, 16)),  # two seasons have ended since the spring of 2027
        (date(2028, 3, 14), date(2026, 3, 15)),  # the second one has not
        (date(2026, 11, 23), date(2024, 11, 23)),  # no two seasons known: years
    ],
)
def test_two_seasons_are_counted_by_their_last_day(today: date, before: date, clock: VirtualClock) -> None:
    starts = [(2025, 14), (2026, 15), (2027, 15)] if today.year > 2026 else [(2025, 14)]
    seasons = [Season("*", date(year, 11, 15), date(year + 1, 3, day)) for year, day in starts]
    now = clock().replace(year=today.year, month=today.month, day=today.day)
    ends = retention.Period("x", 2, None).ends(seasons, now, ZONE)
    assert ends.astimezone(ZONE).date() == before


def test_the_rule_is_what_residents_are_told() -> None:
    told = shipped()
    kinds = retention.plan(told["retention"]).kinds
    assert all("两个供暖季" in told["texts"]["texts"][key] for key in ("privacy.what",))
    assert "两个供暖季" in told["texts"]["texts"]["privacy.notice"]["wechat"]
    ours = {"audit"}  # holds nothing of residents
    assert {(period.seasons, period.days) for kind, period in kinds.items() if kind not in ours} == {(2, None)}


def test_the_command_tells_what_would_go_and_changes_nothing(
    core: Core, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(core)
    clock.advance(TWO_YEARS)
    settings = core.services.settings
    for name in ("database_url", "data_key", "secret_key", "nlu_token"):
        monkeypatch.setenv(variable(name), getattr(settings, name))
    said = CliRunner().invoke(main, ["privacy", "due"])
    assert said.exit_code == 0, said.output
    lines = {line.split()[0]: int(line.split()[3]) for line in said.output.splitlines()[:-1]}
    assert lines == due(core)
    assert lines["phones"] == 1
    assert core.one(Ticket).room == "501"
