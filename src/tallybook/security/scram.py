"""PostgreSQL password verifiers, so that a database password never travels in SQL or lies in a server log.

SCRAM-SHA-256 after RFC 5802 and RFC 7677, in the form that PostgreSQL stores (``pg_authid.rolpassword``).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field

ITERATIONS = 4096
SALT_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabasePassword:
    """A fresh password: ``password`` is shown once, ``verifier`` is given to PostgreSQL."""

    password: str = field(repr=False)
    verifier: str = field(repr=False)


def make() -> DatabasePassword:
    """A random password of 192 bits that needs no escaping in a URL, and its verifier."""
    password = secrets.token_urlsafe(24)
    return DatabasePassword(password=password, verifier=verifier(password, os.urandom(SALT_BYTES)))


def verifier(password: str, salt: bytes) -> str:
    """What PostgreSQL stores of a password of ASCII characters (others would need SASLprep)."""
    assert password.isascii(), "SASLprep is for others"
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, ITERATIONS)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    salt_text, stored, server = (base64.b64encode(part).decode() for part in (salt, stored_key, server_key))
    return f"SCRAM-SHA-256${ITERATIONS}:{salt_text}${stored}:{server}"
