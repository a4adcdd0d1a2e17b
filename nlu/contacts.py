"""Telephone and account numbers of the resident; never a ticket's or a public service's."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nlu.words import alternatives, pattern

_SEP = r"[ \-]{0,2}"
_D = rf"\d{_SEP}"
_MOBILE = re.compile(
    rf"(?<![\d\-A-Za-z])(?:\(?(?:\+|00){_SEP}86\)?{_SEP}|86{_SEP}(?=1\d{{10}}))?(?P<n>1{_SEP}[3-9]{_SEP}(?:{_D}){{8}}\d)(?!\d)"
)
_AREA = re.compile(
    rf"(?<![\d\-A-Za-z])(?:\(?(?:\+|00){_SEP}86\)?{_SEP})?"
    rf"(?P<n>\(?0\d{{2,3}}\)?{_SEP}[2-8](?:{_D}){{6,7}}\d?)(?!\d|{_SEP}\d{{3}})"
)
_LOCAL = re.compile(
    r"(?:电话|座机|号码|联系方式|固话)(?:号?码?)?(?:是|:|：)? ?(?P<n>[2-8]\d{3}[ \-]?\d{4}|[2-8]\d{6})(?!\d)"
)
_HAN_MOBILE = re.compile(r"(?P<n>[一幺][三四五六七八九][零一二三四五六七八九幺]{9})")
_HAN = str.maketrans("零一二三四五六七八九幺", "01234567891")
# A number the company or the city gives out is not the resident's.
_SERVICE = pattern("contacts", "service")
_OWN = pattern("contacts", "own")
_KNOWN_SERVICE = {"037168890222", "037166681583", "037112345", "037156552010"}
_TICKET = re.compile(r"(?:工单|单号|编号|受理|报修单|订单|快递|流水)(?:号码?)?(?:是|为|:|：)? ?[A-Za-z]?$")
_ACCOUNT_WORD = alternatives("contacts", "account")
_ACCOUNT = re.compile(
    rf"(?:{_ACCOUNT_WORD})(?:是|为|就是|[:：]|号码?|上写的|上写着|上面写的?|后面|写的|写着|[ ,，])*"
    r"(?P<n>\d(?:[ \-]?\d){4,18})(?!\d|[ \-]\d|元|块|度|平)"
)
_ACCOUNT_AFTER = re.compile(
    r"(?<![\d\-])(?P<n>(?!1[3-9]\d{9}(?!\d))\d{6,18})"
    rf"(?= ?[,，(（]?(?:这个?|是我?的?|就是|为)?(?:我的?|俺的?)?(?:{_ACCOUNT_WORD}))"
)
# A bare number of an account's length, no phone with a digit too few, counts where the message is about an account, or is nothing else.
_BARE_ACCOUNT = re.compile(
    r"(?<![\dA-Za-z\-.])(?P<n>(?!1[3-9])[1-9]\d{9}|[2-9]\d{10})(?![\dA-Za-z\-.%]| ?(?:元|块|度|平))"
)
_ABOUT_ACCOUNT = re.compile(r"户|欠|缴|交[费钱了没]|费|报停|热力卡|^\W*\d+\W*$")
_OTHER_NUMBER = re.compile(
    r"(?i:qq|群号?|vx?|微信号?|快递|单号?|尾号|身份证|银行卡?|验证码|税号|表号?|编号)[^\d,，。]{0,4}$"
)
_TICKET_WORD = re.compile(r"(?:工单|受理|报修|单子|订单|身份证|银行|表|发票|流水|房产证|合同)[^\d,，]{0,3}$")


@dataclass(frozen=True, slots=True)
class Contact:
    """One number: `kind` is phone or account_no, `value` its digits."""

    kind: str
    value: str
    start: int
    end: int


def contacts(text: str) -> list[Contact]:
    """The resident's own phone and account numbers in normalised text, in text order."""
    accounts = _accounts(text)
    taken = [(item.start, item.end) for item in accounts]
    phones = [item for item in _phones(text) if all(item.end <= a or item.start >= b for a, b in taken)]
    return sorted([*accounts, *phones], key=lambda item: item.start)


def _accounts(text: str) -> list[Contact]:
    found: list[Contact] = []
    for form in (_ACCOUNT, _ACCOUNT_AFTER, _BARE_ACCOUNT):
        if form is _BARE_ACCOUNT and not _ABOUT_ACCOUNT.search(text):
            continue
        for match in form.finditer(text):
            start, end = match.span("n")
            if form is _BARE_ACCOUNT and _OTHER_NUMBER.search(text[max(0, start - 12) : start]):
                continue
            if _TICKET_WORD.search(text[: match.start()][-8:]) or any(
                item.start < end and item.end > start for item in found
            ):
                continue
            found.append(Contact("account_no", re.sub(r"\D", "", match["n"]), start, end))
    return found


def _phones(text: str) -> list[Contact]:
    found: list[Contact] = []
    for form in (_MOBILE, _AREA, _LOCAL, _HAN_MOBILE):
        for match in form.finditer(text):
            start = match.start("n") if form is _LOCAL else match.start()
            overlaps = any(start < item.end and match.end() > item.start for item in found)
            digits = re.sub(r"\D", "", match["n"].translate(_HAN))
            if overlaps or not _is_own(text, start, digits):
                continue
            found.append(Contact("phone", digits, start, match.end()))
    return found


def _is_own(text: str, start: int, digits: str) -> bool:
    """Not a known service line, not a ticket, not a number that the message says was dialled."""
    before = text[max(0, start - 14) : start]
    if digits in _KNOWN_SERVICE or _TICKET.search(before):
        return False
    if digits.startswith("1"):
        return not re.search(r"骗|冒充|自称", before)
    own = max((match.end() for match in _OWN.finditer(before)), default=-1)
    service = max((match.end() for match in _SERVICE.finditer(before)), default=-1)
    return service <= own
