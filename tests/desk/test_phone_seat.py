"""The phone seat: a caller's number finds home and tickets, and what they say is a report like any other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from bot import crypto, standing, tickets
from bot.clock import VirtualClock
from bot.database import Database
from bot.models import Callback, Contact, ContactHome, Delivery, Home, Household, Message, Staff, Ticket
from bot.settings import Settings
from bot.tickets import Actor
from handlers.dialogue.types import Address
from tests.desk.conftest import Desk, hidden_fields
from tests.standins.service import Trial, build

MOBILE, LANDLINE = "+8619900001234", "+8637166120000"
TYPED = "199 0000 1234"
HOME = Address("二七区", "阳光花园", "3", "2", "501", known=True)
WHOLE = "阳光花园3号楼2单元501，暖气不热"


class Seat:
    """The phone seat with an agent at it, and the stand-ins of the providers."""

    def __init__(self, desk: Desk, trial: Trial, agent: Staff) -> None:
        self.desk, self.trial, self.agent = desk, trial, agent
        self.at = "/desk/phone"

    def ring(self, number: str = TYPED) -> str:
        """Type a caller's number; the page that follows."""
        answer = self.desk.send("/desk/phone", "/desk/phone", phone=number)
        self.at = answer.request.path
        return answer.text

    def say(self, text: str, **fields: str) -> str:
        """Type what the caller says; the page that follows."""
        answer = self.desk.send(self.at, "/desk/phone/say", text=text, **fields)
        self.at = answer.request.path
        return answer.text

    def drain(self) -> None:
        self.trial.drain()

    def heard(self, number: str = MOBILE) -> list[str]:
        """Every text message that a phone has received."""
        return self.trial.standins.heard("sms", number)

    def ticket(self) -> Ticket:
        with self.trial.services.database.reading() as session:
            row = session.scalars(select(Ticket)).one()
            session.expunge_all()
            return row

    def move(self, to: str, note: str | None = None) -> None:
        """Somebody of the staff moves the only ticket."""
        with self.trial.services.database.transaction() as session:
            row = session.scalars(select(Ticket)).one()
            actor = Actor("staff", staff_id=self.agent.id)
            tickets.move(self.trial.services.context(session), row, to, actor, note=note)


@pytest.fixture
def trial(settings: Settings, database: Database, clock: VirtualClock) -> Trial:
    return build(settings, database)


@pytest.fixture
def seat(trial: Trial) -> Iterator[Seat]:
    with trial.app.test_client() as client:
        desk = Desk(client, trial.services)
        yield Seat(desk, trial, desk.enter("agent"))


def callbacks(trial: Trial) -> list[tuple[str, bool]]:
    """The reasons of the calls that are or were owed, and whether each is done."""
    with trial.services.database.reading() as session:
        return [
            (row.reason, row.done_at is not None) for row in session.scalars(select(Callback).order_by(Callback.id))
        ]


def know(trial: Trial, number: str = MOBILE) -> int:
    """The number has texted before and belongs to HOME; the home's id."""
    trial.standins.twilio.send_sms(number, "你好")
    trial.drain()
    with trial.services.database.transaction() as session:
        contact = session.scalars(select(Contact).where(Contact.medium == "sms")).one()
        home_id = standing.home_at(session, HOME)
        standing.prove(session, contact.id, home_id, "code", trial.services.context(session).now)
    return home_id


# --- who calls


def test_a_number_finds_its_home_and_how_far_it_is_verified(seat: Seat) -> None:
    know(seat.trial)
    page = seat.ring()
    assert "199 0000 1234" in page
    assert "阳光花园3号楼2单元501室" in page
    assert "已用核对码核实" in page


def test_a_number_finds_the_home_that_the_books_have_for_it(seat: Seat) -> None:
    with seat.trial.services.database.transaction() as session:
        tail = crypto.blind_index("phone tail", MOBILE[-4:])
        row = Household(account_hash=crypto.blind_index("account", "1234567"), phone=MOBILE, phone_tail_hash=tail)
        row.home_id = standing.home_at(session, HOME)
        session.add(row)
    assert "公司登记的就是这个电话" in seat.ring()
    assert "没有查到这个号码的家" in seat.ring("199 0001 1234")  # the same last four digits


@pytest.mark.parametrize("typed", [TYPED, "19900001234", "+86 199-0000-1234", "0086 19900001234"])
def test_a_number_is_found_however_it_is_spelt(seat: Seat, typed: str) -> None:
    seat.trial.standins.twilio.send_sms(MOBILE, WHOLE)
    seat.drain()
    assert seat.ticket().number in seat.ring(typed)


def test_a_telephone_system_opens_the_page_with_the_number(seat: Seat) -> None:
    seat.trial.standins.twilio.send_sms(MOBILE, WHOLE)
    seat.drain()
    assert seat.ticket().number in seat.desk.get("/desk/phone?phone=19900001234")


