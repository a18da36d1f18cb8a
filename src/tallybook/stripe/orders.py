"""What a Checkout Session is opened for, and how we sell on Stripe's pages. Plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast

from stripe.params.checkout import SessionCreateParamsLineItem, SessionCreateParamsLineItemPriceData

from tallybook.domain.money import Money


@dataclass(frozen=True, slots=True, kw_only=True)
class Sales:
    """How we sell on Stripe's pages: whether codes for a discount are taken, and whether Stripe Tax reckons the tax."""

    promotion_codes: bool = False
    automatic_tax: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class InlinePrice:
    """What one of a product costs in another currency than that of its Stripe price."""

    product_id: str
    unit: Money
    tax_behavior: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOrder:
    """What a Checkout Session is opened for; the same order with the same key gives the same session."""

    customer_id: str
    price_id: str
    quantity: int
    success_url: str
    cancel_url: str
    reference: str
    metadata: Mapping[str, str]
    subscribes: bool = False
    subscription_metadata: Mapping[str, str] = field(default_factory=dict)
    trial_days: int | None = None
    inline: InlinePrice | None = None

    @property
    def line(self) -> SessionCreateParamsLineItem:
        """What is sold."""
        if self.inline is None:
            return {"price": self.price_id, "quantity": self.quantity}
        unit = self.inline.unit
        price: SessionCreateParamsLineItemPriceData = {
            "currency": unit.currency,
            "product": self.inline.product_id,
            "unit_amount": unit.minor,
        }
        if self.inline.tax_behavior is not None:
            price["tax_behavior"] = cast('Literal["exclusive", "inclusive"]', self.inline.tax_behavior)
        return {"price_data": price, "quantity": self.quantity}
