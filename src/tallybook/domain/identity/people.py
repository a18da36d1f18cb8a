"""Users: what one is, and how an e-mail address makes an account unique."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from tallybook.domain.errors import EmailInvalidError

EMAIL_LENGTH_MAX = 320
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


class Role(StrEnum):
    """What a user is in the house; document 000 calls it ``user_type``."""

    CUSTOMER = "customer"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user as everyone may know them; the password is not part of it."""

    user_id: int
    email: str
    role: Role
    is_active: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """What a sign-in is checked against: the user, the stored hash, and from when sessions count."""

    user: User
    password_hash: str = field(repr=False)
    sessions_valid_from: datetime


def clean_email(text: str) -> str:
    """The address as it is kept: without spaces around it, its capitals as typed.

    Only a confirmation mail proves an address, so the form is checked no further than ``something@something``.

    Raises:
        EmailInvalidError: it cannot be an address.
    """
    if not is_email(text):
        raise EmailInvalidError
    return text.strip()


def is_email(text: str) -> bool:
    """Whether this can be an address; what cannot belongs to nobody."""
    email = text.strip()
    return len(email) <= EMAIL_LENGTH_MAX and email.isprintable() and bool(_EMAIL.fullmatch(email))


def email_key(email: str) -> str:
    """What makes an account unique: the address in lower case."""
    return email.strip().lower()


def masked_email(email: str) -> str:
    """The address for logs: its first character and its domain (``a…@example.com``)."""
    name, _, domain = email.strip().rpartition("@")
    return f"{name[:1]}…@{domain}"[:80] if name else "…"
