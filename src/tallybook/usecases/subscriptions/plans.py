"""Another plan for a subscription: dearer now, for the difference; cheaper with the next period, for nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from tallybook.domain.errors import (
    InvalidRequestError,
    StripeOutcomeSealedError,
    StripeRefusedError,
    SubscriptionStateError,
)
from tallybook.domain.identity.callers import Caller
from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.invoices import InvoiceReport, judge_invoice
from tallybook.domain.payments.subscriptions import Effect, Subscription, digest_of
from tallybook.stripe import schedules
from tallybook.stripe.gateway import StripeGateway, configured
from tallybook.usecases.context import Context
from tallybook.usecases.subscriptions import changing, invoicing, planning, viewing
from tallybook.usecases.subscriptions.changing import Changed, Wish
from tallybook.usecases.subscriptions.planning import Planned

_PREVIEW_COUNTS = timedelta(hours=1)
_CLOCKS_DIFFER = timedelta(seconds=60)


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


async def change(
    ctx: Context,
    caller: Caller,
    reference: str,
    *,
    plan: str,
    quantity: int | None,
    proration_date: datetime | None,
    key: str | None,
    at_period_end: bool = False,
) -> Changed:
    """Change the plan, the quantity or both; an upgrade is charged at once, and its credits come with that payment.

    ``at_period_end`` has a dearer plan wait for the next period, too.

    Raises:
        PriceNotFoundError, ModeMismatchError: no plan that can be bought.
        PlanChangeUnsupportedError: another family or currency.
        PermissionDeniedError: neither the user, signed in to the house, nor an admin: a saved card is charged.
        InvalidRequestError: ``proration_date`` is not one that a preview has just given.
        SubscriptionPaymentError: the payment was declined, so nothing was changed.
        And as ``changing.cancel``.
    """
    stamp = None if proration_date is None else int(proration_date.timestamp())
    terms = digest_of("plan_changed", plan, quantity, stamp, *(["period_end"] if at_period_end else []))
    wish = Wish(caller=caller, reference=reference, action="plan_changed", terms=terms, key=key, charges=True)

    async def ask(stripe: StripeGateway, found: Subscription, stripe_key: str) -> None:
        planned = await planning.planned(ctx, stripe, found, plan, quantity, may_wait=at_period_end)
        if planned.is_done:
            # An attempt before this one got through, and its event was faster than its answer.
            return
        _check_previewed(proration_date, ctx.clock())
        if planned.effect is Effect.NOW:
            await _upgraded(stripe, planned, stripe_key, proration_date=stamp)
        else:
            await _put_off(stripe, planned, stripe_key)

    return await changing.carried_out(ctx, wish, ask)


def _check_previewed(proration_date: datetime | None, now: datetime) -> None:
    """A time of the customer's choice would be a price of their choice: at the period's end all costs nothing."""
    if proration_date is not None and not -_PREVIEW_COUNTS <= proration_date - now <= _CLOCKS_DIFFER:
        raise InvalidRequestError("proration_date must be the one of a preview of the last hour.")


async def _put_off(stripe: StripeGateway, planned: Planned, stripe_key: str) -> None:
    """Let the change begin with the next period, or take back what was to begin then."""
    found = planned.found
    if planned.needs_schedule:
        _need_to_go_on(found)
        if found.item_waits:
            restored = planned.item(invoices=False, restored=True)
            await stripe.change_item(restored, idempotency_key=f"{stripe_key}:restored")
        await schedules.put_off(stripe, planned.item(invoices=False), idempotency_key=stripe_key)
        return
    await _released(stripe, found, stripe_key)
    await stripe.change_item(planned.item(invoices=False), idempotency_key=stripe_key)


def _need_to_go_on(found: Subscription) -> None:
    if found.cancel_at_period_end:
        raise SubscriptionStateError(
            "It ends with its period: reactivate it first.", subscription_status=str(found.status)
        )


async def _released(stripe: StripeGateway, found: Subscription, stripe_key: str) -> None:
    """Looks at Stripe, not at our books: another tab may have put something off just now."""
    assert found.stripe_subscription_id is not None
    await schedules.release(stripe, found.stripe_subscription_id, idempotency_key=f"{stripe_key}:released")


async def _upgraded(
    stripe: StripeGateway, planned: Planned, stripe_key: str, *, proration_date: int | None
) -> None:
    """Charge the difference to what is paid for; what waits gives way to it, and stays if it fails."""
    found = planned.found
    await _released(stripe, found, stripe_key)
    waits = found.item_waits
    if waits:
        restored = planned.item(invoices=False, restored=True)
        await stripe.change_item(restored, idempotency_key=f"{stripe_key}:restored")
    try:
        upgrade = planned.item(invoices=True, proration_date=proration_date)
        await stripe.change_item(upgrade, idempotency_key=stripe_key)
    except (StripeRefusedError, StripeOutcomeSealedError):
        if waits:
            waiting = replace(
                planned.item(invoices=False), price_id=found.stripe_price_id, quantity=found.quantity
            )
            await stripe.change_item(waiting, idempotency_key=f"{stripe_key}:waiting")
        if found.next_price_id is not None and found.next_quantity is not None:
            coming = replace(
                planned.item(invoices=False), price_id=found.next_price_id, quantity=found.next_quantity
            )
            await schedules.put_off(stripe, coming, idempotency_key=f"{stripe_key}:put_off")
        raise


async def preview(
    ctx: Context,
    caller: Caller,
    reference: str,
    *,
    plan: str,
    quantity: int | None,
    at_period_end: bool = False,
) -> Preview:
    """What a change would cost and bring; nothing happens. Raises as ``change``."""
    stripe = configured(ctx.stripe)
    async with ctx.db.snapshot() as tx:
        found = await viewing.found_for(tx, caller, reference)
    planned = await planning.planned(ctx, stripe, found, plan, quantity, may_wait=at_period_end)
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
    if found.item_waits:
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


async def _credits(ctx: Context, report: InvoiceReport) -> Credits:
    """What the previewed invoice would bring once it is paid."""
    prices = {line.price_id for line in report.lines if line.price_id is not None}
    async with ctx.db.snapshot() as tx:
        plans = await invoicing.plans_sold_at(ctx, tx, prices)
    paid = replace(report, status="paid", billing_reason="subscription_update")
    judgement = judge_invoice(paid, plans, ctx.clock())
    return Credits(sum(part.credits.micro for part in judgement.parts) - judgement.taken_back.micro)
