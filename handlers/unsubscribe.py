"""退订: stop sending messages; and the way back, 恢复通知."""

from __future__ import annotations

import re

from handlers.dialogue.choose import settled
from handlers.dialogue.types import OptIn, OptOut, Outcome, Reply, Turn

# START is what Twilio tells whoever it has blocked to send.
_BACK_IN = re.compile(r"\s*(?:(?:恢复|开启|打开|重新)(?:接收)?(?:通知|订阅|消息)|(?i:start|unstop))\s*")


def takes_back(text: str) -> bool:
    """Whether the whole message takes an earlier opting out back."""
    return _BACK_IN.fullmatch(text) is not None


def handle(turn: Turn) -> Outcome:
    """Stop the notices, or send them again; answers to the resident's own messages and warnings always go out."""
    if takes_back(turn.text):
        return Outcome((Reply("unsubscribe.back"),), settled(turn.conversation), (OptIn(),))
    return Outcome((Reply("unsubscribe.done"),), settled(turn.conversation), (OptOut(),))
