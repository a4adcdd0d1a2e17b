"""How often somebody may try to log in; counted in the database, so that several processes count together."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from bot import crypto
from bot.models import Counter
from bot.upsert import insert_ignoring

WINDOW = 900  # seconds
TRIES_HERE = 6  # of one name from one address within the window
TRIES = 40  # of one name from everywhere: a lock that a stranger cannot close by six guesses


def allowed(session: Session, name: str, address: str, now: datetime) -> bool:
    """Count one try (before the password is looked at, so that parallel guesses count) and say whether it may go on."""
    window = int(now.timestamp()) // WINDOW
    session.execute(delete(Counter).where(Counter.name >= "login:", Counter.name < f"login:{window:08d}:"))
    here = _count(session, window, f"{name}\0{address}")
    everywhere = _count(session, window, name)
    return here <= TRIES_HERE and everywhere <= TRIES


def forget(session: Session, name: str, address: str, now: datetime) -> None:
    """A log-in that succeeded wipes its earlier failures from this address."""
    window = int(now.timestamp()) // WINDOW
    session.execute(delete(Counter).where(Counter.name == _key(window, f"{name}\0{address}")))


def _count(session: Session, window: int, what: str) -> int:
    key = _key(window, what)
    insert_ignoring(session, Counter, [{"name": key, "value": 0}], ["name"])
    counted = update(Counter).where(Counter.name == key).values(value=Counter.value + 1).returning(Counter.value)
    return int(session.scalars(counted.execution_options(synchronize_session=False)).one())


def _key(window: int, what: str) -> str:
    return f"login:{window:08d}:{crypto.blind_index('login', what)[:16]}"
