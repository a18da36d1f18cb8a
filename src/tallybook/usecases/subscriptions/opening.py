"""Begins a subscription, on Stripe's page or for a payment form; a user has one of each family of plans at a time.

The attempt takes the family's place before Stripe is asked. Whoever comes next while nothing is paid takes the place
over, after what was open for the first was closed at Stripe: what can be paid is never open twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tallybook.domain.catalog.links import Link
from tallybook.domain.catalog.products import Product
from tallybook.domain.errors import (
    IdempotencyKeyReusedError,
    StripeOutcomeSealedError,
    StripeRefusedError,
    SubscriptionSupersededError,
)
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.ids import plain_id
from tallybook.domain.payments import checkouts as rules
from tallybook.domain.payments import return_urls
from tallybook.domain.payments.checkouts import Checkout, Opened
from tallybook.domain.payments.subscriptions import (
    Subscription,
    SubscriptionReport,
    SubscriptionStatus,
    Terms,
)
from tallybook.postgres import ledger, subscriptions
from tallybook.postgres.pool import Transaction
from tallybook.postgres.subscriptions import Attempt, Plan
from tallybook.stripe.billing import SubscriptionOrder
from tallybook.stripe.gateway import StripeGateway, configured
from tallybook.usecases import buyers, buying
from tallybook.usecases.context import Context
from tallybook.usecases.subscriptions import placing, settling


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """A subscription that waits for its first payment; ``client_secret`` is for the payment form, if one is due."""

    subscription: Subscription
    client_secret: str | None
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """What is wanted, by whom: the plan is bound to what it costs now."""

    terms: Terms
    plan: Plan
    trial_days: int | None
    app_id: int
    key: str | None


async def open_checkout(
    ctx: Context,
    caller: Caller,
    *,
    reference: str | int,
    quantity: int,
    success_url: str,
    cancel_url: str,
    user_id: int | None,
    key: str | None,
) -> Opened:
    """Open a hosted checkout for a plan; what it costs is bound now.

    Raises:
        PriceNotFoundError, ModeMismatchError: no plan that can be bought.
        UrlNotAllowedError: a customer may not be sent there.
        AlreadySubscribedError: the user has a plan of this family.
        SubscriptionSupersededError: another attempt took this one's place.
        IdempotencyKeyReusedError: the key was used for other terms.
        StripeUnavailableError, StripeRefusedError: Stripe's part.
    """
    buyer = caller.user_for(user_id, Permission.PURCHASE_CREDITS)
    stripe = configured(ctx.stripe)
    await buying.check_urls(ctx, success_url, cancel_url)
    product, link = await buying.product(ctx, stripe, reference, "subscription")
    bound = buying.bound(
        rules.Terms(
            user_id=buyer,
            lookup_key=product.lookup_key,
            mode="subscription",
            quantity=quantity,
            success_url=return_urls.with_session_id(success_url, ctx.pages_url),
            cancel_url=cancel_url,
        ),
        product,
        link,
    )
    terms = Terms(user_id=buyer, lookup_key=product.lookup_key, quantity=quantity)
    wish = _wish(terms, product, link, app_id=caller.app_id, key=None)

    async def take(tx: Transaction) -> tuple[Checkout, Subscription]:
        checkout = await buying.intend(ctx, tx, caller.app_id, caller.scoped_key(key), bound)
        attempt = await subscriptions.by_checkout(tx, checkout.checkout_id)
        return checkout, attempt or await _intended(ctx, tx, wish, checkout.checkout_id)

    who, (checkout, attempt) = await placing.place_taken(ctx, stripe, buyer, take)
    replayed = checkout.stripe_session_id is not None
    if not replayed:
        if attempt.status.has_ended:
            raise SubscriptionSupersededError
        subscribing = buying.Subscribing(metadata=_metadata(attempt), trial_days=attempt.trial_days)
        checkout = await buying.opened(ctx, stripe, checkout, who, subscribing=subscribing)
    await _mark_open(ctx, stripe, checkout, attempt)
    return Opened(checkout=checkout, replayed=replayed)


async def begin(
    ctx: Context,
    caller: Caller,
    *,
    reference: str | int,
    quantity: int,
    user_id: int | None,
    payment_method_id: str | None,
    key: str | None,
) -> Begun:
    """Begin a subscription whose first payment a form takes (``default_incomplete``): nothing is granted before it.

    Raises:
        As ``open_checkout``.
    """
    buyer = caller.user_for(user_id, Permission.PURCHASE_CREDITS)
    stripe = configured(ctx.stripe)
    product, link = await buying.product(ctx, stripe, reference, "subscription")
    buying.check_quantity(quantity)
    terms = Terms(
        user_id=buyer, lookup_key=product.lookup_key, quantity=quantity, payment_method_id=payment_method_id
    )
    wish = _wish(terms, product, link, app_id=caller.app_id, key=caller.scoped_key(key))

    async def take(tx: Transaction) -> Subscription:
        return await _of_key(tx, wish) or await _intended(ctx, tx, wish, None)

    who, attempt = await placing.place_taken(ctx, stripe, buyer, take)
    replayed = attempt.stripe_subscription_id is not None
    if not replayed:
        if attempt.status.has_ended:
            raise SubscriptionSupersededError
        attempt = await _begun(ctx, stripe, attempt, who, payment_method_id)
    assert attempt.stripe_subscription_id is not None
    secret = await stripe.client_secret(attempt.stripe_subscription_id)
    return Begun(subscription=attempt, client_secret=secret, replayed=replayed)


def _wish(terms: Terms, product: Product, link: Link, *, app_id: int, key: str | None) -> _Wish:
    assert product.plan_family is not None, product.lookup_key
    plan = Plan(
        plan_family=product.plan_family,
        lookup_key=product.lookup_key,
        product_name=product.name,
        stripe_price_id=link.price_id,
        price=link.price,
    )
    return _Wish(terms=terms, plan=plan, trial_days=product.trial_days, app_id=app_id, key=key)


async def _of_key(tx: Transaction, wish: _Wish) -> Subscription | None:
    """What the same key began before."""
    if wish.key is None:
        return None
    found = await subscriptions.by_key(tx, user_id=wish.terms.user_id, app_id=wish.app_id, key=wish.key)
    if found is not None and found.terms != wish.terms.digest():
        raise IdempotencyKeyReusedError
    return found


async def _intended(ctx: Context, tx: Transaction, wish: _Wish, checkout_id: int | None) -> Subscription:
    """The attempt, with the family's place; a trial is offered to whoever has not had theirs."""
    now = ctx.clock()
    user_id, family = wish.terms.user_id, wish.plan.plan_family
    had_trial = await subscriptions.had_trial(tx, user_id=user_id, plan_family=family)
    attempt = Attempt(
        wallet_id=await ledger.open_wallet(tx, now, user_id=user_id),
        app_id=wish.app_id,
        key=wish.key,
        terms=wish.terms,
        checkout_id=checkout_id,
        plan=wish.plan,
        trial_days=None if had_trial else wish.trial_days,
    )
    made = await subscriptions.intend(tx, now, attempt)
    if made is None:
        # The same key twice at once is one attempt, which both carry out.
        twin = await _of_key(tx, wish)
        if twin is not None:
            return twin
        holder = await subscriptions.holder(tx, user_id=user_id, plan_family=family)
        raise placing.PlaceTakenError(holder)
    found = await subscriptions.by_id(tx, made)
    assert found is not None, made
    return found


