"""The providers' addresses: what the service calls when it believes to call WeChat or Twilio."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, current_app, jsonify, request

from bot.standins.faults import response
from bot.standins.twilio import TwilioRefused, TwilioStandIn
from bot.standins.wechat import WeChatStandIn

WECHAT, TWILIO = "/standins/wechat", "/standins/twilio"
blueprint = Blueprint("standins", __name__)


def _wechat() -> WeChatStandIn:
    standin: WeChatStandIn = current_app.extensions["standins"].wechat
    return standin


def _twilio() -> TwilioStandIn:
    standin: TwilioStandIn = current_app.extensions["standins"].twilio
    return standin


def _sent() -> Any:
    return request.get_json(force=True, silent=True)


@blueprint.post(f"{WECHAT}/cgi-bin/stable_token")
def stable_token() -> Response:
    """A token that stays the same until it expires."""
    return _token(_sent())


@blueprint.get(f"{WECHAT}/cgi-bin/token")
def token() -> Response:
    """The classic call; this stand-in gives it the stable token."""
    return _token(request.args.to_dict())


def _token(data: Any) -> Response:
    data = data if isinstance(data, dict) else {}
    if (fault := _wechat().faults.next(request.path, None)) is not None:
        return response(fault)
    return jsonify(_wechat().token(data.get("appid"), data.get("secret"), bool(data.get("force_refresh"))))


@blueprint.post(f"{WECHAT}/cgi-bin/message/custom/send")
def custom_send() -> Response:
    """A customer-service message."""
    data = _sent()
    fault = _wechat().faults.next(request.path, data.get("touser") if isinstance(data, dict) else None)
    if fault is None or fault.works:
        result = _wechat().custom_send(request.args.get("access_token", ""), data)
    _wechat().refused(result if fault is None else fault.body)
    return jsonify(result) if fault is None else response(fault)


@blueprint.post(f"{WECHAT}/cgi-bin/message/custom/typing")
def custom_typing() -> Response:
    """对方正在输入; nothing to see here."""
    return jsonify(_wechat().check_token(request.args.get("access_token", "")) or {"errcode": 0, "errmsg": "ok"})


@blueprint.post(f"{TWILIO}/2010-04-01/Accounts/<sid>/Messages.json")
def create_message(sid: str) -> Response:
    """Create a message."""
    auth = request.authorization
    pair = (auth.username or "", auth.password or "") if auth is not None and auth.type == "basic" else None
    fault = _twilio().faults.next(request.path, request.form.get("To"))
    if fault is not None and not fault.works:
        return response(fault)
    try:
        answer = jsonify(_twilio().create_message(sid, pair, request.form))
        answer.status_code = 201
    except TwilioRefused as refusal:
        answer = jsonify(refusal.body())
        answer.status_code = refusal.status
    return answer if fault is None else response(fault)


@blueprint.get(f"{TWILIO}/2010-04-01/Accounts/<sid>/Messages/<message>.json")
def read_message(sid: str, message: str) -> Response:
    """A message as it stands."""
    found = _twilio().messages.get(message)
    if found is None:
        answer = jsonify(TwilioRefused(20404, "The requested resource was not found", 404).body())
        answer.status_code = 404
        return answer
    return jsonify(_twilio().resource(found))


@blueprint.post(f"{WECHAT}/fail")
def fail_wechat() -> tuple[Response, int]:
    """Let the next calls fail: {"errcode": 45015} or {"status": 502, "body": "<html>", "delay": 6}, with "times", "to"."""
    return _fail(_wechat())


@blueprint.post(f"{TWILIO}/fail")
def fail_twilio() -> tuple[Response, int]:
    """Let the next calls fail: {"code": 21610}, with "status", "times", "to", "delay"."""
    return _fail(_twilio())


def _fail(standin: WeChatStandIn | TwilioStandIn) -> tuple[Response, int]:
    """Only JSON is taken, which no foreign web page can post here unasked."""
    told = request.get_json(silent=True)
    if not isinstance(told, dict):
        return jsonify(error="send a JSON object"), 400
    try:
        standin.fail(**told)
    except TypeError:
        return jsonify(error="unknown or missing fields"), 400
    return jsonify(ok=True), 200
