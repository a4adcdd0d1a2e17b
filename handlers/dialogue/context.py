"""What the tickets, the conversation and plain words make of a meaning that was found without them."""

from __future__ import annotations

import re

from handlers.dialogue import answers
from handlers.dialogue.choose import open_tickets
from handlers.dialogue.collect import COLD
from handlers.dialogue.facts import address_in, named_place
from handlers.dialogue.types import TicketView, Turn

FAULTS = ("leak", "open_valve", "no_heat", "low_temperature", "other_repair")
ENOUGH = 0.5  # all the faults together: to ask for an address costs less than to ask what is meant
ALONE = 0.35  # one fault, where nothing else comes near it
_NEAR = 0.6  # the share of the best from which on another meaning comes near it
# Meanings that a message has besides its fault: 谢谢，对了厨房还滴水.
_SLIGHT = frozenset({"thanks", "greet", "affirm", "deny", "billing"})
_DRIPS = re.compile(r"漏水|滴水|渗水|喷水|跑水|滴答|(?:管|片|阀|分水器|地暖|接头)[^,，。]{0,4}(?:漏|滴|渗|喷)")
_NO_DRIP = re.compile(r"(?:不|没有?|别|停止?|谁|要是|如果|万一|上次|去年|以前)[^,，。]{0,4}(?:漏|滴|渗|喷)|漏水费|水费")
_WET = re.compile(
    r"[漏渗滴湿潮淌喷滋洇泡淹霉爆水盆桶鼓裂破涌溢涨嗒]|冒[^火烟]|墙皮|拖地|掉压|压力|抹布|毛巾|(?i:lou|shui)"
)
_GUESSED = 0.6  # how sure a leak has to be where no word of the message has to do with water
_DAMAGES = re.compile(r"赔|责任|负责|维修费|修[^,，。]{0,4}(?:要|收)[^,，。]{0,2}[钱费]")
_CLOSING = frozenset({"confirm_resolved", "cancel"})
_ENDS = re.compile(r"[热暖温好修漏滴渗行]|解决|正常|通了|来了|不用|不要|撤|取消|算了|不来|别来")
_FREEZING = re.compile(r"冻(?:死|得|坏|惨|透)|冷(?:死|得|透|嘞)|可冷|太冷|很冷|好冷")
_NOT_NOW = re.compile(r"去年|前年|上(?:个|一)?(?:冬|季|年|月)|以前|往年|如果|要是|假如|万一|标准|怎么算|咋算")
_COLD_NOW = re.compile(r"不热|冰凉|没暖气|没有暖气|冰的|不暖")
_FAULT_WORD = re.compile(r"[热冷凉冰漏滴渗喷响坏修]|暖气")
_ARRIVED = re.compile(r"(?:收到|报上|登记上|登记|记上|看到|派|安排)(?:了)?(?:没有?|了?吗|了没|不)[啊呀?？。]*")
_NUMBER = re.compile(r"(?:单号|工单号?)?[:：]?\s?[Nn]\s?20\d{6}-?\d{4,6}[?？。]*")
_ASKED = frozenset({"consult", "open_valve", "out_of_scope", "greet"})
_HOW_LONG = re.compile(r"(?:大概|一般|还|得|要|需要|那)*(?:多久|多长时间|几天|啥时候|什么时候)[啊呀呢?？。]*")
_WHO_COMES = re.compile(r"谁(?:来|去|给我?修|负责|管)|哪(?:个|位)师傅|派(?:的|了)?谁")
_NOT_COME = re.compile(r"(?:为啥|为什么|咋|怎么)[^,，。]{0,8}(?:还|都)没(?:有)?来(?:暖|热|气)?[啊呀呢?？。]*$")
_PRESSES = re.compile(
    r"(?:到底|究竟|还)?(?:管不管|有没有人管|没人管|管不管事)|(?:咋|怎么|为啥|为什么)(?:还|都|到现在)?(?:没|不)(?:有|见)?(?:个?人)?(?:来|修|到|管|动静|上门)"
)
_NOBODY_CAME = re.compile(r"没(?:有)?(?:见)?(?:个)?人(?:来|上门|修)|没来(?:人|过)")
_HOW_MUCH = re.compile(r"退(?:给?我)?(?:多少|一半|百分|几成)|[全多少]退|退全|[赔减免]多少")
_DONE_YET = re.compile(r"(?:好|热|完|通|来|行|暖气)了?(?:没有?|冇|了吗|吗)[啊呀呢哪不?？。]*$")
_WAITS = re.compile(
    r"(?:好|行|中|那)*[,，]?(?:那)?我?(?:们)?(?:就)?(?:再)?等(?:着|你们|师傅|消息|通知|电话)[吧了啊哈。]*"
)
_WITHDRAWS = re.compile(r"撤|取消|不用|不要|不需要|不必|别来|不报|不修|算了|作废|退掉|删|关掉|关闭|拉倒|白")
_FIXED = re.compile(r"(?:修好|弄好|整好|搞好|暖和|来暖|(?<!不)热起来|(?<!不)热|不漏|不滴|不渗)了(?![没吗不再]|一)")
_CALL_ME = re.compile(r"(?:给我|给俺)?(?:回|打)[个一]?电话(?:给我|给俺)?[吧啊呀。!！]*$|转人工|找[个一]?人工")
_SOUNDS = re.compile(r"(?:暖气|地暖|管子|管道|片子|阀)[^,，。]{0,5}(?:响|声音|噪音|咚|吵)")
_ANYBODY = re.compile(r"有?没?有?人(?:在)?(?:吗|没|么)?[啊呀不?？!！。]*|在不在[啊呀?？]*")
_COMING = re.compile(
    r"有(?:没有?)?人(?:会|能)?来[^,，。]{0,3}(?:[吗么?？]|没|不)|"
    r"(?:多久|啥时候|什么时候|几点|何时|多会儿|多长时间|今天|明天).{0,6}(?:能|会)?(?:来|去|到|上门|修|派人|有人|开|换|好|弄|通|处理|解决)|(?:来|到|修).{0,3}(?:多久|几点)"
)


