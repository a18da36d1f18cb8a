"""Random text that survives URLs, shells and double-clicks: letters and digits only."""

from __future__ import annotations

import secrets
import string

BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def random_base62(length: int) -> str:
    """So many unpredictable letters and digits, 5.95 bits each."""
    return "".join(secrets.choice(BASE62) for _ in range(length))
