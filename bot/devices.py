"""The crew's phones: a one-time link makes a phone a member's own; its cookie logs it in until it is revoked."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from bot import crypto
from bot.crew_models import CrewForm, Device, Enrolment
from bot.duty_models import Member
from bot.upsert import insert_ignoring

LINK_LASTS = timedelta(minutes=15)
IDLE_LASTS = timedelta(days=90)  # a phone that nobody has used for so long is enrolled anew
NOTED_EVERY = timedelta(minutes=5)  # how fine `used_at` is; a write for every look would be waste
FORMS_KEPT = timedelta(days=60)  # far longer than any phone is without a network
_KINDS = (("iPhone", "苹果手机"), ("iPad", "苹果平板"), ("HarmonyOS", "鸿蒙手机"), ("Android", "安卓手机"))


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone that is logged in, and whose it is."""

    device_id: int
    member_id: int
    name: str
    team_id: int | None


def invite(session: Session, member: Member, staff_id: int, now: datetime) -> str:
    """A new link's code for a member; their earlier links that nobody has opened end with it."""
    unused = (Enrolment.member_id == member.id, Enrolment.used_at.is_(None))
    session.execute(delete(Enrolment).where(*unused).execution_options(synchronize_session=False))
    code = secrets.token_urlsafe(24)
    row = Enrolment(code_hash=_code_hash(code), member_id=member.id, created_at=now, created_by=staff_id)
    row.expires_at = now + LINK_LASTS
    session.add(row)
    return code


def invited(session: Session, code: str, now: datetime) -> Enrolment | None:
    """The enrolment that a code opens; None for one that is unknown, used or late, or whose member has left."""
    usable = (Enrolment.used_at.is_(None), Enrolment.expires_at > now, Member.active)
    query = select(Enrolment).join(Member, Member.id == Enrolment.member_id)
    return session.scalar(query.where(Enrolment.code_hash == _code_hash(code), *usable))


def enrol(session: Session, code: str, agent: str, now: datetime) -> str | None:
    """Make a phone a member's; returns the token for its cookie, or None where the code opens nothing (any more)."""
    row = invited(session, code, now)
    if row is None:
        return None
    # Of two taps at once one finds it unused; the other opens nothing.
    first = update(Enrolment).where(Enrolment.id == row.id, Enrolment.used_at.is_(None)).values(used_at=now)
    if session.scalar(first.returning(Enrolment.id).execution_options(synchronize_session=False)) is None:
        return None
    token = secrets.token_urlsafe(32)
    session.add(
        Device(
            token_hash=_token_hash(token),
            member_id=row.member_id,
            name=next((name for mark, name in _KINDS if mark in agent), "其他设备"),
            enrolled_at=now,
            enrolled_by=row.created_by,
            used_at=now,
        )
    )
    return token


def known(session: Session, token: str, now: datetime) -> Device | None:
    """The device of a cookie; None for one that was revoked, lay idle too long, or whose member has left."""
    usable = (Device.revoked_at.is_(None), Device.used_at > now - IDLE_LASTS, Member.active)
    query = select(Device).join(Member, Member.id == Device.member_id)
    return session.scalar(query.where(Device.token_hash == _token_hash(token), *usable))


def note_use(session: Session, device_id: int, now: datetime) -> None:
    """Note when a device was last used."""
    session.execute(update(Device).where(Device.id == device_id, Device.used_at < now).values(used_at=now))


def revoke(session: Session, device_id: int, staff_id: int | None, now: datetime) -> bool:
    """End a device's log-in at once; False where it had ended already. `staff_id` is None on the phone itself."""
    live = update(Device).where(Device.id == device_id, Device.revoked_at.is_(None))
    ended = live.values(revoked_at=now, revoked_by=staff_id).returning(Device.id)
    return session.scalar(ended.execution_options(synchronize_session=False)) is not None


def is_first(session: Session, device_id: int, key: str, now: datetime) -> bool:
    """Whether a device's form comes for the first time; it counts as done with the caller's transaction."""
    old = (CrewForm.device_id == device_id, CrewForm.at < now - FORMS_KEPT)
    session.execute(delete(CrewForm).where(*old).execution_options(synchronize_session=False))
    row = {"device_id": device_id, "key": key, "at": now}
    return insert_ignoring(session, CrewForm, [row], ["device_id", "key"]) == 1


def _code_hash(code: str) -> str:
    return crypto.blind_index("enrolment", code)


def _token_hash(token: str) -> str:
    return crypto.blind_index("device", token)
