"""create_app(): the web application over a process's services."""

from __future__ import annotations

from flask import Flask, Response, redirect
from werkzeug.wrappers import Response as BaseResponse

from bot import call_webhook, health, webhooks
from bot.channels import calls
from bot.intake import Intake
from bot.passive import PassiveMarker
from bot.services import Services
from bot.settings import SettingsError

MAX_BODY = 64 * 1024  # bytes of a webhook; the desk's own forms are smaller too


def create_app(services: Services) -> Flask:
    """The Flask application. Raises SettingsError where demonstration mode meets real credentials."""
    settings = services.settings
    app = Flask("bot", static_folder="static")
    app.config.update(
        SECRET_KEY=settings.secret_key,
        MAX_CONTENT_LENGTH=MAX_BODY,
        MAX_FORM_MEMORY_SIZE=MAX_BODY,
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.base_url.startswith("https://"),
    )
    app.json.ensure_ascii = False  # type: ignore[attr-defined]
    app.extensions["heatline"] = services
    app.extensions["heatline_intake"] = Intake(services.database)
    app.extensions["heatline_passive"] = PassiveMarker(services.database)
    app.extensions["heatline_calls"] = calls.create(settings)
    app.register_blueprint(webhooks.blueprint)
    app.register_blueprint(call_webhook.blueprint)
    app.register_blueprint(health.blueprint)
    _register_desk(app)
    if settings.is_demo:
        _register_demo(app, services)
    app.after_request(_harden)

    @app.get("/")
    def home() -> BaseResponse:
        return redirect("/try" if settings.is_demo else "/desk/")

    return app


def _register_desk(app: Flask) -> None:
    from bot import crew, desk

    desk.register(app)
    crew.register(app)


def _register_demo(app: Flask, services: Services) -> None:
    """The stand-ins and the try page: only on this machine, never beside real credentials."""
    settings = services.settings
    if settings.host not in ("127.0.0.1", "localhost", "::1"):
        raise SettingsError("HEATLINE_DEMO=1 listens on this machine only; set HEATLINE_HOST to 127.0.0.1.")
    from bot import standins

    standins.register(app, services)


def _harden(response: Response) -> Response:
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    response.headers.setdefault("X-Frame-Options", "SAMEORIGIN")
    response.headers.setdefault(
        "Content-Security-Policy",
        "default-src 'self'; img-src 'self' data:; frame-ancestors 'self'; base-uri 'none'; form-action 'self'",
    )
    return response
