"""WeChat official account (公众号): verify, decrypt, read, answer within the response, send customer-service messages."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from datetime import datetime, time, timedelta
from functools import cached_property

import requests
from flask import Request, Response
from wechatpy.crypto import PrpCrypto, WeChatCrypto
from wechatpy.exceptions import InvalidAppIdException
from wechatpy.replies import TextReply

from bot import clock
from bot.channels import (
    BadSignature,
    GiveUp,
    Inbound,
    Misconfigured,
    OptedOut,
    OtherWay,
    Outgoing,
    Report,
    Retry,
    SendError,
    Sent,
    Unknown,
)
from bot.channels.network import session_for
from bot.channels.wechat_client import CredentialStore, StableWeChatClient, WeChatRefused, WeChatUnreachable
from bot.channels.wechat_push import parse_xml, translate, word
from bot.channels.wording import clean, fit, split_bytes
from bot.database import Database
from bot.settings import Settings, SettingsError

log = logging.getLogger(__name__)

NAME = "wechat"
MAX_BYTES = 2047  # of UTF-8 in one text
FRESH = timedelta(minutes=10)  # how far a push's timestamp may be off
MIDNIGHT = timedelta(hours=8)  # WeChat's daily quotas end at midnight in China, UTC+8

# WeChat's errcode → what to do next and why. A code that is not here gives the delivery up.
ERRORS: dict[int, tuple[type[SendError], str]] = {
    -1: (Retry, "WeChat is busy"),
    45011: (Retry, "too many calls this minute"),
    45009: (Retry, "the day's quota of calls is used up"),
    40001: (Misconfigured, "the access token is refused"),
    40014: (Misconfigured, "the access token is refused"),
    42001: (Misconfigured, "the access token is refused"),
    40013: (Misconfigured, "the AppID is wrong"),
    40125: (Misconfigured, "the AppSecret is wrong"),
    40164: (Misconfigured, "this machine's address is not on the account's IP list"),
    40243: (Misconfigured, "the AppSecret is frozen"),
    89503: (Misconfigured, "an administrator must confirm this machine's address"),
    48001: (Misconfigured, "the account has no right to send customer messages"),
    48004: (Misconfigured, "this interface is banned for the account"),
    50002: (Misconfigured, "the account is restricted"),
    40037: (Misconfigured, "the template's id is wrong"),
    47003: (Misconfigured, "a template's field has a wrong value"),
    41030: (Misconfigured, "the template's page is wrong"),
    40003: (OtherWay, "the openid is unknown"),
    43004: (OtherWay, "does not follow the account"),
    46004: (OtherWay, "the user does not exist"),
    43019: (OtherWay, "the account has blocked this user"),
    48002: (OptedOut, "refuses messages of the account"),
    43101: (OptedOut, "refuses or has used up this subscription"),
    45015: (OtherWay, "the 48 hours since their last message are over"),
    45047: (OtherWay, "the 5 messages since their last one are used up"),
    45002: (GiveUp, "the text is too long"),
    44004: (GiveUp, "the text is empty"),
    40007: (GiveUp, "the media are stale"),
}


class _Cipher(PrpCrypto):  # type: ignore[misc]
    """wechatpy's AES with 16 leading characters that nobody can foresee; they stand in for a random IV."""

    def get_random_string(self) -> str:
        return secrets.token_hex(8)


