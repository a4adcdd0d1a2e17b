"""`heatline bench week`: a cold week of invented homes through the real path, on virtual time, with too few crews.

Residents write signed webhooks; crews take what stands first in the desk's list of their team; people make the calls that
are owed, as many as they can. At the end bot/bench/week_check.py reads the database and every phone.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bot import clock, crypto, households, tickets
from bot.bench import week_check, week_people
from bot.bench.week_people import Home
from bot.desk import search
from bot.duty_models import Member
from bot.models import Callback, Team, Ticket
from bot.nlu_server import running_nlu
from bot.replay import Replayer, Speaker, replayer
from bot.settings import Settings
from nlu.interpreter import Interpreter

START = datetime(2026, 11, 22, 16, 0, tzinfo=UTC)  # Monday 0:00 in China
TICK = timedelta(minutes=5)  # as often the worker looks where nothing happens
AFTER = 2.5  # days that the week is followed, so that silence closes what was repaired
VISITS = 15  # of one crew on one day
AGAIN = 1.15  # visits to a home: some repairs do not help
DAY_SHIFT, NIGHT_SHIFT, CALL_SHIFT = (8, 20), (20, 8), (7, 23)
STAFF = tickets.Actor("staff")
_MAX_ANSWERS = 6
Step = Callable[[], object]


@dataclass
class Week:
    """The simulation: what happens when, in order."""

    player: Replayer
    homes: list[Home]
    rng: random.Random
    teams: list[int]
    until: datetime
    queue: list[tuple[datetime, int, Step]] = field(default_factory=list)
    busy: set[int] = field(default_factory=set)  # tickets that a crew has in hand
    pressed: dict[int, int] = field(default_factory=dict)  # by place in `homes`
    _serial: itertools.count[int] = field(default_factory=itertools.count)

    def at(self, moment: datetime, step: Step) -> None:
        """Have something happen at a moment."""
        heapq.heappush(self.queue, (moment, next(self._serial), step))

    def after(self, hours: float, step: Step) -> None:
        """Have something happen in so many hours."""
        self.at(clock.now() + timedelta(hours=hours), step)

    def run(self, progress: Callable[[int], object]) -> None:
        """Play everything; `progress` is told of each virtual hour."""
        hour = clock.now()
        while clock.now() < self.until:
            next_tick = self._next_look()
            while self.queue and self.queue[0][0] <= next_tick:
                moment, _, step = heapq.heappop(self.queue)
                self._pass_to(moment)
                step()
            self._pass_to(next_tick)
            if clock.now() - hour >= timedelta(hours=1):
                hour += timedelta(hours=1)
                progress(1)

    def _pass_to(self, moment: datetime) -> None:
        if moment > clock.now():
            self.player.wait(moment - clock.now())

    # --- residents

    def begin(self) -> None:
        """Put down when everybody first writes, and when crews and callers come to work."""
        for place, home in enumerate(self.homes):
            self.at(START + home.at, lambda place=place: self._reports(place))  # type: ignore[misc]
        for team, shift in self._crews():
            self.at(START, lambda team=team, shift=shift: self._crew(team, shift))  # type: ignore[misc]
        for _ in range(2 + len(self.homes) // 300):
            self.at(START, self._caller)

    def _say(self, home: Home, speaker: Speaker, text: str) -> None:
        """Say something, and answer what is asked."""
        for _ in range(_MAX_ANSWERS):
            heard = self.player.say(speaker, text)
            answer = week_people.answer_to(home, heard[-1] if heard else "")
            if answer is None or answer == text:
                return
            text = answer
            self.player.wait(timedelta(seconds=self.rng.randrange(15, 90)))

    def _reports(self, place: int) -> None:
        home = self.homes[place]
        self._say(home, home.speaker, home.report)
        hours, habits = home.patience.total_seconds() / 3600, home.habits
        if "chases" in habits:
            self.after(hours, lambda: self._presses(place))
        if "asks" in habits:
            self.after(hours / 2, lambda: self._asks(place, self.rng.choice(week_people.ASKS)))
        if "refund" in habits:
            self.after(hours * 0.8, lambda: self._asks(place, self.rng.choice(week_people.REFUND)))
        for role in sorted(habits & {"second", "stranger", "landlord"}):
            self.after(self.rng.uniform(0.5, 10), lambda role=role: self._other(place, role))  # type: ignore[misc]

    def _presses(self, place: int) -> None:
        home, times = self.homes[place], self.pressed.get(place, 0)
        if times < len(week_people.CHASES) and self._is_cold(home):
            self.pressed[place] = times + 1
            self._say(home, home.speaker, week_people.CHASES[times])
            self.after(home.patience.total_seconds() / 3600, lambda: self._presses(place))

    def _asks(self, place: int, text: str) -> None:
        self._say(self.homes[place], self.homes[place].speaker, text)

    def _other(self, place: int, role: str) -> None:
        home = self.homes[place]
        speaker = week_people.other(home, role, place)
        said = (
            [f"{home.line}暖气不热"]
            if role != "stranger"
            else [f"{home.line}修好没有", f"{home.line}暖气不热", "修得怎么样了"]
        )
        if role == "landlord":
            said += ["核实", f"{home.account} {home.phone[-4:]}", "修得怎么样了"]
        for text in said:
            self._say(home, speaker, text)
            self.player.wait(timedelta(minutes=2))

    def _is_cold(self, home: Home) -> bool:
        row = self._ticket(home)
        return row is not None and row.status not in ("done", "confirming", "closed", "cancelled", "merged")

    def _ticket(self, home: Home) -> Ticket | None:
        """The newest ticket of a home."""
        a = home.address
        query = select(Ticket).where(Ticket.community == a.community, Ticket.building == a.building)
        with self.player.services.database.reading() as session:
            rows = session.scalars(query.order_by(Ticket.id.desc())).all()
            session.expunge_all()
            return next((row for row in rows if (row.unit, row.room) == (a.unit, a.room)), None)

    def _answers(self, home: Home, number: str, helped: bool) -> None:
        row = self._ticket(home)
        if row is None or row.number != number or row.status != "done":
            return
        self._say(home, home.speaker, self.rng.choice(("1", "好了，热了")) if helped else "没好，还是凉的")
        if helped and self.rng.random() < 0.5:
            self._say(home, home.speaker, self.rng.choice(("5", "4", "谢谢")))

    # --- crews

    def _crews(self) -> list[tuple[int, tuple[int, int]]]:
        """So many crews that each team needs all of the week for what is reported on its first days."""
        visits = len(self.homes) / len(self.teams) * AGAIN
        days = (self.until - START) / timedelta(days=1) - AFTER
        count = max(1, round(visits / (VISITS * (days + 0.5))))
        nights = count // 5
        shifts = [DAY_SHIFT] * (count - nights) + [NIGHT_SHIFT] * nights
        return [(team, shift) for team in self.teams for shift in shifts]

    def _off(self, shift: tuple[int, int]) -> timedelta | None:
        """How long until a shift begins; None during it."""
        local = clock.now().astimezone(self.player.services.settings.zone)
        begins, ends = shift
        on = begins <= local.hour < ends if begins < ends else local.hour >= begins or local.hour < ends
        if on:
            return None
        start = local.replace(hour=begins, minute=0, second=0)
        return (start if start > local else start + timedelta(days=1)) - local

    def _crew(self, team: int, shift: tuple[int, int]) -> None:
        """Take what stands first in the desk's list, drive there, work, say so; then the next."""
        if (off := self._off(shift)) is not None:
            self.at(clock.now() + off, lambda: self._crew(team, shift))
            return
        number = self._take(team)
        if number is None:
            self.at(self._next_look(), lambda: self._crew(team, shift))
            return
        self.after(0.25, lambda: self._move(number, "go"))
        hours = 0.25 + min(2.0, self.rng.lognormvariate(-0.7, 0.4))
        self.after(hours, lambda: self._finishes(team, shift, number))

    def _take(self, team: int) -> str | None:
        """Accept the first ticket that waits for this team, as its page of the desk lists them."""
        services = self.player.services
        today = search.local_today(clock.now(), services.settings.zone)
        filters = search.Filters(group="waiting", team=str(team))
        with services.database.transaction() as session:
            found = search.find(session, filters, [Ticket.team_id == team], services.gazetteer.current(), today, 1)
            first = next((ticket for ticket in found.tickets if ticket.id not in self.busy), None)
            if first is None:
                return None
            self.busy.add(first.id)
            row = session.scalars(select(Ticket).where(Ticket.id == first.id).with_for_update()).one()
            tickets.move(services.context(session), row, "accepted", STAFF)
            return str(row.number)

    def _move(self, number: str, step: str, note: str | None = None) -> Ticket | None:
        """One step at the desk; None where the ticket has moved on."""
        services = self.player.services
        with services.database.transaction() as session:
            row = session.scalars(select(Ticket).where(Ticket.number == number).with_for_update()).one()
            try:
                tickets.move(services.context(session), row, step, STAFF, note=note)
            except tickets.MoveRefused:
                return None
            session.flush()
            session.refresh(row)
            session.expunge(row)
            return row

    def _finishes(self, team: int, shift: tuple[int, int], number: str) -> None:
        self.at(clock.now(), lambda: self._crew(team, shift))
        if self.rng.random() < 0.04 and self._move(number, "wait_parts", week_check.note(number, "等阀门")) is not None:
            self.after(6, lambda: self._repairs(number))
            return
        self._repairs(number)

    def _repairs(self, number: str) -> None:
        row = self._move(number, "finish", week_check.note(number, "换了阀门"))
        if row is None:
            return
        self.busy.discard(row.id)
        home = next((h for h in self.homes if (h.address.community, h.line) == (row.community, _line(row))), None)
        if home is not None and "silent" not in home.habits:
            helped = self.rng.random() < 0.88
            self.after(self.rng.uniform(0.3, 6), lambda: self._answers(home, number, helped))

    # --- people who call

    def _caller(self) -> None:
        """Make the call that was promised for the earliest moment; each takes some minutes."""
        if (off := self._off(CALL_SHIFT)) is not None:
            self.at(clock.now() + off, self._caller)
            return
        services = self.player.services
        with services.database.transaction() as session:
            owed = select(Callback).where(Callback.done_at.is_(None)).order_by(Callback.due_at, Callback.id)
            call = session.scalar(owed.limit(1))
            if call is not None:
                call.done_at, call.note = clock.now(), "已通话"
                ticket = session.get(Ticket, call.ticket_id) if call.ticket_id else None
                if ticket is not None:
                    tickets.add_note(services.context(session), ticket, "回电：已通话", STAFF, "called")
        if call is None:
            self.at(self._next_look(), self._caller)
        else:
            self.after(0.12, self._caller)

    def _next_look(self) -> datetime:
        """When somebody who has nothing to do looks again: all at the same moment, which is the worker's too."""
        return START + ((clock.now() - START) // TICK + 1) * TICK


def _line(row: Ticket) -> str:
    unit = f"{row.unit}单元" if row.unit else ""
    return f"{row.community}{row.building}号楼{unit}{row.room}"


def run(
    settings: Settings,
    *,
    homes: int,
    days: int,
    seed: int,
    database_url: str | None = None,
    labelled: bool = False,
    progress: Callable[[int], object] = lambda hours: None,
) -> week_check.Result:
    """Play a week. `labelled`: sentences are understood as they are labelled instead of by the live model."""
    if labelled:
        with replayer(settings, database_url) as player:
            return _play(player, week_people.Labelled(), homes, days, seed, progress)
    with running_nlu(settings) as ready, replayer(ready, database_url) as player:
        return _play(player, week_people.Remembering(player.services.interpreter), homes, days, seed, progress)


def hours_of(days: int) -> int:
    """Virtual hours that a run of so many days takes."""
    return int((days + AFTER) * 24)


def _play(
    player: Replayer, interpreter: Interpreter, count: int, days: int, seed: int, progress: Callable[[int], object]
) -> week_check.Result:
    rng = random.Random(seed)
    player.begin()
    player.start_at(START)
    player.services.interpreter = interpreter
    made = week_people.homes(player.services.gazetteer.current(), count, days, rng)
    with player.services.database.transaction() as session:
        entries = [households.Entry(home.account, home.address, home.phone) for home in made]
        households.load(session, entries)
        teams = _staff(session, made)
    week = Week(player, made, rng, teams, START + timedelta(days=days + AFTER))
    week.begin()
    week.run(progress)
    return week_check.check(player, made)


def _staff(session: Session, made: list[Home]) -> list[int]:
    """The teams whose homes these are, each with a member on the books, and one supervisor for all."""
    from bot.gazetteer import route

    places = {(home.address.community, home.address.building) for home in made}
    found = (route(session, community, building) for community, building in sorted(places, key=str))
    teams = sorted({place.team_id for place in found if place is not None and place.team_id is not None})
    session.execute(update(Member).values(active=False))
    for number, team in enumerate([None, *session.scalars(select(Team).where(Team.id.in_(teams)))]):
        phone = f"+86141{number:08d}"
        session.add(
            Member(
                code=f"W{number}",
                name=f"值班{number}" if team else "主管",
                role="duty" if team else "supervisor",
                team_id=team.id if team else None,
                phone=phone,
                phone_hash=crypto.blind_index("sms", phone),
            )
        )
    return teams
