"""Logging in and out, and the guard in front of every other page."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from flask import Flask, Response, flash, redirect, render_template, request, session, url_for
from flask_login import LoginManager, current_user, login_user, logout_user
from flask_wtf.csrf import CSRFError, CSRFProtect
from sqlalchemy import select
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from bot import clock, staff
from bot.desk import throttle
from bot.desk.pages import blueprint, me, services
from bot.models import Staff

SESSION_LENGTH = timedelta(hours=12)  # one shift
OPEN_ENDPOINTS = frozenset({"desk.login", "desk.do_login"})
# What open pages ask of their own accord; it keeps no session alive.
BY_ITSELF = frozenset({"desk.live", "desk.alerts_open", "desk.learning_progress"})

csrf = CSRFProtect()


@dataclass(frozen=True)
class DeskUser:
    """An account as flask-login wants it. Its id carries a piece of the password's hash: a new password ends sessions."""

    staff: Staff
    is_authenticated: bool = True
    is_active: bool = True
    is_anonymous: bool = False

    def get_id(self) -> str:
        return f"{self.staff.id}:{_stamp(self.staff)}"


def _stamp(account: Staff) -> str:
    return hashlib.sha256(account.password_hash.encode()).hexdigest()[:16]


def setup(app: Flask) -> None:
    """Sessions, log-in and forgery protection for the desk; other blueprints (webhooks) are not touched by it."""
    app.config.update(
        PERMANENT_SESSION_LIFETIME=SESSION_LENGTH,
        WTF_CSRF_CHECK_DEFAULT=False,  # webhooks carry their own signatures; the desk asks for the check itself
        WTF_CSRF_TIME_LIMIT=None,  # a page may stay open for a whole shift
    )
    csrf.init_app(app)
    manager = LoginManager(app)
    manager.session_protection = "basic"
    manager.user_loader(_load)


def _load(user_id: str) -> DeskUser | None:
    key, _, stamp = user_id.partition(":")
    with services().database.reading() as db:
        account = db.scalar(select(Staff).where(Staff.id == int(key), Staff.active)) if key.isdigit() else None
        db.expunge_all()  # it outlives this session
    return DeskUser(account) if account is not None and _stamp(account) == stamp else None


@blueprint.before_request
def guard() -> BaseResponse | None:
    """Everybody must be logged in, and every change must come from a form of ours."""
    if current_user.is_authenticated and _rested():
        logout_user()
        session.clear()
        flash("太久没有操作，已自动退出，请重新登录。")
        return redirect(url_for("desk.login", next=_asked() if request.endpoint not in OPEN_ENDPOINTS else None))
    csrf.protect()
    if request.endpoint in OPEN_ENDPOINTS or current_user.is_authenticated:
        return None
    return redirect(url_for("desk.login", next=_asked()))


def _asked() -> str | None:
    """The page that was asked for, to be shown after the log-in."""
    return request.full_path.rstrip("?") if request.method == "GET" else None


def _rested() -> bool:
    """Whether nobody has touched the desk for too long; what a page asks of its own accord is nobody's touch."""
    now = clock.now()
    last = session.get("touched")
    idle = timedelta(minutes=float(services().rules.current().raw["desk"]["idle_minutes"]))
    if last is not None and now - datetime.fromtimestamp(last, UTC) > idle:
        return True
    if request.endpoint not in BY_ITSELF and "X-Refresh" not in request.headers:
        session["touched"] = now.timestamp()
    return False


@blueprint.after_request
def keep_private(response: Response) -> Response:
    """Personal data stay out of every cache."""
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/login")
def login() -> str | BaseResponse:
    """The log-in form."""
    if current_user.is_authenticated:
        return redirect(_wanted())
    return render_template("desk/login.html", error=None, name="")


@blueprint.post("/login")
def do_login() -> tuple[str, int] | BaseResponse:
    """Check name and password."""
    name, address, now = request.form.get("name", "").strip()[:64], request.remote_addr or "", clock.now()
    with services().database.transaction() as db:
        may_try = throttle.allowed(db, name, address, now)
    if not may_try:
        return _refused(name, "试的次数太多了，请 15 分钟后再试，或请管理员帮忙。", 429)
    with services().database.reading() as db:
        account = staff.verify(db, name, request.form.get("password", "")[:1024])
        db.expunge_all()
    if account is None:
        return _refused(name, "姓名或密码不对，请再试一次。", 401)
    with services().database.transaction() as db:
        throttle.forget(db, name, address, now)
    session.clear()  # nothing of an anonymous session, such as its form token, survives the log-in
    session.permanent = True
    login_user(DeskUser(account))
    session["touched"] = clock.now().timestamp()
    return redirect(_wanted())


def _refused(name: str, error: str, status: int) -> tuple[str, int]:
    return render_template("desk/login.html", error=error, name=name), status


def _wanted() -> str:
    """The page that was asked for before the log-in; only ever one of the desk's own."""
    wanted = request.values.get("next", "")
    first_page = url_for("desk.tickets") if staff.may(me(), staff.SEE) else url_for("desk.reviews")
    own = wanted.startswith("/desk/") and "\\" not in wanted and "//" not in wanted
    return wanted if own and wanted != "/desk/" else first_page


@blueprint.post("/logout")
def logout() -> BaseResponse:
    """End the session."""
    logout_user()
    session.clear()
    flash("已退出登录。")
    return redirect(url_for("desk.login"))


REFUSALS = {
    400: ("这次提交没有通过检查", "页面可能开得太久了。请返回上一页，刷新后再提交。"),
    403: ("没有权限", "您的账号不能做这件事；需要的话请找管理员。"),
    404: ("没有找到", "没有这个页面或这张工单，或者它不归您的班组。"),
    405: ("不能这样打开", "请从页面上的按钮操作。"),
    413: ("内容太长", "提交的内容太长了，请精简后再试。"),
}


@blueprint.errorhandler(HTTPException)
def refuse(error: HTTPException) -> tuple[str, int] | HTTPException:
    """A refusal in the words of the desk."""
    code = 400 if isinstance(error, CSRFError) else error.code or 500
    if code not in REFUSALS:
        return error
    title, advice = REFUSALS[code]
    return render_template("desk/refused.html", title=title, advice=advice), code
