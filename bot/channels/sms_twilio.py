"""SMS through Twilio: read signed forms, answer in TwiML, send by the API, take status callbacks.

Twilio serves development, Hong Kong and overseas: it has no two-way SMS with mainland China, and sending there takes
personal data abroad, so +86 is refused unless the operator has decided otherwise.
"""

from __future__ import annotations

import hashlib
import logging
import re
from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlsplit

import requests
from flask import Request, Response
from twilio.base.exceptions import TwilioException, TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.http.response import Response as TwilioResponse
from twilio.request_validator import RequestValidator
from twilio.rest import Client
from twilio.twiml.messaging_response import MessagingResponse
from werkzeug.datastructures import MultiDict

from bot.channels import (
    BadRequest,
    BadSignature,
    Filtered,
    GiveUp,
    Inbound,
    MediaFile,
    MediaRef,
    Misconfigured,
    OptedOut,
    OtherWay,
    Outgoing,
    Report,
    Retry,
    SendError,
    Sent,
    Unknown,
    Unreachable,
)
from bot.channels.network import never_left, session_for
from bot.channels.phone import normalise
from bot.channels.wording import ELLIPSIS, clean, split_characters
from bot.database import Database
from bot.settings import Settings, SettingsError

NAME = "twilio"
API = "https://api.twilio.com"
PATH = "/channels/twilio"
TIMEOUT = 10.0  # seconds; twilio's client has none of its own
MAX_CHARACTERS = 1600  # Twilio refuses longer bodies (21617)

# Twilio's message status → ours; None: still on its way, nothing to tell. A status that is not here is ignored.
STATES: dict[str, str | None] = {
    "accepted": None,
    "scheduled": None,
    "queued": None,
    "sending": None,
    "sent": "sent",
    "partially_delivered": "sent",
    "delivered": "delivered",
    "read": "delivered",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
}

# Twilio's error code → what to do next and why, when it refuses a message and when it reports on one. A refusal whose
# code is not here is judged by the HTTP status; a report says that the text is lost.
ERRORS: dict[int, tuple[type[SendError], str]] = {
    20429: (Retry, "too many requests"),
    21611: (Retry, "the number's queue is full"),
    30001: (Retry, "the queue is full"),
    30003: (Retry, "the handset is off or out of reach"),
    30017: (Retry, "the carrier's network is busy"),
    30022: (Retry, "the carrier's rate is exceeded"),
    20003: (Misconfigured, "the credentials are refused"),
    20404: (Misconfigured, "the account does not exist"),
    20005: (Misconfigured, "the account is not active"),
    30002: (Misconfigured, "the account is suspended"),
    30010: (Misconfigured, "it costs more than the limit that was set"),
    30023: (Misconfigured, "the carrier's daily limit is reached"),
    30032: (Misconfigured, "the number to send from is not verified"),
    30034: (Misconfigured, "the number to send from is not registered with the carriers"),
    21408: (Misconfigured, "sending to this region is not enabled"),
    21603: (Misconfigured, "no number to send from"),
    21606: (Misconfigured, "the number to send from is not ours"),
    21608: (Misconfigured, "a trial account sends to verified numbers only"),
    21609: (Misconfigured, "the status callback's address is not public"),
    21612: (Misconfigured, "this sender cannot reach that country"),
    21659: (Misconfigured, "the number to send from is not Twilio's"),
    21660: (Misconfigured, "the number to send from is another account's"),
    21701: (Misconfigured, "the messaging service does not exist"),
    21703: (Misconfigured, "the messaging service has no number"),
    21704: (Misconfigured, "the messaging service has no number"),
    21705: (Misconfigured, "the messaging service does not exist"),
    21610: (OptedOut, "has opted out"),
    21211: (Unreachable, "not a phone number"),
    21614: (Unreachable, "a landline"),
    21635: (Unreachable, "a landline"),
    30004: (Unreachable, "blocked"),
    30005: (Unreachable, "the number is unknown"),
    30006: (Unreachable, "a landline or an unreachable carrier"),
    21602: (GiveUp, "the text is empty"),
    21617: (GiveUp, "the text is too long"),
    30007: (Filtered, "the carrier filtered the text"),
    30008: (Unknown, "unknown error"),
    30009: (Unknown, "a part of it was lost"),
    20500: (Unknown, "Twilio's own error"),
}
# Seconds until a retry makes sense.
AFTER = {20429: 30.0, 21611: 600.0, 30001: 600.0, 30003: 1800.0, 30017: 600.0, 30022: 600.0}

