"""Stand-ins: nothing that tells who somebody is stays, everything else does, and places do not move."""

from __future__ import annotations

import pytest

from bot.masking import mask, masked_entities
from nlu.entities import extract
from nlu.places import default_gazetteer

PLACES = default_gazetteer()
PRIVATE = [
    (
        "我是张伟民，阳光花园3号楼2单元501，暖气不热，电话13812345678",
        ["张伟民", "阳光", "3号", "2单元", "501", "13812345678"],
    ),
    ("138 1234 5678 打这个 找李师傅", ["138", "1234", "李"]),
    ("文化路12号院5-2-301冰凉", ["文化", "12号", "5-2-301"]),
    ("户号1002003004 欠费多少 王女士", ["1002003004", "王"]),
    ("恒大绿洲小区九栋一单元十二楼东户", ["恒大", "绿洲"]),
    ("微信wx_abc123，邮箱someone@example.com", ["abc123", "someone", "example"]),
]


@pytest.mark.parametrize(("text", "private"), PRIVATE)
def test_what_tells_who_it_is_has_a_stand_in_of_the_same_length(text: str, private: list[str]) -> None:
    masked = mask(text, "7", PLACES)
    assert len(masked) == len(text)
    assert [words for words in private if words in masked] == []


@pytest.mark.parametrize(
    "text",
    [
        "室温15.5度，已经三天了",
        "暖气片漏水了，楼下都淹了",
        "打119还是12345",
        "楼道里漏水",
        "今年暖气费一平方多少钱",
        "谢谢师傅",
    ],
)
def test_what_tells_nothing_of_a_person_stays(text: str) -> None:
    assert mask(text, "7", PLACES) == text


def test_a_stand_in_is_the_same_at_every_look_and_another_in_another_message() -> None:
    text = PRIVATE[0][0]
    assert mask(text, "7", PLACES) == mask(text, "7", PLACES)
    assert mask(text, "7", PLACES) != mask(text, "8", PLACES)


def test_entities_keep_their_places_and_get_the_stand_ins_values() -> None:
    text = "阳光花园三号楼2单元501，室温15.5度"
    entities = extract(text, PLACES)
    masked = mask(text, "7", PLACES)
    moved = masked_entities(entities, masked, PLACES)
    assert [(e.entity, e.start, e.end) for e in moved] == [(e.entity, e.start, e.end) for e in entities]
    assert all(masked[e.start : e.end] == e.text for e in moved)
    values = {e.entity: e.value for e in moved}
    assert values["temperature"] == "15.5"
    assert values["community"] == masked[:4]
    assert str(values["building"]).isdigit()
