"""One scenario on its way: residents through their webhooks, staff through the desk's forms, time by a virtual clock.

The files of tests/scenarios/ are written for people; what each key means stands in tests/scenarios/README.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import delete, select

from bot import clock, gazetteer_import, households, staff, standing
from bot.channels.phone import normalise
from bot.clock_models import Clock
from bot.demo import PLACES
from bot.duty_models import Member, Shift
from bot.gazetteer import GazetteerSource
from bot.models import Callback, Contact, Rule, Team, Ticket, Update
from bot.replay import Dialogue, Replayer, Speaker
from bot.rules import RuleSource
from handlers.dialogue.types import Address
from nlu.interpreter import NluUnavailable
from nlu.places import Gazetteer
from nlu.types import Understanding
from tests.desk.conftest import PASSWORD, Desk

_SPANS = {"m": "minutes", "h": "hours", "d": "days"}
_CLERK = "调度"
_OFTEN, _SELDOM = timedelta(minutes=1), timedelta(hours=2)  # how often the workers look while time passes
# What could be read as a promise of money: a number with a unit of money or a share of a fee.
_AMOUNT = re.compile(r"[\d一二三四五六七八九十百千半]+(?:\.\d+)?\s*(?:元|块|毛|折|成|%|％|倍)|全额|一半|全退|百分之")
_MOBILE = re.compile(r"(?<!\d)1[3-9]\d{9}(?!\d)")


class Down:
    """Nobody understands anything."""

    def understand(self, text: str, gazetteer: Gazetteer | None = None) -> Understanding:
        """See Interpreter."""
        raise NluUnavailable("told to be down")

    def model(self) -> str:
        """See Interpreter."""
        raise NluUnavailable("told to be down")


class Play:
    """One scenario: who speaks by what, and what everybody has heard so far."""

    def __init__(self, told: dict[str, Any], player: Replayer) -> None:
        self.told, self.player = told, player
        self.dialogue = Dialogue(told["name"], told["channel"], [])
        for name, who in told.get("speakers", {}).items():
            self.dialogue.speakers[name] = Speaker(normalise(who["phone"]), who["medium"])
        self.heard: dict[str, list[str]] = {}
        self.said: dict[str, str] = {}

    # --- steps

    def step(self, step: dict[str, Any]) -> None:
        """Do one step, and check what is expected of it."""
        heard = self._do(step)
        self._check(step, step, heard)
        for name, expected in step.get("told", {}).items():
            fresh = self.listen(name)
            self._check(step, expected, fresh)
            assert not (expected.get("silent") and fresh.strip()), f"{name} heard {fresh!r} after {step}"
        self._look(step)

    def listen(self, name: str) -> str:
        """What somebody has received since they were last asked."""
        fresh = self.player.later(self.dialogue, {"from": name})
        self.heard.setdefault(name, []).extend(fresh)
        return "\n".join(fresh)

    def _do(self, step: dict[str, Any]) -> str:
        name = step.get("from", "")
        if "say" in step:
            return self._say(name, step["say"])
        if "code_from" in step:
            code = re.search(r"\d{6}", "\n".join(self.heard[step["code_from"]]))
            assert code is not None, "no code has come"
            return self._say(name, code[0])
        if "crew_knows" in step:
            self._know(step["crew_knows"])
        elif "wait" in step:
            count, unit = re.fullmatch(r"(\d+)([mhd])", step["wait"]).groups()  # type: ignore[union-attr]
            self._pass(clock.now() + timedelta(**{_SPANS[unit]: int(count)}))
        elif "until" in step:
            zone = self.player.services.settings.zone
            self._pass(datetime.fromisoformat(step["until"]).replace(tzinfo=zone))
        elif set(step) - {"look", "told"}:
            self._at_desk(step)
            self.player.wait(timedelta(minutes=1))
        return ""

    def _say(self, name: str, words: str) -> str:
        self.listen(name)  # what came before is no answer to this
        self.said[name] = self.said.get(name, "") + words
        heard = self.player.turn(self.dialogue, {"from": name, "say": words})
        self.heard.setdefault(name, []).extend(heard)
        return "\n".join(heard)

    def _pass(self, moment: datetime) -> None:
        """Let time pass as it does, with workers that look now and then."""
        assert moment > clock.now(), f"{moment} has been"
        pace = min(max((moment - clock.now()) / 24, _OFTEN), _SELDOM)
        while (left := moment - clock.now()) > timedelta(0):
            self.player.wait(min(left, pace))

    def _know(self, name: str) -> None:
        """The crew's button at the desk."""
        speaker = self.dialogue.speakers[name]
        with self.player.services.database.transaction() as session:
            contact = next(c for c in session.scalars(select(Contact)) if c.address == speaker.address)
            home_id = standing.home_of(session, session.scalars(select(Ticket)).one())
            assert home_id is not None
            standing.prove(session, contact.id, home_id, "crew", self.player.services.context(session).now)

    # --- what staff do, each as the form of a page

    def _at_desk(self, step: dict[str, Any]) -> None:
        with desk(self.player) as page:
            if "called" in step:
                self._call(page, step)
                return
            number = self._number(step.get("ticket", 1))
            address = f"/desk/tickets/{number}"
            action, fields = self._form(step)
            answer = page.send(address, f"{address}/{action}", **fields)
            assert answer.status_code == step.get("refused", 200), (step, answer.text)

    def _form(self, step: dict[str, Any]) -> tuple[str, dict[str, str]]:
        """The form of the ticket's page that a step sends, and what is filled in."""
        if "staff" in step:
            return "move", {"to": step["staff"], "note": step.get("note", "")}
        if "team" in step:
            return "team", {"team": str(self._team(step["team"]))}
        if "merge_into" in step:
            return "merge", {"into": self._number(step["merge_into"])}
        if "split" in step:
            return "split", {"intent": step["split"]}
        if "retype" in step:
            return "retype", {"intent": step["retype"]}
        if "remark" in step:
            return "note", {"remark": step["remark"]}
        return "reading", {"value": str(step["measured"]), "where": step.get("where", "主卧")}

    def _call(self, page: Desk, step: dict[str, Any]) -> None:
        with self.player.services.database.reading() as session:
            owed = select(Callback.id).where(Callback.reason == step["called"], Callback.done_at.is_(None))
            call = session.scalars(owed).one()
        answer = page.send("/desk/callbacks", f"/desk/callbacks/{call}", note=step["note"])
        assert "已记下这次回电" in answer.text, answer.text

    def _number(self, nth: int) -> str:
        with self.player.services.database.reading() as session:
            return session.scalars(select(Ticket.number).order_by(Ticket.id)).all()[nth - 1]

    def _team(self, name: str) -> int:
        with self.player.services.database.reading() as session:
            return session.scalars(select(Team.id).where(Team.name == name)).one()

    # --- what is expected

    @staticmethod
    def _check(step: dict[str, Any], expected: dict[str, Any], heard: str) -> None:
        found = [words in heard for words in expected.get("hears", [])]
        assert any(found) if expected.get("any") else all(found), f"after {step}: {heard!r}"
        assert not [words for words in expected.get("never", []) if words in heard], f"after {step}: {heard!r}"

    def _look(self, step: dict[str, Any]) -> None:
        """What staff then see: the ticket's history, when its clocks are due, who is owed a call."""
        seen = step.get("look", {})
        with self.player.services.database.reading() as session:
            tickets = session.scalars(select(Ticket).order_by(Ticket.id)).all()
            if "tickets" in seen:
                assert len(tickets) == seen["tickets"], step
            if "owed" in seen:
                owed = session.scalars(select(Callback.reason).where(Callback.done_at.is_(None))).all()
                assert sorted(owed) == sorted(seen["owed"]), (step, owed)
            if not {"history", "never_in_history", "status", "team", "due", "chases"} & set(seen):
                return
            ticket = tickets[seen.get("ticket", 1) - 1]
            lines = session.scalars(select(Update).where(Update.ticket_id == ticket.id).order_by(Update.id))
            history = "\n".join(line.note or "" for line in lines)
            assert all(words in history for words in seen.get("history", [])), (step, history)
            assert not any(words in history for words in seen.get("never_in_history", [])), (step, history)
            assert ticket.status == seen.get("status", ticket.status), (step, ticket.status)
            assert ticket.chases == seen.get("chases", ticket.chases), (step, ticket.chases)
            assert "team" not in seen or (ticket.team is not None and ticket.team.name == seen["team"]), step
            running = select(Clock).where(Clock.ticket_id == ticket.id, Clock.stopped_at.is_(None))
            due = {row.kind: self._local(row.due_at) for row in session.scalars(running)}
            assert {kind: due.get(kind, "stopped") for kind in seen.get("due", {})} == seen.get("due", {}), (step, due)

    def _local(self, at: datetime | None) -> str:
        return "rests" if at is None else f"{at.astimezone(self.player.services.settings.zone):%Y-%m-%d %H:%M}"

    def check_manners(self) -> None:
        """What holds for every resident of every scenario: no echo, no promise of money, no stranger's number."""
        with self.player.services.database.reading() as session:
            members = {member.phone for member in session.scalars(select(Member))}
        residents = {name: who for name, who in self.dialogue.speakers.items() if who.address not in members}
        for name in residents:
            self.listen(name)
            texts = self.heard.get(name, [])
            assert not [text for text, following in pairwise(texts) if text == following], f"{name} hears it twice"
            for text in texts:
                fault = bad_manners(text, self.said.get(name, ""), self.told.get("quotes", ()))
                assert fault is None, f"{name} is told {fault}: {text!r}"


