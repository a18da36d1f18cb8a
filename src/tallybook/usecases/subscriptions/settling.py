"""Makes our books agree with what Stripe says about a subscription and its invoices; the only place that moves credits.

What decides is fetched from Stripe afresh under a lease on the customer, outside any transaction; the effect, the audit
line and the event's done-mark commit together, if the lease still stands.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from tallybook.domain.errors import CatalogError, NotFoundError, StripeRefusedError, WalletBusyError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.ids import parse_plain_id
from tallybook.domain.payments.inbox import EventStatus, Lease
from tallybook.domain.payments.invoices import InvoiceReport
from tallybook.domain.payments.money_back import Report
from tallybook.domain.payments.subscriptions import Subscription, SubscriptionReport, SubscriptionStatus
from tallybook.postgres import audit, customers, inbox, ledger, money_back, subscriptions
from tallybook.postgres.fences import Fence, fenced, hold_fence
from tallybook.postgres.pool import Transaction
from tallybook.postgres.subscriptions import Coming, Plan
from tallybook.stripe.gateway import configured
from tallybook.usecases.context import Context
from tallybook.usecases.subscriptions import invoicing, returning

_log = structlog.get_logger("tallybook.subscriptions")
_ACTOR = ("system", "fulfilment")
Also = Callable[[Transaction], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What settling did, in a word, and the subscription as it is now; None when it is not one of ours."""

    outcome: str
    subscription: Subscription | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _News:
    report: SubscriptionReport
    invoice: InvoiceReport | None
    back: Report | None
    lease: Lease | None
    also: Also | None


async def settle_subscription(
    ctx: Context, stripe_subscription_id: str, *, lease: Lease | None = None
) -> Settlement:
    """Project a subscription as absolute state. It never grants: credits come with paid invoices only.

    With ``lease``, that event is marked done in the same transaction.

    Raises:
        FulfilmentBusyError: somebody else settles this customer, or our lease was lost; try again.
        StripeUnavailableError, DatabaseUnavailableError: try again.
    """
    customer_id = await _customer_of(ctx, stripe_subscription_id)
    if customer_id is None:
        return await _without_effect(ctx, lease, "foreign")
    return await follow(ctx, customer_id, stripe_subscription_id, lease=lease)


async def settle_invoice(ctx: Context, stripe_invoice_id: str, *, lease: Lease | None = None) -> Settlement:
    """Project an invoice and its subscription, and move its credits if they are due and have not moved yet.

    An invoice that has nothing to do with a subscription, or with one of ours, is left alone. Raises as above.
    """
    found = await configured(ctx.stripe).invoice(stripe_invoice_id)
    if found is None:
        return await _without_effect(ctx, lease, "foreign")
    subscription_id = found.subscription_id or next(
        (line.subscription_id for line in found.lines if line.subscription_id is not None), None
    )
    if subscription_id is None or found.customer_id is None:
        return await _without_effect(ctx, lease, "no_subscription")
    return await follow(ctx, found.customer_id, subscription_id, invoice_id=stripe_invoice_id, lease=lease)


async def refresh(ctx: Context, caller: Caller, stripe_subscription_id: str) -> Settlement:
    """Fetch a subscription and its newest invoice, and settle both; for operators. Raises as above."""
    caller.require_admin()
    customer_id = await _customer_of(ctx, stripe_subscription_id)
    if customer_id is None:
        return Settlement(outcome="foreign")
    return await follow(ctx, customer_id, stripe_subscription_id, newest_invoice=True)


async def settle_session(ctx: Context, stripe_session_id: str) -> None:
    """Bring what a checkout of a plan became up to date: its subscription with the newest invoice, or its end.

    A session that is no plan's is left alone. Raises as above.
    """
    async with ctx.db.snapshot() as tx:
        attempt = await subscriptions.by_session(tx, stripe_session_id)
    if attempt is None or attempt.status.has_ended:
        return
    report = await configured(ctx.stripe).session(stripe_session_id)
    if report is None:
        raise StripeRefusedError(f"Stripe does not know {stripe_session_id}, which we opened.")
    if report.subscription_id is not None and report.customer_id is not None:
        await follow(ctx, report.customer_id, report.subscription_id, newest_invoice=True)
    elif report.status == "expired":
        async with ctx.db.transaction() as tx:
            await subscriptions.abandon(tx, ctx.clock(), attempt.subscription_id)


