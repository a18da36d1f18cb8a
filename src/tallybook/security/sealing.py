"""Seals what must not lie in the database in the clear, and makes the codes that prove a value is ours.

AES-256-GCM (NIST SP 800-38D) under a key derived by HKDF (RFC 5869) from the secret of the settings. Each sealed value
names its key, so that a value of another secret is told from a damaged one only in the log, never to a caller.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tallybook.domain.errors import SealError

_VERSION = b"\x01"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_HEADER_BYTES = len(_VERSION) + _KEY_ID_BYTES


class Sealer:
    """Seals, opens and authenticates under one secret."""

    def __init__(self, secret: str) -> None:
        """Derive the keys; ``secret`` is checked for strength by the settings."""
        self._aead = AESGCM(_derive(secret, "seal", 32))
        self._mac_key = _derive(secret, "mac", 32)
        self._header = _VERSION + _derive(secret, "key id", _KEY_ID_BYTES)

    def seal(self, plain: bytes, context: str) -> bytes:
        """Encrypt; only ``open`` with the same context gives it back."""
        nonce = os.urandom(_NONCE_BYTES)
        return self._header + nonce + self._aead.encrypt(nonce, plain, self._bound(context))

    def open(self, sealed: bytes, context: str) -> bytes:
        """Decrypt.

        Raises:
            SealError: altered, of another context, or sealed under another secret.
        """
        if sealed[:_HEADER_BYTES] != self._header:
            raise SealError
        nonce = sealed[_HEADER_BYTES : _HEADER_BYTES + _NONCE_BYTES]
        try:
            return self._aead.decrypt(nonce, sealed[_HEADER_BYTES + _NONCE_BYTES :], self._bound(context))
        except (InvalidTag, ValueError):
            raise SealError from None

    def seal_json(self, value: Any, context: str) -> bytes:
        """Encrypt a JSON value."""
        return self.seal(json.dumps(value).encode(), context)

    def open_json(self, sealed: bytes, context: str) -> Any:
        """Decrypt a JSON value.

        Raises:
            SealError: as ``open``.
        """
        return json.loads(self.open(sealed, context))

    def mac(self, context: str, *parts: bytes | str | int) -> bytes:
        """A code of 32 bytes over the parts (HMAC-SHA-256); no two lists of parts or contexts share one."""
        code = hmac.new(self._mac_key, digestmod=hashlib.sha256)
        for part in (context, *parts):
            raw = part if isinstance(part, bytes) else str(part).encode()
            code.update(len(raw).to_bytes(8, "big") + raw)
        return code.digest()

    def terms(self, context: str, value: Any) -> bytes:
        """A code over the terms of a request, the same for the same JSON value: what a retry is compared by."""
        return self.mac(f"terms of {context}", json.dumps(value, sort_keys=True))

    def _bound(self, context: str) -> bytes:
        return self._header + context.encode()


def _derive(secret: str, purpose: str, length: int) -> bytes:
    derivation = HKDF(
        algorithm=hashes.SHA256(), length=length, salt=None, info=f"tallybook {purpose} v1".encode()
    )
    return derivation.derive(secret.encode())
