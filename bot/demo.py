"""Demonstration data: invented residents, their reports in every state, and a log-in to look at them."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass, replace
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot import clock, crypto, gazetteer_import, outbox, schema, staff, tickets
from bot.duty_models import Member, Shift
from bot.models import Callback, Contact, Delivery, Message, Resident, Review, Staff, Task, Ticket
from bot.services import Services
from bot.settings import ROOT, Settings
from bot.texts import address_line
from bot.tickets import Actor, Context
from bot.upsert import insert_ignoring
from handlers.dialogue.types import Address, Case
from nlu.entities import extract

PLACES = ROOT / "data" / "demo" / "places"
ROSTER_DAYS = 8
STORIES = ROOT / "data" / "demo" / "stories.yml"
LOGIN_NAME = "演示"
COLLEAGUE = "演示同事"  # stands behind what "staff" did before the demonstration began; cannot log in
CHANNELS = {"wechat": "wechat", "sms": "twilio"}
MEANT = {"chase": "urge", "closed": "confirm_resolved", "reopened": "not_resolved", "cancelled": "cancel"}


def load_demo(services: Services, folder: Path = ROOT / "var") -> tuple[str, str]:
    """Load the demonstration once and return its log-in (name, password).

    The password is made once and kept in `folder`/demo-login.txt, readable by us only; a second call changes nothing
    and returns the same. Raises OSError where that file cannot be written.
    """
    password = _password(folder)
    schema.load_invented_places(services.database)
    with services.database.transaction() as session:
        _people(session)
        _login(session, password)
    with services.database.transaction() as session:
        if session.scalar(select(Message.id).where(Message.provider_id == "demo:1").limit(1)) is None:
            _Teller(services, session).tell_all()
    return LOGIN_NAME, password


def _people(session: Session) -> None:
    """The invented crews of data/demo/places, and a roster of the days to come: somebody is on duty whenever it is tried."""
    gazetteer_import.import_path(session, PLACES)
    today = clock.local_day(clock.now(), Settings().zone)
    on_duty = session.scalars(select(Member).where(Member.role == "duty").order_by(Member.code)).all()
    for day in range(ROSTER_DAYS):
        starts = datetime.combine(today + timedelta(days=day), time.min, Settings().zone)
        for line, member in enumerate(on_duty, 1):
            row = {"member_id": member.id, "starts_at": starts, "ends_at": starts + timedelta(days=1), "line": line}
            insert_ignoring(session, Shift, [row], ["member_id", "starts_at"])


def _password(folder: Path) -> str:
    path = folder / "demo-login.txt"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(f"{LOGIN_NAME}\n{secrets.token_urlsafe(9)}\n")
    return path.read_text(encoding="utf-8").splitlines()[1]


def _login(session: Session, password: str) -> None:
    account = session.scalar(select(Staff).where(Staff.name == LOGIN_NAME))
    if account is None:
        staff.add(session, LOGIN_NAME, password, "administrator")
    elif staff.verify(session, LOGIN_NAME, password) is None:
        staff.set_password(account, password)  # the file was lost, or this is another database's file
    if session.scalar(select(Staff.id).where(Staff.name == COLLEAGUE)) is None:
        staff.add(session, COLLEAGUE, secrets.token_urlsafe(24), "dispatcher").active = False


@dataclass
class _Teller:
    """Tells the stories into one session, each at its own time in the past."""

    services: Services
    session: Session
    told: int = 0  # messages so far; their provider ids are demo:1, demo:2, …
    people: int = 0

    def tell_all(self) -> None:
        """All stories, oldest first, so that their numbers rise with their age."""
        script = yaml.safe_load(STORIES.read_text(encoding="utf-8"))
        self.script, self.now = script, clock.now()
        self.context = replace(self.services.context(self.session), now=self.now)
        self.colleague = self.session.scalars(select(Staff.id).where(Staff.name == COLLEAGUE)).one()
        for story in sorted(script["stories"], key=lambda story: -float(story["ago"])):
            self._story(story)
        for review in script["reviews"]:
            self._review(review)

    def _story(self, story: dict[str, Any]) -> None:
        at = self.now - timedelta(hours=story["ago"])
        contact = self._contact(story["medium"], at, story.get("phone"))
        for place, (heard, answer) in enumerate(story.get("talk", ())):
            moment = at - timedelta(minutes=len(story["talk"]) - place)
            intent = story["intent"] if place == 0 else "provide_info"
            self._say(contact, self._hear(contact, heard, moment, intent), answer, moment)
        message = self._hear(contact, story["says"], at, story["intent"])
        context = replace(self.context, now=at)
        ticket = self._open(context, contact, story)
        message.ticket_id = ticket.id
        self._say(contact, message, self._words("opened_incomplete" if ticket.incomplete else "opened", ticket), at)
        self._owe(story, contact, ticket, message)
        if story.get("path"):
            tickets.dispatch(replace(context, now=at + timedelta(minutes=1)), ticket)
            self.session.execute(
                update(Task).where(Task.kind == "dispatch", Task.ref.startswith(f"{ticket.id}:")).values(done_at=at)
            )
        for step in story.get("path", ()):
            self._step(contact, ticket, at, step)
        self._settle_deliveries(contact, story.get("trouble"))

    def _open(self, context: Context, contact: Contact, story: dict[str, Any]) -> Ticket:
        community, building, unit, room = story["at"]
        case = Case(
            intent=story["intent"],
            also=tuple(story.get("also", ())),
            address=Address(None, community, building, unit, room),
            phone=story.get("phone"),
            temperature=story.get("temperature"),
            duration=story.get("duration"),
            scope=story.get("scope"),
            severity=story.get("severity"),
            need="yes" if story.get("need") else None,
            danger=story.get("danger"),
        )
        phone = contact.address if contact.medium == "sms" else None
        incomplete = bool(story.get("incomplete"))
        return tickets.open_ticket(context, contact, case, incomplete=incomplete, phone=phone).ticket

    def _step(self, contact: Contact, ticket: Ticket, opened: datetime, step: list[Any]) -> None:
        """One step of a path: a move, a chase or a note."""
        to, hours, note, who = [*step, None, None][:4]
        at = opened + timedelta(hours=hours)
        context = replace(self.context, now=at)
        actor = {"resident": Actor("resident", contact.id), "system": tickets.SYSTEM}.get(
            who, Actor("staff", staff_id=self.colleague)
        )
        if who == "resident":
            heard = self._hear(contact, note, at, MEANT[to])
            heard.ticket_id = ticket.id
            self._say(contact, heard, self._words(to, ticket), at)
        if to == "chase":
            tickets.chase(context, ticket, actor)
            return
        resolution = {"resident": "confirmed", "system": "unconfirmed"}.get(who, "unconfirmed")
        closing = {"closed": resolution, "cancelled": "withdrawn"}.get(to)
        tickets.move(context, ticket, to, actor, note=note, resolution=closing)
        self.session.flush()

    def _review(self, row: dict[str, Any]) -> None:
        at = self.now - timedelta(hours=row["ago"])
        contact = self._contact(row["medium"], at, row.get("phone"))
        ranking = [[row["guess"], row["confidence"]], *row["others"]]
        message = self._hear(contact, row["text"], at, row["guess"], ranking)
        self._say(contact, message, row["answer"], at)
        verdict = row.get("verdict")
        self.session.add(
            Review(
                message_id=message.id,
                reason=row["reason"],
                guess=row["guess"],
                confidence=row["confidence"],
                created_at=at,
                verdict=verdict,
                verdict_also=[] if verdict else None,
                decided_at=at + timedelta(hours=1) if verdict else None,
                decided_by=self.colleague if verdict else None,
            )
        )
        self._owe(row, contact, None, message)
        self._settle_deliveries(contact, None)

    def _contact(self, medium: str, at: datetime, phone: str | None) -> Contact:
        self.people += 1
        address = f"demo-openid-{self.people:03d}" if medium == "wechat" else f"+86140{100_000 + self.people:08d}"
        known = phone if medium == "wechat" else address
        resident = Resident(
            phone=known, phone_hash=crypto.blind_index("phone", known) if known else None, created_at=at
        )
        self.session.add(resident)
        self.session.flush()
        contact = Contact(
            resident_id=resident.id,
            medium=medium,
            channel=CHANNELS[medium],
            address=address,
            address_hash=crypto.blind_index(medium, address),
            created_at=at,
            last_inbound_at=at,
        )
        self.session.add(contact)
        self.session.flush()
        return contact

    def _hear(
        self, contact: Contact, text: str, at: datetime, intent: str, ranking: list[list[Any]] | None = None
    ) -> Message:
        """A message as if it had come in and been handled at `at`."""
        self.told += 1
        ranking = ranking or [[intent, 0.94]]
        entities = extract(text, self.services.gazetteer.current())
        found = [{"entity": entity.entity, "value": entity.value, "text": entity.text} for entity in entities]
        message = Message(
            contact_id=contact.id,
            channel=contact.channel,
            provider_id=f"demo:{self.told}",
            kind="text",
            text=text,
            received_at=at,
            sent_at=at,
            handled_at=at,
            intent=intent,
            confidence=ranking[0][1],
            model="demo",
            understanding=json.dumps({"ranking": ranking, "entities": found}, ensure_ascii=False),
        )
        self.session.add(message)
        self.session.flush()
        contact.last_inbound_at = max(contact.last_inbound_at or at, at)
        return message

    def _say(self, contact: Contact, message: Message, text: str, at: datetime) -> None:
        moment = at + timedelta(seconds=1)
        outbox.queue(
            self.session,
            contact,
            text,
            occasion=f"message:{message.id}",
            kind="reply",
            now=moment,
            message_id=message.id,
        )

    def _words(self, key: str, ticket: Ticket) -> str:
        wording: str = self.script.get(key) or self.script["answers"][key]
        return wording.format(
            address=address_line(ticket.community, ticket.building, ticket.unit, ticket.room),
            problem=self.context.book.intent_name(ticket.intent),
            number=ticket.number,
            team=ticket.team.name if ticket.team else "维修人员",
        )

    def _owe(self, row: dict[str, Any], contact: Contact, ticket: Ticket | None, message: Message) -> None:
        if "call" not in row:
            return
        reason, minutes = row["call"]
        self.session.add(
            Callback(
                contact_id=contact.id,
                ticket_id=ticket.id if ticket else None,
                message_id=message.id,
                reason=reason,
                created_at=message.received_at,
                due_at=self.now + timedelta(minutes=minutes),
            )
        )

    def _settle_deliveries(self, contact: Contact, trouble: list[str] | None) -> None:
        """Nothing of the past is sent now: replies rode in the response, notices went out, but for the troubled one."""
        rows = self.session.scalars(
            select(Delivery).where(Delivery.contact_id == contact.id).order_by(Delivery.id)
        ).all()
        for delivery in rows:
            at = delivery.created_at + timedelta(seconds=1)
            arrived = contact.medium == "sms"
            delivery.state, delivery.attempts = ("delivered" if arrived else "sent"), 1
            delivery.via = contact.channel if delivery.kind == "notice" else "passive"
            delivery.sent_at, delivery.done_at = at, at if arrived else None
        if trouble:
            last = rows[-1]
            last.state, last.error = trouble
            last.sent_at = None
            last.done_at = self.now if last.state != "held" else None
