"""Names for secrets that may be shown and stored: the same secret has the same one, and nobody finds it from that."""

from __future__ import annotations

from functools import lru_cache

from tallybook.security.sealing import Sealer

_LENGTH = 12


@lru_cache(maxsize=64)
def fingerprint(sealer: Sealer, secret: str) -> str:
    """Twelve hexadecimal digits of a code over the secret, under this installation's own key."""
    return sealer.mac("fingerprint of a signing secret", secret).hex()[:_LENGTH]