async def _mark_open(ctx: Context, stripe: StripeGateway, checkout: Checkout, attempt: Subscription) -> None:
    """Before anybody learns the URL, the attempt must still have the place; else its session is closed again."""
    assert checkout.stripe_session_id is not None
    assert checkout.stripe_customer_id is not None
    async with ctx.db.transaction() as tx:
        await subscriptions.opened(
            tx, ctx.clock(), attempt.subscription_id, stripe_customer_id=checkout.stripe_customer_id
        )
        now = await subscriptions.by_id(tx, attempt.subscription_id)
    assert now is not None
    if now.status is SubscriptionStatus.ABANDONED:
        await placing.expired(ctx, stripe, checkout.stripe_session_id)
        raise SubscriptionSupersededError


async def _begun(
    ctx: Context,
    stripe: StripeGateway,
    attempt: Subscription,
    who: buyers.Buyer,
    payment_method_id: str | None,
) -> Subscription:
    """The attempt with its subscription at Stripe; an unknown outcome is retried by the same key."""

    async def make(customer_id: str) -> SubscriptionReport:
        async with ctx.db.snapshot() as tx:
            again = await subscriptions.by_id(tx, attempt.subscription_id)
        assert again is not None
        order = SubscriptionOrder(
            customer_id=customer_id,
            price_id=attempt.stripe_price_id,
            quantity=attempt.quantity,
            trial_days=attempt.trial_days,
            payment_method_id=payment_method_id,
            metadata={**_metadata(attempt), "user_id": str(attempt.user_id), "deployment": who.deployment},
        )
        stripe_key = f"subscription:{again.intent_id}:{again.attempt}"
        try:
            if payment_method_id is not None:
                await stripe.attach_payment_method(
                    payment_method_id, customer_id, idempotency_key=f"{stripe_key}:method"
                )
            return await stripe.create_subscription(order, idempotency_key=stripe_key)
        except (StripeRefusedError, StripeOutcomeSealedError):
            async with ctx.db.transaction() as tx:
                await subscriptions.next_attempt(tx, ctx.clock(), again)
            raise

    customer_id, report = await buyers.with_customer(ctx, stripe, who, make)
    async with ctx.db.transaction() as tx:
        began = await subscriptions.began(
            tx,
            ctx.clock(),
            attempt.subscription_id,
            stripe_subscription_id=report.id,
            stripe_customer_id=customer_id,
        )
        now = await subscriptions.by_stripe_id(tx, report.id)
    if not began and (now is None or now.subscription_id != attempt.subscription_id):
        made = replace(attempt, stripe_subscription_id=report.id, latest_invoice_id=report.latest_invoice_id)
        await placing.voided(ctx, stripe, made)
        raise SubscriptionSupersededError
    settled = await settling.follow(ctx, customer_id, report.id, newest_invoice=True)
    assert settled.subscription is not None
    return settled.subscription


def _metadata(attempt: Subscription) -> dict[str, str]:
    """Metadata is not inherited; ours only names the attempt, which is found by stored ids wherever one is known."""
    return {"subscription_id": plain_id("sbs", attempt.subscription_id), "lookup_key": attempt.lookup_key}
