"""How each provider posts, so that every channel can be told the same stories."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlencode

from bot.standins import StandIns
from bot.standins.wechat import ACCOUNT, document
from tests.channels.mainland import MAINLAND, payload
from tests.standins.service import Trial

OPENID = "oResidentOfTheStories000000x"
PHONE = "+8619900001234"


@dataclass(frozen=True)
class Posting:
    """One webhook, ready to be posted."""

    target: str
    body: bytes
    headers: dict[str, str]

    def send(self, trial: Trial) -> tuple[int, str]:
        """Post it; returns status and body."""
        response = trial.app.test_client().post(self.target, data=self.body, headers=self.headers, buffered=True)
        return response.status_code, response.get_data(as_text=True)


class Provider(Protocol):
    """What a provider must be able to do to be told the stories."""

    address: str
    answers_inline: bool  # whether an answer can ride in the response

    def message(self, standins: StandIns, text: str, number: int) -> Posting:
        """A true message with an id made of `number`."""
        ...

    def unknown(self, standins: StandIns) -> Posting:
        """A true message of a kind that nobody knows."""
        ...

    def malformed(self, standins: StandIns) -> Posting:
        """Truly signed, and not to be read."""
        ...

    def forged(self, posting: Posting) -> Posting:
        """The same with a false signature."""
        ...

    def unsigned(self, posting: Posting) -> Posting:
        """The same without any signature."""
        ...

    def body(self, standins: StandIns, fields: dict[str, str]) -> Posting:
        """A truly signed post that says whatever is wished."""
        ...

    def is_thanks(self, body: str) -> bool:
        """Whether the answer is the provider's own "thank you"."""
        ...


class WeChatPosts:
    address = OPENID
    answers_inline = True

    def message(self, standins: StandIns, text: str, number: int) -> Posting:
        return self._post(standins, {"MsgType": "text", "Content": text, "MsgId": str(number)})

    def unknown(self, standins: StandIns) -> Posting:
        return self._post(standins, {"MsgType": "hologram", "MsgId": "77"})

    def malformed(self, standins: StandIns) -> Posting:
        push = standins.wechat.sign("<xml><unclosed>")
        return Posting(push.target, push.body, {"Content-Type": "text/xml"})

    def forged(self, posting: Posting) -> Posting:
        return replace(posting, target=posting.target.replace("signature=", "signature=0"))

    def unsigned(self, posting: Posting) -> Posting:
        return replace(posting, target=posting.target.split("?")[0])

    def body(self, standins: StandIns, fields: dict[str, str]) -> Posting:
        push = standins.wechat.sign(document(fields))
        return Posting(push.target, push.body, {"Content-Type": "text/xml"})

    def is_thanks(self, body: str) -> bool:
        return body == "success"

    def _post(self, standins: StandIns, fields: dict[str, str]) -> Posting:
        head = {"ToUserName": ACCOUNT, "FromUserName": OPENID, "CreateTime": "1795399200"}
        push = standins.wechat.sign(document(head | fields))
        return Posting(push.target, push.body, {"Content-Type": "text/xml"})


class TwilioPosts:
    address = PHONE
    answers_inline = True

    def message(self, standins: StandIns, text: str, number: int) -> Posting:
        return self._post(standins, standins.twilio.form(PHONE, text, f"SM{number:032x}"))

    def unknown(self, standins: StandIns) -> Posting:
        photo = {"NumMedia": "1", "MediaUrl0": "https://m/0", "MediaContentType0": "model/hologram"}
        return self._post(standins, standins.twilio.form(PHONE, "", "SM" + "7" * 32, **photo))

    def malformed(self, standins: StandIns) -> Posting:
        return self._post(standins, {"Body": "\x00\ufffe", "From": "?", "MessageSid": "../.."})

    def forged(self, posting: Posting) -> Posting:
        return replace(posting, headers=posting.headers | {"X-Twilio-Signature": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="})

    def unsigned(self, posting: Posting) -> Posting:
        headers = {k: v for k, v in posting.headers.items() if k != "X-Twilio-Signature"}
        return replace(posting, headers=headers)

    def body(self, standins: StandIns, fields: dict[str, str]) -> Posting:
        return self._post(standins, fields)

    def is_thanks(self, body: str) -> bool:
        return "<Response" in body and "<Message" not in body

    def _post(self, standins: StandIns, form: dict[str, str]) -> Posting:
        target = "/channels/twilio"
        return Posting(target, urlencode(form).encode(), standins.twilio.sign(target, form))


class MainlandPosts:
    """What Aliyun and Tencent Cloud share: JSON to an address with a secret in it."""

    address = PHONE
    answers_inline = False
    target: str
    thanks: dict[str, Any]

    def malformed(self, standins: StandIns) -> Posting:
        return self._post("{not json")

    def forged(self, posting: Posting) -> Posting:
        head, name, secret, call = posting.target.rsplit("/", 3)
        return replace(posting, target=f"{head}/{name}/{secret[:-1]}x/{call}")

    def unsigned(self, posting: Posting) -> Posting:
        head, name, _, call = posting.target.rsplit("/", 3)
        return replace(posting, target=f"{head}/{name}/-/{call}")

    def body(self, standins: StandIns, fields: dict[str, str]) -> Posting:
        return self._post(fields)

    def is_thanks(self, body: str) -> bool:
        return bool(json.loads(body) == self.thanks)

    def _post(self, body: Any) -> Posting:
        raw = body if isinstance(body, str) else json.dumps(body)
        return Posting(self.target, raw.encode(), {"Content-Type": "application/json"})


class AliyunPosts(MainlandPosts):
    target = f"/channels/aliyun/{MAINLAND.aliyun_callback_secret}/up"
    thanks = {"code": 0, "msg": "成功"}

    def message(self, standins: StandIns, text: str, number: int) -> Posting:
        [sample] = payload("aliyun_up")
        return self._post([sample | {"content": text, "sequence_id": str(number)}])

    def unknown(self, standins: StandIns) -> Posting:
        return self.message(standins, "", 77)


class TencentPosts(MainlandPosts):
    target = f"/channels/tencent/{MAINLAND.tencent_callback_secret}/reply"
    thanks = {"result": 0, "errmsg": "OK"}

    def message(self, standins: StandIns, text: str, number: int) -> Posting:
        return self._post(payload("tencent_reply") | {"text": text, "time": 1795399200 + number})

    def unknown(self, standins: StandIns) -> Posting:
        return self.message(standins, "", 77)


class Told(NamedTuple):
    """A service and the provider that a story is told by."""

    trial: Trial
    provider: Provider


# A provider, and the mode WeChat is in.
MODES = [
    ("wechat", "safe"),
    ("wechat", "compatible"),
    ("wechat", "plain"),
    ("twilio", "safe"),
    ("aliyun", "safe"),
    ("tencent", "safe"),
]
PROVIDERS: dict[str, Provider] = {
    "wechat": WeChatPosts(),
    "twilio": TwilioPosts(),
    "aliyun": AliyunPosts(),
    "tencent": TencentPosts(),
}
