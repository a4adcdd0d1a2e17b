"""How a phone gets in and out: the one-time link, logging out, and the two files that work without a network."""

from __future__ import annotations

from flask import Response, current_app, flash, g, jsonify, request, session, url_for
from flask_wtf.csrf import generate_csrf
from werkzeug.utils import redirect
from werkzeug.wrappers import Response as BaseResponse

from bot import clock, devices
from bot.crew.pages import COOKIE, blueprint, page, phone, remember
from bot.desk import throttle
from bot.desk.pages import services

GUESSES = "crew enrolment"  # what the log-in's own throttle counts wrong links under, by address


@blueprint.get("/enrol/<code>")
def enrol(code: str) -> str | tuple[str, int]:
    """Ask before the link is used up: what only looks at links (a chat's preview) must not use it."""
    if not _may_try():
        return _closed(429)
    with services().database.reading() as db:
        row = devices.invited(db, code[:64], clock.now())
        name = row.member.name if row is not None else None
    if name is None:
        return _closed(404)
    _forget_tries()
    return page("enrol.html", name=name, code=code)


@blueprint.post("/enrol/<code>")
def do_enrol(code: str) -> tuple[str, int] | BaseResponse:
    """This phone is the member's from now on."""
    if not _may_try():
        return _closed(429)
    agent = request.headers.get("User-Agent", "")[:300]
    with services().database.transaction() as db:
        token = devices.enrol(db, code[:64], agent, clock.now())
        if token is not None and g.phone is not None:
            devices.revoke(db, g.phone.device_id, None, clock.now())  # what it was before, it is no more
    if token is None:
        return _closed(404)
    _forget_tries()
    session.clear()
    response = redirect(url_for("crew.jobs"))
    remember(response, token)
    g.renew = None
    return response


def _may_try() -> bool:
    with services().database.transaction() as db:
        return throttle.allowed(db, _who_guesses(), request.remote_addr or "", clock.now())


def _forget_tries() -> None:
    with services().database.transaction() as db:
        throttle.forget(db, _who_guesses(), request.remote_addr or "", clock.now())


def _who_guesses() -> str:
    """Counted by address only: a stranger's guesses must not keep the crews out."""
    return f"{GUESSES} {request.remote_addr or ''}"


def _closed(status: int) -> tuple[str, int]:
    if status == 429:
        return page("refused.html", title="试的次数太多了", advice="请 15 分钟后再试，或请调度员重新登记。"), 429
    advice = "链接 15 分钟内有效，只能用一次。请调度员再给一个。"
    return page("refused.html", title="这个链接不能用了", advice=advice), status


@blueprint.get("/strange")
def strange() -> tuple[str, int]:
    """What a phone sees that is not enrolled (any more); the script empties what it had kept."""
    return page("strange.html"), 401


@blueprint.post("/logout")
def logout() -> BaseResponse:
    """This phone is nobody's any more."""
    with services().database.transaction() as db:
        devices.revoke(db, phone().device_id, None, clock.now())
    g.renew = None
    session.clear()
    flash("已退出。")
    response = redirect(url_for("crew.strange"))
    response.delete_cookie(COOKIE, path="/crew")
    return response


@blueprint.get("/token")
def token() -> Response:
    """A fresh form token for what was kept on the phone, and whose phone it is now."""
    return jsonify(csrf_token=generate_csrf(), device=phone().device_id)


@blueprint.get("/offline")
def offline() -> str:
    """The shell that the phone shows without a network: nobody's data."""
    return page("offline.html")


@blueprint.get("/worker.js")
def service_worker() -> Response:
    """The service worker; served here because it may only look after addresses below its own."""
    return current_app.send_static_file("crew-worker.js")
