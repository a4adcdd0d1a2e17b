"""WeChat official account (公众号): verify, decrypt, read, answer within the response, send customer-service messages."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from datetime import timedelta
from functools import cached_property

import requests
from flask import Request, Response
from wechatpy.crypto import PrpCrypto, WeChatCrypto
from wechatpy.exceptions import InvalidAppIdException
from wechatpy.replies import TextReply

from bot import clock
from bot.channels import BadSignature, Inbound, MediaFile, Outgoing, Report, Sent
from bot.channels.network import session_for
from bot.channels.wechat_client import CredentialStore, StableWeChatClient
from bot.channels.wechat_notices import Notices, StoredNotices
from bot.channels.wechat_push import parse_xml, translate, word
from bot.channels.wechat_quota import ContactLedger, Ledger, Pauses, StoredPauses
from bot.channels.wechat_send import MAX_BYTES, Sender, fetch
from bot.channels.wording import clean, fit
from bot.database import Database
from bot.settings import Settings, SettingsError

log = logging.getLogger(__name__)

NAME = "wechat"
FRESH = timedelta(minutes=10)  # how far a push's timestamp may be off

# Why the other modes are not for production.
MODES = {
    "plain": "signatures do not cover what residents write, so whoever saw one request can forge others; set it to safe",
    "compatible": "every push carries its text in the clear as well; it is for changing over only; set it to safe",
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

    def __init__(
        self, settings: Settings, client: StableWeChatClient, ledger: Ledger, pauses: Pauses, notices: Notices
    ) -> None:
        self._settings = settings
        self._client = client
        self._sender = Sender(settings, client, ledger, pauses, notices)

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
        """A passive reply, encrypted when the push was; at most MAX_BYTES of it (the service parts longer texts before)."""
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
        """Push a text by the first way that is open. Raises SendError."""
        return self._sender.send(outgoing)

    def fetch(self, ref: str) -> MediaFile:
        """A photo, a voice message or a film, by its media_id. Raises SendError."""
        return fetch(self._client, ref)


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


def create(settings: Settings, database: Database, http: requests.Session | None = None) -> WeChat | None:
    """The channel, or None where its settings are not given. Raises SettingsError where they are given in part."""
    if not settings.wechat_token and not settings.wechat_appid:
        return None
    if not settings.wechat_token or not settings.wechat_appid:
        raise SettingsError("WeChat needs both HEATLINE_WECHAT_TOKEN and HEATLINE_WECHAT_APPID.")
    if settings.wechat_mode != "safe" and not settings.is_demo:
        log.warning("HEATLINE_WECHAT_MODE is %s: %s", settings.wechat_mode, MODES[settings.wechat_mode])
    client = create_client(settings, database, http)
    return WeChat(settings, client, ContactLedger(database), StoredPauses(database), StoredNotices(database))


def create_client(settings: Settings, database: Database, http: requests.Session | None = None) -> StableWeChatClient:
    """The account's API, its token shared through the database."""
    return StableWeChatClient(
        settings.wechat_appid,
        settings.wechat_secret,
        CredentialStore(database),
        base=settings.wechat_api,
        http=http or session_for(settings.wechat_api),
    )