# What Advanced Opt-Out has recognised, and answered, before it comes to us.
_KEYWORDS = {"STOP": "stop", "START": "start", "HELP": "help"}
_MEDIA = {"image": "image", "audio": "voice", "video": "video"}
MAX_MEDIA = 10 << 20  # bytes; Twilio takes 5 MB
KEEPS = timedelta(days=30)  # Twilio keeps media until they are deleted; after this long something else is wrong
_KEPT = ("MessagingServiceSid", "NumSegments", "OptOutType", "ReferralNumMedia", "Latitude", "Longitude", "Label")
_SID = re.compile(r"[A-Za-z0-9]{2,64}\Z")
_LONGEST_ACCOUNT = 64
# Twilio's client logs URLs and headers of every call; what matters of them is in the delivery's row.
_silent = logging.Logger("twilio.silent", level=logging.CRITICAL)


class Twilio:
    """One Twilio account; see bot.channels.Channel."""

    name = NAME
    medium = "sms"
    reply_deadline = 4.0  # Twilio waits 15 s; our lease on the contact is shorter
    max_bytes: int | None = None

    def __init__(self, settings: Settings, client: Client, http: requests.Session) -> None:
        self._settings = settings
        self._client = client
        self._http = http
        self._validator = RequestValidator(settings.twilio_auth_token)

    # --- receiving

    def verify_url(self, request: Request) -> Response:
        """Twilio does not check addresses by GET."""
        raise BadRequest("Twilio posts")

    def read(self, request: Request) -> list[Inbound | Report]:
        """One message, or one status callback. Raises BadSignature for a false signature or another account's SID."""
        self._check(request)
        form = request.form
        if request.path.startswith(f"{PATH}/status"):
            return _report(self.name, form, (request.view_args or {}).get("ref"))
        return [_inbound(self.name, form)]

    def _check(self, request: Request) -> None:
        url = f"{self._settings.base_url}{_raw_path(request)}"
        given = request.headers.get("X-Twilio-Signature") or ""  # the validator raises TypeError for None
        if not self._validator.validate(url, request.form, given):
            raise BadSignature("false signature")
        if request.form.get("AccountSid") not in (None, self._settings.twilio_account_sid):
            raise BadSignature("another account")

    # --- answering

    def acknowledge(self, request: Request) -> Response:
        """An empty TwiML document."""
        return _twiml(MessagingResponse())

    def answers(self, inbound: Inbound) -> bool:
        """False for the mainland, unless the operator allows it: an answer in the response leaves the country too."""
        return self._may_send_to_mainland or not inbound.sender.startswith("+86")

    def answer(self, request: Request, inbound: Inbound, text: str, ref: str) -> Response:
        """A TwiML message whose status callbacks come to an address with `ref` in it: its SID is only known from them.

        After STOP, START or HELP under Advanced Opt-Out Twilio has answered already, and we say nothing.
        """
        content = _fit(clean(text).strip())
        if not content or inbound.payload.get("OptOutType"):
            return self.acknowledge(request)
        document = MessagingResponse()
        callback = self._callback(ref)
        # `action` is the older word for the same; whichever Twilio honours, reports may repeat.
        document.message(content, action=callback, method="POST", status_callback=callback)
        return _twiml(document)

    def _callback(self, ref: str) -> str:
        return f"{self._settings.base_url}{PATH}/status" + (f"/{quote(ref, safe='')}" if ref else "")

    # --- sending

    def send(self, outgoing: Outgoing) -> Sent:
        """Send by the API, in several messages where the text is long. Raises SendError."""
        if outgoing.to.startswith("+86") and not self._may_send_to_mainland:
            raise OtherWay("Twilio may not send to the mainland (HEATLINE_TWILIO_ALLOW_MAINLAND)")
        pieces = split_characters(clean(outgoing.text).strip(), MAX_CHARACTERS)
        if not pieces:
            raise GiveUp("the text is empty")
        sid: str | None = None
        for piece in pieces:
            try:
                sid = self._create(outgoing, piece)
            except SendError as error:
                if sid is None:
                    raise
                raise Unknown(f"only a part went out: {error.reason}", error.code) from None
        return Sent(sid)

    # --- photos

    def fetch(self, ref: str) -> MediaFile:
        """A photo, a voice message or a film, by its address at Twilio. Raises SendError."""
        if not ref.startswith((f"{API}/", f"{self._settings.twilio_api.rstrip('/')}/")):
            raise GiveUp("not an address of Twilio's")  # our credentials go to nobody else
        try:
            with self._http.get(ref, auth=self._client.auth, timeout=TIMEOUT, stream=True) as answer:
                if answer.status_code in (401, 403):
                    raise Misconfigured("the credentials are refused", str(answer.status_code))
                if answer.status_code != 200:
                    kind = GiveUp if answer.status_code in (404, 410) else Retry
                    raise kind(f"HTTP {answer.status_code}")
                content = _read(answer)
                told = answer.headers.get("Content-Type", "application/octet-stream")
        except requests.RequestException as error:
            raise Retry(type(error).__name__) from None
        return MediaFile(content, told.split(";")[0].strip())

    @property
    def _may_send_to_mainland(self) -> bool:
        return self._settings.twilio_allow_mainland == "1" or self._settings.is_demo

    def _create(self, outgoing: Outgoing, text: str) -> str:
        try:
            message = self._client.messages.create(
                to=outgoing.to,
                body=text,
                status_callback=self._callback(outgoing.ref),
                **self._sender(outgoing.sender),
            )
        except TwilioRestException as error:
            raise _send_error(error.code or 0, error.status) from None
        except requests.RequestException as error:
            kind = Retry if never_left(error) else Unknown
            raise kind(type(error).__name__) from None
        except (
            TwilioException,
            AttributeError,
            KeyError,
            TypeError,
            ValueError,
        ) as error:  # an answer that is not the API's
            raise Unknown(type(error).__name__) from None
        if not message.sid:
            raise Unknown("the answer names no message")
        return str(message.sid)

    def _sender(self, wrote_to: str | None) -> dict[str, str]:
        """The number the resident wrote to, unless a messaging service chooses."""
        configured = self._settings.twilio_from
        if configured.startswith("MG"):
            return {"messaging_service_sid": configured}
        return {"from_": wrote_to if wrote_to and wrote_to.startswith("+") else configured}


