"""The terminal as a channel: `heatline chat` says something and is shown what the service sends."""

from __future__ import annotations

import secrets
from collections.abc import Callable

from flask import Request, Response

from bot import clock
from bot.channels import BadRequest, Inbound, Outgoing, Report, Sent
from bot.channels.wording import clean

NAME = "console"


class Console:
    """One terminal. It has no webhook: `says` makes what a webhook would bring; `send` calls `show` with the text."""

    name = NAME
    reply_deadline = 4.0
    max_bytes: int | None = None

    def __init__(self, show: Callable[[str], None], medium: str = "wechat") -> None:
        self.medium = medium
        self._show = show

    def says(self, sender: str, text: str) -> Inbound:
        """A message typed at the terminal by `sender` (an openid or a phone, made up by the caller)."""
        return Inbound(
            channel=self.name,
            medium=self.medium,
            provider_id=secrets.token_hex(16),
            sender=sender,
            recipient=self.name,
            kind="text",
            text=text,
            sent_at=clock.now(),
        )

    def read(self, request: Request) -> list[Inbound | Report]:
        """Nobody may post as the terminal."""
        raise BadRequest("the console has no webhook")

    def verify_url(self, request: Request) -> Response:
        """The terminal has no address."""
        raise BadRequest("the console has no webhook")

    def acknowledge(self, request: Request) -> Response:
        """Never asked for: nothing is posted."""
        return Response(status=204)

    def answer(self, request: Request, inbound: Inbound, text: str, ref: str) -> Response:
        """Never asked for: answers are shown through `send`."""
        return Response(status=204)

    def send(self, outgoing: Outgoing) -> Sent:
        """Show the text."""
        self._show(clean(outgoing.text))
        return Sent(None)
