"""Charges saved cards: wallets below their threshold, one charge at a time for each, until its outcome is known.

The row is written before Stripe is asked, and is the wallet's lock: a unique index lets no second one in while money
may still come of it. Its number and attempt are Stripe's idempotency key, so an unknown outcome is asked again under
the same key, by whoever comes next; once Stripe has forgotten keys, it is looked up instead, never charged again.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import structlog

from tallybook.domain.errors import (
    BillingError,
    StripeOutcomeSealedError,
    StripeRefusedError,
    StripeUnavailableError,
)
from tallybook.domain.ids import plain_id
from tallybook.domain.payments import top_ups as rules
from tallybook.domain.payments.payment_intents import (
    IntentJudgement,
    IntentStatus,
    PaymentIntent,
)
from tallybook.domain.payments.top_ups import StopReason
from tallybook.postgres import customers, payment_intents, top_ups
from tallybook.stripe import cards
from tallybook.stripe.gateway import StripeGateway, configured
from tallybook.usecases.cards import beginning, settling
from tallybook.usecases.cards.forms import metadata_of
from tallybook.usecases.context import Context

_log = structlog.get_logger("tallybook.cards")
KEY_LIFETIME = timedelta(hours=23)
"""Stripe forgets idempotency keys after a day: https://docs.stripe.com/api/idempotent_requests."""
_TAKEN_AT_ONCE = 20
_PAYMENT_REQUIRED = 402
_CARD_IS_GONE = frozenset({"resource_missing", "payment_method_unactivated"})
"""The customer or the card was removed at Stripe since they were looked up."""


async def charge(ctx: Context, wallet_id: int) -> IntentStatus | None:
    """Charge a wallet's saved card, if it is due and nothing is in flight; gives how it ended, as far as is known."""
    async with ctx.db.transaction() as tx:
        begun = await beginning.begun(ctx, tx, wallet_id)
    return None if begun is None else await _carried_on(ctx, begun)


async def carry_on(ctx: Context) -> int:
    """Take up charges whose outcome is not known and that nobody works on; gives how many."""
    now = ctx.clock()
    async with ctx.db.transaction() as tx:
        found = await payment_intents.take_up(tx, now, until=now + beginning.WORK_LEASE, limit=_TAKEN_AT_ONCE)
    for one in found:
        [outcome] = await asyncio.gather(_carried_on(ctx, one), return_exceptions=True)
        if isinstance(outcome, Exception):
            # It must be heard of, and must not keep the others waiting; it is taken up again when its lease is over.
            _log.error("top_up_failed", top_up=plain_id("pin", one.number), exc_info=outcome)
        elif isinstance(outcome, BaseException):
            raise outcome
    return len(found)


async def _carried_on(ctx: Context, found: PaymentIntent) -> IntentStatus:
    """Bring a charge as far as it goes now; what stays unknown is taken up again when its lease is over."""
    stripe = configured(ctx.stripe)
    try:
        if found.stripe_id is None:
            found = await _charged(ctx, stripe, found)
        if found.stripe_id is None:
            return found.status
        settled = await settling.settle(ctx, found.stripe_id)
        assert settled is not None, found.number
        again, _ = settled
        if await _is_pointless(ctx, again):
            return await _given_up(ctx, stripe, again)
        if again.status is IntentStatus.FAILED:
            # Declined for good: nobody may make it succeed later, when another charge has been made.
            await cards.cancel(stripe, found.stripe_id)
    except BillingError as refusal:
        _log.warning("top_up_waits", top_up=plain_id("pin", found.number), code=refusal.code)
        return found.status
    return again.status


async def _charged(ctx: Context, stripe: StripeGateway, found: PaymentIntent) -> PaymentIntent:
    """The charge with its payment intent at Stripe, or ended without one, or (its lease runs out) still unknown."""
    if not await _is_wanted(ctx, found):
        return await _dropped(ctx, stripe, found)
    found = await _bound(ctx, stripe, found)
    if found.stripe_payment_method_id is None or found.status is not IntentStatus.INTENDED:
        return found
    if ctx.clock() - found.created_at > KEY_LIFETIME:
        return await _looked_up(ctx, stripe, found, otherwise=rules.OUTCOME_UNKNOWN)
    assert found.stripe_customer_id is not None
    if found.attempt > 1:
        # The attempt before ended without an answer of its own; what it made may be listed only now.
        started = await _started(ctx, stripe, found)
        if started is not None:
            return started
    async with ctx.db.snapshot() as tx:
        account = await customers.account(tx)
    assert account is not None
    order = cards.IntentOrder(
        customer_id=found.stripe_customer_id,
        price=found.price,
        description=found.description,
        metadata=metadata_of(found, str(account.deployment_id)),
        method_id=found.stripe_payment_method_id,
        return_url=settling.complete_url(ctx.shop.public_url, found),
    )
    try:
        report = await cards.start(stripe, order, idempotency_key=found.idempotency_key)
    except StripeUnavailableError:
        # Perhaps it was charged. The same key, later, tells.
        return found
    except StripeOutcomeSealedError:
        return await _looked_up(ctx, stripe, found, otherwise=None)
    except StripeRefusedError as refusal:
        stripe_id = refusal.facts.get("stripe_payment_intent")
        if stripe_id is None:
            return await _looked_up(ctx, stripe, found, otherwise=_reason(found, refusal))
        return await _keep(ctx, found, str(stripe_id))
    return await _keep(ctx, found, report.id)


