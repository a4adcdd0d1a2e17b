"""What we push by WeChat: customer-service message, else template message, else subscription notice; and media we fetch.

Each errcode has its row in ERRORS, after channels' experience and WeChat's 全局返回码 (read 2026-09).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from bot import clock
from bot.channels import (
    GiveUp,
    MediaFile,
    Misconfigured,
    OtherWay,
    Outgoing,
    Retry,
    SendError,
    Sent,
    Unknown,
    Unreachable,
)
from bot.channels.wechat_client import JSON, StableWeChatClient, TooLarge, WeChatRefused, WeChatUnreachable
from bot.channels.wechat_notices import Filled, Notices
from bot.channels.wechat_push import NOTICE, TEMPLATE
from bot.channels.wechat_quota import Ledger, Pauses
from bot.channels.wording import clean, split_bytes
from bot.settings import Settings

NAME = "wechat"
MAX_BYTES = 2047  # of UTF-8 in one text
MIDNIGHT = timedelta(hours=8)  # WeChat's daily quotas end at midnight in China, UTC+8
MAX_MEDIA = 20 * 1024 * 1024  # bytes; residents' films may have 10 MB, photos too
INBOUND = "inbound"  # what opens a closed window again: the resident's next word
MESSAGE = "message"  # the part of the channel beside TEMPLATE and NOTICE

# WeChat's errcode → what to do next and why. A code that is not here gives the delivery up.
ERRORS: dict[int, tuple[type[SendError], str]] = {
    -1: (Retry, "WeChat is busy"),
    45011: (Retry, "too many calls this minute"),
    45009: (OtherWay, "the day's quota of calls is used up"),
    40001: (Misconfigured, "the access token is refused"),
    40014: (Misconfigured, "the access token is refused"),
    42001: (Misconfigured, "the access token is refused"),
    40013: (Misconfigured, "the AppID is wrong"),
    40125: (Misconfigured, "the AppSecret is wrong"),
    40164: (Misconfigured, "this machine's address is not on the account's IP list"),
    40243: (Misconfigured, "the AppSecret is frozen"),
    89503: (Misconfigured, "an administrator must confirm this machine's address"),
    48001: (Misconfigured, "the account has no right to this interface"),
    48004: (Misconfigured, "this interface is banned for the account"),
    50002: (Misconfigured, "the account is restricted"),
    40037: (Misconfigured, "the template's id is wrong"),
    47003: (Misconfigured, "a template's field has a wrong value"),
    41030: (Misconfigured, "the template's page is wrong"),
    40003: (Unreachable, "the openid is unknown"),
    43004: (Unreachable, "does not follow the account"),
    46004: (Unreachable, "the user does not exist"),
    43019: (OtherWay, "the account has blocked this user"),
    48002: (OtherWay, "refuses messages of the account"),
    43101: (OtherWay, "refuses or has used up this subscription"),
    45015: (OtherWay, "the time after their last message is over"),
    45047: (OtherWay, "the messages since their last one are used up"),
    45002: (GiveUp, "the text is too long"),
    44004: (GiveUp, "the text is empty"),
    40007: (GiveUp, "the media are stale"),
}
# These are wrong for every call of the account, so no other way is tried.
ACCOUNT = frozenset({40001, 40014, 42001, 40013, 40125, 40164, 40243, 89503, 50002})
CLOSED = frozenset({45015, 45047})  # nothing more until their next act
DAY, MINUTE = 45009, 45011
ENDED = 43101


@dataclass(frozen=True, slots=True)
class _Way:
    """One kind of message: what its interface is called, by WeChat and by us."""

    part: str
    endpoint: str


_MESSAGE = _Way(MESSAGE, "message/custom/send")
_TEMPLATE = _Way(TEMPLATE, "message/template/send")
_NOTICE = _Way(NOTICE, "message/subscribe/bizsend")


class Sender:
    """Sends by the first way that is open to this resident at this moment."""

    def __init__(
        self, settings: Settings, client: StableWeChatClient, ledger: Ledger, pauses: Pauses, notices: Notices
    ) -> None:
        self._settings = settings
        self._client = client
        self._ledger = ledger
        self._pauses = pauses
        self._notices = notices

    def send(self, outgoing: Outgoing) -> Sent:
        """Send. Raises SendError: of several closed ways, what a person must mend, else why the first one was closed."""
        if not self._settings.wechat_secret:
            raise Misconfigured("HEATLINE_WECHAT_SECRET is not set", waits_for=NAME)
        refusals: list[SendError] = []
        for way in (self._message, self._template, self._notice):
            try:
                return way(outgoing)
            except Unreachable:
                raise
            except (OtherWay, Misconfigured) as refusal:
                if refusal.waits_for == NAME:
                    raise
                refusals.append(refusal)
        raise next((refusal for refusal in refusals if isinstance(refusal, Misconfigured)), refusals[0])

    def _message(self, outgoing: Outgoing) -> Sent:
        """A customer-service message, in several pieces where it is long."""
        pieces = split_bytes(clean(outgoing.text).strip(), MAX_BYTES)
        if not pieces:
            raise GiveUp("the text is empty")
        if not self._ledger.take(outgoing.to, len(pieces)):
            raise OtherWay("nothing may be pushed until they write again", waits_for=INBOUND)
        ref: str | None = None
        for number, piece in enumerate(pieces):
            try:
                ref = self._call(_MESSAGE, {"touser": outgoing.to, "msgtype": "text", "text": {"content": piece}})
            except SendError as error:
                self._correct(outgoing.to, error, len(pieces) - number)
                if not number:
                    raise
                # Sending all of it again would tell the first part twice.
                raise Unknown(f"only a part went out: {error.reason}", error.code) from None
        return Sent(ref)

    def _correct(self, openid: str, error: SendError, unsent: int) -> None:
        """Set the ledger right: closed where WeChat says so, else what surely did not go out is given back."""
        if error.waits_for == INBOUND:
            self._ledger.close(openid)
        elif not isinstance(error, Unknown):
            self._ledger.give_back(openid, unsent)

    def _template(self, outgoing: Outgoing) -> Sent:
        filled = self._notices.template(outgoing)
        if filled is None:
            raise OtherWay("no template message for this text")
        # WeChat sends one of the same client_msg_id once within ten minutes, whatever became of our first call.
        return self._registered(
            _TEMPLATE, outgoing, filled, {"url": filled.url, "client_msg_id": f"heatline-{outgoing.ref}"}
        )

    def _notice(self, outgoing: Outgoing) -> Sent:
        filled = self._notices.notice(outgoing)
        if filled is None:
            raise OtherWay("no subscription notice for this text")
        try:
            sent = self._registered(_NOTICE, outgoing, filled, {"page": filled.url})
        except SendError as error:
            if error.code == str(ENDED):
                self._notices.ended(outgoing.to, filled.id)
            raise
        self._notices.used(outgoing.to, filled)
        return sent

    def _registered(self, way: _Way, outgoing: Outgoing, filled: Filled, more: dict[str, str | None]) -> Sent:
        data: dict[str, Any] = {
            "touser": outgoing.to,
            "template_id": filled.id,
            "data": {name: {"value": value} for name, value in filled.fields.items()},
            **{name: value for name, value in more.items() if value},
        }
        try:
            ref = self._call(way, data)
        except GiveUp as error:  # this wording will never go out this way; the text may go another
            raise OtherWay(error.reason, error.code) from None
        return Sent(f"{way.part}:{ref}" if ref else None, via=f"{NAME}:{way.part}")

    def _call(self, way: _Way, data: dict[str, Any]) -> str | None:
        """One call, unless the day's quota is known to be used up; returns WeChat's id of it, if it gives one."""
        name = f"{NAME}:{way.part}"
        if (until := self._pauses.until(name)) is not None:
            raise OtherWay(ERRORS[DAY][1], str(DAY), (until - clock.now()).total_seconds())
        try:
            result = self._client.call(way.endpoint, data)
        except WeChatRefused as refusal:
            error = send_error(refusal, name)
            if refusal.errcode == DAY and error.after is not None:
                self._pauses.begin(name, error.after)
            raise error from None
        except WeChatUnreachable as trouble:
            raise _unreachable(trouble) from None
        return str(result["msgid"]) if result.get("msgid") else None


def send_error(refusal: WeChatRefused, part: str = NAME) -> SendError:
    """What an errcode of `part` leads to."""
    code = refusal.errcode
    kind, reason = ERRORS.get(code, (GiveUp, "WeChat refuses it"))
    waits_for = None
    if kind is Misconfigured:
        waits_for = NAME if code in ACCOUNT or refusal.in_token_call else part
    elif code in CLOSED:
        waits_for = INBOUND
    after = {DAY: _until_midnight(clock.now()), MINUTE: 60.0}.get(code)
    return kind(reason, str(code), after, waits_for)


def _until_midnight(now: datetime) -> float:
    """Seconds until the daily quotas start anew."""
    local = now.astimezone(UTC) + MIDNIGHT
    next_day = datetime.combine(local.date() + timedelta(days=1), time(), local.tzinfo)
    return (next_day - local).total_seconds()


def _unreachable(trouble: WeChatUnreachable) -> SendError:
    code = str(trouble.status) if trouble.status else None
    return Unknown(trouble.reason, code) if trouble.sent else Retry(trouble.reason, code)


def fetch(client: StableWeChatClient, media_id: str) -> MediaFile:
    """A resident's photo, voice message or film. Raises Retry, Misconfigured, or GiveUp where it is gone."""
    try:
        content, kind = client.download("/cgi-bin/media/get", MAX_MEDIA, media_id=media_id)
        if kind == JSON:
            content, kind = _film(client, content)
    except WeChatRefused as refusal:
        raise send_error(refusal) from None
    except WeChatUnreachable as trouble:
        raise Retry(trouble.reason) from None
    except TooLarge:
        raise GiveUp("it is too large") from None
    return MediaFile(content, kind)


def _film(client: StableWeChatClient, content: bytes) -> tuple[bytes, str]:
    """For films the answer is an address to fetch them from."""
    try:
        url = json.loads(content)["video_url"]
    except (ValueError, KeyError, TypeError):
        raise GiveUp("the answer is neither media nor an address") from None
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise GiveUp("the answer is neither media nor an address")
    return client.download_from(url, MAX_MEDIA)
