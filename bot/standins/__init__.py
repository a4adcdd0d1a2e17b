"""Local WeChat and Twilio: for trying the service out without an account, and as test doubles.

They are mounted in demonstration mode only. What the service answers and sends is what it would answer and send to the
real ones: webhooks are signed and encrypted, API calls are authenticated and rationed.
"""

from __future__ import annotations

from flask import Flask

from bot.services import Services
from bot.settings import Settings
from bot.standins.phones import Phones
from bot.standins.transport import HttpTransport, Transport
from bot.standins.twilio import TwilioStandIn
from bot.standins.wechat import WeChatStandIn
from bot.standins.wecom import WeComStandIn, blueprint_of

__all__ = ["DEMO_CREDENTIALS", "StandIns", "register"]

# Accounts that exist nowhere but here; settings field → value.
DEMO_CREDENTIALS: dict[str, str] = {
    "wechat_token": "heatline-demo",
    "wechat_appid": "wx0000000000000000",
    "wechat_secret": "0" * 32,
    "wechat_aes_key": "demo" + "A" * 39,
    "wechat_mode": "safe",
    "twilio_account_sid": "AC" + "0" * 32,
    "twilio_auth_token": "0" * 32,
    "twilio_from": "+15005550006",  # Twilio's own test number
}


class StandIns:
    """Both providers and the phones of everyone who writes through them.

    `transport` carries their webhooks to the service; `background` lets Twilio's statuses come by themselves.
    """

    def __init__(self, settings: Settings, transport: Transport, background: bool = False) -> None:
        self.phones = Phones()
        self.wechat = WeChatStandIn(settings, transport, self.phones)
        self.twilio = TwilioStandIn(settings, transport, self.phones, background)
        self.wecom = WeComStandIn()

    def use(self, transport: Transport) -> None:
        """Reach the service another way from now on."""
        self.wechat.transport = self.twilio.transport = transport

    def heard(self, medium: str, address: str) -> list[str]:
        """Everything that an openid ("wechat") or a phone ("sms") has received in order, passive and pushed."""
        return self.phones.heard(medium, address)

    def reset(self) -> None:
        """New accounts and empty phones."""
        self.wechat.reset()
        self.twilio.reset()
        self.wecom.reset()
        self.phones.clear()


def register(app: Flask, services: Services, transport: Transport | None = None) -> StandIns:
    """Mount the providers' addresses and /try; the stand-ins are then at app.extensions["standins"].

    Without a `transport` webhooks come over HTTP to the service's own address, as a provider's would.
    """
    from bot.standins import api, try_page, wechat_api  # noqa: F401  adds the rest of WeChat's addresses

    settings = services.settings
    standins = StandIns(settings, transport or HttpTransport(settings.base_url), background=transport is None)
    app.extensions["standins"] = standins
    app.register_blueprint(api.blueprint)
    app.register_blueprint(try_page.blueprint)
    app.register_blueprint(blueprint_of(standins.wecom))
    return standins
