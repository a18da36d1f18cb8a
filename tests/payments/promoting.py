"""Codes for a discount, and a gateway that loses the answer of a plan that begins."""

from __future__ import annotations

from typing import Any

from payments.desk import Till
from tallybook.domain.errors import StripeUnavailableError
from tallybook.domain.payments.subscriptions import SubscriptionReport
from tallybook.stripe.billing import SubscriptionOrder
from tallybook.stripe.gateway import StripeGateway


def code(till: Till, *, percent: int = 25, duration: str = "forever", **more: Any) -> str:
    """A promotion code; ``coupon_…`` among ``more`` is about its coupon."""
    of_coupon = {name.removeprefix("coupon_"): value for name, value in more.items() if "coupon_" in name}
    of_code = {name: value for name, value in more.items() if "coupon_" not in name}
    form: dict[str, Any] = {"duration": duration} | of_coupon
    if "amount_off" not in form:
        form["percent_off"] = percent
    coupon = till.stripe_post("/v1/coupons", **form)["id"]
    named = {"promotion[type]": "coupon", "promotion[coupon]": coupon}
    return str(till.stripe_post("/v1/promotion_codes", **named, **of_code)["code"])


class Deaf(StripeGateway):
    """Begins a subscription at Stripe and loses the answer, once."""

    lost = False

    async def create_subscription(
        self, order: SubscriptionOrder, *, idempotency_key: str
    ) -> SubscriptionReport:
        """Begin it; the first answer is lost."""
        made = await super().create_subscription(order, idempotency_key=idempotency_key)
        if not self.lost:
            self.lost = True
            raise StripeUnavailableError
        return made
