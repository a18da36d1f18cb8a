"""Asks Stripe for something to become of a subscription: another end, a pause. Another plan stands in ``plans``.

The wish is written down first, so that a repetition asks Stripe under the same key; what came of it is then fetched
afresh and written down as after any event.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from tallybook.domain.errors import (
    BillingError,
    IdempotencyKeyReusedError,
    InvalidRequestError,
    StripeOutcomeSealedError,
    StripeRefusedError,
    SubscriptionPaymentError,
    SubscriptionStateError,
)
from tallybook.domain.identity.callers import Caller
from tallybook.domain.payments.subscriptions import Subscription, SubscriptionStatus, digest_of
from tallybook.postgres import audit, subscription_changes
from tallybook.postgres.pool import Transaction
from tallybook.stripe import schedules
from tallybook.stripe.gateway import StripeGateway, configured
from tallybook.usecases.context import Context
from tallybook.usecases.subscriptions import placing, settling, viewing

_PAYMENT_REQUIRED = 402
Ask = Callable[[StripeGateway, Subscription, str], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A subscription after it was changed; ``replayed`` says that the same key had done it before."""

    subscription: Subscription
    replayed: bool


def _unknown(_: Subscription) -> bool:
    """Whoever cannot tell asks Stripe again, under the same key."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is to become of a subscription: who asks, for what in a word, under which key.

    ``charges``: a saved card may be charged for it, so only its holder may ask, or an admin. ``holds`` says of a
    subscription that it is so already: Stripe is not asked twice for what came of a call whose answer was lost.
    """

    caller: Caller
    reference: str
    action: str
    terms: bytes
    key: str | None
    charges: bool = False
    holds: Callable[[Subscription], bool] = _unknown


async def cancel(ctx: Context, caller: Caller, reference: str, *, at_once: bool, key: str | None) -> Changed:
    """End a subscription with its period, or at once; nothing is given back, and what was bought stays.

    Raises:
        SubscriptionNotFoundError: there is none, or it is another user's.
        SubscriptionStateError: it has ended already.
        IdempotencyKeyReusedError: the key was used for something else.
        StripeUnavailableError, StripeRefusedError: Stripe's part.
    """
    action = "canceled" if at_once else "canceled_at_period_end"

    def holds(found: Subscription) -> bool:
        return found.status.has_ended or (found.cancel_at_period_end and not at_once)

    wish = Wish(
        caller=caller, reference=reference, action=action, terms=digest_of(action), key=key, holds=holds
    )

    async def ask(stripe: StripeGateway, found: Subscription, stripe_key: str) -> None:
        _need(found, not found.status.has_ended, "It has ended already.")
        stripe_id = found.stripe_subscription_id
        assert stripe_id is not None
        if found.status is SubscriptionStatus.INCOMPLETE:
            if not await placing.voided(ctx, stripe, found):
                raise SubscriptionStateError("Its first payment came in just now: try again.")
        elif at_once:
            await stripe.cancel(stripe_id)
        else:
            if found.stripe_schedule_id is not None:
                # What a schedule was to bring next will not come: it ends instead.
                await schedules.release(stripe, stripe_id, idempotency_key=f"{stripe_key}:released")
            await stripe.cancel_at_period_end(stripe_id, wanted=True, idempotency_key=stripe_key)

    return await carried_out(ctx, wish, ask)


async def reactivate(ctx: Context, caller: Caller, reference: str, *, key: str | None) -> Changed:
    """Take back that a subscription is to end with its period.

    Raises:
        SubscriptionStateError: it was not to end, or has ended. And as ``cancel``.
    """

    def holds(found: Subscription) -> bool:
        return found.status.lives and not found.cancel_at_period_end

    terms = digest_of("reactivated")
    wish = Wish(caller=caller, reference=reference, action="reactivated", terms=terms, key=key, holds=holds)

    async def ask(stripe: StripeGateway, found: Subscription, stripe_key: str) -> None:
        _need(found, not found.status.has_ended, "It has ended: subscribe anew.")
        _need(found, found.cancel_at_period_end, "It is not to end.")
        assert found.stripe_subscription_id is not None
        await stripe.cancel_at_period_end(
            found.stripe_subscription_id, wanted=False, idempotency_key=stripe_key
        )

    return await carried_out(ctx, wish, ask)


