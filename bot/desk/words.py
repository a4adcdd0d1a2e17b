"""What the pages say: Chinese words for our states, and times as people tell them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from bot.clock import local_day
from bot.settings import ROOT

ROLES = {
    "reviewer": "复核员",
    "agent": "坐席",
    "dispatcher": "调度员",
    "crew": "维修班组",
    "supervisor": "主管",
    "administrator": "管理员",
}
PRIORITIES = {1: "紧急", 2: "当日", 3: "普通", 4: "可缓"}
MEDIA = {"wechat": "微信", "sms": "短信", "phone": "来电"}
ACTORS = {"resident": "住户", "staff": "工作人员", "system": "系统"}
CHANGES = {
    "opened": "立单",
    "moved": "改状态",
    "edited": "更正",
    "note": "备注",
    "chased": "住户催单",
    "joined": "又有住户报修",
    "dispatched": "派单",
    "alerted": "险情通知",
    "called": "回电",
    "escalated": "时限提醒",
    "measured": "现场测温",
    "rated": "评价",
    "taken": "接手对话",
    "gave_back": "交还对话",
    "replied": "人工回复",
}
AUDITED = {  # what the log of views calls the pages and forms of the desk
    "tickets": "工单列表",
    "ticket": "工单",
    "move_ticket": "改状态",
    "split_ticket": "拆单",
    "measure_ticket": "记测温",
    "see_escalations": "看到催办",
    "retype_ticket": "更正类型",
    "edit_ticket": "更正地址电话",
    "assign_ticket": "派给班组",
    "merge_ticket": "并单",
    "note_ticket": "内部备注",
    "note_household": "核实本户",
    "erase_contact": "删除住户资料",
    "media": "照片、语音",
    "talks": "对话列表",
    "conversation": "对话",
    "take_talk": "接手对话",
    "reply_talk": "给住户回话",
    "return_talk": "交还对话",
    "reviews": "待复核",
    "review": "待复核的消息",
    "judge": "判断消息",
    "undo": "撤回判断",
    "second": "第二人复核",
    "give_opinion": "第二人意见",
    "callbacks": "待回电",
    "call_done": "标记已回电",
    "handovers": "转交",
    "hand_over": "标记已转交",
    "deliveries": "发送异常",
    "send_again": "重发",
    "open_alerts": "险情",
    "acknowledge_alert": "确认险情",
    "jobs": "待接单",
    "take_job": "接单",
    "people": "人员",
    "add_member": "添加人员",
    "edit_member": "改人员",
    "roster": "值班表",
    "roster_csv": "导出值班表",
    "audit_page": "查阅记录",
    "save_filter": "存筛选",
    "delete_filter": "删筛选",
    "add_shift": "添加班次",
    "delete_shift": "删班次",
    "copy_week": "照抄一周班次",
    "paste_roster": "导入值班表",
    "check_company": "改单位电话",
    "comprehension": "理解情况",
    "comprehension_csv": "导出理解情况",
    "start_training": "训练模型",
    "promote_model": "启用模型",
    "roll_back": "退回旧模型",
    "skip": "跳过消息",
    "flag": "留给同事",
    "listen": "待听语音",
    "heard": "听写语音",
    "nothing": "语音没有内容",
    "unclear": "语音听不清",
    "phone_seat": "电话台",
    "find_caller": "查来电人",
    "phone_call": "来电",
    "confirm_home": "核实来电人",
    "say_line": "记来电的话",
    "missed_list": "未接来电",
    "note_missed": "记未接来电",
    "phones": "维修手机",
    "invite_phone": "登记手机",
    "revoke_phone": "停用手机",
    "do_login": "登录",
    "logout": "退出",
}
WAITS = {"resident": "住户", "property": "物业", "parts": "配件"}
CLOCK_STATES = {
    "running": "计时中",
    "late": "已超时限",
    "resting": "停表",
    "met": "按时",
    "missed": "超时",
    "dropped": "不再计",
}
WHO = {"resident": "住户", "system": "系统", "staff": "工作人员"}
RESOLUTIONS = {"confirmed": "住户已确认修好", "unconfirmed": "处理完毕，未经住户确认", "withdrawn": "住户撤销"}
SCOPES = {"room": "单个房间", "home": "整户", "unit": "整单元", "building": "整栋楼", "community": "全小区"}
NEIGHBOURS = {"warm": "热", "cold": "也不热", "unknown": "不知道"}
BELONGS = {
    "": "没有核实，只告诉其“已有人报修”",
    "first": "最先报修，没有核实",
    "account": "已用户号核实",
    "code": "已用核对码核实",
    "phone": "用登记的电话发来",
    "crew": "已当面核实",
    "desk": "坐席已在电话里核实",
}
SEVERITIES = {"burst": "爆管/大量漏水", "drip": "滴漏/渗水"}
DELIVERY_STATES = {
    "queued": "排队中",
    "sending": "发送中",
    "sent": "已发送",
    "delivered": "已送达",
    "failed": "发送失败",
    "unknown": "未知（可能没收到）",
    "held": "暂缓（渠道不通）",
    "suppressed": "未发（已退订，或只能在电话里说）",
}
DELIVERY_KINDS = {"reply": "回复", "urgent": "紧急", "notice": "通知"}
REVIEW_REASONS = {
    "unsure": "拿不准",
    "misunderstood": "没听懂",
    "contradicted": "住户说理解错了",
    "failed": "处理出错",
    "voice": "语音，请听",
    "desk": "同事改过工单",
    "sample": "每日抽查",
}
REPAIRS = {
    "retyped": "工单已改类型",
    "withdrawn": "误报的工单已撤销",
    "opened": "已补立工单",
    "answered": "已补答住户",
    "asked": "正在问住户的报修已改过来",
    "dropped": "已告诉住户不用再答",
    "called": "已加入待回电",
    "noted": "已记在工单上",
}
CALL_REASONS = {
    "asked": "住户要求人工",
    "misunderstood": "多次没听懂",
    "complaint": "投诉",
    "privacy": "个人信息",
    "urgent": "险情，须立即回电",
    "chased": "催了不止一次",
    "question": "问题要人答复",
    "account": "账户事项",
    "incomplete": "报修信息不全",
    "confirm": "确认是否修好",
    "review": "复核发现理解错了",
    "unreached": "短信没送到，改为电话答复",
    "cold": "家有老幼病人，一天了还不热",
    "voice": "有语音没人听",
    "missed": "未接来电",
    "seat": "来电时没来得及答复",
}
MESSAGE_KINDS = {
    "image": "图片",
    "voice": "语音",
    "video": "视频",
    "location": "位置",
    "link": "链接",
    "follow": "关注公众号",
    "unfollow": "取消关注",
    "scan": "扫码",
    "click": "点菜单",
    "subscription": "订阅通知",
    "report": "发送回执",
    "stop": "退订",
    "start": "恢复通知",
    "help": "短信求助词",
}
ENTITIES = {
    "district": "区",
    "community": "小区",
    "building": "楼",
    "unit": "单元",
    "room": "室",
    "temperature": "室温",
    "phone": "电话",
    "account_no": "户号",
    "duration": "多久",
}
_LONG_DIGITS = re.compile(r"\d[\d -]{5,}\d")


@lru_cache(maxsize=1)
def intent_names() -> dict[str, str]:
    """How each intent is called at the desk: the `name` line of its file in data/intents."""
    names = {}
    for path in sorted((ROOT / "data" / "intents").glob("*.yml")):
        with path.open(encoding="utf-8") as file:
            line = next((line for line in file if line.startswith("name:")), f"name: {path.stem}")
        names[path.stem] = line.removeprefix("name:").strip()
    return names


def intent_name(intent: str | None) -> str:
    """The staff's name of an intent."""
    return intent_names().get(intent, intent) if intent else "—"


