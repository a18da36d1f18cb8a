"""API keys: a readable prefix, 178 random bits and a checksum; only the SHA-256 of a key is ever stored.

The form lets secret scanners find a leaked key (``SCANNER_PATTERN``), and lets us refuse a mistyped one before
any database call. A random secret of this size needs no slow hash (OWASP ASVS 5.0, 6.5.2).
"""

from __future__ import annotations

import hashlib
import re
import zlib
from dataclasses import dataclass, field

from tallybook.domain.errors import ApiKeyInvalidError
from tallybook.security.random_text import BASE62, random_base62

RANDOM_LENGTH = 30
CHECKSUM_LENGTH = 6
PREFIX_LENGTH = 12
PRODUCT_PREFIX = "tb_"
SCANNER_PATTERN = r"\btb_(?:live|test)_[0-9A-Za-z]{36}\b"
"""For secret scanners; the last six characters are the CRC32 of all before them in base 62, so hits can be proved."""

_FORM = re.compile(SCANNER_PATTERN)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewApiKey:
    """A fresh key: ``key`` is shown once, the rest is stored."""

    key: str = field(repr=False)
    prefix: str
    key_hash: bytes


def make(*, livemode: bool) -> NewApiKey:
    """A new key; its prefix tells whether it moves real money."""
    body = f"{PRODUCT_PREFIX}{'live' if livemode else 'test'}_{random_base62(RANDOM_LENGTH)}"
    key = body + _checksum(body)
    return NewApiKey(key=key, prefix=key[:PREFIX_LENGTH], key_hash=_hash(key))


def looks_like_one(text: str) -> bool:
    """Whether the text means to be an API key, so that it is not read as a session token."""
    return text.startswith(PRODUCT_PREFIX)


def hash_of(key: str) -> bytes:
    """What a well-formed key is stored as.

    Raises:
        ApiKeyInvalidError: the form or the checksum is wrong, so it was never issued.
    """
    if not _FORM.fullmatch(key) or _checksum(key[:-CHECKSUM_LENGTH]) != key[-CHECKSUM_LENGTH:]:
        raise ApiKeyInvalidError
    return _hash(key)


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _checksum(body: str) -> str:
    number = zlib.crc32(body.encode())
    digits = ""
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(BASE62))
        digits = BASE62[digit] + digits
    return digits
