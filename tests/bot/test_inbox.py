"""Messages come in exactly once, in order, and one worker at a time has a contact."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from bot import conversation, inbox, intake
from bot.clock import VirtualClock
from bot.inbox import FLOOD_SILENCE, LEASE, PILE, TURN_LIMIT, TURN_WINDOW
from bot.intake import MAX_TEXT
from bot.models import Contact, Delivery, Message, Resident
from tests.bot.helpers import PHONE, Core, inbound, seconds_until, together

SECOND = timedelta(seconds=1)


# --- once


def test_a_repeated_provider_id_is_one_message(core: Core) -> None:
    first = core.receive("暖气不热", provider_id="SM1")
    again = core.receive("暖气不热", provider_id="SM1")
    assert (first.new, again.new) == (True, False)
    assert again.message_id == first.message_id
    assert len(core.rows(Message)) == 1


def test_a_repeated_provider_id_never_leases_the_contact(core: Core) -> None:
    core.receive(provider_id="SM1")
    assert core.receive(provider_id="SM1", claim=True).claim is None


def test_the_same_id_of_another_channel_is_another_message(core: Core) -> None:
    core.receive(provider_id="1")
    core.receive(provider_id="1", channel="aliyun")
    assert len(core.rows(Message)) == 2


def test_ten_pushes_at_once_are_one_message_one_contact_and_one_lease(core: Core) -> None:
    database = core.services.database
    message = inbound(provider_id="SM1")
    received = together([lambda: intake.receive(database, message)] * 10)
    assert sum(item.new for item in received) == 1
    assert sum(item.claim is not None for item in received) == 1
    assert len({item.message_id for item in received}) == 1
    assert (len(core.rows(Message)), len(core.rows(Contact)), len(core.rows(Resident))) == (1, 1, 1)


def test_ten_first_messages_of_one_resident_at_once_are_one_contact(core: Core) -> None:
    database = core.services.database
    together([partial(intake.receive, database, inbound(provider_id=f"SM{n}")) for n in range(10)])
    assert (len(core.rows(Message)), len(core.rows(Contact)), len(core.rows(Resident))) == (10, 1, 1)


def test_one_phone_and_one_openid_are_two_contacts(core: Core) -> None:
    core.receive(sender="abc")
    core.receive(sender="abc", medium="wechat", channel="wechat")
    assert len(core.rows(Contact)) == 2


# --- order


def test_messages_are_handled_by_the_providers_time_and_danger_first(core: Core, clock: VirtualClock) -> None:
    now = clock()
    received = [
        core.receive("第二", sent_at=now - 5 * SECOND),
        core.receive("第一", sent_at=now - 9 * SECOND),
        core.receive("第三"),
        core.receive("家里有煤气味", sent_at=now),
    ]
    with core.services.database.reading() as session:
        waiting = inbox.unhandled(session, received[0].contact_id)
    assert [message.text for message in waiting] == ["家里有煤气味", "第一", "第二", "第三"]


def test_contacts_are_claimed_danger_first_then_the_longest_waiting(core: Core, clock: VirtualClock) -> None:
    ids = []
    for number, text in enumerate(["不热", "你好", "楼道里有煤气味"]):
        ids.append(core.receive(text, sender=f"+861990000000{number}").contact_id)
        clock.advance(SECOND)
    database = core.services.database
    claimed = [inbox.claim_next(database, limit=1)[0].contact_id for _ in ids]
    assert claimed == [ids[2], ids[0], ids[1]]


# --- the lease


def test_a_leased_contact_is_not_claimed_again_until_the_lease_has_run_out(core: Core, clock: VirtualClock) -> None:
    core.receive()
    database = core.services.database
    [mine] = inbox.claim_next(database)
    assert inbox.claim_next(database) == []
    clock.advance(LEASE)
    [theirs] = inbox.claim_next(database)
    assert theirs.token != mine.token
    with database.transaction() as session:
        assert inbox.still_ours(session, mine) is None
        assert inbox.still_ours(session, theirs) is not None


def test_a_message_for_a_leased_contact_waits_and_is_due_when_the_lease_is_given_back(core: Core) -> None:
    first = core.receive(claim=True)
    second = core.receive(claim=True)
    assert first.claim is not None
    assert second.claim is None
    conversation.handle(core.services, first.claim)
    [claim] = inbox.claim_next(core.services.database)
    assert claim.contact_id == first.contact_id


def test_a_webhook_leaves_its_message_to_the_worker_while_an_older_one_waits(core: Core) -> None:
    core.receive()
    assert core.receive(claim=True).claim is None


def test_many_workers_never_hold_one_contact_together(core: Core) -> None:
    for number in range(12):
        core.receive(sender=f"+8619900000{number:03d}")
    database = core.services.database
    batches = together([lambda: inbox.claim_next(database, limit=5)] * 4)
    claimed = [claim.contact_id for batch in batches for claim in batch]
    assert len(claimed) == len(set(claimed))
    rest = [claim.contact_id for claim in inbox.claim_next(database, limit=50)]
    assert len({*claimed, *rest}) == 12


def test_an_idle_contact_owes_nothing(core: Core) -> None:
    core.say("你好")
    contact = core.one(Contact)
    assert (contact.pending_since, contact.due_at, contact.lease_until, contact.lease_token) == (None,) * 4
    assert inbox.claim_next(core.services.database) == []


# --- bursts


def test_two_messages_within_seconds_are_answered_one_by_one(core: Core, clock: VirtualClock) -> None:
    assert core.say("你好")
    clock.advance(SECOND)
    assert core.say("谢谢")


def test_from_the_third_message_on_a_burst_is_one_turn_with_one_answer(core: Core, clock: VirtualClock) -> None:
    core.say("你好")
    core.say("谢谢")
    core.interpreter.heard.clear()
    for text in ("阳光花园", "3号楼2单元501", "不热"):
        clock.advance(2 * SECOND)
        assert core.receive(text, claim=True).claim is None
        core.work()
    assert core.interpreter.heard == []
    clock.advance(3 * SECOND)
    core.work()
    assert core.interpreter.heard == ["阳光花园\n3号楼2单元501\n不热"]
    assert len(core.rows(Delivery)) == 3
    assert all(message.handled_at for message in core.rows(Message))


def test_a_burst_is_collected_for_ten_seconds_at_most(core: Core, clock: VirtualClock) -> None:
    core.say("你好")
    core.say("谢谢")
    started = clock()
    while clock() - started < timedelta(seconds=9):
        core.receive("不热")
        clock.advance(SECOND)
    core.receive("不热")
    due = core.one(Contact).due_at
    assert due == started + timedelta(seconds=10)
    assert inbox.claim_next(core.services.database) == []
    clock.advance(seconds_until(due) * SECOND)
    core.work()
    assert not [message for message in core.rows(Message) if message.handled_at is None]


def test_messages_ten_seconds_apart_are_no_burst(core: Core, clock: VirtualClock) -> None:
    for text in ("你好", "谢谢", "不热"):
        assert core.say(text)
        clock.advance(10 * SECOND)


def test_danger_is_never_collected(core: Core, clock: VirtualClock) -> None:
    core.say("你好")
    core.say("谢谢")
    core.receive("不热")
    core.receive("家里有煤气味", claim=True)
    core.work()
    handled = {message.text for message in core.rows(Message) if message.handled_at}
    assert "家里有煤气味" in handled
    assert "119" in core.replies()[-1]


def test_danger_as_the_third_message_is_answered_by_the_webhook_itself(core: Core) -> None:
    core.say("你好")
    core.say("谢谢")
    answer = core.say("家里有煤气味")
    assert answer is not None
    assert "119" in answer.text


# --- what people can send


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("暖\0气\0不热", "暖气不热"),
        ("暖气\ud83d不热", "暖气不热"),
        ("😂暖气不热", "😂暖气不热"),
        ("\0", ""),
    ],
)
def test_broken_characters_are_dropped_and_the_rest_is_kept(core: Core, sent: str, kept: str) -> None:
    core.receive(sent)
    assert core.one(Message).text == kept


def test_a_hundred_thousand_characters_are_kept_in_part_and_answered(core: Core) -> None:
    assert core.say("不热" * 50_000)
    assert len(core.one(Message).text) == MAX_TEXT


@pytest.mark.parametrize("dirt", ["\0", "\ud800", "长" * 100_000])
def test_dirt_in_any_field_stops_no_message(core: Core, dirt: str) -> None:
    core.receive(f"不热{dirt}", f"o{dirt}", provider_id=f"SM{dirt}", recipient=f"gh{dirt}", payload={"X": dirt})
    core.receive(f"不热{dirt}", f"o{dirt}", provider_id=f"SM{dirt}", recipient=f"gh{dirt}", payload={"X": dirt})
    assert core.one(Message).text.startswith("不热")
    assert core.one(Contact)


def test_two_long_ids_that_differ_at_their_end_are_two_messages(core: Core) -> None:
    for end in ("a", "b"):
        core.receive(provider_id="x" * 200 + end)
    assert len(core.rows(Message)) == 2


def test_an_sms_sender_is_a_resident_with_that_phone(core: Core) -> None:
    core.receive()
    assert core.one(Resident).phone == PHONE


# --- floods


def test_twenty_messages_in_a_minute_get_a_handful_of_replies_and_none_is_lost(core: Core, clock: VirtualClock) -> None:
    for number in range(20):
        core.receive(f"第{number}句，不热", claim=False)
        core.work()
        clock.advance(3 * SECOND)
    clock.advance(timedelta(minutes=1))
    core.work()
    assert all(message.handled_at for message in core.rows(Message))
    assert len(core.rows(Message)) == 20
    assert len(core.rows(Delivery)) <= 8


def test_twenty_messages_at_once_are_one_turn(core: Core, clock: VirtualClock) -> None:
    for number in range(20):
        core.receive(f"第{number}句，不热")
    clock.advance(10 * SECOND)
    core.work()
    assert all(message.handled_at for message in core.rows(Message))
    assert len(core.rows(Delivery)) == 1


def test_what_piled_up_while_nobody_answered_is_one_turn(core: Core, clock: VirtualClock) -> None:
    for number in range(PILE + 1):
        core.receive(f"第{number}句，不热")
        clock.advance(timedelta(minutes=1))
    core.work()
    assert all(message.handled_at for message in core.rows(Message))
    assert len(core.rows(Delivery)) == 1


def flood(core: Core, clock: VirtualClock) -> None:
    """Somebody, or something, that writes every eleven seconds for ten minutes: too slowly to be a burst."""
    for number in range(TURN_LIMIT):
        assert core.say(f"第{number}句")
        clock.advance(11 * SECOND)


def test_a_flood_is_slowed_down_and_nothing_of_it_is_lost(core: Core, clock: VirtualClock) -> None:
    flood(core, clock)
    for number in range(3):
        assert core.receive(f"还有{number}", claim=True).claim is None
        core.work()
        clock.advance(9 * SECOND)
    assert len([message for message in core.rows(Message) if message.handled_at is None]) == 3
    clock.advance(FLOOD_SILENCE)
    core.work()
    assert all(message.handled_at for message in core.rows(Message))
    assert len(core.rows(Delivery)) == TURN_LIMIT + 1


def test_a_flood_of_messages_of_many_kinds_is_slowed_down_too(core: Core, clock: VirtualClock) -> None:
    flood(core, clock)
    for kind in ("image", "text", "image"):
        core.receive("还有", kind=kind)
    before = len(core.rows(Delivery))
    for handled in (1, 2, 3):
        clock.advance(FLOOD_SILENCE)
        core.work()
        core.work()
        assert len(core.rows(Delivery)) == before + handled


def test_danger_overtakes_a_flood(core: Core, clock: VirtualClock) -> None:
    flood(core, clock)
    core.receive("还有")
    core.receive("家里有煤气味")
    core.work()
    handled = {message.text for message in core.rows(Message) if message.handled_at}
    assert "家里有煤气味" in handled
    assert "还有" not in handled


def test_others_do_not_wait_for_a_flood(core: Core, clock: VirtualClock) -> None:
    flood(core, clock)
    core.receive("还有")
    assert core.say("不热", "+8619900005678")


def test_a_flood_that_has_ended_is_forgotten(core: Core, clock: VirtualClock) -> None:
    flood(core, clock)
    clock.advance(TURN_WINDOW)
    assert core.say("不热")
