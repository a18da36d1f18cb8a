"""Looks promotion codes up at Stripe, and reads them into plain values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import stripe

from tallybook.domain.money import Money
from tallybook.domain.payments.promotions import Limits, PromotionReport
from tallybook.stripe.failures import patiently
from tallybook.stripe.gateway import StripeGateway
from tallybook.stripe.readings import id_of, moment

_AT_ONCE = 100


async def named(gateway: StripeGateway, code: str) -> list[PromotionReport]:
    """Every promotion code of this name, in whatever case, the newest first."""
    page = await patiently(
        "promotion_codes.list",
        lambda: gateway.v1.promotion_codes.list_async(
            {"code": code, "limit": _AT_ONCE, "expand": ["data.promotion.coupon.applies_to"]}
        ),
    )
    return [_promotion(one) for one in page.data]


def _promotion(found: stripe.PromotionCode) -> PromotionReport:
    raw: dict[str, Any] = found.to_dict()
    coupon = raw["promotion"]["coupon"]
    coupon = coupon if isinstance(coupon, Mapping) else {}
    restrictions = raw["restrictions"]
    least, currency = restrictions.get("minimum_amount"), restrictions.get("minimum_amount_currency")
    return PromotionReport(
        id=raw["id"],
        # A coupon that was deleted is a stub, or not there at all.
        active=raw["active"] and coupon.get("valid") is True,
        customer_id=id_of(raw.get("customer")),
        minimum=None if least is None or currency is None else Money(least, currency),
        currency=coupon.get("currency"),
        products=frozenset((coupon.get("applies_to") or {}).get("products") or ()),
        limits=(_limits(raw, "expires_at"), _limits(coupon, "redeem_by")),
    )


def _limits(raw: Mapping[str, Any], until: str) -> Limits:
    ends = raw.get(until)
    return Limits(
        until=None if ends is None else moment(ends),
        redemptions_max=raw.get("max_redemptions"),
        redeemed=raw.get("times_redeemed") or 0,
    )
