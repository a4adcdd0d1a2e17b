"""What a resident is answered within WeChat's own request."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.channels import Inbound
from bot.channels.wechat_push import parse_xml, word
from tests.channels.conftest import wechat_channel
from tests.channels.helpers import TEXT_PUSH, WECHAT, plain_push

NOW = 1795399200
PLAIN = replace(WECHAT, wechat_mode="plain", wechat_aes_key="")

pytestmark = pytest.mark.usefixtures("clock")


def content(text: str) -> str:
    channel = wechat_channel(PLAIN)
    push = plain_push(TEXT_PUSH, NOW)
    [inbound] = channel.read(push)
    assert isinstance(inbound, Inbound)
    reply = parse_xml(channel.answer(push, inbound, text, "1").data)
    assert word(reply, "MsgType") == "text"
    found = reply["Content"]
    assert isinstance(found, str)
    return found


@pytest.mark.parametrize(
    "text", ["好的", "<b>&amp;</b>", "]]>", "a]]></Content><MsgType>news</MsgType>", "一\n二\t三", "😀"]
)
def test_a_text_arrives_as_it_is(text: str) -> None:
    assert content(text) == text


def test_control_characters_are_left_out() -> None:
    assert content("a\x00b\x0bc\x1fd\ud800e\uffff") == "abcde"


@pytest.mark.parametrize("unit", ["暖", "😀", "é", "a"])
def test_a_long_text_is_cut_between_characters(unit: str) -> None:
    found = content(unit * 3000)
    assert 2040 < len(found.encode()) <= 2047
    assert set(found) == {unit, "…"}


def test_a_text_of_exactly_the_limit_is_not_cut() -> None:
    assert content("暖" * 682) == "暖" * 682


@pytest.mark.parametrize("text", ["", "  \n", "\x00"])
def test_an_empty_text_is_a_mere_thank_you(text: str) -> None:
    channel = wechat_channel(PLAIN)
    push = plain_push(TEXT_PUSH, NOW)
    [inbound] = channel.read(push)
    assert isinstance(inbound, Inbound)
    assert channel.answer(push, inbound, text, "1").data == b"success"


def test_the_thank_you_is_the_word_success() -> None:
    assert wechat_channel(PLAIN).acknowledge(plain_push(TEXT_PUSH, NOW)).data == b"success"
