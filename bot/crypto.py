"""Personal data at rest: AES-GCM in a column type, and keyed hashes to find rows by (blind indexes).

The data key comes from HEATLINE_DATA_KEY and lives apart from the database and from the session key.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import LargeBinary
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_VERSION = b"\x01"


class _Keyring:
    """The process's keys, derived once from the data key."""

    cipher: AESGCM | None = None
    index_key: bytes = b""


def configure(data_key_hex: str) -> None:
    """Set the data key (64 hex digits) for this process. Raises ValueError for anything else."""
    data_key = bytes.fromhex(data_key_hex)
    if len(data_key) != 32:
        raise ValueError("The data key must be 32 bytes.")
    _Keyring.cipher = AESGCM(hmac.digest(data_key, b"heatline encryption", hashlib.sha256))
    _Keyring.index_key = hmac.digest(data_key, b"heatline blind index", hashlib.sha256)


def encrypt(text: str) -> bytes:
    """Ciphertext of `text`: version byte, 12-byte nonce, AES-256-GCM."""
    return encrypt_bytes(text.encode())


def decrypt(blob: bytes) -> str:
    """The text of a ciphertext made by `encrypt`. Raises cryptography's InvalidTag for a wrong key or damaged data."""
    return decrypt_bytes(blob).decode()


def encrypt_bytes(content: bytes) -> bytes:
    """Ciphertext of `content`, as `encrypt` makes it of a text."""
    if _Keyring.cipher is None:
        raise RuntimeError("crypto.configure() has not been called.")
    nonce = os.urandom(12)
    return _VERSION + nonce + _Keyring.cipher.encrypt(nonce, content, None)


def decrypt_bytes(blob: bytes) -> bytes:
    """What `encrypt_bytes` was given. Raises as `decrypt` does."""
    if _Keyring.cipher is None:
        raise RuntimeError("crypto.configure() has not been called.")
    return _Keyring.cipher.decrypt(blob[1:13], blob[13:], None)


def blind_index(kind: str, value: str) -> str:
    """A keyed hash (32 hex digits) by which an encrypted value of one `kind` can be found, and nothing else learnt."""
    if not _Keyring.index_key:
        raise RuntimeError("crypto.configure() has not been called.")
    return hmac.digest(_Keyring.index_key, f"{kind}\0{value}".encode(), hashlib.sha256).hex()[:32]


class Encrypted(TypeDecorator[str]):
    """A text column whose content is encrypted at rest."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else encrypt(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        return None if value is None else decrypt(bytes(value))


class EncryptedBytes(TypeDecorator[bytes]):
    """A column of bytes (a photo) whose content is encrypted at rest."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> Any:
        return None if value is None else encrypt_bytes(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> bytes | None:
        return None if value is None else decrypt_bytes(bytes(value))