def test_what_is_no_number_is_said_so_and_nothing_is_kept(seat: Seat) -> None:
    answer = seat.desk.send("/desk/phone", "/desk/phone", phone="匿名来电")
    assert (answer.status_code, "这个号码不对" in answer.text) == (422, True)
    with seat.trial.services.database.reading() as session:
        assert session.scalars(select(Contact)).all() == []


def test_the_number_does_not_stay_in_the_address_of_the_page(seat: Seat) -> None:
    seat.ring()
    assert "1234" not in seat.at


@pytest.mark.parametrize(("role", "status"), [("crew", 403), ("reviewer", 403), ("dispatcher", 200)])
def test_the_seat_is_for_who_makes_calls(trial: Trial, role: str, status: int) -> None:
    with trial.app.test_client() as client:
        desk = Desk(client, trial.services)
        desk.enter(role, "T-js-1" if role == "crew" else None)
        assert client.get("/desk/phone").status_code == status
        assert client.get("/desk/missed").status_code == status


# --- what they say


def test_one_line_with_the_address_is_a_ticket(seat: Seat) -> None:
    seat.ring()
    page = seat.say(WHOLE)
    made = seat.ticket()
    assert f'ticket-number">单号 <a href="/desk/tickets/{made.number}"' in page
    assert (made.intent, made.community, made.building, made.room) == ("no_heat", "阳光花园", "3", "501")
    assert made.phone == MOBILE
    assert "请对来电人说" in page
    [message] = seat.trial.messages()
    assert (message.channel, message.text, message.intent, message.ticket_id) == ("phone", WHOLE, "no_heat", made.id)


def test_what_is_missing_is_asked_and_the_answer_is_typed_into_the_same_conversation(seat: Seat) -> None:
    seat.ring()
    page = seat.say("家里暖气不热")
    assert "哪个小区" in page
    assert "ticket-number" not in page
    page = seat.say("阳光花园3号楼2单元501")
    assert seat.ticket().number in page
    assert seat.ticket().intent == "no_heat"


def test_many_lines_within_seconds_are_each_answered_at_once(seat: Seat) -> None:
    seat.ring()
    for said in ("家里暖气不热", "阳光花园", "3号楼", "2单元", "501"):
        page = seat.say(said)
        assert "还没处理完" not in page
    assert seat.ticket().number in page


def test_a_known_home_needs_no_address(seat: Seat) -> None:
    home_id = know(seat.trial)
    seat.ring()
    seat.say("暖气冰凉", home=str(home_id))
    assert (seat.ticket().community, seat.ticket().room) == ("阳光花园", "501")


def test_a_home_of_somebody_elses_number_is_not_taken(seat: Seat) -> None:
    home_id = know(seat.trial, "+8619900005678")
    seat.ring()
    assert "哪个小区" in seat.say("暖气冰凉", home=str(home_id))


def test_who_typed_it_is_recorded(seat: Seat) -> None:
    seat.ring()
    page = seat.say(WHOLE)
    [message] = seat.trial.messages()
    assert json.loads(message.payload or "{}") == {"typed_by": seat.agent.id}
    assert "小王 代录" in page
    assert "小王 代录" in seat.desk.get(f"/desk/tickets/{seat.ticket().number}")


def test_an_empty_line_is_refused_and_an_overlong_one_stays_in_the_field(seat: Seat) -> None:
    seat.ring()
    for said in ("  ", "冷" * 501):
        answer = seat.desk.send(seat.at, "/desk/phone/say", text=said)
        assert answer.status_code == 422
        assert said.strip() in answer.text
    assert seat.trial.messages() == []


def test_nothing_is_pushed_during_the_call(seat: Seat) -> None:
    seat.ring()
    seat.say("家里暖气不热")
    seat.say("阳光花园3号楼2单元501")
    seat.drain()
    assert seat.heard() == []
    assert {row.state for row in seat.trial.deliveries()} == {"sent"}


def test_danger_on_the_phone_is_danger(seat: Seat) -> None:
    seat.ring()
    page = seat.say("阳光花园3号楼2单元501闻到煤气味")
    assert "119" in page or "开窗" in page
    assert [message.danger for message in seat.trial.messages()] == ["gas"]


# --- afterwards


def test_later_news_reaches_the_caller_by_sms(seat: Seat) -> None:
    seat.ring()
    seat.say(WHOLE)
    seat.drain()
    seat.move("accepted")
    seat.drain()
    [told] = seat.heard()
    assert seat.ticket().number in told


def test_a_landline_is_sent_nothing_and_the_page_says_so(seat: Seat) -> None:
    page = seat.ring("0371-66120000")
    assert "收不了短信" in page
    seat.say(WHOLE)
    seat.drain()
    seat.move("accepted")
    seat.drain()
    assert seat.heard(LANDLINE) == []
    assert seat.trial.deliveries()[-1].state == "suppressed"


