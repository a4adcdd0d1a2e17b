"""Deliveries: each is sent once where that can be known, and what became of it is told honestly."""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

import pytest

from bot import outbox, worker
from bot.channels import (
    GiveUp,
    Misconfigured,
    OptedOut,
    OtherWay,
    Outgoing,
    Report,
    Retry,
    SendError,
    Unknown,
    Unreachable,
)
from bot.clock import VirtualClock
from bot.models import ChannelState, Contact, Delivery
from bot.outbox import BACKOFF, LEASE, PASSIVE_LEASE
from tests.bot.helpers import Core, failure, seconds_until, together

SECOND = timedelta(seconds=1)


def queue(core: Core, text: str = "有人接了", kind: str = "notice", occasion: str = "test:1", **how: Any) -> int | None:
    """Queue a text to the only contact (made at the first need)."""
    if not core.rows(Contact):
        core.receive("你好", claim=True)
    with core.services.database.transaction() as session:
        contact = session.get_one(Contact, core.one(Contact).id)
        now = core.services.context(session).now
        return outbox.queue(session, contact, text, occasion=occasion, kind=kind, now=now, **how)


def send_all(core: Core) -> int:
    """One look at the outbox."""
    return worker.run_deliveries(core.services)


def report(core: Core, state: str, provider_ref: str = "REF1", **more: Any) -> bool:
    """The provider tells how it fared."""
    with core.services.database.transaction() as session:
        return outbox.take_report(session, Report("twilio", provider_ref, state, **more))


# --- once


def test_one_occasion_is_told_once(core: Core) -> None:
    assert queue(core) is not None
    assert queue(core, "换句话说") is None
    send_all(core)
    assert core.provider.texts == ["有人接了"]


def test_a_sent_delivery_keeps_the_providers_name_for_it(core: Core) -> None:
    queue(core)
    assert send_all(core) == 1
    row = core.one(Delivery)
    assert (row.state, row.via, row.provider_ref, row.lease_until) == ("sent", "twilio", "REF1", None)
    assert row.sent_at is not None
    assert send_all(core) == 0


def test_two_workers_never_send_the_same_delivery(core: Core) -> None:
    for number in range(30):
        queue(core, f"第{number}条", occasion=f"test:{number}")
    together([lambda: send_all(core)] * 4)
    while send_all(core):
        pass
    assert sorted(core.provider.texts) == sorted(f"第{number}条" for number in range(30))


def test_slow_sends_do_not_let_two_workers_send_the_rest_of_the_batch(core: Core, clock: VirtualClock) -> None:
    for number in range(4):
        queue(core, f"第{number}条", occasion=f"test:{number}")
    other_worker: list[int] = []

    def slow(outgoing: Outgoing) -> None:
        clock.advance(12 * SECOND)
        if outgoing.text == "第2条" and not other_worker:
            other_worker.append(send_all(core))

    core.provider.before = slow
    while send_all(core):
        pass
    assert sorted(core.provider.texts) == [f"第{number}条" for number in range(4)]
    assert {row.state for row in core.rows(Delivery)} == {"sent"}


def test_urgent_texts_and_replies_overtake_notices(core: Core) -> None:
    for kind in ("notice", "reply", "urgent"):
        queue(core, kind, kind, occasion=kind)
    send_all(core)
    assert core.provider.texts == ["reply", "urgent", "notice"]


# --- what an error leads to


