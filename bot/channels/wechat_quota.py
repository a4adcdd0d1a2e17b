"""What WeChat lets us push: the ledger of customer-service messages per resident, and quotas that are used up for a day.

Both are rows, so that all processes count together. A resident's act fills the ledger (bot/inbox.py, from the Grant of
the push); WeChat's own refusals correct it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy import update

from bot import clock, crypto
from bot.database import Database
from bot.models import Contact
from bot.push_models import Pause
from bot.upsert import put


class Ledger(Protocol):
    """How many customer-service messages a resident may still be sent."""

    def take(self, openid: str, count: int) -> bool:
        """Use up `count` messages; False, and none is used, where there are not so many."""
        ...

    def give_back(self, openid: str, count: int) -> None:
        """They were not sent after all."""
        ...

    def close(self, openid: str) -> None:
        """WeChat says that nothing may be sent until their next act."""
        ...


class Pauses(Protocol):
    """Which of the account's interfaces have used up their day."""

    def until(self, name: str) -> datetime | None:
        """When it may be called again; None: now."""
        ...

    def begin(self, name: str, seconds: float) -> None:
        """Do not call it for so long."""
        ...


class ContactLedger:
    """The ledger on the contact's row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, openid: str, count: int) -> bool:
        """See Ledger. What lasts a minute is used up before what lasts two days."""
        now, hashed = clock.now(), crypto.blind_index("wechat", openid)
        mine = (Contact.medium == "wechat", Contact.address_hash == hashed)
        action, message = Contact.action_left - count, Contact.message_left - count
        with self._database.transaction() as session:
            for enough, left in (
                ((action >= 0, Contact.action_until > now), {"action_left": action}),
                ((message >= 0, Contact.message_until > now), {"message_left": message}),
            ):
                if session.execute(update(Contact).where(*mine, *enough).values(**left)).rowcount:  # type: ignore[attr-defined]
                    return True
        return False

    def give_back(self, openid: str, count: int) -> None:
        """See Ledger. They go back to what lasts longer, which WeChat corrects where that was too many."""
        hashed = crypto.blind_index("wechat", openid)
        with self._database.transaction() as session:
            session.execute(
                update(Contact)
                .where(Contact.medium == "wechat", Contact.address_hash == hashed)
                .values(message_left=Contact.message_left + count)
            )

    def close(self, openid: str) -> None:
        """See Ledger."""
        hashed = crypto.blind_index("wechat", openid)
        with self._database.transaction() as session:
            session.execute(
                update(Contact)
                .where(Contact.medium == "wechat", Contact.address_hash == hashed)
                .values(message_left=0, action_left=0)
            )


class StoredPauses:
    """Pauses as rows."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def until(self, name: str) -> datetime | None:
        """See Pauses."""
        with self._database.reading() as session:
            row = session.get(Pause, name)
            return row.until if row is not None and row.until > clock.now() else None

    def begin(self, name: str, seconds: float) -> None:
        """See Pauses."""
        with self._database.transaction() as session:
            put(session, Pause, {"name": name, "until": clock.now() + timedelta(seconds=seconds)}, ["name"])