def test_who_refuses_notices_by_sms_gets_none_for_a_call_either(seat: Seat) -> None:
    know(seat.trial)
    with seat.trial.services.database.transaction() as session:
        contact = session.scalars(select(Contact).where(Contact.medium == "sms")).one()
        contact.opted_out_at = seat.trial.services.context(session).now
    seat.ring()
    seat.say("阳光花园5号楼1单元301，暖气不热")
    seat.drain()
    before = seat.heard()
    seat.move("accepted")
    seat.drain()
    assert seat.heard() == before


def test_one_phone_that_texted_and_called_is_told_once(seat: Seat) -> None:
    seat.trial.standins.twilio.send_sms(MOBILE, WHOLE)
    seat.drain()
    seat.ring()
    with seat.trial.services.database.reading() as session:
        home_id = session.scalars(select(Home.id)).one()
    seat.desk.send(seat.at, "/desk/phone/home", home=str(home_id), belongs="yes")
    before = len(seat.heard())
    seat.move("accepted")
    seat.drain()
    assert len(seat.heard()) == before + 1


# --- how far a caller is believed


def test_a_caller_is_not_verified_by_their_number(seat: Seat) -> None:
    know(seat.trial)
    seat.trial.standins.twilio.send_sms(MOBILE, WHOLE)
    seat.drain()
    seat.ring()
    page = seat.say("阳光花园3号楼2单元501，暖气不热")
    assert "该地址已有人报修" in page
    with seat.trial.services.database.reading() as session:
        caller = session.scalars(select(Contact.id).where(Contact.medium == "phone")).one()
        assert session.scalars(select(ContactHome.verified_by).where(ContactHome.contact_id == caller)).all() == [None]


def test_who_the_desk_has_verified_can_press_their_own_report(seat: Seat) -> None:
    home_id = know(seat.trial)
    seat.trial.standins.twilio.send_sms(MOBILE, WHOLE)
    seat.drain()
    seat.ring()
    page = seat.desk.send(seat.at, "/desk/phone/home", home=str(home_id), belongs="yes").text
    assert "这位来电人已核实是本户" in page
    assert "已在电话里核实来电人是本户" in seat.desk.get(f"/desk/tickets/{seat.ticket().number}")
    page = seat.say("阳光花园3号楼2单元501，暖气还是不热")
    assert seat.ticket().number in page
    assert "已有人报修，将一并处理" not in page
    page = seat.desk.send(seat.at, "/desk/phone/home", home=str(home_id), belongs="no").text
    assert "这位来电人已核实是本户" not in page


def test_nobody_is_verified_for_a_home_that_the_number_is_not_known_for(seat: Seat) -> None:
    home_id = know(seat.trial, "+8619900005678")
    seat.ring()
    form = hidden_fields(seat.desk.get(seat.at), "/desk/phone/say") | {"home": str(home_id), "belongs": "yes"}
    assert seat.desk.client.post("/desk/phone/home", data=form).status_code == 404


# --- when something is down


def test_while_understanding_is_down_the_line_is_kept_and_the_answer_is_owed_by_a_call(
    seat: Seat, clock: VirtualClock
) -> None:
    seat.ring()
    seat.trial.interpreter.down = True
    page = seat.say(WHOLE)
    assert "还没处理完" in page
    assert "已收到" in page
    seat.trial.interpreter.down = False
    clock.advance(timedelta(seconds=10))
    seat.drain()
    page = seat.desk.get(seat.at)
    assert seat.ticket().number in page
    assert "还没处理完" not in page
    assert seat.heard() == []
    assert callbacks(seat.trial) == [("seat", False)]
    seat.say("谢谢")
    assert callbacks(seat.trial) == [("seat", True)]


def test_danger_is_answered_at_once_while_understanding_is_down(seat: Seat) -> None:
    seat.ring()
    seat.trial.interpreter.down = True
    page = seat.say("家里有煤气味，头晕")
    assert "还没处理完" not in page
    assert "请对来电人说" in page


def test_who_hangs_up_in_the_middle_is_called_back(seat: Seat, clock: VirtualClock) -> None:
    seat.ring()
    seat.say("家里暖气不热")
    for _ in range(3):
        clock.advance(timedelta(minutes=16))
        seat.drain()
    assert seat.ticket().incomplete
    assert ("incomplete", False) in callbacks(seat.trial)
    assert seat.heard() == []


def test_a_typed_line_does_not_come_back_as_a_text(seat: Seat) -> None:
    """Nothing that answers a call waits in the outbox."""
    seat.ring()
    seat.say(WHOLE)
    with seat.trial.services.database.reading() as session:
        states = session.execute(select(Delivery.state, Delivery.via, Message.channel).join(Message)).all()
    assert [(via, channel) for _, via, channel in states] == [("passive", "phone")]
