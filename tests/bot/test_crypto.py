"""Personal data at rest: unreadable in the tables themselves, and found again by keyed hashes alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import inspect, text

from bot import crypto
from bot.crypto import Encrypted
from bot.models import Base, Resident, Ticket
from tests.bot.helpers import PHONE, Core
from tests.conftest import DATA_KEY

OPENID = "oSecret00000000000000000001x"
TYPED = "13812345678"
ROOM = "2809"
SECRETS = [PHONE, PHONE.removeprefix("+86"), OPENID, TYPED, ROOM, "暖气冰凉啊", "我的话"]


def everything_stored(core: Core) -> bytes:
    """Every column of every row, as the database itself has it."""
    found = bytearray()
    with core.services.database.engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            if table.name in ("community", "building", "rule"):
                continue  # what ships with the product is nobody's
            for row in connection.execute(text(f'SELECT * FROM "{table.name}"')):
                for value in row:
                    found += value if isinstance(value, bytes) else str(value).encode()
    return bytes(found)


def test_nothing_personal_can_be_read_in_the_tables(core: Core) -> None:
    core.say(f"阳光花园3号楼2单元{ROOM}暖气不热，暖气冰凉啊，电话{TYPED}")
    core.say(
        f"我的话 金水路5号院5号楼{ROOM}漏水", OPENID, channel="wechat", medium="wechat", payload={"Name": "我的话"}
    )
    number = core.one(Ticket, Ticket.intent == "no_heat").number
    core.move(number, "accepted", note=f"我的话 {TYPED}")
    stored = everything_stored(core)
    assert number.encode() in stored
    for secret in SECRETS:
        assert secret.encode() not in stored, secret


def test_nothing_personal_can_be_read_in_sqlites_file(core: Core) -> None:
    if not core.services.database.is_sqlite:
        return
    core.say(f"阳光花园3号楼2单元{ROOM}暖气不热，暖气冰凉啊，电话{TYPED}")
    path = Path(str(core.services.database.url.database))
    raw = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert "阳光花园".encode() in raw
    for secret in (PHONE, TYPED, "暖气冰凉啊"):
        assert secret.encode() not in raw


def test_encrypted_columns_are_binary_in_the_database(core: Core) -> None:
    inspector = inspect(core.services.database.engine)
    for table in Base.metadata.sorted_tables:
        types = {column["name"]: str(column["type"]).upper() for column in inspector.get_columns(table.name)}
        for column in table.columns:
            if isinstance(column.type, Encrypted):
                assert types[column.name] in ("BLOB", "BYTEA"), f"{table.name}.{column.name}"


def test_who_wrote_is_found_by_the_hash_of_the_phone(core: Core) -> None:
    core.say("你好")
    assert core.one(Resident, Resident.phone_hash == crypto.blind_index("phone", PHONE)).phone == PHONE


@given(st.text())
def test_what_was_encrypted_can_be_read_again(words: str) -> None:
    crypto.configure(DATA_KEY)
    sealed = crypto.encrypt(words)
    assert crypto.decrypt(sealed) == words
    assert sealed != crypto.encrypt(words)


def test_another_key_reads_and_finds_nothing() -> None:
    sealed, found = crypto.encrypt("13812345678"), crypto.blind_index("phone", "13812345678")
    crypto.configure("11" * 32)
    with pytest.raises(InvalidTag):
        crypto.decrypt(sealed)
    assert crypto.blind_index("phone", "13812345678") != found


@pytest.mark.parametrize("place", [1, 13, -1])
def test_damaged_data_are_an_error_and_no_garbage(place: int) -> None:
    sealed = bytearray(crypto.encrypt("13812345678"))
    sealed[place] ^= 1
    with pytest.raises(InvalidTag):
        crypto.decrypt(bytes(sealed))


def test_a_hash_says_what_kind_of_value_it_is_of() -> None:
    assert crypto.blind_index("phone", "1") != crypto.blind_index("wechat", "1")
    assert crypto.blind_index("a", "b\0c") != crypto.blind_index("a\0b", "d")


@pytest.mark.parametrize("key", ["", "5a", "5a" * 31, "zz" * 32])
def test_a_wrong_data_key_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match=r"32 bytes|hexadecimal"):
        crypto.configure(key)