def tells_fault(text: str) -> bool:
    """Whether any word of a text has to do with a fault of the heating."""
    return bool(_FAULT_WORD.search(text) or _WET.search(text) or _COLD_NOW.search(text))


def ends_unsaid(text: str, intent: str) -> bool:
    """Whether a meaning that ends a report is only guessed: no word of the text says that it is fixed or not needed."""
    return intent in _CLOSING and not _ENDS.search(text)


def cold_in(text: str) -> str | None:
    """The fault that plain words of cold tell: none at all, or not enough; None where they tell neither."""
    if _COLD_NOW.search(text):
        return "no_heat"
    return "low_temperature" if _FREEZING.search(text) else None


def leaks_nothing(turn: Turn) -> bool:
    """Whether a leak would only be guessed: nothing wet is told, and no leak is being spoken of."""
    spoken_of = turn.conversation.case is not None and turn.conversation.case.intent == "leak"
    return not (
        _WET.search(turn.text)
        or spoken_of
        or any(ticket.intent == "leak" for ticket in open_tickets(turn))
        or dict(turn.understanding.ranking).get("leak", 0.0) >= _GUESSED
        or (turn.understanding.intent == "leak" and turn.understanding.confidence >= _GUESSED)
    )


def in_context(turn: Turn, intent: str) -> str:
    """The meaning in this conversation; the same one where nothing speaks against it."""
    done = next((t for t in open_tickets(turn) if t.status in ("done", "confirming")), None)
    if done is not None and turn.conversation.waiting_for in (None, "phone", "neighbours", "extent", "look"):
        answered = _answer_to_done(turn, intent, done)
        if answered:
            return answered
    elif done is None and not turn.conversation.waiting_for and (answered := _answer_of_joined(turn, intent)):
        return answered
    if intent == "not_resolved" and not turn.tickets and not turn.joined:
        return _fault_of(turn)
    if _NUMBER.fullmatch(turn.text.strip()):
        return "ask_progress"
    waits = bool(open_tickets(turn) or turn.joined)
    if waits and intent in _ASKED and (_COMING.search(turn.text) or _HOW_LONG.fullmatch(turn.text.strip())):
        return "ask_progress"
    if asks_arrival(turn):
        return "ask_progress"
    if (open_tickets(turn) or turn.joined) and _WHO_COMES.search(turn.text) and not turn.understanding.sure:
        return "ask_progress"
    if intent == "confirm_resolved" and _DONE_YET.search(turn.text.strip()):
        return "ask_progress" if turn.tickets or turn.joined else "urge"
    if intent in (*FAULTS, "not_resolved", "deny") and presses(turn):
        return "urge"  # the fault only names the ticket (annotation guide, rule 2)
    if intent == "cancel" and _corrects(turn):
        return "provide_info"
    if intent == "urge" and not open_tickets(turn) and not turn.joined and _CALL_ME.search(turn.text):
        return "human_agent"
    if intent == "urge" and _WAITS.fullmatch(turn.text.strip()):
        return "affirm"
    if intent == "human_agent" and _ANYBODY.fullmatch(turn.text.strip()):
        return "greet"
    if intent == "not_resolved" and not turn.understanding.also and _only_data(turn):
        return "provide_info"
    if intent in (*FAULTS, "consult") and not turn.understanding.sure and _HOW_MUCH.search(turn.text):
        return "billing"  # the fault is known, the question is about the money
    if intent == "out_of_scope" and turn.understanding.confidence < _GUESSED and _SOUNDS.search(turn.text):
        return "other_repair"
    if intent in _SLIGHT:
        return _beside(turn, intent)
    return intent


