"""Hold tokens: whoever carries one may hold out of one hold and settle what it held, until the token's time is over.

``tbh_<wallet>_<hold>_<expires>_<name>_<code>``. Nothing of it is stored. The code covers all before it; the name
follows from who asked for the token under which key, so that asking again gives a token that reaches the same holds.
"""

from __future__ import annotations

import hmac
import re
from datetime import UTC, datetime, timedelta

from tallybook.domain.errors import TokenInvalidError
from tallybook.domain.identity.callers import Caller, HoldToken
from tallybook.domain.ids import LedgerId
from tallybook.security.sealing import Sealer

PREFIX = "tbh_"
_NAME_DIGITS = 32
_NUMBER = "([1-9][0-9]{0,17})"
_FORM = re.compile(rf"tbh_{_NUMBER}_{_NUMBER}_([1-9][0-9]{{0,10}})_([0-9a-f]{{32}})_([0-9a-f]{{64}})")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def looks_like_one(text: str) -> bool:
    """Whether the text means to be a hold token."""
    return text.startswith(PREFIX)


def name_of(sealer: Sealer, caller: Caller, hold_id: LedgerId, key: str) -> str:
    """The name of the token that this caller asks for under a key: the same for the same question, unlike any other."""
    place = (hold_id.wallet_id, hold_id.version, caller.app_id, caller.scoped_key(key) or "")
    return sealer.mac("hold token's name", *place).hex()[:_NAME_DIGITS]


def make(sealer: Sealer, token: HoldToken) -> str:
    """The text to carry; its time is cut to whole seconds."""
    expires = int(token.expires_at.timestamp())
    number = token.hold_id
    code = _code(sealer, number, expires, token.name)
    return f"{PREFIX}{number.wallet_id}_{number.version}_{expires}_{token.name}_{code}"


def read(sealer: Sealer, text: str) -> HoldToken:
    """What a token says; whether its time is over, or its hold settled, is left to the reader.

    Raises:
        TokenInvalidError: we did not make it, or it was changed.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise TokenInvalidError("Invalid hold token")
    hold_id, expires, name = LedgerId(int(found[1]), int(found[2])), int(found[3]), found[4]
    if not hmac.compare_digest(found[5], _code(sealer, hold_id, expires, name)):
        raise TokenInvalidError("Invalid hold token")
    return HoldToken(hold_id=hold_id, name=name, expires_at=_EPOCH + timedelta(seconds=expires))


def _code(sealer: Sealer, hold_id: LedgerId, expires: int, name: str) -> str:
    return sealer.mac("hold token", hold_id.wallet_id, hold_id.version, expires, name).hex()
