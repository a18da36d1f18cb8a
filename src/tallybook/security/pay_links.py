"""The token of a link for paying: sealed, so that nobody can read or make one, and good until its time is over.

``tbp_<base64url>``. Making one asks nobody: neither the database nor Stripe.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import UTC, datetime

from tallybook.domain.errors import PayLinkInvalidError, SealError
from tallybook.domain.money import Credits
from tallybook.domain.payments.pay_links import PayLink
from tallybook.security.sealing import Sealer

_FORM = re.compile(r"tbp_([A-Za-z0-9_-]{1,400})")
_CONTEXT = "pay link"


def make(sealer: Sealer, link: PayLink) -> str:
    """A token for the link; two for the same link differ."""
    expires_at = int(link.expires_at.timestamp())
    value = [link.wallet_id, link.user_id, link.requested.micro, link.shortfall.micro, expires_at]
    return f"tbp_{_text(sealer.seal_json(value, _CONTEXT))}"


def read(sealer: Sealer, token: str) -> PayLink:
    """What a token stands for; whether its time is over is left to the reader.

    Raises:
        PayLinkInvalidError: we did not make it, or it was changed.
    """
    found = _FORM.fullmatch(token)
    if found is None:
        raise PayLinkInvalidError
    text = found[1]
    try:
        sealed = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        if _text(sealed) != text:
            # Bits that base64 does not use: the same bytes would have a second token.
            raise PayLinkInvalidError
        wallet_id, user_id, requested, shortfall, expires_at = sealer.open_json(sealed, _CONTEXT)
    except (SealError, binascii.Error):
        raise PayLinkInvalidError from None
    return PayLink(
        wallet_id=wallet_id,
        user_id=user_id,
        requested=Credits(requested),
        shortfall=Credits(shortfall),
        expires_at=datetime.fromtimestamp(expires_at, UTC),
    )


def checkout_key(sealer: Sealer, token: str, lookup_key: str, quantity: int, attempt: int) -> str:
    """The idempotency key under which a link opens a checkout for an offer: the same link, the same checkout."""
    return f"pay:{sealer.mac('checkout of pay link', token, lookup_key, quantity, attempt).hex()}"


def _text(sealed: bytes) -> str:
    return base64.urlsafe_b64encode(sealed).decode().rstrip("=")