def bad_manners(text: str, said: str = "", quotes: Iterable[str] = ()) -> str | None:
    """What no resident may be told: an amount, a number that they have not given themselves, a hole; None for a good text.

    `said` is all that they have said; `quotes` are published prices.
    """
    plain = text
    for quoted in quotes:
        plain = plain.replace(quoted, "")
    if _AMOUNT.search(plain):
        return "an amount"
    if any(phone not in said for phone in _MOBILE.findall(text)):
        return "somebody's number"
    return "a hole" if re.search(r"[{}]|None", text) else None


# --- the stage


def furnish(player: Replayer) -> None:
    """The invented companies, crews and supervisors of the demonstration, and a dispatcher's account."""
    with player.services.database.transaction() as session:
        gazetteer_import.import_path(session, PLACES)
        staff.add(session, _CLERK, PASSWORD, "dispatcher")


@contextmanager
def desk(player: Replayer) -> Iterator[Desk]:
    """A browser that has just logged in."""
    with player.app.test_client() as client:
        page = Desk(client, player.services)
        page.log_in(_CLERK)
        yield page


def set_up(told: dict[str, Any], player: Replayer) -> None:
    """Everything that a scenario says of the world it begins in."""
    player.begin()
    services = player.services
    if "at" in told:
        player.start_at(datetime.fromisoformat(told["at"]).replace(tzinfo=services.settings.zone))
    with services.database.transaction() as session:
        session.execute(delete(Shift))
        session.execute(delete(Rule).where(~Rule.shipped))
        for line, name in enumerate(told.get("duty", []), 1):
            member = session.scalars(select(Member).where(Member.name == name)).one()
            ends = clock.now() + timedelta(days=30)
            session.add(Shift(member_id=member.id, starts_at=clock.now(), ends_at=ends, line=line))
        for name, change in told.get("rules", {}).items():
            session.add(_amended(session.scalars(select(Rule).where(Rule.name == name)).one(), change))
        households.load(session, [_entry(row) for row in told.get("books", [])])
    # Both are read anew at most every few seconds of real time.
    given = services.settings
    services.rules = RuleSource(services.database, given.shown_hotline, given.zone, given.company)
    services.gazetteer = GazetteerSource(services.database)


def _amended(shipped: Rule, change: dict[str, Any]) -> Rule:
    """An administrator's version of a rule."""
    body = _merged(shipped.body, change)
    return Rule(
        name=shipped.name,
        digest="",
        body=body,
        valid_from=shipped.valid_from,
        created_at=clock.now(),
        shipped=False,
    )


def _merged(body: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    both = {key: _merged(body[key], value) for key, value in change.items() if isinstance(body.get(key), dict)}
    return {**body, **change, **both}


def _entry(row: dict[str, Any]) -> households.Entry:
    home = Address(None, row["community"], row["building"], row["unit"], row["room"], known=True)
    return households.Entry(row["account_no"], home, normalise(row["phone"]))


@contextmanager
def understanding(player: Replayer, how: str | None) -> Iterator[None]:
    """The service with its own understanding, or with none."""
    before = player.services.interpreter
    if how == "down":
        player.services.interpreter = Down()
    try:
        yield
    finally:
        player.services.interpreter = before
