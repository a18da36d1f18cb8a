"""Refresh tokens: the session and its generation with a code that only we can make; nothing of it is stored.

``tbr_<session id in hex>_<generation>_<code>``. Deriving the token lets a repeated refresh get the same successor.
"""

from __future__ import annotations

import hmac
import re
from uuid import UUID, uuid4

from tallybook.domain.errors import TokenInvalidError
from tallybook.security.sealing import Sealer

_FORM = re.compile(r"tbr_([0-9a-f]{32})_(0|[1-9][0-9]{0,8})_([0-9a-f]{64})")


def new_session_id() -> UUID:
    """An id that nobody can guess, for a new session."""
    return uuid4()


def make(sealer: Sealer, session_id: UUID, generation: int) -> str:
    """The refresh token of this generation of a session."""
    return f"tbr_{session_id.hex}_{generation}_{_code(sealer, session_id, generation)}"


def read(sealer: Sealer, token: str) -> tuple[UUID, int]:
    """The session and the generation in a token that we made.

    Raises:
        TokenInvalidError: we did not.
    """
    found = _FORM.fullmatch(token)
    if found is None:
        raise TokenInvalidError("Invalid refresh token")
    session_id, generation = UUID(hex=found[1]), int(found[2])
    if not hmac.compare_digest(found[3], _code(sealer, session_id, generation)):
        raise TokenInvalidError("Invalid refresh token")
    return session_id, generation


def _code(sealer: Sealer, session_id: UUID, generation: int) -> str:
    return sealer.mac("refresh token", session_id.bytes, generation).hex()
