"""Signing keys of session tokens as they are stored, and how long one verifies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tallybook.domain.identity.sessions import TOKEN_SECONDS_MAX

REREAD_SECONDS = 60
"""A process looks for new and retired keys at least this often while it signs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSigningKey:
    """A signing key; the private part is sealed."""

    key_id: str
    algorithm: str
    public_jwk: Mapping[str, Any]
    private_key_sealed: bytes
    created_at: datetime
    retired_at: datetime | None

    def verifies_at(self, now: datetime) -> bool:
        """Whether a token it signed can still be alive.

        A process may sign with it until it rereads the keys, and the longest token lives on from there.
        """
        margin = timedelta(seconds=TOKEN_SECONDS_MAX + 2 * REREAD_SECONDS)
        return self.retired_at is None or now < self.retired_at + margin