def _read(answer: requests.Response) -> bytes:
    """The body, whatever length the answer announces. Raises GiveUp beyond MAX_MEDIA."""
    content = bytearray()
    for chunk in answer.iter_content(1 << 16):
        content += chunk
        if len(content) > MAX_MEDIA:
            raise GiveUp("too large")
    return bytes(content)


def _raw_path(request: Request) -> str:
    """Path and query as they were sent. Never the Host header, and never Werkzeug's URL, which decodes %2F."""
    raw = request.environ.get("RAW_URI") or request.environ.get("REQUEST_URI") or request.full_path.rstrip("?")
    if raw.startswith("/"):
        return str(raw)
    parts = urlsplit(raw)  # a request line may hold a whole URL
    return f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}"


def _inbound(channel: str, form: MultiDict[str, str]) -> Inbound:
    text = form.get("Body", "")
    media = _media(form)
    return Inbound(
        channel=channel,
        medium="sms",
        provider_id=_unique_id(form),
        sender=normalise(form.get("From", "")),
        recipient=clean(form.get("To", "")).strip()[:_LONGEST_ACCOUNT],
        kind=_KEYWORDS.get(form.get("OptOutType", "")) or _kind(text, media),
        text=text,
        payload={name: form[name] for name in _KEPT if form.get(name)} | ({"media": media} if media else {}),
        media=tuple(
            MediaRef(kind, found["url"], KEEPS) for found in media if (kind := _MEDIA.get(found["type"].split("/")[0]))
        ),
    )


