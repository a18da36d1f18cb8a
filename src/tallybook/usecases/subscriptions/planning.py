"""What a change of plan goes from and to, at which prices, and when it takes effect. Nothing happens here."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.domain.errors import PlanChangeUnsupportedError, SubscriptionStateError
from tallybook.domain.payments.subscriptions import (
    Effect,
    PlanPrice,
    Subscription,
    SubscriptionStatus,
    effect_of_change,
)
from tallybook.postgres import catalog
from tallybook.stripe.billing import ItemChange
from tallybook.stripe.gateway import StripeGateway
from tallybook.usecases import buying
from tallybook.usecases.context import Context

_CHANGEABLE = (SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What is changed from and to: ``paid`` is what the running period was paid for."""

    found: Subscription
    paid: PlanPrice
    paid_price_id: str
    wanted: PlanPrice
    wanted_price_id: str
    effect: Effect

    @property
    def is_done(self) -> bool:
        """Whether that is how it stands. What a schedule brings is said once more: the card may be another now."""
        found = self.found
        if self.needs_schedule or found.stripe_schedule_id is not None:
            return False
        return (found.stripe_price_id, found.quantity) == (self.wanted_price_id, self.wanted.quantity)

    @property
    def needs_schedule(self) -> bool:
        """Whether only a schedule brings it with the next period.

        A cheaper plan for the same interval needs none: put into the subscription without proration, it is billed next.
        Another interval would begin at once so, and a dearer plan would be there before anybody paid for it.
        """
        if self.effect is not Effect.NEXT_PERIOD or self.found.status is SubscriptionStatus.TRIALING:
            return False
        return self.wanted.interval != self.paid.interval or self.wanted.total > self.paid.total

    def item(
        self, *, invoices: bool, restored: bool = False, proration_date: int | None = None
    ) -> ItemChange:
        """The subscription's item as it is to be; ``restored``: as it was paid for."""
        plan = self.paid if restored else self.wanted
        assert self.found.stripe_subscription_id is not None
        assert self.found.stripe_item_id is not None
        return ItemChange(
            subscription_id=self.found.stripe_subscription_id,
            item_id=self.found.stripe_item_id,
            price_id=self.paid_price_id if restored else self.wanted_price_id,
            quantity=plan.quantity,
            invoices=invoices,
            proration_date=proration_date,
        )


async def planned(
    ctx: Context,
    stripe: StripeGateway,
    found: Subscription,
    plan: str,
    quantity: int | None,
    *,
    may_wait: bool,
) -> Planned:
    """What is changed from and to; whoever stays with a plan stays with the price that they have."""
    if found.status not in _CHANGEABLE or found.collection_paused or found.stripe_item_id is None:
        raise SubscriptionStateError(
            "The plan can be changed while the subscription is active: settle what is open, or resume it first.",
            subscription_status=str(found.status),
        )
    product, link = await buying.product(ctx, stripe, plan, "subscription")
    if product.plan_family != found.plan_family or product.interval is None:
        raise PlanChangeUnsupportedError("A plan can be changed to one of the same family only.")
    many = found.quantity if quantity is None else quantity
    buying.check_quantity(many)
    paid, paid_price_id = await _paid(ctx, found)
    price_id, price = link.price_id, link.price
    if product.lookup_key == paid.lookup_key:
        price_id, price = paid_price_id, paid.price
    elif product.lookup_key == found.lookup_key:
        price_id, price = found.stripe_price_id, found.price
    wanted = PlanPrice(lookup_key=product.lookup_key, quantity=many, price=price, interval=product.interval)
    trialing = found.status is SubscriptionStatus.TRIALING
    return Planned(
        found=found,
        paid=paid,
        paid_price_id=paid_price_id,
        wanted=wanted,
        wanted_price_id=price_id,
        effect=effect_of_change(paid, wanted, trialing=trialing, may_wait=may_wait),
    )


async def _paid(ctx: Context, found: Subscription) -> tuple[PlanPrice, str]:
    """What the running period was paid for; before any payment, what the subscription is for."""
    lookup_key, price_id, quantity, price = (
        found.lookup_key,
        found.stripe_price_id,
        found.quantity,
        found.price,
    )
    if found.period_is_paid and found.paid_price_id is not None and found.paid_quantity is not None:
        async with ctx.db.snapshot() as tx:
            sold = await catalog.sold_at(tx, [found.paid_price_id])
        if found.paid_price_id in sold:
            price_id, quantity = found.paid_price_id, found.paid_quantity
            lookup_key, price = sold[price_id]
    product = ctx.catalog.by_lookup_key(lookup_key)
    if product is None or product.interval is None:
        raise PlanChangeUnsupportedError(
            "The present plan is not one of the catalogue's: change it at Stripe."
        )
    return PlanPrice(
        lookup_key=lookup_key, quantity=quantity, price=price, interval=product.interval
    ), price_id
