"""What residents say beside the question: a false alarm, a fault named wrongly, a withdrawal taken back, a word for the
repairer, a photo, a question who we are. Each is known by its words and by where the conversation stands.
"""

from __future__ import annotations

import re
from dataclasses import replace

from handlers.dialogue import child
from handlers.dialogue.answers import pending_question
from handlers.dialogue.choose import open_tickets, settled
from handlers.dialogue.collect import COLD
from handlers.dialogue.facts import address_in
from handlers.dialogue.report import report
from handlers.dialogue.types import (
    AddNote,
    CancelTicket,
    Case,
    Effect,
    Option,
    Outcome,
    ReopenTicket,
    Reply,
    ResolveTicket,
    TicketView,
    Turn,
)
from handlers.dialogue.wording import MEANINGS, address_line, problem

PROBLEMS = ("no_heat", "low_temperature", "leak", "other_repair")
_QUESTION = re.compile(r"[?？]|吗|什么时候|啥时候|几点|多久|怎么|咋|谁")
_FALSE_ALARM = re.compile(
    r"没事|虚惊|误会|搞错|弄错|看错|闻错|做饭|炒菜|油烟|不是(?:煤气|燃气|天然气|着火)|散了|解除|灭了|扑灭|没味|安全了|人醒了"
)
_STILL = re.compile(r"还有|还是|又|越来越|没(?:灭|散|醒)|怎么办|咋办")
_AT_SAFETY = re.compile(r"119|120|110|消防|出来了|出去了|下楼了|楼下|外面|室外|屋外|开窗|通风|关了|跑出来|已经出")
_BACK = re.compile(
    r"(?:不|别|先别|不要)(?:撤|取消)|(?:还是|再|继续)(?:来|修|报|派)|还(?:要|得|想)(?:修|来|报)|恢复(?:工单|报修|单子)"
)
_SPOKEN = {
    "leak": r"漏水|漏|滴水|渗水",
    "no_heat": r"不热|没暖气|没热|冰凉|没供暖|不暖",
    "low_temperature": r"不够热|温度低|温度不够|不太热",
    "other_repair": r"有?响声|有?声音|太热|异响",
}
_FAULT = "|".join(f"(?P<{{0}}{name}>{words})" for name, words in _SPOKEN.items())
_MISTAKEN = re.compile(
    rf"不是(?:家里|暖气|我家)?(?:{_FAULT.format('no_')})[,，、。\s]*(?:而?是|就是)(?:家里|暖气|屋里|我家)?(?:{_FAULT.format('is_')})"
)
_VISIT = re.compile(
    r"(?:来|上门|到)(?:的时候|之?前|时|以前|了)[^,，。]{0,6}(?:打|联系|说一声|按|敲)|门铃|敲门|门禁|(?:单元|楼道?)门|密码|钥匙"
    r"|(?:晚上|早上|白天|上午|下午|中午|周[一二三四五六日末天]|星期.|明天|后天|点|下班)[^。]{0,8}(?:再来|来|在家|有人|没人|方便|上门)"
    r"|(?:家里|屋里|白天|我)(?:现在)?没人|不在家|微信(?:上)?(?:联系|说|找|吧)|打我?微信|别打电话|不要打电话|(?:点|午|晚上|早上|下班|周末|明天|后天)[^,，。]{0,6}(?:有空|有时间|回来|到家)"
)
_BE_HOME = re.compile(
    r"(?:需要|要|用|得|必须)[^,，。]{0,5}(?:在家|留人|有人|等着)[^,，。]{0,2}[吗不么没?？]|[在留]家?(?:等|人)?行[吗不]"
)
_NEIGHBOURS = re.compile(
    r"^(?:我家?|俺家?)?(?:的)?(?:楼上|楼下|对门|隔壁|邻居)(?:那家|家|住)?(?:是|的)?[^,，。]{0,10}$"
)
_PHOTO = re.compile(
    r"^[\[【(（]?(?:图片|照片|视频|表情|动画表情|语音|文件)[\]】)）]?$|(?:发|拍|传|看)[^,，。]{0,6}(?:照片|图片|图|视频)|(?:照片|图片|视频)[^,，。]{0,3}(?:发|拍|传|看)"
)
_THEIR_NUMBER = re.compile(r"(?:师傅|维修|班组|工人)[^,，。]{0,4}(?:电话|号码|联系方式|手机)")
_NUMBERS = re.compile(
    r"(?:火警|急救|报警|救护车|消防)[^,，。]{0,4}(?:电话|号|多少)|(?:119|120|110)[^,，。]{0,4}(?:吗|多少|是)"
)
_MACHINE = re.compile(r"机器人|真人|人工智能|自动回复|是人吗|是不是人|(?i:ai)(?:吗|客服|回复)")
_WANTS_PERSON = re.compile(r"转|找|叫|接|要|换|让")
_WISHES_TO_REPORT = re.compile(
    r"(?:你好|您好|喂|请问|在吗|我|俺|想|要|需要|来|给|帮|麻烦|你们?|您|家|里|这|再|暖气|供暖)*(?:报个?修|保修|报个?(?:故障|单子?|一下)|报一个|登记一下|上报)"
    r"(?:一下|一个|下|暖气|怎么(?:弄|报|办)|咋(?:弄|报|办))*[的了吧啊呀吗嘞呢]*[。.!！?？~]*"
)
_NO_TEXTS = re.compile(
    r"(?:别|不要|不想|不用|停止|取消|少|不)(?:再|总|老)?(?:给我|给俺|往我[^,，。]{0,4})?(?:收到?|发|推送?|接收)[^,，。]{0,6}(?:短信|消息|通知|信息|推送)[了吧啊呀。.!！]*$"
)
_WHO = re.compile(
    r"^(?:请问)?(?:你|您)们?(?:是谁|叫啥|叫什么|是哪|是干|能干|会(?:干|做|什么|啥)|能做|可以做|有(?:什么|啥)(?:功能|用))|^(?:谁|啥公司)[啊呀?？]*$"
    r"|^(?:请问)?(?:这里?|你们?|您们?)(?:是|就是|是不是)[^,，。]{0,8}(?:客服|公众号|热线|报修|供[暖热]|热力|暖气)[^,，。]{0,6}[吗么不?？]+$"
)


