"""The telephone as a channel: who sits at the phone types what a caller says, and speaks the answer.

A call carries no text. What a caller is to hear later goes by SMS where their number can receive it (bot/ways.py).
"""

from __future__ import annotations

import secrets

from flask import Request, Response

from bot import clock
from bot.channels import BadRequest, Inbound, OtherWay, Outgoing, Report, Sent

NAME = "phone"


class Telephone:
    """See bot.channels.Channel. It has no webhook and no settings: there is always a phone."""

    name = NAME
    medium = NAME
    reply_deadline = 4.0  # seconds in which the caller, and who types, may be kept waiting
    max_bytes: int | None = None

    def says(self, caller: str, text: str, staff_id: int) -> Inbound:
        """What a caller (E.164) says, as typed by a member of staff."""
        return Inbound(
            channel=self.name,
            medium=self.medium,
            provider_id=secrets.token_hex(16),
            sender=caller,
            recipient=self.name,
            kind="text",
            text=text,
            sent_at=clock.now(),
            payload={"typed_by": staff_id},
        )

    def read(self, request: Request) -> list[Inbound | Report]:
        """Nobody may post as a caller."""
        raise BadRequest("the phone seat has no webhook")

    def verify_url(self, request: Request) -> Response:
        """The phone seat has no webhook."""
        raise BadRequest("the phone seat has no webhook")

    def acknowledge(self, request: Request) -> Response:
        """Never asked for: nothing is posted."""
        return Response(status=204)

    def answer(self, request: Request, inbound: Inbound, text: str, ref: str) -> Response:
        """Never asked for: the desk's page shows the answer."""
        return Response(status=204)

    def send(self, outgoing: Outgoing) -> Sent:
        """A call carries no text. Raises OtherWay."""
        raise OtherWay("a call carries no text")


TELEPHONE = Telephone()