def _kind(text: str, media: list[dict[str, str]]) -> str:
    """A text is a text even with a photo beside it; a photo alone is a message too."""
    if text.strip():
        return "text"
    return _MEDIA.get(media[0]["type"].split("/")[0], "other") if media else "other"


def _media(form: MultiDict[str, str]) -> list[dict[str, str]]:
    found = []
    for number in range(10):  # Twilio's limit
        if url := form.get(f"MediaUrl{number}"):
            found.append({"url": url, "type": form.get(f"MediaContentType{number}", "")})
    return found


def _unique_id(form: MultiDict[str, str]) -> str:
    sid = form.get("MessageSid") or form.get("SmsSid") or form.get("SmsMessageSid") or ""
    if _SID.match(sid):
        return sid
    content = repr(sorted((name, value) for name, values in form.lists() for value in values))
    return f"form:{hashlib.sha256(content.encode('utf-8', 'replace')).hexdigest()[:40]}"


def _report(channel: str, form: MultiDict[str, str], ref: str | None) -> list[Inbound | Report]:
    state = STATES.get((form.get("MessageStatus") or form.get("SmsStatus") or "").lower())
    sid = form.get("MessageSid") or form.get("SmsSid") or ""
    if state is None or not _SID.match(sid):
        return []
    code = form.get("ErrorCode") or None
    code = code[:16] if code and code != "0" else None
    return [Report(channel, sid, state, code, ref=ref, failure=_late(code) if state == "failed" else None)]


def _late(code: str | None) -> SendError:
    """What a report's error code leads to; without one that is known, the text is simply lost."""
    number = int(code) if code and code.isascii() and code.isdigit() else 0
    kind, reason = ERRORS.get(number, (GiveUp, "undelivered"))
    return kind(reason, code, AFTER.get(number))


def _twiml(document: MessagingResponse) -> Response:
    return Response(str(document), content_type="text/xml; charset=utf-8")


def _fit(text: str) -> str:
    """The text within Twilio's limit; an SMS answer is short, so this is a last resort."""
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1] + ELLIPSIS


def _send_error(code: int, status: int) -> SendError:
    """The provider's own words are left out: they hold the phone number."""
    if code in ERRORS:
        kind, reason = ERRORS[code]
        return kind(reason, str(code), AFTER.get(code))
    reason = f"HTTP {status}"
    if status == 429:
        return Retry(reason, str(code or status), 30.0)
    if status in (401, 403):
        return Misconfigured(reason, str(code or status))
    return (Unknown if status >= 500 else GiveUp)(reason, str(code or status))


class _Http(TwilioHttpClient):  # type: ignore[misc]
    """twilio's HTTP client with a timeout, a replaceable base address and a silent log."""

    def __init__(self, base: str, http: requests.Session) -> None:
        super().__init__(timeout=TIMEOUT, logger=_silent)
        self._base = base.rstrip("/")
        self.session = http

    def request(self, method: str, url: str, *args: Any, **kwargs: Any) -> TwilioResponse:
        return super().request(method, url.replace(API, self._base, 1), *args, **kwargs)


def create(settings: Settings, database: Database, http: requests.Session | None = None) -> Twilio | None:
    """The channel, or None where its settings are not given. Raises SettingsError where they are given in part."""
    given = [settings.twilio_account_sid, settings.twilio_auth_token, settings.twilio_from]
    if not any(given):
        return None
    if not all(given):
        raise SettingsError(
            "Twilio needs HEATLINE_TWILIO_ACCOUNT_SID, HEATLINE_TWILIO_AUTH_TOKEN and HEATLINE_TWILIO_FROM."
        )
    key = (settings.twilio_api_key_sid, settings.twilio_api_key_secret)
    if any(key) and not all(key):
        raise SettingsError("A Twilio API key needs HEATLINE_TWILIO_API_KEY_SID and HEATLINE_TWILIO_API_KEY_SECRET.")
    session = http or session_for(settings.twilio_api)
    client = Client(
        *(key if all(key) else (settings.twilio_account_sid, settings.twilio_auth_token)),
        account_sid=settings.twilio_account_sid,
        http_client=_Http(settings.twilio_api, session),
    )
    return Twilio(settings, client, session)
