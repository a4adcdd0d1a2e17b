"""Tencent's published vectors, and WeRoBot's cryptography as an independent peer."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from werobot.crypto import MessageCrypt

from bot import clock as service_clock
from bot.channels import BadSignature, Inbound
from bot.channels.wechat import WeChat, _Cipher
from bot.channels.wechat_push import parse_xml, word
from tests.channels.conftest import wechat_channel
from tests.channels.helpers import TEXT_PUSH, WECHAT, request_for, sealed_push, signature

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent / "vectors" / "tencent.json").read_text(encoding="utf-8"))


def channel_of(appid: str) -> WeChat:
    return wechat_channel(replace(WECHAT, wechat_appid=appid, wechat_token=VECTORS["token"]))


def at(seconds: str) -> None:
    service_clock.use(service_clock.VirtualClock(datetime.fromtimestamp(int(seconds), UTC)))


@pytest.mark.usefixtures("clock")
def test_the_url_check_is_echoed() -> None:
    v = VECTORS["url_verification"]
    query = f"signature={v['signature']}&timestamp={v['timestamp']}&nonce={v['nonce']}&echostr={v['echostr']}"
    for mode in ("plain", "compatible", "safe"):
        channel = wechat_channel(replace(WECHAT, wechat_mode=mode))
        response = channel.verify_url(request_for("GET", f"/channels/wechat?{query}"))
        assert response.get_data(as_text=True) == v["expected_body"]
        assert response.content_type.startswith("text/plain")


def test_the_plain_signature_is_theirs() -> None:
    v = VECTORS["plain_push"]
    assert signature(VECTORS["token"], v["timestamp"], v["nonce"]) == v["signature"]


@pytest.mark.usefixtures("clock")
def test_the_published_safe_push_is_read() -> None:
    v = VECTORS["safe_push_xml"]
    at(v["timestamp"])
    query = "&".join(f"{k}={v[k]}" for k in ("signature", "timestamp", "nonce", "encrypt_type", "msg_signature"))
    body = f"<xml><ToUserName>{v['to_user_name']}</ToUserName><Encrypt>{v['encrypt']}</Encrypt></xml>".encode()
    [found] = channel_of(v["appid"]).read(request_for("POST", f"/channels/wechat?{query}", body))
    assert isinstance(found, Inbound)
    assert found.kind == "other_event"
    assert found.payload["debug_str"] == "hello world"
    assert found.sent_at == datetime.fromtimestamp(1715943329, UTC)


@pytest.mark.parametrize("name", ["safe_push_xml", "safe_push_json"])
def test_the_published_pushes_decrypt_to_their_plaintexts(name: str) -> None:
    v = VECTORS[name]
    text = channel_of(v["appid"]).decrypt(v["encrypt"])
    assert text == v["plaintext"]
    assert len(str(text).encode()) == v["plaintext_bytes"]


@pytest.mark.usefixtures("clock")
def test_the_published_push_for_another_account_is_refused() -> None:
    v = VECTORS["safe_push_xml"]
    with pytest.raises(BadSignature):
        channel_of("wxanother").decrypt(v["encrypt"])


def test_the_published_reply_is_what_we_encrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    v = VECTORS["safe_reply"]
    monkeypatch.setattr(_Cipher, "get_random_string", lambda self: v["random16"])
    encrypted = _Cipher(channel_of(v["appid"])._crypto.key).encrypt(v["plaintext"], v["appid"]).decode()
    assert encrypted == v["encrypt"]
    assert signature(VECTORS["token"], v["timestamp"], v["nonce"], encrypted) == v["msg_signature"]


@pytest.mark.usefixtures("clock")
def test_a_push_that_werobot_encrypted_is_read() -> None:
    now = int(service_clock.now().timestamp())
    peer = MessageCrypt(WECHAT.wechat_token, WECHAT.wechat_aes_key, WECHAT.wechat_appid)
    envelope = parse_xml(peer.encrypt_message(TEXT_PUSH, timestamp=str(now), nonce="1590219412"))
    push = sealed_push(word(envelope, "Encrypt"), now, msg_signature=word(envelope, "MsgSignature"))
    [found] = wechat_channel(WECHAT).read(push)
    assert isinstance(found, Inbound)
    assert found.text == "家里暖气不热"


@pytest.mark.usefixtures("clock")
def test_werobot_reads_our_encrypted_answer() -> None:
    now = int(service_clock.now().timestamp())
    peer = MessageCrypt(WECHAT.wechat_token, WECHAT.wechat_aes_key, WECHAT.wechat_appid)
    channel = wechat_channel(WECHAT)
    push = sealed_push(word(parse_xml(peer.encrypt_message(TEXT_PUSH)), "Encrypt"), now)
    [inbound] = channel.read(push)
    assert isinstance(inbound, Inbound)
    answer = parse_xml(channel.answer(push, inbound, "收到 😀，请问是哪个小区？", "7").get_data(as_text=True))
    plain = peer.decrypt_message(
        word(answer, "TimeStamp"), word(answer, "Nonce"), word(answer, "MsgSignature"), word(answer, "Encrypt")
    )
    reply = parse_xml(plain)
    assert word(reply, "Content") == "收到 😀，请问是哪个小区？"
    assert word(reply, "ToUserName") == "o9AgO5Kd5ggOC-bXrbNODIiE3bGY"
    assert word(reply, "FromUserName") == "gh_97417a04a28d"
