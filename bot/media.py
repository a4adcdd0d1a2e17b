"""Photos, voice messages and films: noted with their message, fetched by the worker while the provider has them, kept encrypted.

WeChat keeps them for three days, so they are fetched at once and not when somebody looks.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, insert, select, update

from bot import clock
from bot.channels import Channel, FetchesMedia, GiveUp, Inbound, MediaFile, Retry, SendError
from bot.database import Database
from bot.push_models import Media
from bot.trace import trace

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=2)
AGAIN = timedelta(minutes=2)  # … times the number of attempts, until a failed one is tried again
LONGEST_WAIT = timedelta(hours=2)
_media: Any = Media.__table__


@dataclass(frozen=True, slots=True)
class _Claimed:
    id: int
    channel: str
    ref: str
    attempts: int
    token: str


def want(connection: Connection, inbound: Inbound, message_id: int, now: datetime) -> None:
    """Note what a message brought besides words, in the transaction that stores it."""
    rows = [
        {
            "message_id": message_id,
            "number": number,
            "channel": inbound.channel,
            "kind": found.kind,
            "ref": found.ref,
            "state": "wanted",
            "due_at": now,
            "expires_at": now + found.lasts,
            "attempts": 0,
        }
        for number, found in enumerate(inbound.media)
    ]
    if rows:
        connection.execute(insert(_media), rows)


def run(database: Database, channels: Mapping[str, Channel], limit: int = 4) -> int:
    """Fetch what is due; returns how many were tried."""
    claimed = _claim(database, limit)
    for item in claimed:
        _record(database, item, _fetch(channels, item))
    return len(claimed)


def _claim(database: Database, limit: int) -> list[_Claimed]:
    now, token = clock.now(), secrets.token_hex(8)
    free = Media.lease_until.is_(None) | (Media.lease_until <= now)
    due = (
        select(Media.id)
        .where(Media.state == "wanted", Media.due_at <= now, free)
        .order_by(Media.due_at, Media.id)
        .limit(limit)
    )
    with database.reading() as session:  # an idle poll takes no write lock
        if session.scalar(due.limit(1)) is None:
            return []
    with database.transaction() as session:
        rows = session.execute(
            update(Media)
            .where(Media.id.in_(due.with_for_update(skip_locked=True).scalar_subquery()))
            .values(lease_until=now + LEASE, lease_token=token, attempts=Media.attempts + 1)
            .returning(Media.id, Media.channel, Media.ref, Media.attempts)
            .execution_options(synchronize_session=False)
        ).all()
        return [_Claimed(*row, token) for row in rows]


def _fetch(channels: Mapping[str, Channel], item: _Claimed) -> MediaFile | SendError:
    channel = channels.get(item.channel)
    if not isinstance(channel, FetchesMedia):
        return Retry(f"channel {item.channel} is switched off")
    try:
        return channel.fetch(item.ref)
    except SendError as error:
        return error
    except Exception as error:
        log.error("Media %s: channel %s failed: %s", item.id, item.channel, trace(error))
        return Retry(type(error).__name__)


def _record(database: Database, item: _Claimed, found: MediaFile | SendError) -> None:
    """Keep it, or say when it is tried again; what the provider has no more, or never had, is lost."""
    now = clock.now()
    if isinstance(found, MediaFile):
        values: dict[str, Any] = {
            "state": "kept",
            "content": found.content,
            "content_type": found.content_type[:64],
            "fetched_at": now,
            "error": None,
        }
    else:
        wait = min(AGAIN * item.attempts, LONGEST_WAIT)
        told = f"{found.code}: {found.reason}" if found.code else found.reason
        values = {"due_at": now + wait, "error": told[:160]}
        if isinstance(found, GiveUp):
            values["state"] = "lost"
    with database.transaction() as session:
        mine = (Media.id == item.id, Media.lease_token == item.token, Media.state == "wanted")
        session.execute(update(Media).where(*mine).values(lease_until=None, **values))
        late = (Media.id == item.id, Media.state == "wanted", Media.expires_at <= Media.due_at)
        session.execute(update(Media).where(*late).values(state="lost"))
