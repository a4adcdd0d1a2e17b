"""Who is called for a place at a moment, in order: the responsible worker or who stands in, who is on duty, the supervisors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot.duty_models import Member, Shift
from bot.models import Building, Community

RESPONSIBLE, STAND_IN, DUTY, SUPERVISOR = "责任人", "替班", "值班", "主管"


@dataclass(frozen=True, slots=True)
class Where:
    """The place that somebody is called for, as far as it is known."""

    team_id: int | None = None
    community: str | None = None
    building: str | None = None


@dataclass(frozen=True, slots=True)
class Called:
    """A member and why it is they who are called."""

    member: Member
    why: str


def for_job(session: Session, where: Where, at: datetime) -> list[Called]:
    """Whom to ask to take an ordinary job, in order; supervisors last.

    The area's responsible worker where they are on duty, else their stand-in, then whoever is on duty for the team,
    then for the whole network. Where no roster says who works now, the responsible worker is taken to.
    """
    shifts = _on_duty(session, where.team_id, at)
    on_duty = {shift.member_id for shift in shifts}
    own = list(_responsible(session, where))
    keeps_roster = any(shift.team_id is not None for shift in shifts)
    present = [called for called in own if called.member.id in on_duty or not keeps_roster]
    return _once([*present, *(Called(shift.member, DUTY) for shift in shifts), *_supervisors(session, where.team_id)])


def for_alert(session: Session, where: Where, at: datetime) -> list[Called]:
    """Whom to alert of a danger, in order: who is on duty, for the team first, then the area's own, then supervisors."""
    duty = [Called(shift.member, DUTY) for shift in _on_duty(session, where.team_id, at)]
    return _once([*duty, *_responsible(session, where), *_supervisors(session, where.team_id)])


def _on_duty(session: Session, team_id: int | None, at: datetime) -> Sequence[Shift]:
    """The shifts that cover a moment, the team's before the network's, each by line."""
    query = (
        select(Shift)
        .join(Member, Member.id == Shift.member_id)
        .where(Shift.starts_at <= at, Shift.ends_at > at, Member.active)
        .where(Shift.team_id.is_(None) | (Shift.team_id == (team_id or 0)))
        .order_by(Shift.team_id.is_(None), Shift.line, Shift.id)
    )
    return session.scalars(query).all()


def _responsible(session: Session, where: Where) -> Iterator[Called]:
    """The building's own worker and stand-in where it has them, else the estate's."""
    if not where.community:
        return
    estate = session.scalar(select(Community).where(Community.name == where.community))
    if estate is None:
        return
    building = None
    if where.building:
        number = where.building.upper()
        building = session.scalar(select(Building).where(Building.community_id == estate.id, Building.number == number))
    for column, why in (("member_id", RESPONSIBLE), ("stand_in_id", STAND_IN)):
        member_id = getattr(building, column, None) or getattr(estate, column)
        member = session.get(Member, member_id) if member_id else None
        if member is not None and member.active:
            yield Called(member, why)


def _supervisors(session: Session, team_id: int | None) -> list[Called]:
    """The team's own supervisors first, then those of the whole network."""
    query = (
        select(Member)
        .where(Member.role == "supervisor", Member.active)
        .where(Member.team_id.is_(None) | (Member.team_id == (team_id or 0)))
        .order_by(Member.team_id.is_(None), Member.id)
    )
    return [Called(member, SUPERVISOR) for member in session.scalars(query)]


def _once(called: Iterable[Called]) -> list[Called]:
    """Everybody at their first place."""
    first: dict[int, Called] = {}
    for one in called:
        first.setdefault(one.member.id, one)
    return list(first.values())
