"""People for the tests of alerts and jobs: invented members whose phones are of a block that no person has."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import count

from sqlalchemy import select

from bot import clock, crypto
from bot.duty_models import Member, Shift
from bot.models import Building, Community, Team
from tests.bot.helpers import Core

_NUMBERS = count(1)
LONG = timedelta(days=1)


def member(core: Core, name: str, role: str = "worker", team: str | None = None) -> str:
    """Add a member; returns their phone."""
    number = next(_NUMBERS)
    phone = f"+86140{number:08d}"
    with core.services.database.transaction() as session:
        team_id = session.scalar(select(Team.id).where(Team.code == team)) if team else None
        session.add(
            Member(
                code=f"M{number}",
                name=name,
                role=role,
                team_id=team_id,
                phone=phone,
                phone_hash=crypto.blind_index("sms", phone),
            )
        )
    return phone


def on_duty(
    core: Core,
    name: str,
    team: str | None = None,
    line: int = 1,
    start: datetime | None = None,
    length: timedelta = LONG,
) -> None:
    """Put a member on duty, from now unless told otherwise."""
    with core.services.database.transaction() as session:
        found = session.scalars(select(Member).where(Member.name == name)).one()
        team_id = session.scalar(select(Team.id).where(Team.code == team)) if team else None
        begins = start or clock.now()
        session.add(Shift(member_id=found.id, team_id=team_id, starts_at=begins, ends_at=begins + length, line=line))


def responsible(
    core: Core, community: str, name: str, stand_in: str | None = None, building: str | None = None
) -> None:
    """Make a member responsible for an estate, or for one building of it."""
    with core.services.database.transaction() as session:
        ids = {one.name: one.id for one in session.scalars(select(Member))}
        place: Community | Building = session.scalars(select(Community).where(Community.name == community)).one()
        if building:
            place = session.scalars(
                select(Building).where(Building.community_id == place.id, Building.number == building)
            ).one()
        place.member_id, place.stand_in_id = ids[name], ids.get(stand_in or "")


def team_of(core: Core, number: str) -> str:
    """The code of a ticket's team."""
    with core.services.database.reading() as session:
        return session.scalars(select(Team.code).where(Team.id == core.ticket(number).team_id)).one()


def heard(core: Core, phone: str) -> list[str]:
    """The texts that a phone has received."""
    return [outgoing.text for outgoing in core.provider.sent if outgoing.to == phone]
