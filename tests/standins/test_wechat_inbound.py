"""What WeChat residents do besides writing: codes, menu, places, photos, voices, subscriptions, leaving."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select

from bot import staff, tickets
from bot.clock import VirtualClock
from bot.models import (
    Base,
    Contact,
    ContactHome,
    Delivery,
    Message,
    Review,
    Staff,
    Team,
    Ticket,
    Update,
)
from bot.push_models import Media, Subscription
from bot.standins.wechat import Elements
from bot.standins.wechat_account import PNG
from bot.wordless import scene_of
from tests.desk.conftest import Desk
from tests.standins.service import Trial

OPENID = "oWhatResidentsDo00000000000x"
REPORT = "阳光花园3号楼2单元501，暖气不热"
PASSWORD = "warm-winter-2026"
JPEG = b"\xff\xd8\xff\xe0" + b"photo" * 100


def count(trial: Trial, model: type[Base]) -> int:
    with trial.services.database.reading() as session:
        return session.scalar(select(func.count()).select_from(model)) or 0


def one(trial: Trial, model: Any) -> Any:
    with trial.services.database.reading() as session:
        found = session.scalars(select(model)).one()
        session.expunge_all()
        return found


def code_of(trial: Trial, community: str, building: str) -> str:
    """The scene of a building's QR code."""
    place = trial.services.gazetteer.current().community(community)
    assert place is not None
    return scene_of(place.id, building)


def desk(trial: Trial, role: str, team: str | None = None) -> FlaskClient:
    """A browser of somebody at the desk, logged in."""
    with trial.services.database.transaction() as session:
        if not session.scalar(select(func.count()).select_from(Staff)):  # the first one is always an administrator
            staff.add(session, "管理员甲", PASSWORD, "administrator")
        staff.add(session, f"{role}{team}", PASSWORD, role, team)
    browser = Desk(trial.app.test_client(), trial.services)
    assert browser.log_in(f"{role}{team}", PASSWORD).status_code == 200
    return browser.client


# --- codes and menu


def test_who_follows_by_a_buildings_code_need_not_tell_the_address(trial: Trial, clock: VirtualClock) -> None:
    answer = trial.standins.wechat.scan(OPENID, code_of(trial, "阳光花园", "3"))
    assert answer
    assert "供热公司" in answer
    assert "阳光花园3号楼" in answer
    answer = trial.standins.wechat.push_text(OPENID, "1")
    assert answer
    assert "哪个小区" not in answer
    for said in ("2单元", "501"):
        clock.advance(timedelta(seconds=20))
        answer = trial.standins.wechat.push_text(OPENID, said)
    ticket = one(trial, Ticket)
    assert (ticket.community, ticket.building, ticket.unit, ticket.room) == ("阳光花园", "3", "2", "501")
    assert "阳光花园3号楼2单元501" in (answer or "")


