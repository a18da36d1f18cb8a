"""Makes object ids that look like Stripe's: a prefix and random letters and digits.

Leaves it to callers which prefix belongs to which object.
"""

import secrets
import string

_ALPHABET = string.ascii_letters + string.digits


def new_id(prefix: str, length: int = 24) -> str:
    """Return ``prefix_`` followed by `length` random characters."""
    return f"{prefix}_{random_text(length)}"


def random_text(length: int) -> str:
    """Return `length` random letters and digits from the system's secure source."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