async def follow(
    ctx: Context,
    customer_id: str,
    subscription_id: str,
    *,
    invoice_id: str | None = None,
    newest_invoice: bool = False,
    lease: Lease | None = None,
    also: Also | None = None,
) -> Settlement:
    """Fetch a subscription (and an invoice of it) under the customer's lease, and write both down.

    ``also`` is done in the same transaction. Raises as above.
    """
    stripe = configured(ctx.stripe)
    async with fenced(ctx.db, ctx.clock, customer_id) as fence:
        report = await stripe.subscription(subscription_id)
        if report is None:
            raise StripeRefusedError(
                f"Stripe does not know {subscription_id}: is STRIPE_SECRET_KEY another account's?"
            )
        if newest_invoice:
            invoice_id = report.latest_invoice_id
        invoice = None if invoice_id is None else await stripe.invoice(invoice_id)
        async with ctx.db.transaction() as tx:
            known = await _recognised(ctx, tx, report, invoice)
        if known is None:
            return await _without_effect(ctx, lease, "foreign")
        back = None if invoice is None else await returning.went_back(ctx, stripe, invoice)
        news = _News(report=report, invoice=invoice, back=back, lease=lease, also=also)
        try:
            settled = await _in_lane(ctx, fence, known, news, patient=False)
        except WalletBusyError:
            # An app's open transaction on this wallet delays this event, not the others.
            async with ctx.db.turn(known.wallet_id):
                settled = await _in_lane(ctx, fence, known, news, patient=True)
    _log.info(
        "subscription_settled", subscription=subscription_id, invoice=invoice_id, outcome=settled.outcome
    )
    return settled


async def _in_lane(
    ctx: Context, fence: Fence, known: Subscription, news: _News, *, patient: bool
) -> Settlement:
    async with ctx.db.transaction(patient=patient) as tx:
        await hold_fence(tx, fence)
        if news.back is not None:
            # Before the grant, which is recorded with what went back of it.
            await money_back.project(tx, ctx.clock(), news.back)
        outcome = await _apply(invoicing.Books(ctx=ctx, tx=tx, wait=patient), known.subscription_id, news)
        if news.also is not None:
            await news.also(tx)
        if news.lease is not None:
            await inbox.settle(tx, ctx.clock(), news.lease, status=EventStatus.DONE, outcome=outcome)
        now = await subscriptions.by_id(tx, known.subscription_id)
    return Settlement(outcome=outcome, subscription=now)


async def _apply(books: invoicing.Books, subscription_id: int, news: _News) -> str:
    """The effect, under the lock on the subscription; decided again on what the row says now."""
    ctx, tx, report = books.ctx, books.tx, news.report
    before = await subscriptions.by_id(tx, subscription_id, lock=True)
    assert before is not None, subscription_id
    if report.livemode != ctx.livemode:
        return "other_mode"
    if report.customer_id != before.stripe_customer_id:
        return "mismatch_customer"
    plan = await _plan(ctx, tx, before, report)
    coming = await _coming(ctx, tx, report)
    await subscriptions.follow(tx, ctx.clock(), subscription_id, report, plan=plan, coming=coming)
    now = await subscriptions.by_id(tx, subscription_id)
    assert now is not None, subscription_id
    own_trial = report.trial_start is not None and await subscriptions.begin_trial(tx, ctx.clock(), now)
    if (before.status, before.lookup_key) != (now.status, now.lookup_key):
        await audit.record(
            tx,
            ctx.clock(),
            _ACTOR,
            "subscription.followed",
            ("subscription", str(subscription_id)),
            before={"status": str(before.status), "plan": before.lookup_key},
            after={"status": str(now.status), "plan": now.lookup_key},
        )
    if news.invoice is None:
        return str(now.status)
    if news.invoice.customer_id != report.customer_id:
        return "mismatch_customer"
    return await invoicing.settle(books, now, news.invoice, own_trial=own_trial)