def before(turn: Turn) -> Outcome | None:
    """What goes before the answer to our question."""
    return _false_alarm(turn) or child.told_later(turn, _current(turn)) or _taken_back(turn) or _mistaken(turn)


def after(turn: Turn) -> Outcome | None:
    """What is looked for where our question was not answered."""
    return (
        _at_safety(turn)
        or _wishes_to_report(turn)
        or _no_texts(turn)
        or _repairers_number(turn)
        or _who_we_are(turn)
        or _emergency_numbers(turn)
        or _photo(turn)
        or _wrong(turn)
        or _be_home(turn)
        or _for_the_visit(turn)
        or _about_neighbours(turn)
    )


def _current(turn: Turn) -> TicketView | None:
    """The open ticket we are speaking of, else the only open one."""
    tickets = open_tickets(turn)
    current = next((t for t in tickets if t.number == turn.conversation.ticket), None)
    return current or (tickets[0] if len(tickets) == 1 else None)


def _false_alarm(turn: Turn) -> Outcome | None:
    """没事了，是做饭的味, after a danger was told: a person still makes sure."""
    ticket = _current(turn)
    if ticket is None or ticket.intent != "danger" or turn.danger or ticket.status == "confirming":
        return None
    if not _FALSE_ALARM.search(turn.text) or _STILL.search(turn.text):
        return None
    conversation = settled(turn.conversation, case=None, ticket=ticket.number, asked=())
    reply = Reply("danger.false_alarm", {"number": ticket.number})
    return Outcome((reply,), conversation, (AddNote(ticket.number), ResolveTicket(ticket.number)))


