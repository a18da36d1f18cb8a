"""A link for paying what a refusal lacked: what it stands for, and who gets one. Pure; sealing it is left to others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.money import Credits

LINK_LIFETIME = timedelta(hours=24)


class NoLink(StrEnum):
    """Why a refusal comes without a link for paying."""

    ORGANISATION = "organisation_wallet"
    NOT_PERMITTED = "purchase_not_permitted"
    NOTHING_ON_SALE = "nothing_on_sale"
    NO_STRIPE = "stripe_not_configured"


@dataclass(frozen=True, slots=True, kw_only=True)
class PayLink:
    """What a link for paying stands for: whose wallet lacked how much, for a request of how much, and until when."""

    wallet_id: int
    user_id: int
    requested: Credits
    shortfall: Credits
    expires_at: datetime

    def is_covered(self, *, available_micro: int, debt_micro: int) -> bool:
        """Whether the refused request would go through now, so that nobody pays for it twice."""
        return available_micro - debt_micro >= self.requested.micro


def why_no_link(caller: Caller, owner_user_id: int | None, *, on_sale: bool, stripe: bool) -> NoLink | None:
    """Why this caller gets no link for paying, or None if it does.

    A link opens checkouts for the wallet's user, so it goes to apps that may do that. Checkouts buy for users: an
    organisation's wallet cannot be topped up by one yet.
    """
    if owner_user_id is None:
        return NoLink.ORGANISATION
    if Permission.PURCHASE_CREDITS not in caller.permissions:
        return NoLink.NOT_PERMITTED
    if not stripe:
        return NoLink.NO_STRIPE
    return None if on_sale else NoLink.NOTHING_ON_SALE