def asks_arrival(turn: Turn) -> bool:
    """Whether it is asked, of a report that is open, whether it has arrived (收到没)."""
    return bool(open_tickets(turn) or turn.joined) and _ARRIVED.fullmatch(turn.text.strip()) is not None


def presses(turn: Turn) -> bool:
    """Whether it is asked why nobody has come, where somebody should."""
    return bool(open_tickets(turn)) and _PRESSES.search(turn.text) is not None


def _only_data(turn: Turn) -> bool:
    """还是打第一个吧 and a number: data, however it begins."""
    carries = {e.entity for e in turn.understanding.entities}
    return bool(carries & {"phone", "room", "building", "community"}) and not _FAULT_WORD.search(turn.text)


def _corrects(turn: Turn) -> bool:
    """搞错了，是锦绣城三期: an address put right, and no word of withdrawing."""
    told = address_in(turn.understanding.entities, turn.places)
    return bool(told) and not _WITHDRAWS.search(turn.text)


def likely(turn: Turn) -> str | None:
    """What an unsure message is acted on as, where a needless question costs less than a menu; else None."""
    u = turn.understanding
    told = next((name for name in FAULTS if name in u.also), None)
    if told is not None:
        return told
    if _DRIPS.search(turn.text) and not _NO_DRIP.search(turn.text) and not _DAMAGES.search(turn.text):
        return "leak"
    if _COLD_NOW.search(turn.text) or (_NOT_COME.search(turn.text) and not open_tickets(turn)):
        guessed = u.intent in FAULTS and not (u.intent == "leak" and leaks_nothing(turn))
        return u.intent if guessed else "no_heat"
    shares = dict(u.ranking)
    if u.intent in FAULTS:
        # A question in form is a complaint in fact (annotation guide, rule 6), so consult is no rival.
        rivals = max((share for name, share in u.ranking if name not in (*FAULTS, "consult")), default=0.0)
        family = sum(shares.get(name, 0.0) for name in FAULTS)
        if (family >= ENOUGH or u.confidence >= ALONE) and rivals < _NEAR * max(family, u.confidence):
            return u.intent
    if u.intent in ("billing", "consult") and answers.find(turn, u.intent) is not None:
        return u.intent
    if u.intent in ("provide_info", "out_of_scope") and named_place(turn.text):
        return "provide_info"
    return None


def _answer_to_done(turn: Turn, intent: str, done: TicketView) -> str | None:
    """热了吗？ was asked: yes and no, 1 and 2, and a fault told again are answers."""
    text = turn.text.strip().strip("。.!！~ ")
    if text in ("2", "２") or _NOBODY_CAME.search(text):
        return "not_resolved"
    if text in ("1", "１", "热了", "好了", "热", "有了") or intent == "affirm":
        return "confirm_resolved"
    again = intent in COLD and done.intent in COLD or intent == done.intent
    other_home = address_in(turn.understanding.entities, turn.places)
    if intent == "deny" or (again and not (other_home.community or other_home.building)):
        return "not_resolved"
    return None


def _answer_of_joined(turn: Turn, intent: str) -> str | None:
    """The same from a neighbour or a merged report, who were asked too; a bare 好的 has only read the notice."""
    done = next((t for t in turn.joined if t.status in ("done", "confirming")), None)
    return _answer_to_done(turn, intent if intent in COLD else "", done) if done is not None else None


def _fault_of(turn: Turn) -> str:
    """The fault itself, where 还是不热 comes without an earlier report."""
    for name in turn.understanding.also:
        if name in FAULTS:
            return name
    ranked = [name for name, _ in turn.understanding.ranking if name in FAULTS]
    return ranked[0] if ranked else "no_heat"


def _beside(turn: Turn, intent: str) -> str:
    """The fault that plain words tell beside thanks, a greeting or money."""
    about_damages = intent == "billing" and _DAMAGES.search(turn.text)
    if _DRIPS.search(turn.text) and not _NO_DRIP.search(turn.text) and not about_damages:
        return "leak"
    if intent == "billing" and _COLD_NOW.search(turn.text) and not _NOT_NOW.search(turn.text):
        return "no_heat"
    if intent == "thanks" and open_tickets(turn) and _FIXED.search(turn.text):
        return "confirm_resolved"
    if intent in ("thanks", "greet") and _COLD_NOW.search(turn.text):
        return "no_heat"
    return intent
