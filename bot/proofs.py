"""Proving a home: its account number with the registered phone's last digits, or a code sent to that phone.

Wrong answers are counted by contact and day, codes by home and day; limits are rules (data/rules/dialogue.yml).
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from bot import clock, crypto, outbox
from bot.channels import Entry
from bot.channels.phone import normalise
from bot.models import Contact, Home, Household, Proof, Resident
from bot.texts import render
from bot.ticket_facts import home_key
from bot.tickets import Context
from bot.upsert import count_up, put
from handlers.dialogue.types import Address

_DIGITS = re.compile(r"\d+")
_CODE = 6  # digits
_ACCOUNT = 6  # digits an account number has at least
_TAIL = 4  # last digits of the registered phone
_MOBILE = 11


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of numbers that were given: right (for a home, by account or code), wrong, or locked for today."""

    result: str
    home_id: int | None = None
    by: str | None = None


def judge(context: Context, contact_id: int, text: str) -> Verdict | None:
    """Whether the numbers in a text prove a home; None where they are neither a code nor an account with a phone."""
    numbers = [number for number in _DIGITS.findall(text) if len(number) >= _TAIL]
    proof = context.session.get(Proof, contact_id)
    code = _is_code(context, proof, numbers)
    if code is None and len(numbers) < 2:
        return None
    if _locked(context, proof):
        return Verdict("locked")
    if code:
        return Verdict("right", proof.home_id if proof else None, "code")
    home_id = _by_account(context.session, numbers)
    return Verdict("right", home_id, "account") if home_id is not None else Verdict("wrong")


def _is_code(context: Context, proof: Proof | None, numbers: list[str]) -> bool | None:
    """Whether a number alone is the code that was sent; None where it cannot be meant as one."""
    if proof is None or proof.code_hash is None or len(numbers) != 1 or len(numbers[0]) != _CODE:
        return None
    fresh = proof.code_until is not None and context.now <= proof.code_until
    given = crypto.blind_index("code", f"{proof.contact_id}:{numbers[0]}")
    return fresh and secrets.compare_digest(given, proof.code_hash)


def _locked(context: Context, proof: Proof | None) -> bool:
    today = clock.local_day(context.now, context.zone)
    return proof is not None and proof.day == today and proof.wrong >= context.book.dialogue.proof_tries


def _by_account(session: Session, numbers: list[str]) -> int | None:
    """The home whose account number and registered phone (or its last digits) are given, in any order."""
    for account in (number for number in numbers if len(number) >= _ACCOUNT):
        tails = [n[-_TAIL:] for n in numbers if n != account and len(n) in (_TAIL, _MOBILE)]
        row = session.scalar(select(Household).where(Household.account_hash == crypto.blind_index("account", account)))
        if row is not None and row.phone_tail_hash in [crypto.blind_index("phone tail", tail) for tail in tails]:
            return row.home_id
    return None


def count_wrong(context: Context, contact_id: int) -> None:
    """Count a wrong answer against today's limit."""
    today = clock.local_day(context.now, context.zone)
    proof = context.session.get(Proof, contact_id)
    if proof is None:
        proof = Proof(contact_id=contact_id, day=today, wrong=0)
        context.session.add(proof)
    proof.wrong, proof.day = (proof.wrong if proof.day == today else 0) + 1, today
    context.session.flush()


def use_up(context: Context, contact_id: int) -> None:
    """A code proves once."""
    proof = context.session.get(Proof, contact_id)
    if proof is not None:
        proof.code_hash = proof.code_until = None


def send_code(context: Context, contact: Contact, address: Address) -> bool:
    """Send a code to the phone that the books have for a home; returns whether one was sent.

    The asker is told the same either way: whether a home is on the books, and with what phone, is nobody's business.
    """
    session, rules = context.session, context.book.dialogue
    home_id = session.scalar(select(Home.id).where(Home.key == (home_key(address) or "")))
    household = session.get(Household, home_id) if home_id is not None else None
    if household is None or not household.phone or context.sms is None:
        return False
    day = context.now.astimezone(context.zone).strftime("%Y%m%d")
    number = count_up(session, f"code:{day}:{home_id}")
    if number > rules.codes_a_day:
        return False
    code = f"{secrets.randbelow(10**_CODE):0{_CODE}d}"
    _keep(context, contact.id, household.home_id, code)
    entry = Entry("proof.code", {"code": code, "minutes": str(rules.code_minutes)})
    phone = _contact_of(context, household.phone)
    text = render(context.book, entry.key, phone.medium, entry.params)
    occasion = f"code:{day}:{home_id}:{number}"
    outbox.queue(session, phone, text, occasion=occasion, kind="reply", now=context.now, entries=[entry])
    return True


def _keep(context: Context, contact_id: int, home_id: int, code: str) -> None:
    today = clock.local_day(context.now, context.zone)
    before = context.session.get(Proof, contact_id)
    wrong = before.wrong if before is not None and before.day == today else 0
    row = {
        "contact_id": contact_id,
        "day": today,
        "wrong": wrong,
        "home_id": home_id,
        "code_hash": crypto.blind_index("code", f"{contact_id}:{code}"),
        "code_until": context.now + timedelta(minutes=context.book.dialogue.code_minutes),
    }
    put(context.session, Proof, row, ["contact_id"])
    if before is not None:
        context.session.refresh(before)


def _contact_of(context: Context, phone: str) -> Contact:
    """The registered phone as an SMS contact; made where it has never written."""
    address = normalise(phone)
    hashed = crypto.blind_index("sms", address)
    known = context.session.scalar(select(Contact).where(Contact.medium == "sms", Contact.address_hash == hashed))
    if known is not None:
        return known
    resident = Resident(phone=address, phone_hash=crypto.blind_index("phone", address), created_at=context.now)
    contact = Contact(
        resident=resident,
        medium="sms",
        channel=context.sms or "",
        address=address,
        address_hash=hashed,
        created_at=context.now,
    )
    context.session.add(contact)
    context.session.flush()
    return contact
