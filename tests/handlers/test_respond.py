"""respond() never raises: whatever is said in whatever conversation ends in words that can be said, or in silence."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bot.rules import RuleBook, _book, shipped
from bot.texts import exists, render
from handlers.dialogue import lapse
from handlers.dialogue.choose import ask_which
from handlers.dialogue.pending import READ
from handlers.dialogue.respond import meaning, respond
from handlers.dialogue.types import (
    OPEN_STATUSES,
    Address,
    Case,
    Conversation,
    EditTicket,
    Effect,
    OpenTicket,
    Option,
    Outcome,
    Rules,
    TicketView,
    Turn,
)
from handlers.dialogue.wording import STATES
from nlu.entities import extract
from nlu.places import default_gazetteer
from nlu.types import INTENTS, NEVER_ALSO, SCOPES, SEVERITIES, Understanding

NOW = datetime(2026, 11, 23, 2, 0, tzinfo=UTC)
PLACES = default_gazetteer()
FAULTS = ["no_heat", "low_temperature", "leak", "danger", "open_valve", "other_repair", "billing"]
DANGERS = [None, None, None, "gas", "fire", "carbon_monoxide", "shock", "collapse", "burst"]
SAYINGS = [
    *(
        "1",
        "2",
        "第三个",
        "9",
        "对",
        "不是",
        "都不是",
        "没有",
        "不用了",
        "算了",
        "3号楼",
        "501",
        "5",
        "A",
        "东",
        "三",
        "不知道",
    ),
    *(
        "阳光花园",
        "阳光花元",
        "不是3号楼，是5号楼",
        "阳光花园3号楼2单元501",
        "3-2-501",
        "13812345678",
        "户号1002003004",
    ),
    *(
        "我妈家也不热",
        "就是上次那个地址",
        "卧室13度",
        "暖气不热",
        "漏水",
        "滴水",
        "又不热了",
        "催一下",
        "撤销",
        "转人工",
    ),
    *(
        "几号供暖",
        "多少钱一平",
        "退费",
        "你好",
        "谢谢",
        "退订",
        "恢复通知",
        "删除我的信息",
        "好了",
        "{number}",
        "😂",
        "",
        " ",
    ),
    *("N20261123-0001到哪了", "停电了", "今天天气不错", "我要投诉你们", "还是要报", "x" * 600, "{", "}", "%s", "\n"),
]
WAITING = [None, *READ]


def strategy_of_addresses() -> st.SearchStrategy[Address]:
    """Known and unknown places, whole and in part."""
    return st.builds(
        Address,
        district=st.sampled_from([None, "二七区"]),
        community=st.sampled_from([None, "阳光花园", "阳光花元", "谁也不知道的小区"]),
        building=st.sampled_from([None, "3", "A", "99"]),
        unit=st.sampled_from([None, "2", "东"]),
        room=st.sampled_from([None, "501", "5楼东户"]),
        known=st.booleans(),
    )


addresses = strategy_of_addresses()
cases = st.builds(
    Case,
    intent=st.sampled_from(["", *FAULTS]),
    also=st.lists(st.sampled_from(FAULTS), max_size=2).map(tuple),
    address=addresses,
    phone=st.sampled_from([None, "13812345678"]),
    temperature=st.sampled_from([None, 13.0]),
    scope=st.sampled_from([None, *SCOPES]),
    severity=st.sampled_from([None, *SEVERITIES]),
    need=st.sampled_from([None, "yes"]),
    rooms=st.sampled_from([(), ("101", "201")]),
    danger=st.sampled_from([None, "gas", "shock"]),
)
views = st.builds(
    TicketView,
    number=st.sampled_from(["N20261123-0001", "N20261123-0002", "N20261123-0003"]),
    intents=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=2, unique=True).map(tuple),
    status=st.sampled_from(sorted(STATES)),
    address=addresses,
    opened_at=st.just(NOW),
    status_at=st.just(NOW),
    urgent=st.booleans(),
    responsible=st.sampled_from([None, "二七班组"]),
    note=st.sampled_from([None, "等配件{"]),
    chases=st.integers(0, 2),
    reopened=st.integers(0, 2),
    has_phone=st.booleans(),
)
options = st.one_of(
    st.lists(st.sampled_from([i for i in INTENTS if i not in NEVER_ALSO]).map(lambda i: Option(i, i)), max_size=3),
    st.lists(st.sampled_from(["0", "1", "3"]).map(lambda n: Option(n, f"阳光花园{n}号楼")), max_size=3),
    st.lists(
        st.sampled_from(
            ["cancel:N20261123-0001", "not_resolved:N20261123-0002", "confirm_resolved:N20261123-0009"]
        ).map(lambda value: Option(value, value)),
        max_size=3,
    ),
).map(tuple)


@st.composite
def conversations(draw: st.DrawFn) -> Conversation:
    """Anything that could stand in the database: also what no question of ours leaves behind."""
    waiting = draw(st.sampled_from(WAITING))
    offered = draw(options)
    if waiting == "home":
        offered = tuple(option for option in offered if option.value.isdigit())
    elif waiting == "ticket":
        offered = tuple(option for option in offered if ":" in option.value)
    elif waiting in ("meaning", "problem"):
        offered = tuple(option for option in offered if option.value in INTENTS)
    elif waiting == "severity":
        offered = ()
    return Conversation(
        case=draw(st.none() | cases),
        waiting_for=waiting,
        options=offered,
        ticket=draw(st.sampled_from([None, "N20261123-0001", "N20261123-0009"])),
        asked=draw(st.lists(st.sampled_from([*READ]), max_size=4).map(tuple)),
        misunderstood=draw(st.integers(0, 3)),
    )


@st.composite
def understandings(draw: st.DrawFn) -> Understanding:
    """Any meaning of any saying, with the entities that are truly in it."""
    text = draw(st.sampled_from(SAYINGS) | st.text(max_size=12))
    intent = draw(st.sampled_from(INTENTS))
    sure = draw(st.sampled_from([0.0, 0.1, 0.32, 0.5, 0.7, 0.98]))
    second = draw(st.sampled_from(INTENTS))
    ranking = ((intent, sure), (second, (1 - sure) / 2)) if sure and second != intent else ()
    also = tuple(draw(st.lists(st.sampled_from([i for i in INTENTS if i not in NEVER_ALSO]), max_size=2, unique=True)))
    return Understanding(
        text=text,
        intent=intent,
        confidence=sure,
        ranking=ranking,
        also=tuple(name for name in also if name != intent),
        entities=tuple(extract(text, PLACES)),
        scope=draw(st.sampled_from([None, *SCOPES])),
        severity=draw(st.sampled_from([None, *SEVERITIES])),
        need=draw(st.sampled_from([None, "yes"])),
        model="any",
        threshold=draw(st.sampled_from([0.0, 0.4])),
    )


@st.composite
def turns(draw: st.DrawFn) -> Turn:
    """Anything that can be said by anyone at any time of the year."""
    tickets = tuple(draw(st.lists(views, max_size=3, unique_by=lambda view: view.number)))
    mentioned = draw(st.sampled_from([(), tickets[:1], tuple(replace(t, mine=False) for t in tickets[:1])]))
    return Turn(
        understanding=draw(understandings()),
        channel=draw(st.sampled_from(["wechat", "sms"])),
        received_at=NOW,
        today=draw(st.sampled_from([date(2026, 11, 23), date(2026, 7, 1), date(2031, 1, 1)])),
        conversation=draw(conversations()),
        places=PLACES,
        rules=Rules(),  # `respond_to` brings the real ones, which are too long for a report of a failure
        homes=tuple(draw(st.lists(addresses, max_size=3))),
        tickets=tickets,
        mentioned=mentioned,
        danger=draw(st.sampled_from(DANGERS)),
        phone=draw(st.sampled_from([None, "13812345678"])),
        first_contact=draw(st.booleans()),
    )


BOOK: RuleBook = _book(shipped(), 1, "12345")


def respond_to(turn: Turn) -> Outcome:
    """respond() by the rules that ship."""
    return respond(replace(turn, rules=BOOK.dialogue))


def spoken(outcome: Outcome, channel: str) -> str:
    """The words of an outcome as the recorder makes them; raises for a key or a parameter that is not there."""
    opens = any(isinstance(effect, OpenTicket) for effect in outcome.effects)
    lines = []
    for reply in outcome.replies:
        params = {"number": "N20261123-0007", **reply.params} if opens else dict(reply.params)
        lines.append(render(BOOK, reply.key, channel, params))
        if reply.about_ticket:
            assert opens, f"{reply.key} tells of a ticket that nobody opens"
            lines += [render(BOOK, key, channel, params) for key in ("report.joined", "report.joined_other")]
    return "\n".join(lines)


def bare(intent: str = "affirm", text: str = "好", waiting: str | None = None, case: Case | None = None) -> Turn:
    """A turn about one thing, for the examples below."""
    return Turn(
        understanding=Understanding(text, intent, 0.98, ((intent, 0.98),)),
        channel="sms",
        received_at=NOW,
        today=date(2026, 11, 23),
        conversation=Conversation(case=case, waiting_for=waiting),
        places=PLACES,
        rules=Rules(),
    )


@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@example(bare("deny", "都不是", "meaning", Case("")))
@example(bare("urge", "快点", "insist", Case("no_heat")))
@given(turns())
def test_every_turn_ends_in_words_that_can_be_said(turn: Turn) -> None:
    outcome = respond_to(turn)
    assert spoken(outcome, turn.channel).strip(), "silence is for events only"
    assert all(isinstance(effect, Effect) for effect in outcome.effects)
    assert outcome.conversation.waiting_for in WAITING
    assert meaning(replace(turn, rules=BOOK.dialogue)) in INTENTS


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(turns())
def test_a_turn_concerns_nobody_elses_ticket(turn: Turn) -> None:
    mine = {ticket.number for ticket in turn.tickets if ticket.mine}
    touched = {getattr(effect, "number", None) for effect in respond_to(turn).effects} - {None}
    assert touched <= mine


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(turns())
def test_the_same_turn_always_has_the_same_outcome(turn: Turn) -> None:
    assert respond_to(turn) == respond_to(turn)


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(turns())
def test_danger_is_told_what_to_do_before_anything_else(turn: Turn) -> None:
    kinds = {"gas", "fire", "carbon_monoxide", "shock", "collapse"}
    if turn.danger in kinds:
        assert respond_to(turn).replies[0].key.startswith("danger.")


@settings(max_examples=100, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(conversations(), st.sampled_from(["wechat", "sms"]))
def test_silence_ends_in_words_that_can_be_said(conversation: Conversation, channel: str) -> None:
    for outcome in (lapse.remind(conversation, channel), lapse.lapse(conversation, channel)):
        spoken(outcome, channel)


@pytest.mark.parametrize("waiting", list(READ))
@pytest.mark.parametrize("intent", ["affirm", "deny", "greet", "thanks", "urge", "out_of_scope", "consult"])
def test_a_question_can_be_asked_again(waiting: str, intent: str) -> None:
    address = Address("二七区", "阳光花元", "3")
    turn = bare(intent, "嗯？", waiting, Case("no_heat", address=address))
    turn = replace(turn, conversation=replace(turn.conversation, options=(Option("no_heat", "不热"),)))
    if waiting == "home":
        turn = replace(turn, conversation=replace(turn.conversation, options=(Option("0", "家"),)), homes=(address,))
    spoken(respond_to(turn), turn.channel)


@pytest.mark.parametrize(("intent", "danger"), [("danger", "gas"), ("leak", "burst")])
def test_danger_in_one_of_several_homes_opens_at_once_and_then_asks_which(intent: str, danger: str) -> None:
    homes = tuple(Address("二七区", "阳光花园", "3", "2", room, known=True) for room in ("501", "502"))
    turn = replace(bare(intent, "喷水了，有煤气味"), danger=danger, homes=homes)
    opened = respond_to(turn)
    assert [reply.key.split(".")[0] for reply in opened.replies] == [intent, intent, "ask"]
    assert isinstance(opened.effects[0], OpenTicket)
    ticket = TicketView("N20261123-0001", (intent,), "received", Address(), NOW, NOW)
    conversation = replace(opened.conversation, ticket=ticket.number)
    answer = replace(bare("provide_info", "2"), conversation=conversation, homes=homes, tickets=(ticket,))
    told = respond_to(answer)
    assert not any(isinstance(effect, OpenTicket) for effect in told.effects)
    assert [effect.address for effect in told.effects if isinstance(effect, EditTicket)] == [homes[1]]


def test_states_of_the_dialogue_are_those_of_the_table() -> None:
    moves = shipped()["moves"]
    assert set(STATES) == set(moves["statuses"])
    assert {"closed", "cancelled", "merged"} == set(STATES) - OPEN_STATUSES


def test_which_ticket_is_asked_with_options_that_fit() -> None:
    view = TicketView("N20261123-0001", ("leak",), "received", Address(community="阳光花园"), NOW, NOW)
    outcome = ask_which(bare(), (view,) * 6, "cancel")
    assert len(outcome.conversation.options) == 4
    assert spoken(outcome, "sms")


def test_keys_of_the_examples_exist() -> None:
    assert Counter(exists(BOOK, key) for key in ("ask.building", "ask.meaning")) == {True: 1, False: 1}
