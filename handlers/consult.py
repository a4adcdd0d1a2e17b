"""咨询: a question that needs an answer rather than a repair."""

from __future__ import annotations

import re

from handlers.dialogue import answers
from handlers.dialogue.collect import season_params
from handlers.dialogue.types import Outcome, Reply, Turn

_WHEN = re.compile(
    r"(?:几号|几月|啥时候|什么时候|何时|多会儿|哪天|什么时间|时间|日期).{0,12}(?:供暖|供热|来暖|停暖|通暖|开始|结束|开暖|停热)"
    r"|(?:供暖|供热|暖气|来暖|停暖|开暖|采暖).{0,10}(?:几号|几月|啥时候|什么时候|何时|多会儿|哪天|时间|日期)|供到|停到|提前供|延长供|延迟停"
)


def handle(turn: Turn) -> Outcome:
    """Answer from the dated answers; the season's dates come from the season rule."""
    if _WHEN.search(turn.text) and turn.rules.seasons:
        return answers.say(turn, Reply("consult.season", season_params(turn)))
    return answers.reply(turn, "consult")
