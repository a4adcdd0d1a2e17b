"""What the tests of WeChat's outgoing ways share: a resident, a text for them, and what became of it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import select

from bot import outbox
from bot.channels import Entry
from bot.models import Contact, Delivery, Rule
from bot.texts import render
from tests.standins.service import Trial

OPENID = "oWaysToTheResident000000000x"
PHONE = "+8613812345678"
REPORT = "阳光花园3号楼2单元501，暖气不热"
ACCEPTED = Entry("status.accepted", {"problem": "暖气不热", "team": "二七班组", "note": "", "number": "N20261123-0001"})
TEMPLATE = {
    "id": "tpl-accepted",
    "fields": {"thing1": "{problem}", "thing2": "{team}", "character_string3": "{number}"},
}
LATER = timedelta(hours=49)


def notify(trial: Trial, occasion: str = "test:1", kind: str = "notice", entry: Entry | None = None) -> int:
    """Queue a text to the resident: one of the catalogue, or one that somebody typed."""
    book = trial.services.rules.current()
    text = render(book, entry.key, "wechat", entry.params) if entry else f"有新消息（{occasion}）"
    with trial.services.database.transaction() as session:
        contact = session.scalars(select(Contact).where(Contact.medium == "wechat")).one()
        now = trial.services.context(session).now
        made = outbox.queue(
            session, contact, text, occasion=occasion, kind=kind, now=now, entries=[entry] if entry else []
        )
        assert made is not None
        return made


def delivery(trial: Trial, number: int) -> Delivery:
    return next(row for row in trial.deliveries() if row.id == number)


def contact(trial: Trial) -> Contact:
    with trial.services.database.reading() as session:
        found = session.scalars(select(Contact).where(Contact.medium == "wechat")).one()
        session.expunge_all()
        return found


def heard(trial: Trial) -> list[str]:
    return trial.standins.heard("wechat", OPENID)


def by_sms(trial: Trial) -> list[str]:
    return trial.standins.heard("sms", PHONE)


def register(trial: Trial, section: str = "templates", **row: Any) -> None:
    """The operator has chosen a template, in 公众平台 and in the rule."""
    row = {**TEMPLATE, **row}
    account = trial.standins.wechat.account
    known = account.templates if section == "templates" else account.notices
    known[row["id"]] = tuple(row["fields"])
    if section == "notices" and row.get("long_term", True):
        account.long_term.add(row["id"])
    body = {"templates": {}, "notices": {}, section: {"status.accepted": row}}
    with trial.services.database.transaction() as session:
        today = trial.services.context(session).now.date()
        session.add(
            Rule(
                name="wechat_templates",
                digest=section,
                body=body,
                valid_from=today,
                created_at=trial.services.context(session).now,
                shipped=False,
            )
        )
