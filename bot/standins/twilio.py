"""A stand-in of Twilio: posts what residents text, signed, reads TwiML, takes API calls and reports how they fared.

Duties it has from the real one: Basic authentication, error codes, opted-out numbers, statuses posted back signed.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree

from twilio.request_validator import RequestValidator

from bot import clock
from bot.settings import Settings
from bot.standins.faults import Fault, Faults
from bot.standins.phones import NOTICE, PASSIVE, PUSHED, SAID, Phones
from bot.standins.transport import Answer, NoAnswer, Transport

PATH = "/channels/twilio"
PATIENCE = 15.0  # seconds
MAX_CHARACTERS = 1600
STOP_WORDS = {"STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"}
START_WORDS = {"START", "UNSTOP", "YES"}
HELP_WORDS = {"HELP", "INFO"}
HELPED = "Reply STOP to unsubscribe. Msg&Data Rates May Apply."
STOPPED = "You have successfully been unsubscribed. Reply START to resubscribe."
REPORT_AFTER = 0.2  # seconds between the statuses of a message

Resource = dict[str, Any]


@dataclass
class Outbound:
    """A message of the service, with the address its statuses are posted to."""

    sid: str
    to: str
    text: str
    callback: str | None
    status: str = "queued"
    code: str | None = None


class TwilioRefused(Exception):
    """An API call that Twilio answers with an error; `code` is Twilio's, `status` HTTP's."""

    def __init__(self, code: int, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status

    def body(self) -> Resource:
        """The JSON of the answer."""
        more = f"https://www.twilio.com/docs/errors/{self.code}"
        return {"code": self.code, "message": str(self), "more_info": more, "status": self.status}


class TwilioStandIn:
    """One account at Twilio with one number, and the phones that text it.

    `background`: statuses are posted by a thread soon after each message; else by `report` and `report_all`.
    `handles_stop`: the account keeps Twilio's own handling of STOP and START. `advanced_opt_out`: it has Advanced Opt-Out
    with 退订 among its words, which tells the service what it has answered. `per_second`: messages that the API takes in
    one second, beyond which it answers 429; 0: any number.
    """

    def __init__(self, settings: Settings, transport: Transport, phones: Phones, background: bool = False) -> None:
        self.settings = settings
        self.transport = transport
        self.phones = phones
        self.background = background
        self.handles_stop = self.advanced_opt_out = False
        self.per_second = 0
        self._taken: deque[float] = deque()
        self.faults = Faults()
        self.messages: dict[str, Outbound] = {}
        self.endings: dict[str, tuple[str, str | None]] = {}  # a phone → how its messages end, with which error
        self._opted_out: set[str] = set()
        self._lock = threading.Lock()
        self._waiting: deque[Outbound] = deque()
        self._work = threading.Event()
        self._thread: threading.Thread | None = None

    def reset(self) -> None:
        """A new account: no messages, nobody opted out, nothing that fails."""
        with self._lock:
            self.messages.clear()
            self.endings.clear()
            self._opted_out.clear()
            self._waiting.clear()
            self._taken.clear()
        self.faults.clear()

    # --- what residents do

    def send_sms(self, phone: str, text: str, sid: str | None = None, **extra: str) -> str | None:
        """The resident texts our number; returns the text of the TwiML answer, None where there was none."""
        self.phones.add("sms", phone, SAID, text)
        self._keywords(phone, text)
        kind = self._keyword_kind(text)
        told = {"OptOutType": kind} if self.advanced_opt_out and kind else {}
        answer = self._post(PATH, self.form(phone, text, sid, **told, **extra))
        return None if answer is None else self._take_twiml(phone, answer)

    def _keywords(self, phone: str, text: str) -> None:
        if not (self.handles_stop or self.advanced_opt_out):
            return
        kind = self._keyword_kind(text)
        if kind == "STOP":
            self._opted_out.add(phone)
            self.phones.add("sms", phone, NOTICE, STOPPED)
        elif kind == "START":
            self._opted_out.discard(phone)
        elif kind == "HELP":
            self.phones.add("sms", phone, NOTICE, HELPED)

    def _keyword_kind(self, text: str) -> str | None:
        """STOP, START or HELP, where the whole text is such a word."""
        word = text.strip().upper()
        stops = STOP_WORDS | {"退订"} if self.advanced_opt_out else STOP_WORDS
        return "STOP" if word in stops else "START" if word in START_WORDS else "HELP" if word in HELP_WORDS else None

    def form(self, phone: str, text: str, sid: str | None = None, **extra: str) -> dict[str, str]:
        """The form of an inbound message, as Twilio posts it."""
        number = sid or _new_sid()
        return {
            "ToCountry": "US",
            "SmsMessageSid": number,
            "NumMedia": "0",
            "SmsSid": number,
            "SmsStatus": "received",
            "Body": text,
            "To": self.number,
            "NumSegments": "1",
            "MessageSid": number,
            "AccountSid": self.settings.twilio_account_sid,
            "From": phone,
            "ApiVersion": "2010-04-01",
            **extra,
        }

    @property
    def number(self) -> str:
        """The number that residents text."""
        return self.settings.twilio_from

    def sign(self, target: str, form: Mapping[str, str]) -> dict[str, str]:
        """The headers of a signed post of `form` to a path of the service."""
        validator = RequestValidator(self.settings.twilio_auth_token)
        signature = validator.compute_signature(f"{self.settings.base_url}{target}", dict(form))
        return {"X-Twilio-Signature": signature, "Content-Type": "application/x-www-form-urlencoded"}

    def _post(self, target: str, form: Mapping[str, str]) -> Answer | None:
        """Post a signed form; once more where there was no connection. None: Twilio notes error 11200."""
        body, headers = urlencode(form).encode(), self.sign(target, form)
        for _ in range(2):
            try:
                return self.transport.post(target, body, headers, PATIENCE)
            except NoAnswer as trouble:
                if trouble.connected:
                    return None
        return None

    def _take_twiml(self, phone: str, answer: Answer) -> str | None:
        texts = []
        for text, callback in read_twiml(answer):
            if phone in self._opted_out:
                continue
            self._accept(phone, text, callback)
            self.phones.add("sms", phone, PASSIVE, text)
            texts.append(text)
        return "\n".join(texts) or None

    # --- what the service calls

    def create_message(self, sid: str, auth: tuple[str, str] | None, form: Mapping[str, str]) -> Resource:
        """POST …/Messages.json: the created resource. Raises TwilioRefused."""
        if auth is None or auth not in self._credentials() or sid != self.settings.twilio_account_sid:
            raise TwilioRefused(20003, "Authenticate", 401)
        to, text = form.get("To", ""), form.get("Body", "")
        self._throttle()
        self._check(to, text, form)
        message = self._accept(to, text, form.get("StatusCallback"))
        self.phones.add("sms", to, PUSHED, text)
        return self.resource(message)

    def _throttle(self) -> None:
        now = clock.now().timestamp()
        with self._lock:
            while self._taken and self._taken[0] <= now - 1:
                self._taken.popleft()
            if self.per_second and len(self._taken) >= self.per_second:
                raise TwilioRefused(20429, "Too Many Requests", 429)
            self._taken.append(now)

    def _credentials(self) -> list[tuple[str, str]]:
        """The account's own pair, and its API key where it has one."""
        known = self.settings
        pairs = [(known.twilio_account_sid, known.twilio_auth_token)]
        return pairs + [(known.twilio_api_key_sid, known.twilio_api_key_secret)] * bool(known.twilio_api_key_sid)

    def _check(self, to: str, text: str, form: Mapping[str, str]) -> None:
        if not to:
            raise TwilioRefused(21604, "A 'To' phone number is required.")
        if not (to.startswith("+") and to[1:].isdigit() and 8 <= len(to) <= 16):
            raise TwilioRefused(21211, f"The 'To' number {to} is not a valid phone number.")
        if not text:
            raise TwilioRefused(21602, "Message body is required.")
        if len(text) > MAX_CHARACTERS:
            raise TwilioRefused(21617, "The concatenated message body exceeds the 1600 character limit.")
        if self.number not in (form.get("From"), form.get("MessagingServiceSid")):
            raise TwilioRefused(21606, "The 'From' number is not a valid, SMS-capable number of this account.")
        if to in self._opted_out:
            raise TwilioRefused(21610, "Attempt to send to unsubscribed recipient")

    def _accept(self, to: str, text: str, callback: str | None) -> Outbound:
        message = Outbound(_new_sid(), to, text, callback)
        with self._lock:
            self.messages[message.sid] = message
            self._waiting.append(message)
            if self.background and self._thread is None:
                self._thread = threading.Thread(target=self._report_soon, name="standin-twilio", daemon=True)
                self._thread.start()
        self._work.set()
        return message

    def resource(self, message: Outbound) -> Resource:
        """The JSON of a message."""
        account = self.settings.twilio_account_sid
        return {
            "account_sid": account,
            "api_version": "2010-04-01",
            "body": message.text,
            "date_created": clock.now().strftime("%a, %d %b %Y %H:%M:%S +0000"),
            "date_sent": None,
            "date_updated": clock.now().strftime("%a, %d %b %Y %H:%M:%S +0000"),
            "direction": "outbound-api",
            "error_code": int(message.code) if message.code else None,
            "error_message": None,
            "from": self.number,
            "messaging_service_sid": None,
            "num_media": "0",
            "num_segments": "1",
            "price": None,
            "price_unit": "USD",
            "sid": message.sid,
            "status": message.status,
            "subresource_uris": {},
            "to": message.to,
            "uri": f"/2010-04-01/Accounts/{account}/Messages/{message.sid}.json",
        }

    # --- how messages fare

    def report(self, sid: str, status: str, code: str | None = None) -> Answer | None:
        """Post one status of a message to its callback, signed."""
        message = self.messages[sid]
        message.status, message.code = status, code
        if not message.callback:
            return None
        form = {
            "SmsSid": sid,
            "SmsStatus": status,
            "MessageStatus": status,
            "To": message.to,
            "MessageSid": sid,
            "AccountSid": self.settings.twilio_account_sid,
            "From": self.number,
            "ApiVersion": "2010-04-01",
        }
        if code:
            form["ErrorCode"] = code
        return self._post(_path(message.callback), form)

    def report_all(self, pause: Callable[[], None] = lambda: None) -> None:
        """Let every message that still is under way arrive (or end as `endings` says)."""
        while self._waiting:
            try:
                message = self._waiting.popleft()
            except IndexError:
                return
            ending, code = self.endings.get(message.to, ("delivered", None))
            pause()
            self.report_if_known(message.sid, "sent")
            pause()
            self.report_if_known(message.sid, ending, code)

    def report_if_known(self, sid: str, status: str, code: str | None = None) -> None:
        """`report`, unless a reset has made the message unknown."""
        if sid in self.messages:
            self.report(sid, status, code)

    def _report_soon(self) -> None:
        while True:
            self._work.wait()
            self._work.clear()
            self.report_all(lambda: time.sleep(REPORT_AFTER))

    def fail(self, code: int, status: int = 400, **how: Any) -> None:
        """Let the next API calls fail with Twilio's code; `how` are fields of Fault."""
        body = how.pop("body", None) or TwilioRefused(code, "told to fail", status).body()
        self.faults.add(Fault(body=body, status=status, **how))


def read_twiml(answer: Answer) -> list[tuple[str, str | None]]:
    """Texts and callbacks of the <Message>s of a TwiML answer; empty where Twilio would note an error."""
    if answer.status != 200 or "xml" not in answer.content_type:
        return []
    try:
        root = ElementTree.fromstring(answer.body)
    except ElementTree.ParseError:
        return []
    found = []
    for message in root.iter("Message"):
        body = message.find("Body")
        text = (body.text if body is not None else message.text) or ""
        found.append((text, message.get("statusCallback") or message.get("action")))
    return found


def _path(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _new_sid() -> str:
    return f"SM{secrets.token_hex(16)}"
