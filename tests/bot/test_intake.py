"""Many requests store their messages together; each is told about its own, once, in order, and fails alone."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import inbox, intake
from bot.channels import Inbound
from bot.inbox import Received
from bot.intake import MOST, Arrival, Intake
from bot.models import Contact, Message, Resident
from tests.bot.helpers import PHONE, Core, inbound, together

PATIENCE = 20.0  # seconds
ON_POSTGRESQL = pytest.mark.parametrize(
    "database_template", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)


@dataclass
class Pile:
    """An intake whose first transaction waits, so that what comes meanwhile piles up behind it."""

    core: Core
    intake: Intake
    pool: ThreadPoolExecutor
    sizes: list[int] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)

    def store(self, session: Session, arrivals: Sequence[Arrival], *, wait: bool) -> list[Received | None]:
        """In place of `intake.store`: note how many come together."""
        if not self.sizes:
            self.sizes.append(len(arrivals))
            assert self.open.wait(PATIENCE)
        else:
            self.sizes.append(len(arrivals))
        return store(session, arrivals, wait=wait)

    def behind_another(self, messages: Sequence[Inbound], *, claim: bool = False) -> list[Future[Received]]:
        """Let these come, in this order, while another message is being stored; then let all go on."""
        first = self.pool.submit(self.intake.receive, inbound(sender="+8619900000000"), claim=False)
        _until(lambda: bool(self.sizes))
        waiting = []
        for number, message in enumerate(messages, 1):
            waiting.append(self.pool.submit(self.intake.receive, message, claim=claim))
            _until(lambda number=number: len(self.intake._waiting) == number)  # type: ignore[misc]
        self.open.set()
        assert first.result(PATIENCE).new
        return waiting


store = intake.store


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


@pytest.fixture
def pile(core: Core, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pile]:
    with ThreadPoolExecutor(max_workers=MOST + 20) as pool:
        made = Pile(core, Intake(core.services.database), pool)
        monkeypatch.setattr(intake, "store", made.store)
        yield made
        made.open.set()


# --- together


def test_what_comes_while_others_are_stored_is_stored_in_one_transaction(pile: Pile) -> None:
    messages = [inbound(f"第{n}户不热", f"+8619911110{n:03d}", provider_id=f"T{n}") for n in range(20)]
    received = [waiting.result(PATIENCE) for waiting in pile.behind_another(messages)]
    assert pile.sizes == [1, 20]
    stored = {message.id: message.text for message in pile.core.rows(Message)}
    assert [stored[item.message_id] for item in received] == [message.text for message in messages]
    assert all(item.new for item in received)
    senders = {contact.id: contact.address for contact in pile.core.rows(Contact)}
    assert [senders[item.contact_id] for item in received] == [message.sender for message in messages]


def test_new_residents_of_one_transaction_have_each_their_own_phone(pile: Pile) -> None:
    messages = [inbound(sender=f"+86199222200{n:02d}") for n in range(12)]
    messages += [inbound(sender=f"oTogether{n}", medium="wechat", channel="wechat") for n in range(3)]
    for waiting in pile.behind_another(messages):
        waiting.result(PATIENCE)
    phones = {resident.id: resident.phone for resident in pile.core.rows(Resident)}
    for contact in pile.core.rows(Contact):
        assert phones[contact.resident_id] == (contact.address if contact.medium == "sms" else None)


def test_a_pile_that_is_too_high_is_stored_in_several_transactions(pile: Pile) -> None:
    messages = [inbound(sender=f"+86199333300{n:02d}") for n in range(MOST + 6)]
    received = [waiting.result(PATIENCE) for waiting in pile.behind_another(messages)]
    assert pile.sizes == [1, MOST, 6]
    assert len({item.message_id for item in received}) == MOST + 6


def test_the_messages_of_one_webhook_are_stored_in_one_transaction(pile: Pile) -> None:
    pile.open.set()
    received = pile.intake.receive_all([inbound(provider_id=f"B{n}", sender=f"+8619944440{n:03d}") for n in range(9)])
    assert pile.sizes == [9]
    assert [item.new for item in received] == [True] * 9


def test_a_webhook_without_messages_opens_no_transaction(pile: Pile) -> None:
    assert pile.intake.receive_all([]) == []
    assert pile.sizes == []


# --- once, and in order


def test_ten_pushes_at_once_are_one_message_and_one_lease(core: Core) -> None:
    through, message = Intake(core.services.database), inbound(provider_id="SM1")
    received = together([lambda: through.receive(message)] * 10)
    assert sum(item.new for item in received) == 1
    assert sum(item.claim is not None for item in received) == 1
    assert len({item.message_id for item in received}) == 1
    assert (len(core.rows(Message)), len(core.rows(Contact)), len(core.rows(Resident))) == (1, 1, 1)


def test_pushes_to_two_processes_at_once_are_one_message_each(core: Core) -> None:
    processes = [Intake(core.services.database), Intake(core.services.database)]
    messages = [inbound(provider_id=f"SM{n}", sender=f"+8619955550{n:03d}") for n in range(12)]
    jobs = [partial(process.receive, message) for message in messages for process in processes]
    received = together(jobs)
    assert sum(item.new for item in received) == 12
    assert (len(core.rows(Message)), len(core.rows(Contact)), len(core.rows(Resident))) == (12, 12, 12)


def test_a_repeat_within_one_transaction_is_told_of_the_first(pile: Pile) -> None:
    waiting = pile.behind_another([inbound("不热", provider_id="R1"), inbound("不热", provider_id="R1")], claim=True)
    first, second = (item.result(PATIENCE) for item in waiting)
    assert pile.sizes == [1, 2]
    assert (first.new, second.new) == (True, False)
    assert (first.message_id, first.contact_id) == (second.message_id, second.contact_id)
    assert first.claim is not None
    assert second.claim is None


def test_a_repeat_of_an_earlier_message_changes_nothing_beside_new_ones(pile: Pile) -> None:
    with pile.core.services.database.transaction() as session:
        [before] = store(session, [intake.arriving(inbound(provider_id="E1"), claim=False)], wait=True)
    waiting = pile.behind_another([inbound(provider_id="E1"), inbound(provider_id="E2", sender="+8619966660001")])
    again, other = (item.result(PATIENCE) for item in waiting)
    assert before is not None
    assert (again.message_id, again.new, other.new) == (before.message_id, False, True)


def test_messages_of_one_contact_keep_their_order_and_the_first_has_the_lease(pile: Pile) -> None:
    texts = [f"第{n}条" for n in range(8)]
    waiting = pile.behind_another([inbound(text) for text in texts], claim=True)
    received = [item.result(PATIENCE) for item in waiting]
    assert pile.sizes == [1, 8]
    assert [item.claim is not None for item in received] == [True] + [False] * 7
    with pile.core.services.database.reading() as session:
        assert [message.text for message in inbox.unhandled(session, received[0].contact_id)] == texts


def test_danger_within_a_pile_sets_the_lane_of_its_contact_only(pile: Pile) -> None:
    messages = [inbound("不热", "+8619977770001"), inbound("家里有煤气味", "+8619977770002")]
    calm, danger = (item.result(PATIENCE) for item in pile.behind_another(messages))
    lanes = {contact.id: contact.pending_lane for contact in pile.core.rows(Contact)}
    assert lanes[danger.contact_id] < lanes[calm.contact_id]


# --- alone


def test_what_cannot_be_stored_fails_alone(pile: Pile) -> None:
    broken = inbound(provider_id="X", payload={"what": object()})
    good = [inbound(provider_id=f"G{n}", sender=f"+8619988880{n:03d}") for n in range(4)]
    waiting = pile.behind_another([*good[:2], broken, *good[2:]])
    with pytest.raises(TypeError):
        waiting.pop(2).result(PATIENCE)
    assert all(item.result(PATIENCE).new for item in waiting)
    assert pile.sizes[:2] == [1, 5]
    assert {message.provider_id for message in pile.core.rows(Message)} >= {"G0", "G1", "G2", "G3"}
    assert "X" not in {message.provider_id for message in pile.core.rows(Message)}
    assert pile.intake.receive(inbound(provider_id="G5")).new


@ON_POSTGRESQL
def test_a_contact_whom_somebody_has_locked_holds_nobody_else_up(core: Core) -> None:
    through = Intake(core.services.database)
    through.receive(inbound(), claim=False)
    with ThreadPoolExecutor(max_workers=2) as pool:
        with core.services.database.transaction() as session:
            session.scalars(select(Contact).where(Contact.address_hash.is_not(None)).with_for_update(of=Contact)).one()
            locked = pool.submit(through.receive, inbound(provider_id="L1"), claim=False)
            other = pool.submit(through.receive, inbound(provider_id="L2", sender="+8619999990001"), claim=False)
            assert other.result(PATIENCE).new
            assert not locked.done()
        assert locked.result(PATIENCE).new
    [contact] = core.rows(Contact, Contact.id == locked.result().contact_id)
    assert contact.address == PHONE
    assert len(core.rows(Resident)) == 2