def tell_time(moment: datetime, zone: ZoneInfo, now: datetime) -> str:
    """A moment as people tell it in `zone`: 今天 10:05, 昨天 18:30, 11月20日 08:00, 2025年12月1日 08:00."""
    local, day, today = moment.astimezone(zone), local_day(moment, zone), local_day(now, zone)
    clock_time = local.strftime("%H:%M")
    named = {today: "今天", today - timedelta(days=1): "昨天", today + timedelta(days=1): "明天"}.get(day)
    if named:
        return f"{named} {clock_time}"
    year = "" if day.year == today.year else f"{day.year}年"
    return f"{year}{day.month}月{day.day}日 {clock_time}"


def tell_span(seconds: float) -> str:
    """A length of time in one unit: 40 秒, 5 分钟, 3 小时, 2 天."""
    seconds = max(0.0, seconds)
    for size, name in ((86400, "天"), (3600, "小时"), (60, "分钟")):
        if seconds >= size:
            return f"{int(seconds // size)} {name}"
    return f"{int(seconds)} 秒"


def mask_numbers(text: str) -> str:
    """A text whose telephone and account numbers show their last two digits only."""
    return _LONG_DIGITS.sub(lambda match: "•••" + match[0][-2:], text)


def tell_phone(phone: str) -> str:
    """A phone as it is read out: 138 1234 5678, a landline with its 0. Numbers of other countries stay as they are."""
    bare = phone.removeprefix("+86")
    if len(bare) == 11 and bare.startswith("1"):
        return f"{bare[:3]} {bare[3:7]} {bare[7:]}"
    return f"0{bare}" if phone.startswith("+86") else phone
