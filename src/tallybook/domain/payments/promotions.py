"""Promotion codes: which one is meant by what a buyer typed, and why it cannot be used. Pure.

Stripe decides in the end, when the code is redeemed; this says why, in words that do not change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from tallybook.domain.errors import PromotionCodeError
from tallybook.domain.money import Money

CODE_MAX = 200


class Fault(StrEnum):
    """Why a code cannot be used; the fact ``reason`` of the refusal."""

    UNKNOWN = "unknown"
    EXPIRED = "expired"
    USED_UP = "used_up"
    NOT_APPLICABLE = "not_applicable"
    SWITCHED_OFF = "switched_off"


_SENTENCES = {
    Fault.UNKNOWN: "There is no such promotion code: check the spelling.",
    Fault.EXPIRED: "This promotion code is over.",
    Fault.USED_UP: "This promotion code was used as often as it can be.",
    Fault.NOT_APPLICABLE: "This promotion code is not for this purchase.",
    Fault.SWITCHED_OFF: "No promotion codes are taken here: STRIPE_ALLOW_PROMOTION_CODES is off.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long, and how often, a code or the coupon behind it can be redeemed; None: for ever."""

    until: datetime | None
    redemptions_max: int | None
    redeemed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionReport:
    """A promotion code as Stripe has it, with its coupon.

    ``customer_id`` is the only one who may use it; ``products`` are what the coupon is for (none: everything);
    ``currency`` is that of a coupon of an amount.
    """

    id: str
    active: bool
    customer_id: str | None
    minimum: Money | None
    currency: str | None
    products: frozenset[str]
    limits: tuple[Limits, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What a code is to be used for; ``price`` is for the whole quantity."""

    customer_id: str | None
    product_id: str
    price: Money


def refused(fault: Fault, **facts: str | None) -> PromotionCodeError:
    """The refusal of a code, with its reason."""
    return PromotionCodeError(_SENTENCES[fault], reason=str(fault), **facts)


def chosen(found: Sequence[PromotionReport], purchase: Purchase, now: datetime) -> PromotionReport:
    """The code that is meant among those of one name, the newest first: old ones of the same name stay at Stripe.

    Raises:
        PromotionCodeError: none of them can be used.
    """
    # That another customer has a code is nobody else's business.
    open_to = [one for one in found if one.customer_id in (None, purchase.customer_id)]
    faults = [_fault(one, purchase, now) for one in open_to]
    for one, fault in zip(open_to, faults, strict=True):
        if fault is None:
            return one
    raise refused(next((fault for fault in faults if fault is not None), Fault.UNKNOWN))


def _fault(found: PromotionReport, purchase: Purchase, now: datetime) -> Fault | None:
    if any(one.until is not None and one.until < now for one in found.limits):
        return Fault.EXPIRED
    if any(one.redemptions_max is not None and one.redeemed >= one.redemptions_max for one in found.limits):
        return Fault.USED_UP
    if not found.active:
        return Fault.EXPIRED
    fits = (
        (not found.products or purchase.product_id in found.products)
        and found.currency in (None, purchase.price.currency)
        and _reaches(found.minimum, purchase.price)
    )
    return None if fits else Fault.NOT_APPLICABLE


def _reaches(minimum: Money | None, price: Money) -> bool:
    """A minimum in another currency is left to Stripe, which may know it in this one too."""
    return minimum is None or minimum.currency != price.currency or price.minor >= minimum.minor
