"""个人信息: what is stored about a resident, and its deletion."""

from __future__ import annotations

import re

from handlers.dialogue.choose import settled
from handlers.dialogue.types import AskForPerson, Outcome, Reply, Turn

_DELETE = re.compile(r"删|注销|清除|抹|解绑|去掉|不要(?:再)?(?:存|留|保存)|撤回|更正|改|换")


def handle(turn: Turn) -> Outcome:
    """Say what is kept and for what; deletion and correction are done by a person, who says so."""
    conversation = settled(turn.conversation)
    if _DELETE.search(turn.text):
        return Outcome((Reply("privacy.delete"),), conversation, (AskForPerson("privacy"),))
    return Outcome((Reply("privacy.what"),), conversation, (AskForPerson("privacy"),) if "投诉" in turn.text else ())
