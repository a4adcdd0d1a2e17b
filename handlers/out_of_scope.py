"""无关: everything that is not about district heating."""

from __future__ import annotations

import re
from dataclasses import replace

from handlers.dialogue import pending
from handlers.dialogue.answers import pending_question
from handlers.dialogue.types import FileReview, Outcome, Reply, Turn

# Whose matter it is, by the words of the message: the first that matches.
_ELSEWHERE = (
    ("gas", re.compile(r"燃气|天然气|煤气|壁挂炉|灶")),
    ("water", re.compile(r"自来水|停水|水龙头|水费|水表|下水|马桶|厕所|洗手间|卫生间|热水器|洗衣机")),
    ("power", re.compile(r"停电|电费|跳闸|没电|电表|断电")),
    ("property", re.compile(r"电梯|物业|保安|垃圾|停车|车位|门禁|楼道灯|房顶|屋顶|外墙|路灯|噪音|装修|邻居")),
)


def handle(turn: Turn) -> Outcome:
    """Say kindly that it is not ours, and whose it is where the words tell; the second time offer a person."""
    whose = next((name for name, words in _ELSEWHERE if words.search(turn.text)), None)
    if whose is not None:
        return Outcome((Reply(f"out_of_scope.{whose}"), *pending_question(turn)), turn.conversation)
    if (outcome := pending.unanswered(turn)) is not None:
        return outcome
    conversation = replace(turn.conversation, misunderstood=turn.conversation.misunderstood + 1)
    if conversation.misunderstood >= 2:
        asking = replace(conversation, waiting_for="callback", options=())
        return Outcome((Reply("unsure.offer_person"),), asking, (FileReview("misunderstood"),))
    return Outcome((Reply("out_of_scope.ours_only"),), conversation)
