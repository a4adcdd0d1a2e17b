"""Staff accounts: who may log in at the desk, and what each role may do there."""

from __future__ import annotations

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import clock
from bot.models import ROLES, Staff, Team
from bot.upsert import insert_ignoring

MIN_PASSWORD = 10  # characters
MIN_DISTINCT = 5  # different characters in a password

SEE, WORK, REVIEW, CALL, DELIVER, HEALTH = "see", "work", "review", "call", "deliver", "health"
LEARN = "learn"  # train models and put them live
ERASE = "erase"  # delete a resident's data, as they have asked
AUDIT = "audit"  # who saw and changed what
PEOPLE = "people"  # members, rosters, and what other companies are reached by
ENROL = "enrol"  # make a phone a member's own, and revoke it

# The one table of who may do what. A crew sees and works the tickets of its own team only (`sees_all`).
PERMISSIONS: dict[str, frozenset[str]] = {
    "reviewer": frozenset({REVIEW}),
    "agent": frozenset({SEE, WORK, REVIEW, CALL, DELIVER}),
    "dispatcher": frozenset({SEE, WORK, CALL, DELIVER, HEALTH, ENROL}),
    "crew": frozenset({SEE, WORK}),
    "supervisor": frozenset({SEE, WORK, REVIEW, CALL, DELIVER, HEALTH, LEARN, PEOPLE, AUDIT, ERASE, ENROL}),
    "administrator": frozenset({SEE, WORK, REVIEW, CALL, DELIVER, HEALTH, LEARN, PEOPLE, AUDIT, ERASE, ENROL}),
}

_hasher = PasswordHasher()
# Verified where the name is unknown, so that the time an answer takes does not tell which names exist.
_NOBODY = _hasher.hash("nobody has this password")


class StaffError(ValueError):
    """An account cannot be made or changed; the message is one sentence that says why."""


def add(session: Session, name: str, password: str, role: str, team: str | None = None) -> Staff:
    """Add an account. `team` is the code of the team (data/gazetteer/teams.csv) that a crew belongs to.

    Raises StaffError for a name that is empty, too long or taken, an unknown role or team, and a weak password.
    """
    name = name.strip()
    if not name or len(name) > 64:
        raise StaffError("A staff name has 1 to 64 characters.")
    if role not in ROLES:
        raise StaffError(f"Unknown role {role!r}; the roles are {', '.join(ROLES)}.")
    check_password(name, password)
    row = {
        "name": name,
        "password_hash": _hasher.hash(password),
        "role": role,
        "team_id": _team_id(session, role, team),
        "active": True,
        "created_at": clock.now(),
    }
    if not insert_ignoring(session, Staff, [row], ["name"]):
        raise StaffError(f"There is a staff account named {name} already.")
    return session.scalars(select(Staff).where(Staff.name == name)).one()


def check_password(name: str, password: str) -> None:
    """Raises StaffError for a password that is easily guessed."""
    if len(password) < MIN_PASSWORD:
        raise StaffError(f"The password is too short; it needs at least {MIN_PASSWORD} characters.")
    if len(set(password)) < MIN_DISTINCT:
        raise StaffError(f"The password is too simple; it needs at least {MIN_DISTINCT} different characters.")
    if name.casefold() in password.casefold():
        raise StaffError("The password must not contain the name.")


def _team_id(session: Session, role: str, team: str | None) -> int | None:
    if team is None:
        if role == "crew":
            raise StaffError("A crew account needs its team; give the team's code, such as T-js-1.")
        return None
    team_id = session.scalar(select(Team.id).where(Team.code == team))
    if team_id is None:
        raise StaffError(f"Unknown team {team}; `heatline gazetteer import` brings the teams.")
    return team_id


def set_password(staff: Staff, password: str) -> None:
    """Replace a password; every session of the account ends with it. Raises StaffError for a weak one."""
    check_password(staff.name, password)
    staff.password_hash = _hasher.hash(password)


def verify(session: Session, name: str, password: str) -> Staff | None:
    """The active account of this name and password, else None; takes as long for an unknown name as for a known one."""
    staff = session.scalar(select(Staff).where(Staff.name == name.strip()[:64]))
    try:
        _hasher.verify(staff.password_hash if staff else _NOBODY, password)
    except (VerificationError, InvalidHashError):
        return None
    return staff if staff is not None and staff.active else None


def may(staff: Staff, permission: str) -> bool:
    """Whether this account's role has a permission."""
    return permission in PERMISSIONS.get(staff.role, frozenset())


def sees_all(staff: Staff) -> bool:
    """Whether this account sees every team's tickets; a crew sees those of its own team."""
    return staff.role != "crew"
