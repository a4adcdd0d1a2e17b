"""The further addresses of the WeChat stand-in: templates, subscriptions, media, QR codes, the menu, and what `check` asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response, jsonify, request

from bot.standins.api import WECHAT, _sent, _wechat, blueprint
from bot.standins.faults import response
from bot.standins.wechat_account import PNG, error

API = f"{WECHAT}/cgi-bin"


def _call(act: Callable[[dict[str, Any]], dict[str, Any] | Response]) -> Response:
    """A call of the API as it goes at WeChat: told failures first, then the token, rights and quota, then the act."""
    data = _sent()
    data = data if isinstance(data, dict) else {}
    fault = _wechat().faults.next(request.path, data.get("touser"))
    if fault is not None and not fault.works:
        return response(fault)
    token = request.args.get("access_token", "")
    result = _wechat().check_token(token) or _wechat().account.refused(request.path) or act(data)
    _wechat().refused(result)
    if fault is not None:
        return response(fault)
    return result if isinstance(result, Response) else jsonify(result)


@blueprint.post(f"{API}/message/template/send")
def template_send() -> Response:
    """A template message (模板消息)."""
    return _call(_wechat().template_send)


@blueprint.post(f"{API}/message/subscribe/bizsend")
def bizsend() -> Response:
    """A subscription notice (订阅通知)."""
    return _call(_wechat().notice_send)


@blueprint.get(f"{API}/media/get")
def media_get() -> Response:
    """A photo or a voice message; for a film the address it is at."""
    return _call(lambda data: _medium(request.args.get("media_id", "")))


def _medium(media_id: str) -> dict[str, Any] | Response:
    found = _wechat().account.medium(media_id)
    if found is None:
        return error(40007, "invalid media_id")
    if found.content_type.startswith("video/"):
        return {"video_url": f"{request.host_url.rstrip('/')}{WECHAT}/film/{media_id}"}
    return Response(found.content, content_type=found.content_type)


@blueprint.get(f"{WECHAT}/film/<media_id>")
def film(media_id: str) -> Response:
    """A film."""
    found = _wechat().account.medium(media_id)
    return Response(found.content, content_type=found.content_type) if found else Response(status=404)


@blueprint.post(f"{API}/qrcode/create")
def qrcode_create() -> Response:
    """A QR code with a scene."""
    return _call(_wechat().account.create_code)


@blueprint.get(f"{API}/showqrcode")
def showqrcode() -> Response:
    """Its picture; no token is asked for."""
    known = request.args.get("ticket", "") in _wechat().account.codes
    return Response(PNG, content_type="image/jpg") if known else Response(status=404)


@blueprint.post(f"{API}/menu/create")
def menu_create() -> Response:
    """The menu under the chat."""
    return _call(_wechat().account.create_menu)


@blueprint.get(f"{API}/menu/get")
def menu_get() -> Response:
    """The menu as it is."""
    menu = _wechat().account.menu
    return _call(lambda data: {"menu": menu} if menu else error(46003, "menu no exist"))


@blueprint.get(f"{API}/menu/delete")
def menu_delete() -> Response:
    """No menu any more."""

    def gone(data: dict[str, Any]) -> dict[str, Any]:
        _wechat().account.menu = None
        return error(0, "ok")

    return _call(gone)


@blueprint.get(f"{API}/template/get_all_private_template")
def templates() -> Response:
    """The templates that the account has chosen."""
    known = _wechat().account.templates
    return _call(lambda data: {"template_list": [_listed(key, names, "template_id") for key, names in known.items()]})


@blueprint.get(f"{WECHAT}/wxaapi/newtmpl/gettemplate")
def notices() -> Response:
    """The subscription notices that the account has chosen."""
    known = _wechat().account.notices
    return _call(
        lambda data: {**error(0, "ok"), "data": [_listed(key, names, "priTmplId") for key, names in known.items()]}
    )


def _listed(key: str, names: tuple[str, ...], name: str) -> dict[str, Any]:
    return {name: key, "title": "进度提醒", "content": "\n".join(f"{field}:{{{{{field}.DATA}}}}" for field in names)}


@blueprint.get(f"{API}/getcallbackip")
def callback_ip() -> Response:
    """Where WeChat's pushes come from."""
    return _call(lambda data: {"ip_list": ["127.0.0.1"]})


@blueprint.post(f"{API}/callback/check")
def callback_check() -> Response:
    """Whether WeChat reaches the address that the console has."""
    return _call(lambda data: {"dns": [{"ip": "127.0.0.1"}], "ping": [{"ip": "127.0.0.1", "package_loss": "0%"}]})
