"""/try: chat as an invented resident, by WeChat and by SMS, beside the desk that receives what is reported."""

from __future__ import annotations

import re
import secrets
from typing import Any

from flask import Blueprint, Response, current_app, jsonify, render_template, request

from bot.services import Services
from bot.standins.phones import SAID, Line

blueprint = Blueprint(
    "try_page", __name__, template_folder="templates", static_folder="static", static_url_path="/try/static"
)

LONGEST = 600  # characters, as WeChat's own input field
# Only invented residents: an openid of ours, and a block of numbers kept for this page.
_ADDRESSES = {"wechat": re.compile(r"o[A-Za-z0-9_-]{27}\Z"), "sms": re.compile(r"\+861990000\d{4}\Z")}
_HOW = {"passive": "随即回复", "pushed": "主动推送", "notice": "平台提示"}
EXAMPLES = {
    "wechat": (
        "暖气片冰凉，一点都不热",
        "阳光花园3号楼2单元501，家里只有14度",
        "阀门那儿一直在滴水",
        "我报的修到哪一步了？",
        "转人工",
    ),
    "sms": ("家里不热，沁河苑5号楼1单元302", "催一下，都三天了", "暖气费多少钱一平？", "已经热了，谢谢"),
}


@blueprint.get("/try")
def page() -> str:
    """The page; who one is, the browser remembers."""
    services: Services = current_app.extensions["heatline"]
    return render_template("standins/try.html", company=services.settings.company, examples=EXAMPLES, longest=LONGEST)


@blueprint.post("/try/identity")
def identity() -> tuple[Response, int]:
    """A new resident: {"medium"} → {"address"}. On WeChat they follow the account, as a real one would first."""
    medium = _sent().get("medium")
    if medium == "sms":
        return jsonify(address=f"+861990000{secrets.randbelow(10_000):04d}"), 200
    if medium != "wechat":
        return jsonify(error="请选择微信或短信"), 400
    openid = f"o{secrets.token_urlsafe(21)[:27]:0<27}"
    current_app.extensions["standins"].wechat.push_event(openid, "subscribe", EventKey="")
    return jsonify(address=openid), 200


@blueprint.post("/try/say")
def say() -> tuple[Response, int]:
    """The resident writes: {"medium", "address", "text"}. Their provider's stand-in posts it to the real endpoint."""
    told = _sent()
    medium, address, text = told.get("medium"), told.get("address"), told.get("text")
    if not _is_known(medium, address):
        return jsonify(error="请先换一个新身份"), 400
    if not isinstance(text, str) or not 0 < len(text.strip()) <= LONGEST:
        return jsonify(error=f"请写 1 到 {LONGEST} 个字"), 400
    standins = current_app.extensions["standins"]
    if medium == "wechat":
        standins.wechat.push_text(address, text)
    else:
        standins.twilio.send_sms(address, text)
    return jsonify(ok=True), 200


@blueprint.get("/try/lines")
def lines() -> tuple[Response, int]:
    """What is on one phone: ?medium=…&address=…&after=<number of the last line seen>."""
    medium, address = request.args.get("medium"), request.args.get("address")
    if not _is_known(medium, address):
        return jsonify(error="请先换一个新身份"), 400
    after = request.args.get("after", 0, type=int)
    found = current_app.extensions["standins"].phones.lines(medium, address, after)
    return jsonify(lines=[_line(line) for line in found]), 200


def _line(line: Line) -> dict[str, Any]:
    zone = current_app.extensions["heatline"].settings.zone
    return {
        "number": line.number,
        "mine": line.how == SAID,
        "how": _HOW.get(line.how, ""),
        "text": line.text,
        "at": line.at.astimezone(zone).strftime("%H:%M"),
    }


def _sent() -> dict[str, Any]:
    told = request.get_json(silent=True)
    return told if isinstance(told, dict) else {}


def _is_known(medium: Any, address: Any) -> bool:
    known = _ADDRESSES.get(medium) if isinstance(medium, str) else None
    return known is not None and isinstance(address, str) and bool(known.match(address))