def test_a_code_that_was_scanned_long_ago_still_tells_the_building(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.wechat.scan(OPENID, code_of(trial, "阳光花园", "3"))
    clock.advance(timedelta(days=3))
    answer = trial.standins.wechat.push_text(OPENID, "家里冰凉")
    assert answer
    assert "几单元" in answer


def test_a_code_scanned_in_the_middle_of_a_report_answers_where(trial: Trial) -> None:
    trial.standins.wechat.push_event(OPENID, "subscribe", EventKey="")
    trial.standins.wechat.push_text(OPENID, "暖气不热")
    answer = trial.standins.wechat.scan(OPENID, code_of(trial, "阳光花园", "3"))
    assert answer
    assert "阳光花园3号楼" in answer
    assert "几单元" in answer


@pytest.mark.parametrize("scene", ["b/nowhere/3", "poster-7", "b//", "b", "x" * 64])
def test_any_other_code_is_greeted(trial: Trial, scene: str) -> None:
    assert "供热公司" in (trial.standins.wechat.scan(OPENID, scene) or "")


@pytest.mark.parametrize(
    ("key", "expected"),
    [("no_heat", "哪个小区"), ("leak", "阀门"), ("ask_progress", "没"), ("human_agent", "打"), ("old_key", "打字")],
)
def test_a_tap_on_the_menu_is_the_matching_dialogue(trial: Trial, key: str, expected: str) -> None:
    assert expected in (trial.standins.wechat.tap(OPENID, key) or "")


def test_a_tap_goes_on_where_the_dialogue_stands(trial: Trial) -> None:
    trial.standins.wechat.push_text(OPENID, REPORT)
    answer = trial.standins.wechat.tap(OPENID, "ask_progress")
    assert one(trial, Ticket).number in (answer or "")


def test_two_taps_within_a_second_are_two_messages_and_a_repeated_push_is_one(trial: Trial) -> None:
    trial.standins.wechat.tap(OPENID, "no_heat")
    trial.standins.wechat.tap(OPENID, "no_heat")  # the same second: WeChat gives us nothing to tell them apart by
    trial.standins.wechat.tap(OPENID, "leak")
    assert count(trial, Message) == 2


# --- places, photos, voices


def test_a_position_offers_the_estates_around(trial: Trial) -> None:
    place = trial.services.gazetteer.current().community("阳光花园")
    assert place is not None
    trial.standins.wechat.push_text(OPENID, "暖气不热")
    where = {"Location_X": str(place.latitude), "Location_Y": str(place.longitude), "Scale": "16", "Label": "某路"}
    answer = trial.standins.wechat.push(OPENID, "location", where)
    assert "1 阳光花园" in (answer or "")
    answer = trial.standins.wechat.push_text(OPENID, "1")
    assert "几号楼" in (answer or "")


def test_a_position_before_anything_else_leads_to_what_is_wrong(trial: Trial) -> None:
    place = trial.services.gazetteer.current().community("阳光花园")
    assert place is not None
    where = {"Location_X": str(place.latitude), "Location_Y": str(place.longitude)}
    trial.standins.wechat.push(OPENID, "location", where)
    answer = trial.standins.wechat.push_text(OPENID, "阳光花园")
    assert "1 不热" in (answer or "")


@pytest.mark.parametrize("x", ["0", "north", "", "nan"])
def test_a_position_far_from_everything_is_answered_with_a_question(trial: Trial, x: str) -> None:
    answer = trial.standins.wechat.push(OPENID, "location", {"Location_X": x, "Location_Y": "113.6"})
    assert "位置收到了" in (answer or "")


def test_a_voice_without_words_is_kept_for_a_person(trial: Trial) -> None:
    answer = trial.standins.wechat.push_media(
        OPENID, "voice", b"#!AMR\n\x00", "audio/amr", Format="amr", Recognition=""
    )
    assert answer == "语音收到，有人会听，不用打字。\n想让人打电话给您，回复1。"
    review = one(trial, Review)
    assert review.reason == "voice"
    trial.drain()
    assert one(trial, Media).state == "kept"


def test_a_voice_with_words_is_understood(trial: Trial) -> None:
    answer = trial.standins.wechat.push_media(OPENID, "voice", b"#!AMR", "audio/amr", Recognition="家里冰凉")
    assert "哪个小区" in (answer or "")
    assert count(trial, Review) == 0


def test_a_photo_is_fetched_and_shown_on_the_ticket(trial: Trial) -> None:
    trial.standins.wechat.push_text(OPENID, REPORT)
    answer = trial.standins.wechat.push_media(OPENID, "image", JPEG, "image/jpeg", PicUrl="http://mmbiz.qpic.cn/x")
    ticket = one(trial, Ticket)
    assert ticket.number in (answer or "")
    trial.drain()
    item = one(trial, Media)
    client = desk(trial, "agent")
    page = client.get(f"/desk/tickets/{ticket.number}").get_data(as_text=True)
    assert f"/desk/media/{item.id}" in page
    shown = client.get(f"/desk/media/{item.id}")
    assert (shown.status_code, shown.data, shown.content_type) == (200, JPEG, "image/jpeg")
    assert shown.headers["Cache-Control"] == "no-store"


def test_a_photo_is_for_staff_who_may_see_its_ticket_only(trial: Trial) -> None:
    trial.standins.wechat.push_text(OPENID, REPORT)
    trial.standins.wechat.push_media(OPENID, "image", JPEG, "image/jpeg")
    trial.drain()
    url = f"/desk/media/{one(trial, Media).id}"
    assert trial.app.test_client().get(url).status_code == 302
    with trial.services.database.reading() as session:
        ticket = session.scalars(select(Ticket)).one()
        own = ticket.team.code if ticket.team else ""
        other = next(code for code in session.scalars(select(Team.code)) if code != own)
    assert desk(trial, "crew", own).get(url).status_code == 200
    assert desk(trial, "crew", other).get(url).status_code == 404


def test_a_photo_is_encrypted_where_it_is_kept(trial: Trial) -> None:
    trial.standins.wechat.push_media(OPENID, "image", JPEG, "image/jpeg")
    trial.drain()
    with trial.services.database.engine.connect() as connection:
        raw = connection.exec_driver_sql("SELECT content FROM media").scalar_one()
    assert b"photophoto" not in bytes(raw)


@pytest.mark.parametrize("kind", ["text/html", "image/svg+xml", "application/x-msdownload"])
def test_what_is_no_picture_is_never_shown_as_a_page(trial: Trial, kind: str) -> None:
    trial.standins.wechat.push_media(OPENID, "image", b"<script>alert(1)</script>", kind)
    trial.drain()
    shown = desk(trial, "agent").get(f"/desk/media/{one(trial, Media).id}")
    assert shown.content_type == "application/octet-stream"
    assert shown.headers["Content-Disposition"].startswith("attachment")


def test_a_film_is_fetched_from_the_address_that_wechat_names(trial: Trial) -> None:
    trial.standins.wechat.push_media(OPENID, "shortvideo", b"film" * 50, "video/mp4", ThumbMediaId="t")
    trial.drain()
    with trial.services.database.reading() as session:
        item = session.scalars(select(Media)).one()
        assert (item.state, item.kind, item.content) == ("kept", "video", b"film" * 50)


def test_a_photo_that_cannot_be_fetched_is_tried_again_while_wechat_has_it(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.wechat.push_media(OPENID, "image", JPEG, "image/jpeg")
    trial.standins.wechat.fail(call="media/get", status=502, body="<html>")
    trial.drain()
    assert one(trial, Media).state == "wanted"
    clock.advance(timedelta(minutes=5))
    trial.drain()
    assert one(trial, Media).state == "kept"


def test_a_photo_that_wechat_has_no_more_is_lost_and_said_so(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.wechat.push_text(OPENID, REPORT)
    trial.standins.wechat.push_media(OPENID, "image", JPEG, "image/jpeg")
    clock.advance(timedelta(days=3, minutes=1))
    trial.drain()
    assert one(trial, Media).state == "lost"
    page = desk(trial, "agent").get(f"/desk/tickets/{one(trial, Ticket).number}").get_data(as_text=True)
    assert "没有取到" in page


def test_a_photo_told_while_the_token_expires_is_fetched_all_the_same(trial: Trial) -> None:
    trial.standins.wechat.push_media(OPENID, "image", PNG, "image/png")
    trial.drain()
    trial.standins.wechat.expire_tokens()
    trial.standins.wechat.push_media(OPENID, "image", JPEG, "image/jpeg")
    trial.drain()
    with trial.services.database.reading() as session:
        assert set(session.scalars(select(Media.state))) == {"kept"}


@pytest.mark.parametrize(("kind", "fields"), [("link", {"Title": "看这个", "Url": "https://x"}), ("hologram", {})])
def test_anything_else_is_answered_politely_and_the_next_one_is_handled(
    trial: Trial, kind: str, fields: dict[str, str]
) -> None:
    assert trial.standins.wechat.push(OPENID, kind, fields)
    assert "哪个小区" in (trial.standins.wechat.push_text(OPENID, "暖气不热") or "")


def test_a_voice_without_words_does_not_swallow_the_texts_around_it(trial: Trial, clock: VirtualClock) -> None:
    said = ["暖气不热", "阳光花园", "3号楼", None, "2单元", "501"]
    for text in said:
        if text is None:
            trial.standins.wechat.push_media(OPENID, "voice", b"#!AMR", "audio/amr")
        else:
            trial.standins.wechat.push_text(OPENID, text)
        clock.advance(timedelta(seconds=1))
    for _ in range(4):
        clock.advance(timedelta(seconds=15))
        trial.drain()
    assert one(trial, Ticket).room == "501"
    assert one(trial, Review).reason == "voice"


# --- subscriptions


@pytest.mark.parametrize("wrapper", ["SubscribeMsgChangeEvent", "SubscribeMsgPopupEvent"])
def test_a_refusal_is_kept_in_either_wrapper(trial: Trial, wrapper: str, clock: VirtualClock) -> None:
    trial.standins.wechat.subscribe(OPENID, "A", "B")
    clock.advance(timedelta(seconds=1))
    item = "<List><TemplateId>A</TemplateId><SubscribeStatusString>reject</SubscribeStatusString></List>"
    trial.standins.wechat.push_event(OPENID, "subscribe_msg_change_event", **{wrapper: Elements(item)})
    with trial.services.database.reading() as session:
        left = {row.template_id: row.left for row in session.scalars(select(Subscription))}
    assert left == {"A": 0, "B": 1}


# --- leaving


def test_who_leaves_while_a_person_is_talking_is_unlinked_all_the_same(trial: Trial) -> None:
    trial.standins.wechat.push_text(OPENID, "你好")
    desk(trial, "agent")
    with trial.services.database.transaction() as session:
        session.scalars(select(Contact)).one().taken_over_by = session.scalars(select(Staff.id)).first()
    leave(trial)
    assert one(trial, Contact).address is None


def leave(trial: Trial) -> None:
    trial.standins.wechat.push_event(OPENID, "unsubscribe")
    trial.drain()


def close(trial: Trial) -> None:
    """Staff work the ticket to its end."""
    with trial.services.database.transaction() as session:
        ticket = session.scalars(select(Ticket)).one()
        context = trial.services.context(session)
        for to in ("accepted", "done", "closed"):
            tickets.move(context, ticket, to, tickets.Actor("staff"), tell=False)


def stored(trial: Trial) -> str:
    """Everything that can be read of a resident, decrypted."""
    with trial.services.database.reading() as session:
        rows = [
            *(f"{m.text}{m.payload}{m.understanding}" for m in session.scalars(select(Message))),
            *(f"{d.text}{d.params}" for d in session.scalars(select(Delivery))),
            *(f"{c.address}{c.place}" for c in session.scalars(select(Contact))),
            *(f"{c.resident.phone}{c.resident.name}" for c in session.scalars(select(Contact))),
            *(f"{t.phone}{t.room}{t.account_no}" for t in session.scalars(select(Ticket))),
            *(f"{u.note}{u.told}" for u in session.scalars(select(Update))),
        ]
    return "\n".join(rows)


def test_who_leaves_without_a_case_is_forgotten_at_once(trial: Trial) -> None:
    trial.standins.wechat.push_text(OPENID, "你好，我电话13812345678")
    trial.standins.wechat.push_media(OPENID, "image", JPEG, "image/jpeg")
    trial.standins.wechat.scan(OPENID, code_of(trial, "阳光花园", "3"))
    trial.drain()
    leave(trial)
    assert OPENID not in stored(trial)
    assert "13812345678" not in stored(trial)
    assert count(trial, Media) == 0


def test_what_an_open_case_needs_stays_until_it_is_settled(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.wechat.push_text(OPENID, REPORT)
    trial.standins.wechat.push_text(OPENID, "13812345678")
    leave(trial)
    assert one(trial, Contact).address is None  # the openid went at once
    assert OPENID not in stored(trial)
    ticket = one(trial, Ticket)
    assert (ticket.room, ticket.phone) == ("501", "13812345678") or ticket.phone.endswith("13812345678")
    close(trial)
    clock.advance(timedelta(hours=13))
    trial.drain()
    ticket = one(trial, Ticket)
    assert (ticket.community, ticket.building) == ("阳光花园", "3")
    for gone in ("501", "13812345678", "暖气不热"):
        assert gone not in stored(trial)
    assert count(trial, ContactHome) == 0


def test_who_comes_back_in_the_meantime_is_the_same_resident(trial: Trial, clock: VirtualClock) -> None:
    trial.standins.wechat.push_text(OPENID, REPORT)
    leave(trial)
    trial.standins.wechat.push_event(OPENID, "subscribe", EventKey="")
    assert one(trial, Contact).address == OPENID
    answer = trial.standins.wechat.push_text(OPENID, REPORT)
    assert one(trial, Ticket).number in (answer or "")
    close(trial)
    clock.advance(timedelta(hours=13))
    trial.drain()
    assert one(trial, Ticket).room == "501"


def test_news_of_an_open_case_reaches_who_left_by_sms(trial: Trial) -> None:
    trial.standins.wechat.push_text(OPENID, REPORT)
    trial.standins.wechat.push_text(OPENID, "13812345678")
    leave(trial)
    before = len(trial.standins.wechat.refusals)
    with trial.services.database.transaction() as session:
        ticket = session.scalars(select(Ticket)).one()
        tickets.move(trial.services.context(session), ticket, "accepted", tickets.Actor("staff"))
    trial.drain()
    assert len(trial.standins.heard("sms", "+8613812345678")) == 1
    assert len(trial.standins.wechat.refusals) == before


def test_an_openid_stands_in_no_column_in_the_clear(trial: Trial) -> None:
    trial.standins.wechat.push_event(OPENID, "subscribe", EventKey="")
    trial.standins.wechat.push_text(OPENID, "你好")
    with trial.services.database.engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            for row in connection.exec_driver_sql(f'SELECT * FROM "{table.name}"'):
                assert OPENID not in str(tuple(row)), table.name