@pytest.mark.parametrize(
    ("error", "kind", "state", "wait"),
    [
        (failure(Retry), "notice", "queued", BACKOFF[0]),
        (failure(Retry, after=77.0), "reply", "queued", 77.0),
        (failure(Misconfigured), "notice", "queued", BACKOFF[0]),
        (failure(GiveUp), "reply", "failed", None),
        (failure(OptedOut), "notice", "failed", None),
        (failure(OtherWay), "reply", "held", None),
        (failure(Unreachable), "notice", "held", None),
        (failure(Unknown), "notice", "unknown", None),
        (failure(Unknown), "reply", "queued", BACKOFF[0]),
        (failure(Unknown), "urgent", "queued", BACKOFF[0]),
        (ValueError("a channel's own fault"), "notice", "unknown", None),
        (ValueError("a channel's own fault"), "reply", "queued", BACKOFF[0]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_every_error_says_what_to_do_next(
    core: Core, error: Exception, kind: str, state: str, wait: float | None
) -> None:
    queue(core, kind=kind)
    core.provider.trouble = [error]
    send_all(core)
    row = core.one(Delivery)
    assert row.state == state
    assert row.error
    assert row.lease_until is None
    assert core.provider.sent == []
    if wait is not None:
        assert seconds_until(row.due_at) == wait


def test_every_kind_of_error_is_covered() -> None:
    assert set(SendError.__subclasses__()) == {Retry, GiveUp, OptedOut, OtherWay, Unknown, Misconfigured}


def test_one_delivery_that_breaks_the_channel_does_not_hold_up_the_others(core: Core) -> None:
    for number in range(3):
        queue(core, f"第{number}条", occasion=f"test:{number}")
    core.provider.trouble = [ValueError("a channel's own fault")]
    send_all(core)
    assert core.provider.texts == ["第1条", "第2条"]


def test_waits_grow_and_end(core: Core, clock: VirtualClock) -> None:
    queue(core)
    core.provider.trouble = [failure(Retry)] * 20
    for wait in BACKOFF:
        send_all(core)
        assert seconds_until(core.one(Delivery).due_at) == wait
        clock.advance((wait - 1) * SECOND)
        assert send_all(core) == 0
        clock.advance(SECOND)
    send_all(core)
    row = core.one(Delivery)
    assert (row.state, row.attempts) == ("failed", len(BACKOFF) + 1)


def test_an_error_code_is_kept_and_never_more_than_fits(core: Core) -> None:
    queue(core)
    core.provider.trouble = [GiveUp("x" * 500, code="45002")]
    send_all(core)
    assert (core.one(Delivery).error or "").startswith("45002: x")


def test_a_refused_credential_turns_the_channel_red_and_a_success_green(core: Core, clock: VirtualClock) -> None:
    queue(core)
    core.provider.trouble = [failure(Misconfigured)]
    send_all(core)
    assert not core.one(ChannelState).ok
    clock.advance(BACKOFF[0] * SECOND)
    send_all(core)
    assert core.one(ChannelState).ok


def test_a_contact_who_cannot_be_reached_is_marked_until_they_write(core: Core) -> None:
    queue(core)
    core.provider.trouble = [failure(Unreachable)]
    send_all(core)
    assert core.one(Contact).unreachable_at is not None
    core.receive("你好")
    assert core.one(Contact).unreachable_at is None


def test_a_channel_that_is_switched_off_holds_its_texts_and_blames_nobody(core: Core) -> None:
    queue(core)
    core.services.channels = {}
    send_all(core)
    assert core.one(Delivery).state == "held"
    assert core.one(Contact).unreachable_at is None


# --- nobody knows


def test_an_ambiguous_reply_is_sent_once_more_and_then_left(core: Core, clock: VirtualClock) -> None:
    queue(core, kind="reply")
    core.provider.trouble = [failure(Unknown), failure(Unknown)]
    send_all(core)
    clock.advance(BACKOFF[0] * SECOND)
    send_all(core)
    assert core.one(Delivery).state == "unknown"
    clock.advance(timedelta(hours=1))
    assert send_all(core) == 0


def test_an_ambiguous_notice_is_never_sent_again(core: Core, clock: VirtualClock) -> None:
    queue(core)
    core.provider.trouble = [failure(Unknown)]
    send_all(core)
    clock.advance(timedelta(hours=1))
    assert send_all(core) == 0
    assert core.provider.sent == []


@pytest.mark.parametrize(("kind", "state"), [("notice", "unknown"), ("reply", "queued")])
def test_a_worker_that_died_while_sending_leaves_what_nobody_knows(
    core: Core, clock: VirtualClock, kind: str, state: str
) -> None:
    queue(core, kind=kind)
    assert outbox.claim(core.services.database)
    clock.advance(LEASE - SECOND)
    assert outbox.recover_expired(core.services.database) == 0
    clock.advance(2 * SECOND)
    assert outbox.recover_expired(core.services.database) == 1
    assert core.one(Delivery).state == state


def test_a_worker_that_comes_back_after_its_lease_changes_nothing(core: Core, clock: VirtualClock) -> None:
    queue(core, kind="reply")
    [late] = outbox.claim(core.services.database)
    clock.advance(LEASE + SECOND)
    outbox.recover_expired(core.services.database)
    clock.advance(BACKOFF[0] * SECOND)
    send_all(core)
    outbox.send(core.services.database, core.services.channels, late)
    row = core.one(Delivery)
    assert (row.state, row.attempts, len(core.provider.sent)) == ("sent", 2, 1)


def test_a_passive_reply_whose_response_never_left_goes_through_the_outbox(core: Core, clock: VirtualClock) -> None:
    made = queue(core, kind="reply", passive=True)
    clock.advance(PASSIVE_LEASE + SECOND)
    send_all(core)
    clock.advance(BACKOFF[0] * SECOND)
    send_all(core)
    row = core.one(Delivery)
    assert (row.id, row.state, row.via) == (made, "sent", "twilio")


def test_a_passive_reply_that_left_is_not_sent_again(core: Core, clock: VirtualClock) -> None:
    made = queue(core, kind="reply", passive=True)
    assert made is not None
    with core.services.database.transaction() as session:
        outbox.mark_passive_sent(session, [made], clock())
    clock.advance(timedelta(hours=1))
    assert send_all(core) == 0
    assert core.one(Delivery).state == "sent"


# --- reports


@pytest.mark.parametrize("order", list(itertools.permutations(["sent", "delivered", "failed"])))
def test_reports_in_any_order_end_in_the_same_state(core: Core, order: tuple[str, ...]) -> None:
    queue(core)
    send_all(core)
    seen = []
    for state in (*order, *order):
        assert report(core, state)
        seen.append(outbox.RANK[core.one(Delivery).state])
    assert seen == sorted(seen)
    assert core.one(Delivery).state == "delivered"


@pytest.mark.parametrize("state", ["sent", "delivered", "failed"])
def test_a_report_settles_what_was_unknown(core: Core, state: str) -> None:
    made = queue(core)
    core.provider.trouble = [failure(Unknown)]
    send_all(core)
    assert report(core, state, "SM9", ref=str(made))
    row = core.one(Delivery)
    assert (row.state, row.provider_ref) == (state, "SM9")
    assert (row.done_at is None) == (state == "sent")


def test_a_report_that_comes_before_our_own_note_of_sending_is_not_undone(core: Core) -> None:
    made = queue(core, kind="reply")
    core.provider.before = lambda outgoing: report(core, "delivered", "REF1", ref=str(made))
    send_all(core)
    assert core.one(Delivery).state == "delivered"


@pytest.mark.parametrize("ref", [None, "", "0", "999999", "x", "9" * 40, "١"])
def test_a_report_on_something_we_never_sent_changes_nothing(core: Core, ref: str | None) -> None:
    queue(core)
    send_all(core)
    assert not report(core, "failed", "SM-unknown", ref=ref)
    assert core.one(Delivery).state == "sent"


# --- opting out


def test_who_opted_out_gets_no_notice_but_gets_answers(core: Core) -> None:
    core.say("退订")
    queue(core)
    queue(core, "答复", "reply", "test:2")
    queue(core, "危险", "urgent", "test:3")
    send_all(core)
    assert core.provider.texts[-2:] == ["答复", "危险"]
    assert "有人接了" not in core.provider.texts
    assert {row.state for row in core.rows(Delivery, Delivery.kind == "notice")} == {"suppressed"}


def test_a_notice_that_was_queued_before_opting_out_is_not_sent_either(core: Core) -> None:
    queue(core)
    with core.services.database.transaction() as session:
        session.get_one(Contact, core.one(Contact).id).opted_out_at = core.services.context(session).now
    send_all(core)
    assert core.provider.sent == []
    assert core.one(Delivery).state == "suppressed"


def test_a_provider_that_says_opted_out_is_believed(core: Core) -> None:
    queue(core)
    core.provider.trouble = [failure(OptedOut)]
    send_all(core)
    queue(core, occasion="test:2")
    assert [row.state for row in core.rows(Delivery)] == ["failed", "suppressed"]


# --- sending again by hand


@pytest.mark.parametrize("error", [failure(GiveUp), failure(OtherWay), failure(Unknown)])
def test_staff_can_have_what_did_not_arrive_sent_again(core: Core, error: SendError) -> None:
    made = queue(core)
    assert made is not None
    core.provider.trouble = [error]
    send_all(core)
    with core.services.database.transaction() as session:
        assert outbox.requeue(session, made)
    send_all(core)
    with core.services.database.transaction() as session:
        assert not outbox.requeue(session, made)
    assert core.provider.texts == ["有人接了"]