async def pause(
    ctx: Context, caller: Caller, reference: str, *, resumes_at: datetime | None, key: str | None
) -> Changed:
    """Bill nothing from the next period on, and bring no credits, until it is resumed or ``resumes_at`` comes.

    Raises:
        InvalidRequestError: ``resumes_at`` is not in the future.
        SubscriptionStateError: it does not run. And as ``cancel``.
    """
    if resumes_at is not None and resumes_at <= ctx.clock():
        raise InvalidRequestError("resumes_at must be in the future.")
    terms = digest_of("paused", None if resumes_at is None else resumes_at.isoformat())
    wish = Wish(caller=caller, reference=reference, action="paused", terms=terms, key=key)

    async def ask(stripe: StripeGateway, found: Subscription, stripe_key: str) -> None:
        runs = found.status in (SubscriptionStatus.ACTIVE, SubscriptionStatus.PAST_DUE)
        _need(found, runs, "Only a subscription that runs can be paused.")
        assert found.stripe_subscription_id is not None
        await stripe.pause(found.stripe_subscription_id, resumes_at=resumes_at, idempotency_key=stripe_key)

    return await carried_out(ctx, wish, ask)


async def resume(ctx: Context, caller: Caller, reference: str, *, key: str | None) -> Changed:
    """Bill again: after a pause from the next period on, after a trial that ended without a card from now on.

    Raises:
        SubscriptionStateError: it is not paused.
        PermissionDeniedError: neither the user, signed in to the house, nor an admin. And as ``cancel``.
    """

    def holds(found: Subscription) -> bool:
        paused = found.status is SubscriptionStatus.PAUSED or found.collection_paused
        return found.status.lives and not paused

    wish = Wish(
        caller=caller,
        reference=reference,
        action="resumed",
        terms=digest_of("resumed"),
        key=key,
        charges=True,
        holds=holds,
    )

    async def ask(stripe: StripeGateway, found: Subscription, stripe_key: str) -> None:
        waits = found.status is SubscriptionStatus.PAUSED
        _need(found, waits or (found.status.lives and found.collection_paused), "It is not paused.")
        assert found.stripe_subscription_id is not None
        if waits:
            await stripe.resume(found.stripe_subscription_id, idempotency_key=stripe_key)
        else:
            await stripe.unpause(found.stripe_subscription_id, idempotency_key=stripe_key)

    return await carried_out(ctx, wish, ask)


async def carried_out(ctx: Context, wish: Wish, ask: Ask) -> Changed:
    """Ask Stripe for it once for each key, and write down what became of the subscription.

    Raises:
        SubscriptionPaymentError: a payment was declined, so nothing was changed. And as ``cancel``.
    """
    stripe = configured(ctx.stripe)
    async with ctx.db.transaction() as tx:
        found = await viewing.found_for(tx, wish.caller, wish.reference)
        if wish.charges:
            wish.caller.cardholder(found.user_id)
        change = await subscription_changes.intend(
            tx,
            ctx.clock(),
            found.subscription_id,
            app_id=wish.caller.app_id,
            key=wish.caller.scoped_key(wish.key),
            terms=wish.terms,
            action=wish.action,
        )
    if change.terms != wish.terms:
        raise IdempotencyKeyReusedError
    if change.done_at is not None:
        return Changed(subscription=found, replayed=True)
    _need(found, found.stripe_subscription_id is not None, "It has not begun.")
    customer_id, stripe_id = found.stripe_customer_id, found.stripe_subscription_id
    assert customer_id is not None
    assert stripe_id is not None
    if change.repeated:
        # Whoever asked before under this key got no answer, but Stripe may have heard.
        again = await settling.follow(ctx, customer_id, stripe_id, newest_invoice=True)
        found = again.subscription or found
    try:
        if not (change.repeated and wish.holds(found)):
            await ask(stripe, found, f"change:{change.intent_id}:{change.attempt}")
    except (StripeRefusedError, StripeOutcomeSealedError) as refusal:
        # Stripe repeats it under its key; whoever asks again gets a new one.
        async with ctx.db.transaction() as tx:
            await subscription_changes.next_attempt(tx, change)
        raise _declined(refusal) from refusal

    async def done(tx: Transaction) -> None:
        await subscription_changes.done(tx, ctx.clock(), change)
        subject = ("subscription", str(found.subscription_id))
        await audit.record(tx, ctx.clock(), wish.caller.actor, f"subscription.{wish.action}", subject)

    settled = await settling.follow(ctx, customer_id, stripe_id, newest_invoice=True, also=done)
    assert settled.subscription is not None
    return Changed(subscription=settled.subscription, replayed=False)


def _declined(refusal: BillingError) -> BillingError:
    if refusal.facts.get("stripe_status") != _PAYMENT_REQUIRED:
        return refusal
    return SubscriptionPaymentError(stripe_code=refusal.facts.get("stripe_code"))


def _need(found: Subscription, holds: bool, sentence: str) -> None:  # noqa: FBT001 - a condition, as in assert
    if not holds:
        raise SubscriptionStateError(sentence, subscription_status=str(found.status))