class WeChat:
    """One official account; see bot.channels.Channel."""

    name = NAME
    medium = "wechat"
    reply_deadline = 4.0  # WeChat waits 5 s
    max_bytes: int | None = MAX_BYTES

    def __init__(self, settings: Settings, client: StableWeChatClient) -> None:
        self._settings = settings
        self._client = client

    # --- receiving

    def verify_url(self, request: Request) -> Response:
        """Echo WeChat's check of the address, as plain text so that no browser takes it for a page."""
        self._check_signature(request, request.args.get("signature", ""))
        return Response(request.args.get("echostr", ""), content_type="text/plain; charset=utf-8")

    def read(self, request: Request) -> list[Inbound | Report]:
        """One push. Raises BadSignature for a false or stale signature or a wrong appid; the rest is kept, whatever it
        is.
        """
        body = self._open(request) if self._is_encrypted(request) else self._open_plain(request)
        return translate(self.name, body)

    def _open_plain(self, request: Request) -> bytes:
        self._check_signature(request, request.args.get("signature", ""))
        self._check_fresh(request)
        return request.get_data()

    def _open(self, request: Request) -> str | bytes:
        """The decrypted push; its plain part, which compatible mode also sends, is not looked at."""
        encrypted = word(parse_xml(request.get_data()), "Encrypt")
        if not encrypted:
            raise BadSignature("nothing encrypted, hence nothing signed")
        self._check_signature(request, request.args.get("msg_signature", ""), encrypted)
        if "signature" in request.args:
            self._check_signature(request, request.args["signature"])
        self._check_fresh(request)
        return self.decrypt(encrypted)

    def decrypt(self, encrypted: str) -> str | bytes:
        """The text within <Encrypt>; what cannot be decrypted comes back as it is. BadSignature for another's appid."""
        try:
            return str(_Cipher(self._crypto.key).decrypt(encrypted, self._settings.wechat_appid))
        except InvalidAppIdException:
            raise BadSignature("another account's appid") from None
        except Exception as error:
            log.error("A signed push cannot be decrypted (%s); check HEATLINE_WECHAT_AES_KEY.", type(error).__name__)
            return encrypted

    def _is_encrypted(self, request: Request) -> bool:
        """Compatible and safe mode: always. Plain mode: while the operator is changing over to one of them."""
        if self._settings.wechat_mode != "plain":
            return True
        return request.args.get("encrypt_type") == "aes" and bool(self._settings.wechat_aes_key)

    def _check_signature(self, request: Request, given: str, *signed: str) -> None:
        parts = [self._settings.wechat_token, request.args.get("timestamp", ""), request.args.get("nonce", ""), *signed]
        expected = hashlib.sha1("".join(sorted(parts)).encode("utf-8", "replace")).hexdigest()
        if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
            raise BadSignature("false signature")

    def _check_fresh(self, request: Request) -> None:
        """In plain mode the signature does not cover the body, so an old one must not open the door for ever."""
        stamp = request.args.get("timestamp", "")
        if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= 11):
            raise BadSignature("no timestamp")
        if abs(clock.now().timestamp() - int(stamp)) > FRESH.total_seconds():
            raise BadSignature("stale timestamp")

    @cached_property
    def _crypto(self) -> WeChatCrypto:
        return WeChatCrypto(self._settings.wechat_token, self._settings.wechat_aes_key, self._settings.wechat_appid)

    # --- answering

    def acknowledge(self, request: Request) -> Response:
        """`success`, without which WeChat pushes again and tells the resident that the service is down."""
        return Response("success", content_type="text/plain; charset=utf-8")

    def answer(self, request: Request, inbound: Inbound, text: str, ref: str) -> Response:
        """A passive reply, encrypted when the push was; at most MAX_BYTES of it."""
        content = fit(clean(text).strip(), MAX_BYTES)
        if not content:
            return self.acknowledge(request)
        xml = _passive(inbound, content)
        if self._is_encrypted(request):
            xml = self.encrypt(xml)
        return Response(xml, content_type="application/xml; charset=utf-8")

    def encrypt(self, xml: str) -> str:
        """A passive reply's XML within its encrypted envelope."""
        stamp, nonce = str(int(clock.now().timestamp())), secrets.token_hex(8)
        return str(self._crypto._encrypt_message(xml, nonce, stamp, _Cipher))

    # --- sending

    def send(self, outgoing: Outgoing) -> Sent:
        """A customer-service message, in several pieces where it is long. Raises SendError."""
        if not self._settings.wechat_secret:
            raise Misconfigured("HEATLINE_WECHAT_SECRET is not set")
        pieces = split_bytes(clean(outgoing.text).strip(), MAX_BYTES)
        if not pieces:
            raise GiveUp("the text is empty")
        result: Sent | None = None
        for piece in pieces:
            try:
                result = self._send_piece(outgoing.to, piece)
            except SendError as error:
                if result is None:
                    raise
                # Sending all of it again would tell the first part twice.
                raise Unknown(f"only a part went out: {error.reason}", error.code) from None
        assert result is not None
        return result

    def _send_piece(self, openid: str, text: str) -> Sent:
        data = {"touser": openid, "msgtype": "text", "text": {"content": text}}
        try:
            result = self._client.call("message/custom/send", data)
        except WeChatRefused as refusal:
            raise _send_error(refusal) from None
        except WeChatUnreachable as trouble:
            raise _unreachable(trouble) from None
        return Sent(str(result["msgid"]) if result.get("msgid") else None)


def _passive(inbound: Inbound, content: str) -> str:
    """A text reply's XML. wechatpy does not escape CDATA, so its end mark is parted here."""
    reply = TextReply(
        content=_cdata(content),
        source=_cdata(clean(inbound.recipient)),
        target=_cdata(clean(inbound.sender)),
        time=int(clock.now().timestamp()),
    )
    return str(reply.render())


def _cdata(text: str) -> str:
    return text.replace("]]>", "]]]]><![CDATA[>")


def _send_error(refusal: WeChatRefused) -> SendError:
    code = refusal.errcode
    kind, reason = ERRORS.get(code, (GiveUp, "WeChat refuses it"))
    after = {45009: _until_midnight(clock.now()), 45011: 60.0}.get(code)
    return kind(reason, str(code), after)


def _until_midnight(now: datetime) -> float:
    """Seconds until the daily quotas start anew."""
    local = now + MIDNIGHT
    next_day = datetime.combine(local.date() + timedelta(days=1), time(), local.tzinfo)
    return (next_day - local).total_seconds()


def _unreachable(trouble: WeChatUnreachable) -> SendError:
    code = str(trouble.status) if trouble.status else None
    return Unknown(trouble.reason, code) if trouble.sent else Retry(trouble.reason, code)


def create(settings: Settings, database: Database, http: requests.Session | None = None) -> WeChat | None:
    """The channel, or None where its settings are not given. Raises SettingsError where they are given in part."""
    if not settings.wechat_token and not settings.wechat_appid:
        return None
    if not settings.wechat_token or not settings.wechat_appid:
        raise SettingsError("WeChat needs both HEATLINE_WECHAT_TOKEN and HEATLINE_WECHAT_APPID.")
    client = StableWeChatClient(
        settings.wechat_appid,
        settings.wechat_secret,
        CredentialStore(database),
        base=settings.wechat_api,
        http=http or session_for(settings.wechat_api),
    )
    return WeChat(settings, client)
