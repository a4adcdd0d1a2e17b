"""无关: everything that is not about district heating."""

from __future__ import annotations

import re
from dataclasses import replace

from handlers.dialogue import answers, pending
from handlers.dialogue.answers import pending_question
from handlers.dialogue.types import FileReview, Outcome, Reply, Turn

# Whose matter it is, by the words of the message: the first that matches.
_ELSEWHERE = (
    ("gas", re.compile(r"燃气|天然气|煤气|壁挂炉|灶")),
    ("water", re.compile(r"自来水|停水|水龙头|水费|水表|下水|马桶|厕所|洗手间|卫生间|热水器|洗衣机")),
    ("power", re.compile(r"停电|电费|跳闸|没电|电表|断电")),
    ("property", re.compile(r"电梯|物业|保安|垃圾|停车|车位|门禁|楼道灯|房顶|屋顶|外墙|路灯|噪音|装修|邻居")),
)


# What only a swindler asks a resident for.
_FRAUD = re.compile(r"验证码|代[缴交]|(?:扫码|二维码|链接|打折|转账)[^,，。]{0,8}(?:[缴交]|暖)")
_HEATING = re.compile(r"退(?:费|钱|款|多少|一半|全|百分)|滞纳金|暖气|供暖|取暖|采暖|供热|热费|暖费|地暖|热表|热力")
_QUESTION = re.compile(r"[?？]|怎么|咋|吗|多少|几|哪|啥|什么|如何|能不能|可不可以|要不要")
_LONGEST = 30  # characters of a plain question


def _asks_of_heating(text: str) -> bool:
    """Whether a short question names the heating, whatever it was taken for."""
    return len(text) <= _LONGEST and bool(_HEATING.search(text) and _QUESTION.search(text))


def handle(turn: Turn) -> Outcome:
    """Say kindly that it is not ours, and whose it is where the words tell; the second time offer a person."""
    if _FRAUD.search(turn.text):
        return answers.say(turn, Reply("billing.fraud"))
    whose = next((name for name, words in _ELSEWHERE if words.search(turn.text)), None)
    if whose is not None:
        return Outcome((Reply(f"out_of_scope.{whose}"), *pending_question(turn)), turn.conversation)
    if _asks_of_heating(turn.text) and answers.find(turn, "billing") is not None:
        return answers.reply(turn, "billing")
    if (outcome := pending.unanswered(turn)) is not None:
        return outcome
    conversation = replace(turn.conversation, misunderstood=turn.conversation.misunderstood + 1)
    if conversation.misunderstood >= 2:
        asking = replace(conversation, waiting_for="callback", options=())
        return Outcome((Reply("unsure.offer_person"),), asking, (FileReview("misunderstood"),))
    return Outcome((Reply("out_of_scope.ours_only"),), conversation)