async def _plan(ctx: Context, tx: Transaction, before: Subscription, report: SubscriptionReport) -> Plan:
    """What is subscribed to now; a price that was never ours leaves the plan's name as it was, and never grants."""
    terms = (await invoicing.plans_sold_at(ctx, tx, {report.price_id})).get(report.price_id)
    return Plan(
        plan_family=before.plan_family,
        lookup_key=before.lookup_key if terms is None else terms.lookup_key,
        product_name=before.product_name if terms is None else terms.name,
        stripe_price_id=report.price_id,
        price=report.price or before.price,
    )


async def _coming(ctx: Context, tx: Transaction, report: SubscriptionReport) -> Coming | None:
    """The plan that the next period brings by a schedule, if it is one of ours."""
    if report.next_price_id is None:
        return None
    try:
        terms = (await invoicing.plans_sold_at(ctx, tx, {report.next_price_id})).get(report.next_price_id)
    except CatalogError:
        # Gone from the catalogue: what is paid for today still counts, and its invoice will say so when it comes.
        _log.exception("coming_plan_is_gone", subscription=report.id, price=report.next_price_id)
        return None
    return None if terms is None else Coming(lookup_key=terms.lookup_key, price=terms.price)


async def _recognised(
    ctx: Context, tx: Transaction, report: SubscriptionReport, invoice: InvoiceReport | None
) -> Subscription | None:
    """Whose subscription this is: by our own stored ids first, then by the attempt it names, then by its customer."""
    known = await subscriptions.by_stripe_id(tx, report.id)
    if known is not None:
        return known
    user_id = await subscriptions.user_of_customer(tx, report.customer_id)
    attempt = await _attempt_of(tx, report)
    if attempt is not None and (
        attempt.user_id == user_id or attempt.stripe_customer_id == report.customer_id
    ):
        began = await subscriptions.began(
            tx,
            ctx.clock(),
            attempt.subscription_id,
            stripe_subscription_id=report.id,
            stripe_customer_id=report.customer_id,
        )
        if began:
            return await subscriptions.by_stripe_id(tx, report.id)
        paid = invoice is not None and invoice.total_minor > 0
        if attempt.status is SubscriptionStatus.ABANDONED and report.status.has_ended and not paid:
            # Ended at Stripe as soon as it was there, since another tab has its place: a free period of it is none.
            return None
    terms = (await invoicing.plans_sold_at(ctx, tx, {report.price_id})).get(report.price_id)
    product = None if terms is None else ctx.catalog.by_lookup_key(terms.lookup_key)
    if user_id is None or terms is None or product is None or product.plan_family is None:
        return None
    plan = Plan(
        plan_family=product.plan_family,
        lookup_key=terms.lookup_key,
        product_name=terms.name,
        stripe_price_id=report.price_id,
        price=terms.price,
    )
    wallet_id = await ledger.open_wallet(tx, ctx.clock(), user_id=user_id)
    return await subscriptions.adopt(tx, ctx.clock(), report, plan, user_id=user_id, wallet_id=wallet_id)


async def _attempt_of(tx: Transaction, report: SubscriptionReport) -> Subscription | None:
    """The attempt that a subscription's metadata name, if they are this database's."""
    account = await customers.account(tx)
    if account is None or report.our_id is None or report.deployment != str(account.deployment_id):
        return None
    try:
        return await subscriptions.by_id(tx, parse_plain_id("sbs", report.our_id))
    except NotFoundError:
        return None


async def _customer_of(ctx: Context, stripe_subscription_id: str) -> str | None:
    async with ctx.db.snapshot() as tx:
        known = await subscriptions.by_stripe_id(tx, stripe_subscription_id)
    if known is not None:
        return known.stripe_customer_id
    report = await configured(ctx.stripe).subscription(stripe_subscription_id)
    return None if report is None else report.customer_id


async def _without_effect(ctx: Context, lease: Lease | None, outcome: str) -> Settlement:
    if lease is not None:
        async with ctx.db.transaction() as tx:
            await inbox.settle(tx, ctx.clock(), lease, status=EventStatus.DONE, outcome=outcome)
    return Settlement(outcome=outcome)
