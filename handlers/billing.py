"""收费: money and accounts. Questions are answered; what the office must do becomes a ticket."""

from __future__ import annotations

import re

from handlers.dialogue import answers
from handlers.dialogue.report import report
from handlers.dialogue.types import Outcome, Reply, Turn

_FRAUD = re.compile(r"打折|折扣|优惠价|代缴|代交|扫码|二维码|链接|验证码|转账|低价|便宜交")
_WANTS_TO_KNOW = re.compile(
    r"[?？]|怎么|咋|吗|多少|几|哪|啥|什么|如何|能不能|能否|可不可以|是不是|要不要|需要|标准|流程"
)


def handle(turn: Turn) -> Outcome:
    """Warn of fraud, answer a question, or take a matter of the account up."""
    if _FRAUD.search(turn.text) and not re.search(r"低保|特困|残疾|军", turn.text):
        return answers.say(turn, Reply("billing.fraud"))
    if _is_account_matter(turn):
        return report(turn, "billing")
    return answers.reply(turn, "billing")


def _is_account_matter(turn: Turn) -> bool:
    """Whether the message asks that something be done with an account rather than to be told something."""
    named = any(word in turn.text for word in turn.rules.account_matters)
    return named and not (_WANTS_TO_KNOW.search(turn.text) and answers.find(turn, "billing") is not None)
