"""Another plan for a subscription: dearer now, for the difference; cheaper with the next period, for nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from tallybook.domain.errors import (
    InvalidRequestError,
    PlanChangeUnsupportedError,
    StripeOutcomeSealedError,
    StripeRefusedError,
    SubscriptionStateError,
)
from tallybook.domain.identity.callers import Caller
from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.invoices import InvoiceReport, judge_invoice
from tallybook.domain.payments.subscriptions import (
    Effect,
    PlanPrice,
    Subscription,
    SubscriptionStatus,
    digest_of,
    effect_of_change,
)
from tallybook.postgres import catalog
from tallybook.stripe.billing import ItemChange
from tallybook.stripe.gateway import StripeGateway, configured
from tallybook.usecases import buying
from tallybook.usecases.context import Context
from tallybook.usecases.subscriptions import changing, invoicing, viewing
from tallybook.usecases.subscriptions.changing import Changed, Wish

_PREVIEW_COUNTS = timedelta(hours=1)
_CLOCKS_DIFFER = timedelta(seconds=60)
_CHANGEABLE = (SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a change would do: ``charged`` and ``credits`` now, if it takes effect now.

    Sent along with the change, ``proration_date`` makes it cost just that.
    """

    effect: Effect
    lookup_key: str
    quantity: int
    charged: Money
    credits: Credits
    next_period: Money
    proration_date: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is changed from and to: ``paid`` is what the running period was paid for."""

    found: Subscription
    paid: PlanPrice
    paid_price_id: str
    wanted: PlanPrice
    wanted_price_id: str

    @property
    def effect(self) -> Effect:
        """When it takes effect."""
        trialing = self.found.status is SubscriptionStatus.TRIALING
        return effect_of_change(self.paid, self.wanted, trialing=trialing)

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


async def change(
    ctx: Context,
    caller: Caller,
    reference: str,
    *,
    plan: str,
    quantity: int | None,
    proration_date: datetime | None,
    key: str | None,
) -> Changed:
    """Change the plan, the quantity or both; an upgrade is charged at once, and its credits come with that payment.

    Raises:
        PriceNotFoundError, ModeMismatchError: no plan that can be bought.
        PlanChangeUnsupportedError: another family or currency, or a shorter interval.
        PermissionDeniedError: neither the user, signed in to the house, nor an admin: a saved card is charged.
        InvalidRequestError: ``proration_date`` is not one that a preview has just given.
        SubscriptionPaymentError: the payment was declined, so nothing was changed.
        And as ``changing.cancel``.
    """
    stamp = None if proration_date is None else int(proration_date.timestamp())
    terms = digest_of("plan_changed", plan, quantity, stamp)
    wish = Wish(caller=caller, reference=reference, action="plan_changed", terms=terms, key=key, charges=True)

    async def ask(stripe: StripeGateway, found: Subscription, stripe_key: str) -> None:
        planned = await _planned(ctx, stripe, found, plan, quantity)
        if (found.stripe_price_id, found.quantity) == (planned.wanted_price_id, planned.wanted.quantity):
            # An attempt before this one got through, and its event was faster than its answer.
            return
        _check_previewed(proration_date, ctx.clock())
        if planned.effect is Effect.NOW:
            await _upgraded(stripe, planned, stripe_key, proration_date=stamp)
        else:
            await stripe.change_item(planned.item(invoices=False), idempotency_key=stripe_key)

    return await changing.carried_out(ctx, wish, ask)


def _check_previewed(proration_date: datetime | None, now: datetime) -> None:
    """A time of the customer's choice would be a price of their choice: at the period's end all costs nothing."""
    if proration_date is not None and not -_PREVIEW_COUNTS <= proration_date - now <= _CLOCKS_DIFFER:
        raise InvalidRequestError("proration_date must be the one of a preview of the last hour.")


async def _upgraded(
    stripe: StripeGateway, planned: _Plan, stripe_key: str, *, proration_date: int | None
) -> None:
    """Charge the difference to what is paid for; a smaller plan that waits gives way to it, and stays if it fails."""
    waits = planned.found.pending_lookup_key is not None
    if waits:
        restored = planned.item(invoices=False, restored=True)
        await stripe.change_item(restored, idempotency_key=f"{stripe_key}:restored")
    try:
        upgrade = planned.item(invoices=True, proration_date=proration_date)
        await stripe.change_item(upgrade, idempotency_key=stripe_key)
    except (StripeRefusedError, StripeOutcomeSealedError):
        if waits:
            waiting = replace(
                planned.item(invoices=False),
                price_id=planned.found.stripe_price_id,
                quantity=planned.found.quantity,
            )
            await stripe.change_item(waiting, idempotency_key=f"{stripe_key}:waiting")
        raise


async def preview(
    ctx: Context, caller: Caller, reference: str, *, plan: str, quantity: int | None
) -> Preview:
    """What a change would cost and bring; nothing happens. Raises as ``change``."""
    stripe = configured(ctx.stripe)
    async with ctx.db.snapshot() as tx:
        found = await viewing.found_for(tx, caller, reference)
    planned = await _planned(ctx, stripe, found, plan, quantity)
    wanted = planned.wanted
    shown = Preview(
        effect=planned.effect,
        lookup_key=wanted.lookup_key,
        quantity=wanted.quantity,
        charged=Money(0, wanted.price.currency),
        credits=Credits(0),
        next_period=Money(wanted.total, wanted.price.currency),
        proration_date=None,
    )
    if planned.effect is not Effect.NOW:
        return shown
    stamp = int(ctx.clock().timestamp())
    report = await stripe.preview_change(planned.item(invoices=True, proration_date=stamp))
    charged, credits = report.amount_due_minor, await _credits(ctx, report)
    if found.pending_lookup_key is not None:
        # Stripe reckons from the smaller plan that waits: the way from there to what is paid for costs nothing.
        restored = await stripe.preview_change(
            planned.item(invoices=True, restored=True, proration_date=stamp)
        )
        charged = max(0, report.total_minor - restored.total_minor)
        credits = Credits(credits.micro - (await _credits(ctx, restored)).micro)
    return replace(
        shown,
        charged=Money(charged, wanted.price.currency),
        credits=credits,
        proration_date=datetime.fromtimestamp(stamp, UTC),
    )


async def _planned(
    ctx: Context, stripe: StripeGateway, found: Subscription, plan: str, quantity: int | None
) -> _Plan:
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
    return _Plan(found=found, paid=paid, paid_price_id=paid_price_id, wanted=wanted, wanted_price_id=price_id)


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


async def _credits(ctx: Context, report: InvoiceReport) -> Credits:
    """What the previewed invoice would bring once it is paid."""
    prices = {line.price_id for line in report.lines if line.price_id is not None}
    async with ctx.db.snapshot() as tx:
        plans = await invoicing.plans_sold_at(ctx, tx, prices)
    paid = replace(report, status="paid", billing_reason="subscription_update")
    judgement = judge_invoice(paid, plans, ctx.clock())
    return Credits(sum(part.credits.micro for part in judgement.parts) - judgement.taken_back.micro)
