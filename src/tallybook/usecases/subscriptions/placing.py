"""The one place that a user has in a family of plans: an attempt takes it, and it is cleared at Stripe for the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from tallybook.domain.errors import AlreadySubscribedError, StripeRefusedError, SubscriptionSupersededError
from tallybook.domain.ids import plain_id
from tallybook.domain.payments.invoices import PAID, InvoiceReport
from tallybook.domain.payments.subscriptions import Subscription, SubscriptionStatus
from tallybook.postgres import checkouts, customers, subscriptions
from tallybook.postgres.pool import Transaction
from tallybook.stripe import listings
from tallybook.stripe.gateway import StripeGateway
from tallybook.usecases import buyers
from tallybook.usecases.context import Context
from tallybook.usecases.subscriptions import settling

_T = TypeVar("_T")
_TAKEOVERS = 4
"""How often the place of a family is tried for at one go: with each, what was open before is closed at Stripe."""


class PlaceTakenError(Exception):
    """Something holds the family's place: the transaction is rolled back, and it is looked at."""

    def __init__(self, holder: Subscription | None) -> None:
        """The holder is what stands there now; None when it has gone meanwhile."""
        super().__init__()
        self.holder = holder


async def place_taken(
    ctx: Context, stripe: StripeGateway, user_id: int, take: Callable[[Transaction], Awaitable[_T]]
) -> tuple[buyers.Buyer, _T]:
    """Take the family's place, from an attempt that can be closed at Stripe if need be."""
    identity = await stripe.account()
    for _ in range(_TAKEOVERS):
        try:
            async with ctx.db.transaction() as tx:
                account = await customers.record_account(
                    tx, ctx.clock(), account_id=identity.account_id, livemode=ctx.livemode
                )
                customer = await customers.intend_customer(tx, ctx.clock(), user_id=user_id)
                mine = await take(tx)
        except PlaceTakenError as taken:
            if taken.holder is not None:
                await _cleared(ctx, stripe, taken.holder)
        else:
            return buyers.Buyer(customer=customer, deployment=str(account.deployment_id)), mine
    raise SubscriptionSupersededError


async def _cleared(ctx: Context, stripe: StripeGateway, holder: Subscription) -> None:
    """Close what holds a family's place, so that nobody can pay it any more.

    Raises:
        AlreadySubscribedError: it lives, or its first payment is under way.
    """
    session_id = await _session_of(ctx, holder)
    if session_id is None and holder.stripe_subscription_id is None:
        await _found_at_stripe(ctx, stripe, holder)
    open_still = session_id is None or await expired(ctx, stripe, session_id)
    now = await _followed(ctx, holder)
    if open_still and now.stripe_subscription_id is None:
        async with ctx.db.transaction() as tx:
            # Opened meanwhile, it keeps the place, and is looked at once more: its session must be closed first.
            await subscriptions.abandon(tx, ctx.clock(), holder.subscription_id, unopened=session_id is None)
        return
    if open_still and now.status is SubscriptionStatus.INCOMPLETE and await voided(ctx, stripe, now):
        return
    now = await _followed(ctx, now)
    if not now.status.has_ended:
        raise AlreadySubscribedError(
            subscription=plain_id("sbs", now.subscription_id),
            plan=now.lookup_key,
            subscription_status=str(now.status),
        )


async def _found_at_stripe(ctx: Context, stripe: StripeGateway, holder: Subscription) -> None:
    """Write down what came of an attempt whose answer was lost: what costs nothing runs without anybody's payment."""
    async with ctx.db.snapshot() as tx:
        customer_id = await customers.stripe_id_of(tx, holder.user_id)
    if customer_id is None:
        return
    async for page in listings.subscriptions(stripe, {"customer": customer_id}):
        for report in page:
            if report.our_id == plain_id("sbs", holder.subscription_id):
                await settling.settle_subscription(ctx, report.id)


async def _followed(ctx: Context, found: Subscription) -> Subscription:
    """The subscription as Stripe has it now, if it has begun there."""
    if found.stripe_subscription_id is not None:
        await settling.settle_subscription(ctx, found.stripe_subscription_id)
    async with ctx.db.snapshot() as tx:
        now = await subscriptions.by_id(tx, found.subscription_id)
    assert now is not None, found.subscription_id
    return now


async def voided(ctx: Context, stripe: StripeGateway, found: Subscription) -> bool:
    """Void the first invoice, which fails once it is paid; only then end the subscription.

    One of nothing, which begins a trial, is paid from the start: there is no money to wait for.
    """
    assert found.stripe_subscription_id is not None
    if found.latest_invoice_id is not None:
        try:
            await stripe.void_invoice(
                found.latest_invoice_id, idempotency_key=f"void:{found.intent_id}:{found.latest_invoice_id}"
            )
        except StripeRefusedError:
            invoice = await stripe.invoice(found.latest_invoice_id)
            if invoice is None or (invoice.status != "void" and not _paid_with_nothing(invoice)):
                return False
    await stripe.cancel(found.stripe_subscription_id)
    await settling.settle_subscription(ctx, found.stripe_subscription_id)
    return True


def _paid_with_nothing(invoice: InvoiceReport) -> bool:
    return invoice.status == PAID and invoice.amount_paid_minor == 0 and invoice.total_minor == 0


async def expired(ctx: Context, stripe: StripeGateway, session_id: str) -> bool:
    """Close a session, which fails once it is complete: then what it became is written down."""
    try:
        await stripe.expire_session(session_id, idempotency_key=f"expire:{session_id}")
    except StripeRefusedError:
        report = await stripe.session(session_id)
        if report is not None and report.status == "expired":
            return True
        await settling.settle_session(ctx, session_id)
        return False
    return True


async def _session_of(ctx: Context, holder: Subscription) -> str | None:
    if holder.checkout_id is None:
        return None
    async with ctx.db.snapshot() as tx:
        checkout = await checkouts.by_id(tx, holder.checkout_id)
    assert checkout is not None, holder.checkout_id
    return checkout.stripe_session_id