def _reason(found: PaymentIntent, refusal: StripeRefusedError) -> str:
    """Why Stripe made no payment intent: what it says about the card, or else a fault of the installation's."""
    stripe_code = refusal.facts.get("stripe_code")
    is_about_the_card = refusal.facts.get("stripe_status") == _PAYMENT_REQUIRED
    if stripe_code is not None and (is_about_the_card or stripe_code in _CARD_IS_GONE):
        return str(stripe_code)
    _log.error("top_up_not_taken", top_up=plain_id("pin", found.number), stripe_code=stripe_code)
    return refusal.code


async def _bound(ctx: Context, stripe: StripeGateway, found: PaymentIntent) -> PaymentIntent:
    """The charge with whom and what it charges, written down before it is: the same on each try."""
    if found.stripe_customer_id is not None:
        return found
    async with ctx.db.snapshot() as tx:
        customer_id = await customers.stripe_id_of(tx, found.user_id)
    purse = None if customer_id is None else await cards.purse(stripe, customer_id)
    if purse is None or purse.to_charge is None:
        return await _failed(ctx, found, StopReason.NO_SAVED_CARD)
    async with ctx.db.transaction() as tx:
        return await payment_intents.bind(
            tx, ctx.clock(), found, customer_id=purse.customer_id, method_id=purse.to_charge
        )


async def _looked_up(
    ctx: Context, stripe: StripeGateway, found: PaymentIntent, *, otherwise: str | None
) -> PaymentIntent:
    """What became of a charge that brought no answer of its own; else it failed, or (None) gets a new attempt."""
    started = await _started(ctx, stripe, found)
    if started is not None:
        return started
    if otherwise is not None:
        return await _failed(ctx, found, otherwise)
    async with ctx.db.transaction() as tx:
        return await payment_intents.next_attempt(tx, ctx.clock(), found)


async def _dropped(ctx: Context, stripe: StripeGateway, found: PaymentIntent) -> PaymentIntent:
    """A charge that is not wanted any more: canceled, and nothing to hold against the rule, unless it was sent."""
    if found.stripe_customer_id is not None:
        started = await _started(ctx, stripe, found)
        if started is not None:
            return started
    return await _ended(ctx, found, IntentStatus.CANCELED, None)


async def _started(ctx: Context, stripe: StripeGateway, found: PaymentIntent) -> PaymentIntent | None:
    """The charge with what was made of it at Stripe; None if nothing was."""
    assert found.stripe_customer_id is not None
    report = await cards.find_started(
        stripe,
        customer_id=found.stripe_customer_id,
        intent=str(found.intent_id),
        since=found.created_at - timedelta(minutes=5),
    )
    return None if report is None else await _keep(ctx, found, report.id)


async def _keep(ctx: Context, found: PaymentIntent, stripe_id: str) -> PaymentIntent:
    assert found.stripe_customer_id is not None
    async with ctx.db.transaction() as tx:
        return await payment_intents.opened(
            tx,
            ctx.clock(),
            found,
            stripe_id=stripe_id,
            customer_id=found.stripe_customer_id,
            livemode=ctx.livemode,
        )


async def _failed(ctx: Context, found: PaymentIntent, code: str) -> PaymentIntent:
    """It failed without a payment intent, so no webhook will ever tell: its rule is set back here and now."""
    return await _ended(ctx, found, IntentStatus.FAILED, code)


async def _ended(ctx: Context, found: PaymentIntent, status: IntentStatus, code: str | None) -> PaymentIntent:
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        before = await payment_intents.by_number(tx, found.number, lock=True)
        assert before is not None
        if before.status is not IntentStatus.INTENDED or before.stripe_id is not None:
            return before
        judgement = IntentJudgement(status=status, grants=False, outcome=str(status))
        await payment_intents.followed(
            tx, now, before, judgement, failure_code=code, granted_version=None, look_at=now
        )
        if status is IntentStatus.FAILED:
            await settling.apply_to_rule(ctx, tx, before, status, code)
        return replace(before, status=status, failure_code=code)


async def _is_pointless(ctx: Context, found: PaymentIntent) -> bool:
    """Whether a top-up that waits for its customer is not wanted any more: too late, or paid in another way."""
    if found.status is not IntentStatus.NEEDS_ACTION:
        return False
    if ctx.clock() - found.created_at > rules.ACTION_LIFETIME:
        return True
    return not await _is_wanted(ctx, found)


async def _is_wanted(ctx: Context, found: PaymentIntent) -> bool:
    async with ctx.db.snapshot() as tx:
        return await settling.is_wanted(tx, await top_ups.rule(tx, found.wallet_id))


async def _given_up(ctx: Context, stripe: StripeGateway, found: PaymentIntent) -> IntentStatus:
    """Cancel it at Stripe, and settle what that made of it: it may have been paid a moment before."""
    assert found.stripe_id is not None
    await cards.cancel(stripe, found.stripe_id)
    settled = await settling.settle(ctx, found.stripe_id)
    assert settled is not None, found.number
    return settled[0].status
