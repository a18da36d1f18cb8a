"""Turns a paid checkout into credits, exactly once: the one function that webhooks and return pages share.

The state that decides is fetched from Stripe afresh, outside any transaction, under a lease on the customer; the
effect, the audit line and the event's done-mark commit together, if the lease still stands.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import structlog

from tallybook.domain.errors import (
    BillingError,
    CheckoutNotFoundError,
    PermissionDeniedError,
    StripeRefusedError,
    WalletBusyError,
)
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.ids import LedgerId, plain_id
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Note
from tallybook.domain.money import Money
from tallybook.domain.payments.checkouts import Checkout, Judgement, Status, judge
from tallybook.domain.payments.inbox import EventStatus, Lease
from tallybook.domain.payments.money_back import Report, given_back
from tallybook.domain.payments.payments import Paid, Source
from tallybook.domain.payments.reports import SessionReport, SessionView
from tallybook.postgres import audit, checkouts, inbox, ledger, money_back, payments
from tallybook.postgres.fences import Fence, fenced, hold_fence
from tallybook.postgres.pool import Transaction
from tallybook.stripe import money_back as at_stripe
from tallybook.stripe.gateway import StripeGateway, configured
from tallybook.usecases.context import Context

_log = structlog.get_logger("tallybook.fulfilment")
_ACTOR = ("system", "fulfilment")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What settling did, in a word, and what it was about; ``report`` is what the customer may know of it."""

    outcome: str
    checkout: Checkout | None = None
    report: SessionView | None = None


async def settle_checkout(ctx: Context, stripe_session_id: str, *, lease: Lease | None = None) -> Settlement:
    """Make our books agree with what Stripe says about a session; grants its credits if they are due.

    With ``lease``, that event is marked done in the same transaction. A session that we did not open is foreign
    and never grants, whatever its metadata says.

    Raises:
        FulfilmentBusyError: somebody else settles this customer, or our lease was lost; try again.
        StripeUnavailableError, DatabaseUnavailableError, WalletBusyError: try again.
    """
    async with ctx.db.snapshot() as tx:
        known = await checkouts.by_session(tx, stripe_session_id)
    if known is None:
        return await _without_effect(ctx, lease, "foreign")
    assert known.stripe_customer_id is not None, known.checkout_id
    async with fenced(ctx.db, ctx.clock, known.stripe_customer_id) as fence:
        stripe = configured(ctx.stripe)
        report = await stripe.session(stripe_session_id)
        if report is None:
            # Sessions are never deleted: the key must be another account's. Tried again until someone looks.
            raise StripeRefusedError(
                f"Stripe does not know {stripe_session_id}, which we opened: is STRIPE_SECRET_KEY another account's?"
            )
        seen = await _with_what_went_back(stripe, report)
        try:
            settled = await _in_lane(ctx, fence, seen, lease, patient=False)
        except WalletBusyError:
            # An app's open transaction on this wallet delays this event, not the others.
            async with ctx.db.turn(known.wallet_id):
                settled = await _in_lane(ctx, fence, seen, lease, patient=True)
    _log.info("checkout_settled", session=stripe_session_id, outcome=settled.outcome)
    return settled


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A session, and what went back of its payment if anything did, as Stripe had them under the lease."""

    session: SessionReport
    back: Report | None


async def _with_what_went_back(stripe: StripeGateway, session: SessionReport) -> _Seen:
    """Refunds are counted one by one: what a charge sums up says nothing of those that fail or wait."""
    if session.payment_intent_id is None or not (session.amount_refunded or session.charge_disputed):
        return _Seen(session=session, back=None)
    back = await at_stripe.report(stripe, session.payment_intent_id, disputes=session.charge_disputed)
    gone = given_back(back.refunds)
    return _Seen(session=replace(session, amount_refunded=gone), back=back)


async def _in_lane(
    ctx: Context, fence: Fence, seen: _Seen, lease: Lease | None, *, patient: bool
) -> Settlement:
    """The effect and the event's done-mark in one transaction, if the lease on the customer still stands."""
    report = seen.session
    async with ctx.db.transaction(patient=patient) as tx:
        await hold_fence(tx, fence)
        if seen.back is not None:
            # Before the grant, which is recorded with what went back of it.
            await money_back.project(tx, ctx.clock(), seen.back)
        settled = await _apply(ctx, tx, report, audits_faults=lease is not None, wait=patient)
        if lease is not None:
            await inbox.settle(tx, ctx.clock(), lease, status=EventStatus.DONE, outcome=settled.outcome)
    return settled


async def settle_payment(ctx: Context, payment_intent_id: str, *, lease: Lease | None = None) -> Settlement:
    """The same for a payment intent: through the session that started it; one that we did not start is foreign."""
    session_id = await configured(ctx.stripe).session_id_of_payment(payment_intent_id)
    if session_id is None:
        return await _without_effect(ctx, lease, "foreign")
    return await settle_checkout(ctx, session_id, lease=lease)


