"""Telephone numbers in one spelling, so that a person is one contact through whichever provider they write."""

from __future__ import annotations

import re

import phonenumbers

from bot.channels.wording import clean

HOME_REGION = "CN"  # where a number without a country code is from
_MOBILE = re.compile(r"\+861[3-9]\d{9}")  # 公众移动通信网号: 13x to 19x


def is_possible(text: str) -> bool:
    """Whether a text is a telephone number, with or without its country code."""
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(text, HOME_REGION))
    except phonenumbers.NumberParseException:
        return False


def normalise(phone: str) -> str:
    """A number in E.164, so that 138… and +86 138… are one contact; what is no number stays as it came."""
    bare = clean(phone).strip()
    try:
        number = phonenumbers.parse(bare, HOME_REGION)
    except phonenumbers.NumberParseException:
        return bare[:64] or "unknown"
    if not phonenumbers.is_possible_number(number):
        return bare[:64] or "unknown"
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def takes_texts(number: str) -> bool:
    """Whether a number in E.164 can receive text messages: a mainland one where it is a mobile's, another unless it is
    a landline's for sure.
    """
    if number.startswith("+86"):
        return _MOBILE.fullmatch(number) is not None
    try:
        kind = phonenumbers.number_type(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False
    return kind != phonenumbers.PhoneNumberType.FIXED_LINE
