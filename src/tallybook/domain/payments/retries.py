"""How often a stored event is tried again, and how long to wait before. Pure; the chance comes from the caller."""

from __future__ import annotations

from datetime import timedelta

ATTEMPTS_MAX = 18
"""With the waits below about eight hours, which outlasts most outages; then it is dead until someone replays it."""

_FIRST_SECONDS = 1
_LONGEST_SECONDS = 3600


def wait_before_retry(attempts: int, chance: float) -> timedelta:
    """Twice as long after each attempt, up to an hour; ``chance`` in [0, 1) spreads them over the upper half."""
    full = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2 ** min(attempts - 1, 20))
    return timedelta(seconds=full * (0.5 + chance / 2))