def _at_safety(turn: Turn) -> Outcome | None:
    """已经出来了, 打过119了: keep them safe, and go on asking where it is."""
    ticket = _current(turn)
    if ticket is None or ticket.intent != "danger" or turn.danger or not _AT_SAFETY.search(turn.text):
        return None
    return Outcome((Reply("danger.stay"), *pending_question(turn)), turn.conversation, (AddNote(ticket.number),))


def _taken_back(turn: Turn) -> Outcome | None:
    """不撤了，还要修: the ticket that was withdrawn last goes on under its number."""
    last = next((t for t in turn.tickets if t.mine), None)
    if last is None or last.status != "cancelled" or not _BACK.search(turn.text) or turn.conversation.waiting_for:
        return None
    if address_in(turn.understanding.entities, turn.places):
        return None  # another home is a report of its own
    params = {"number": last.number, "problem": problem(last.intents), "address": address_line(last.address)}
    conversation = settled(turn.conversation, case=None, ticket=last.number)
    return Outcome((Reply("cancel.taken_back", params),), conversation, (ReopenTicket(last.number),))


def _mistaken(turn: Turn) -> Outcome | None:
    """刚才说错了，不是漏水是不热: the report is taken as what it is."""
    match = _MISTAKEN.search(turn.text)
    if match is None:
        return None
    said = {name: words for name, words in match.groupdict().items() if words}
    wrong = next(name[3:] for name in said if name.startswith("no_"))
    right = next(name[3:] for name in said if name.startswith("is_"))
    understood = replace(turn.understanding, intent=right, also=())
    conversation, effects = turn.conversation, tuple[Effect, ...]()
    ticket = _current(turn)
    if ticket is not None and ticket.intent != right and _same(ticket.intent, wrong) and not ticket.urgent:
        effects = (CancelTicket(ticket.number),)
        case = conversation.case or None
        asked = tuple(a for a in conversation.asked if a == "phone")
        kept = replace(case, intent=right, also=(), severity=None) if case is not None else None
        conversation = replace(conversation, case=kept, ticket=None, waiting_for=None, options=(), asked=asked)
    elif conversation.case is not None and conversation.ticket is None:
        conversation = replace(conversation, case=replace(conversation.case, intent=right))
    else:
        return None
    tickets = tuple(t for t in turn.tickets if not effects or t is not ticket)
    first = (Reply("report.instead", {"problem": problem(right)}),)
    meant = replace(turn, understanding=understood, conversation=conversation, tickets=tickets)
    outcome = report(meant, right, first)
    return replace(outcome, effects=(*effects, *outcome.effects))


def _same(intent: str, named: str) -> bool:
    return intent == named or (intent in COLD and named in COLD)


def _who_we_are(turn: Turn) -> Outcome | None:
    """你是机器人吗, 你是谁: the truth in a line, and the question that was waiting."""
    text = turn.text.strip()
    if text and not any(char.isalnum() for char in text) and not turn.conversation.waiting_for:
        return Outcome((Reply("greet.again"),), turn.conversation)
    machine = _MACHINE.search(text) is not None and not _WANTS_PERSON.search(text)
    if len(text) > 20 or not (machine or _WHO.search(text)):
        return None
    key = "out_of_scope.machine" if machine else "greet.first"
    return Outcome((Reply(key), *pending_question(turn)), turn.conversation)


def _wishes_to_report(turn: Turn) -> Outcome | None:
    """我想报修, with no word of what: asked what it is."""
    if turn.conversation.case is not None and turn.conversation.ticket is None:
        return None
    if not _WISHES_TO_REPORT.fullmatch(turn.text.strip()):
        return None
    options = tuple(Option(intent, MEANINGS[intent]) for intent in PROBLEMS)
    asking = replace(turn.conversation, case=Case(""), ticket=None, waiting_for="problem", options=options)
    return Outcome((Reply("ask.problem"),), asking)


