"""The contract between the service and its channels: one file per channel or provider; `ls` is the list.

A channel verifies a webhook, translates the provider's words into Inbound and Report values, says "thank you" the way
the provider wants it, and sends. Provider words go no further than its file.

Errors form one tree; each says what to do next:

    BadRequest            nothing is stored
      BadSignature        answered with 403
    SendError             a delivery did not (surely) leave
      Retry               safe to try again, after `after` seconds
      GiveUp              this text will never go out to this contact this way
        Filtered          the carrier or the provider blocks its wording: a person must look at it
      OptedOut            the contact refuses messages
      OtherWay            this way is closed now (window, quota, no template): try another channel
        Unreachable       nothing reaches this contact this way any more (not their number, a landline, unfollowed)
      Unknown             it may or may not have gone out (timeout, 5xx): never repeated blindly
      Misconfigured       our own settings are wrong: alarm, the channel turns red
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from flask import Request, Response


class BadRequest(Exception):
    """A webhook we do not accept; nothing of it is stored. `status` is the HTTP status of the answer."""

    status = 400


class BadSignature(BadRequest):
    """Missing, false or stale signature, or a wrong account."""

    status = 403


class SendError(Exception):
    """A send that did not surely succeed. `code` is the provider's error code; carries no personal data or secret."""

    def __init__(
        self, reason: str, code: str | None = None, after: float | None = None, waits_for: str | None = None
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.after = after  # seconds until a retry makes sense
        self.waits_for = waits_for  # what opens this way again: `inbound` (their next word), or a part of the channel


class Retry(SendError):
    """The provider did not take it and may take it later."""


class GiveUp(SendError):
    """It will never go out this way."""


class Filtered(GiveUp):
    """The wording is blocked; it would be for everybody."""


class OptedOut(SendError):
    """The contact refuses messages from us."""


class OtherWay(SendError):
    """This way is closed to this contact now; another channel may be open."""


class Unreachable(OtherWay):
    """Nothing reaches this contact this way, until they write by it again."""


class Unknown(SendError):
    """Nobody knows whether it went out."""


class Misconfigured(SendError):
    """Credentials, rights or templates are wrong; a person must mend the settings."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a resident's act allows us to push: `left` texts within `lasts`; a new grant of the same name replaces it."""

    name: str  # message | action
    left: int
    lasts: timedelta


@dataclass(frozen=True, slots=True)
class MediaRef:
    """A photo, voice message or film that the provider keeps for a while; `ref` is what its channel's `fetch` takes."""

    kind: str  # image | voice | video
    ref: str
    lasts: timedelta


@dataclass(frozen=True, slots=True)
class Inbound:
    """One message or event from a resident, in our words."""

    channel: str  # name of the channel or provider: wechat, twilio, …
    medium: str  # what the contact is: "wechat" (an openid) or "sms" (a phone in E.164)
    provider_id: str  # unique within the channel; the key that makes a repeated webhook one message
    sender: str  # openid or phone
    recipient: str  # our account or number
    # text | image | voice | video | location | link | follow | unfollow | scan | click | report | other; and what the
    # provider itself has answered already: stop | start | help
    kind: str
    text: str = ""
    sent_at: datetime | None = None  # the provider's time, aware UTC
    payload: dict[str, Any] = field(default_factory=dict)  # what else the provider said that we keep
    grant: Grant | None = None
    media: tuple[MediaRef, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """What a provider tells about an earlier delivery. `state` is sent | delivered | failed.

    `failure` says what a failed one leads to, just as if sending had raised it; None: nothing but the state.
    """

    channel: str
    provider_ref: str
    state: str
    code: str | None = None
    at: datetime | None = None
    ref: str | None = None  # our delivery's id, where the callback's address names it
    failure: SendError | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the catalogue with its parameters: what a provider of registered templates needs in place of a text."""

    key: str
    params: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One text to one contact. `ref` is our delivery's id, for a status callback's address.

    `entries` are what the text was made of, in order; empty where somebody typed it.
    """

    to: str
    text: str
    ref: str
    sender: str | None = None  # the account or number the contact wrote to
    entries: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Sent:
    """The provider took it; `provider_ref` is its id for later reports (None where it gives none).

    `via`: the part of the channel that carried it, where it has several.
    """

    provider_ref: str | None
    via: str | None = None


@dataclass(frozen=True, slots=True)
class MediaFile:
    """What was fetched; `content_type` as the provider says it, without parameters."""

    content: bytes
    content_type: str


class Channel(Protocol):
    """What every file in this folder provides through `create(settings)`; None from `create` means: switched off."""

    name: str
    medium: str
    reply_deadline: float  # seconds after receipt within which `answer` must be on its way; 0: acknowledge only
    max_bytes: int | None  # longest text in UTF-8 bytes, None: no such limit

    def read(self, request: Request) -> list[Inbound | Report]:
        """Verify and translate a POST. Raises BadRequest (nothing is stored); never anything else for hostile input."""
        ...

    def verify_url(self, request: Request) -> Response:
        """Answer the provider's GET check of the address; BadSignature where it is false."""
        ...

    def acknowledge(self, request: Request) -> Response:
        """The provider's own "thank you" without an answer."""
        ...

    def answer(self, request: Request, inbound: Inbound, text: str, ref: str) -> Response:
        """The HTTP response that carries `text` to the sender of `inbound`; `ref` is the delivery's id."""
        ...

    def send(self, outgoing: Outgoing) -> Sent:
        """Send by the provider's API. Raises SendError."""
        ...


@runtime_checkable
class AnswersSome(Protocol):
    """A channel whose webhook may carry the answer to some messages only; the rest is answered by the outbox."""

    def answers(self, inbound: Inbound) -> bool:
        """Whether the response to this message may carry its answer."""
        ...


@runtime_checkable
class FetchesMedia(Protocol):
    """A channel that can fetch what residents send besides words."""

    def fetch(self, ref: str) -> MediaFile:
        """What is behind a MediaRef's `ref`. Raises SendError: Retry where it may work later, else GiveUp."""
        ...