async def return_from_checkout(ctx: Context, caller: Caller, stripe_session_id: str) -> Settlement:
    """What a customer who comes back sees; settles first, so that the page need not wait for the webhook.

    Paid is final, so that is answered from our books: looking again costs no call to Stripe and no lease.

    Raises:
        CheckoutNotFoundError: there is no such session, or it is another user's.
    """
    async with ctx.db.snapshot() as tx:
        known = await checkouts.by_session(tx, stripe_session_id)
    if known is None:
        raise CheckoutNotFoundError
    try:
        caller.user_for(known.user_id, Permission.PURCHASE_CREDITS)
    except PermissionDeniedError:
        raise CheckoutNotFoundError from None
    if known.status is Status.PAID:
        return Settlement(outcome="already_granted", checkout=known, report=known.paid_view)
    return await settle_checkout(ctx, stripe_session_id)


async def _without_effect(ctx: Context, lease: Lease | None, outcome: str) -> Settlement:
    if lease is not None:
        async with ctx.db.transaction() as tx:
            await inbox.settle(tx, ctx.clock(), lease, status=EventStatus.DONE, outcome=outcome)
    return Settlement(outcome=outcome)


async def _apply(
    ctx: Context, tx: Transaction, report: SessionReport, *, audits_faults: bool, wait: bool
) -> Settlement:
    """The effect, under the lock on the checkout; decided again on what the row says now."""
    found = await checkouts.by_session(tx, report.id, lock=True)
    assert found is not None, report.id
    judgement = judge(found, report, livemode=ctx.livemode)
    granted = await _grant(ctx, tx, found, report, wait=wait) if judgement.grants else None
    if judgement.status is not found.status or judgement.grants:
        await checkouts.followed(
            tx,
            ctx.clock(),
            checkout_id=found.checkout_id,
            judgement=judgement,
            report=report,
            granted_version=None if granted is None else granted.version,
        )
    if found.status is Status.PAID and found.granted_version is not None:
        # A service of the version before grants without writing the payment down.
        await _record(ctx, tx, found, report, LedgerId(found.wallet_id, found.granted_version))
    faulty = audits_faults and judgement.outcome.startswith("mismatch")
    if judgement.status is not found.status or faulty:
        await _audit(ctx, tx, found, judgement, granted)
    now = replace(
        found,
        status=judgement.status,
        granted_version=granted.version if granted else found.granted_version,
    )
    return Settlement(outcome=judgement.outcome, checkout=now, report=report.view)


async def _grant(
    ctx: Context, tx: Transaction, checkout: Checkout, report: SessionReport, *, wait: bool
) -> LedgerId:
    assert report.amount_total is not None
    posting = recipes.purchase(
        checkout.wallet_id,
        checkout.credits,
        paid=Money(report.amount_total, checkout.price.currency),
        reference=report.id,
        key=checkout.grant_key,
        note=Note(
            description=f"{checkout.product_name} x {checkout.quantity}",
            service="stripe",
            metadata={"checkout": plain_id("chk", checkout.checkout_id)},
        ),
    )
    [answer] = await ledger.post(tx, ctx.clock(), [posting], wait=wait)
    if isinstance(answer, BillingError):
        # Rolled back with everything else, so that a later try can succeed; nobody's money is lost on the way.
        raise answer
    await _record(ctx, tx, checkout, report, answer.transfer)
    return answer.transfer


async def _record(
    ctx: Context, tx: Transaction, checkout: Checkout, report: SessionReport, granted: LedgerId
) -> None:
    """Write the payment down with its lot; once for each session, so it may be repeated."""
    assert report.amount_total is not None
    await payments.record(
        tx,
        ctx.clock(),
        Paid(
            wallet_id=checkout.wallet_id,
            user_id=checkout.user_id,
            source=Source.CHECKOUT,
            reference=report.id,
            stripe_customer_id=checkout.stripe_customer_id,
            stripe_payment_intent_id=report.payment_intent_id,
            lookup_key=checkout.lookup_key,
            description=f"{checkout.product_name} x {checkout.quantity}",
            price=Money(report.amount_total, checkout.price.currency),
            tax_minor=report.amount_tax,
            lots=((granted, checkout.credits),),
            receipt_url=report.receipt_url,
        ),
        freezes=ctx.freeze_on_dispute,
    )


async def _audit(
    ctx: Context,
    tx: Transaction,
    before: Checkout,
    judgement: Judgement,
    granted: LedgerId | None,
) -> None:
    after: dict[str, object] = {"status": str(judgement.status), "outcome": judgement.outcome}
    if granted is not None:
        after |= {"transfer": granted.wire("trf"), "amount_micro": before.credits.micro}
    await audit.record(
        tx,
        ctx.clock(),
        _ACTOR,
        "checkout.granted" if judgement.status is Status.PAID else "checkout.followed",
        ("checkout", str(before.checkout_id)),
        before={"status": str(before.status)},
        after=after,
    )