def _no_texts(turn: Turn) -> Outcome | None:
    """以后别给我发短信了: only the exact word stops the notices, so it is told."""
    if not _NO_TEXTS.search(turn.text):
        return None
    return Outcome((Reply("unsubscribe.how"), *pending_question(turn)), turn.conversation)


def _emergency_numbers(turn: Turn) -> Outcome | None:
    """火警电话多少: told, whatever it was taken for."""
    if not _NUMBERS.search(turn.text):
        return None
    return Outcome((Reply("out_of_scope.numbers"), *pending_question(turn)), turn.conversation)


def _repairers_number(turn: Turn) -> Outcome | None:
    """师傅电话多少: the repairer calls first; there is the hotline."""
    ticket = _current(turn)
    if ticket is None or not _THEIR_NUMBER.search(turn.text):
        return None
    return Outcome((Reply("visit.their_number", {"number": ticket.number}),), turn.conversation)


def _photo(turn: Turn) -> Outcome | None:
    """[图片], 照片发了: what a picture shows has to be said in words here."""
    if not _PHOTO.search(turn.text) or len(turn.text.strip()) > 12:
        return None
    ticket = _current(turn)
    if ticket is not None:
        key, effects = "photo.with_ticket", (AddNote(ticket.number),)
        params = {"number": ticket.number}
        severity = (Reply("ask.severity"),) if turn.conversation.waiting_for == "severity" else ()
        return Outcome((Reply(key, params), *pending_question(turn), *severity), turn.conversation, effects)
    return Outcome(pending_question(turn) or (Reply("system.image"),), turn.conversation)


def _wrong(turn: Turn) -> Outcome | None:
    """地址错了, with nothing right beside it."""
    conversation, text = turn.conversation, turn.text.strip()
    spoken_of = conversation.ticket or (conversation.case is not None and conversation.case.address)
    if not spoken_of or len(text) > 14 or turn.understanding.entities or _QUESTION.search(text):
        return None
    if not re.search(
        r"(?:地址|楼号?|单元|房号|门牌|小区|电话|号码|名字|[写说发弄搞记登])[^,，。]{0,4}(?:(?<![没不无])错|不对)", text
    ):
        return None
    waiting = conversation.waiting_for if conversation.ticket is None else None
    return Outcome((Reply("deny.which_part"),), replace(conversation, waiting_for=waiting, options=()))


def _be_home(turn: Turn) -> Outcome | None:
    """师傅来需要我在家吗."""
    ticket = _current(turn)
    if ticket is None or not _BE_HOME.search(turn.text):
        return None
    return Outcome((Reply("visit.be_home", {"number": ticket.number}), *pending_question(turn)), turn.conversation)


def _about_neighbours(turn: Turn) -> Outcome | None:
    """楼上是1001: a neighbour's door, for whoever works the ticket, and not another address for it."""
    ticket = _current(turn)
    told = turn.understanding.intent in ("provide_info", "out_of_scope")
    if ticket is None or not told or not _NEIGHBOURS.search(turn.text.strip()):
        return None
    severity = (Reply("ask.severity"),) if turn.conversation.waiting_for == "severity" else ()
    noted = Reply("visit.noted", {"number": ticket.number})
    return Outcome((noted, *severity), turn.conversation, (AddNote(ticket.number),))


def _for_the_visit(turn: Turn) -> Outcome | None:
    """晚上六点以后再来, 门铃坏了: for whoever works the ticket."""
    ticket, u = _current(turn), turn.understanding
    if ticket is None or _QUESTION.search(turn.text) or not _VISIT.search(turn.text):
        return None
    if u.intent in ("cancel", "urge", "not_resolved", "leak", "danger") and u.sure:
        return None
    conversation = settled(turn.conversation, ticket=ticket.number)
    return Outcome((Reply("visit.noted", {"number": ticket.number}),), conversation, (AddNote(ticket.number),))
