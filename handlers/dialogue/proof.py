"""核实: a contact proves that a home is theirs, by its account number and phone, or by a code to the registered phone.

Whether what they give fits is found out by the service (`Turn.proof`); here are only the words.
"""

from __future__ import annotations

import re
from dataclasses import replace

from handlers.dialogue.choose import says_no, settled
from handlers.dialogue.types import Outcome, ProveHome, Reply, SendCode, Turn, WrongProof

_WANTED = re.compile(
    r"(?:我要?|我想|帮我|请)*(?:核实|核对|验证|证明)(?:一下)?(?:身份|地址|住户|我家|是我家)?[吧啊呀了。.!！]*"
)
_NO_ACCOUNT = re.compile(
    r"发码|发(?:个|一个)?(?:核对)?码|没(?:有|带)?户号|(?:户号|卡)[^,，。]{0,4}(?:不知道|不记得|忘|找不到|没有)"
)
_UNKNOWN = re.compile(r"(?:不知道|不记得|忘了?|找不到|没有)(?:户号|卡号|卡)?[了啊呀。]*")
_NUMBER = re.compile(r"\d{4,}")


def wanted(text: str) -> bool:
    """Whether the whole message asks to prove a home."""
    return _WANTED.fullmatch(text.strip()) is not None


def begin(turn: Turn) -> Outcome:
    """Ask for the account number and the phone's last digits; who has none may have a code sent."""
    conversation = replace(settled(turn.conversation), waiting_for="proof")
    return Outcome((Reply("proof.ask"),), conversation)


def answer(turn: Turn) -> Outcome | None:
    """What was asked for; None for anything that is no number and no word about it."""
    text = turn.text.strip()
    if turn.proof == "right":
        return Outcome((Reply("proof.right"),), settled(turn.conversation), (ProveHome(),))
    if turn.proof == "locked":
        return Outcome((Reply("proof.locked"),), settled(turn.conversation))
    if turn.proof == "wrong":
        return Outcome((Reply("proof.wrong"),), turn.conversation, (WrongProof(),))
    if _NO_ACCOUNT.search(text) or _UNKNOWN.fullmatch(text):
        return _send_code(turn)
    if _NUMBER.search(text) and len(text) <= 24:
        return Outcome((Reply("proof.both"),), turn.conversation)
    if says_no(turn):
        return Outcome((Reply("deny.fine"),), settled(turn.conversation))
    return None


def _send_code(turn: Turn) -> Outcome:
    if not turn.homes or turn.homes[0].room is None:
        return Outcome((Reply("proof.which_home"),), settled(turn.conversation))
    return Outcome((Reply("proof.code_sent"),), turn.conversation, (SendCode(turn.homes[0]),))
