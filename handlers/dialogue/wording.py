"""How addresses, times and states are read aloud."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from handlers.dialogue.types import Address, Case, TicketView

PROBLEMS = {
    "no_heat": "暖气不热",
    "low_temperature": "温度不够",
    "leak": "漏水",
    "billing": "缴费账户",
    "open_valve": "开阀",
    "other_repair": "暖气问题",
    "danger": "险情",
}
MEANINGS = {  # how a meaning is offered to choose from
    "no_heat": "暖气不热",
    "low_temperature": "暖气不够热",
    "leak": "漏水",
    "billing": "缴费、退费的事",
    "open_valve": "交了费要开阀",
    "other_repair": "暖气别的毛病",
    "consult": "问供暖的事",
    "ask_progress": "查报修进度",
    "urge": "催一催",
    "confirm_resolved": "已经热了、修好了",
    "not_resolved": "修了还是不行",
    "cancel": "撤销报修",
    "human_agent": "找人工",
    "danger": "有危险",
    "privacy": "个人信息的事",
}
_IN_PUBLIC = frozenset({"leak", "danger", "other_repair"})
STATES = {
    "received": "已登记，正在派人",
    "dispatched": "已派给{team}",
    "accepted": "{team}已接单",
    "on_site": "{team}师傅正在上门",
    "waiting": "暂时等着，{team}在跟",
    "done": "师傅说已处理好",
    "confirming": "等我们电话跟您确认",
    "closed": "已办结",
    "reopened": "已重新派人处理",
    "cancelled": "已撤销",
    "returned": "正在重新派人",
    "merged": "已并到同一处的报修一起处理",
}

NEXT = {  # what comes after a state, as residents are told who ask
    "received": "派好了就有人联系您",
    "dispatched": "师傅接了单会先联系您，再上门",
    "accepted": "会先联系您，再上门",
    "on_site": "请留人开门",
    "waiting": "能修了马上联系您",
    "done": "好了请回1，没好请回2",
    "confirming": "确认好了就办结",
    "closed": "又不行了，直接告诉我",
    "reopened": "会再联系您",
    "cancelled": "还需要就直接告诉我",
    "returned": "派好了就有人联系您",
    "merged": "有进展一起告诉您",
}


def address_line(address: Address) -> str:
    """An address as people read it out: 阳光花园3号楼2单元501室. Empty where nothing is known."""
    parts = [address.community or ""]
    if address.building:
        named = address.building.endswith(("楼", "座", "栋", "幢", "院"))
        kind = "座" if address.building.isascii() and address.building.isalpha() else "号楼"
        parts.append(address.building if named else f"{address.building}{kind}")
    if address.unit:
        parts.append(address.unit if address.unit.endswith(("单元", "门")) else f"{address.unit}单元")
    if address.room:
        parts.append(f"{address.room}室" if address.room.isdigit() else address.room)
    return "".join(parts)


def place_line(case: Case) -> str:
    """Where a case is, with everything that it names: 阳光花园3号楼101、201室, 阳光花园3号楼整栋."""
    whole = {"community": "全小区", "building": "整栋", "unit": "整个单元"}.get(case.scope or "", "")
    if case.scope == "community" and case.intent in _IN_PUBLIC:
        return address_line(case.address)  # a road is not the whole estate
    if whole and len(case.rooms) < 2:
        # The room of who reports a whole building does not make it smaller.
        part = replace(case.address, room=None)
        part = part if case.scope == "unit" else replace(part, unit=None)
        part = part if case.scope != "community" else replace(part, building=None)
        return address_line(part) + whole
    if len(case.rooms) > 1:
        base = address_line(Address(None, case.address.community, case.address.building, case.address.unit))
        return f"{base}{'、'.join(case.rooms)}室"
    return address_line(case.address)


def problem(intents: tuple[str, ...] | str) -> str:
    """A ticket's problem in a resident's words."""
    names = (intents,) if isinstance(intents, str) else intents
    if len(names) > 1:  # 暖气不热、暖气问题 says no more than 暖气不热
        names = tuple(name for name in names if name != "other_repair")
    return "、".join(dict.fromkeys(PROBLEMS[name] for name in names if name in PROBLEMS and name != "billing")) or (
        PROBLEMS.get(names[0], "报修")
    )


def state(ticket: TicketView) -> str:
    """A ticket's state in words."""
    return STATES.get(ticket.status, ticket.status).format(team=ticket.responsible or "维修班组")


def comes_next(ticket: TicketView) -> str:
    """What follows the present state of a ticket."""
    return NEXT.get(ticket.status, "有变化会告诉您")


def clock_time(moment: datetime, now: datetime, zone: ZoneInfo) -> str:
    """A moment as it is told: 今天10:05, 昨天18:30, 11月22日18:30."""
    local, today = moment.astimezone(zone), now.astimezone(zone).date()
    days = (today - local.date()).days
    day = {0: "今天", 1: "昨天"}.get(days, f"{local.month}月{local.day}日")
    return f"{day}{local:%H:%M}"
