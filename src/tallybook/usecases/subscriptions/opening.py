"""Opens Stripe's page for a plan; a user has one of each family of plans at a time. ``beginning`` needs no page.

The attempt takes the family's place before Stripe is asked. Whoever comes next while nothing is paid takes the place
over, after what was open for the first was closed at Stripe: what can be paid is never open twice.
"""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.domain.catalog.links import Link
from tallybook.domain.catalog.products import Product
from tallybook.domain.errors import IdempotencyKeyReusedError, SubscriptionSupersededError
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.ids import plain_id
from tallybook.domain.payments import checkouts as rules
from tallybook.domain.payments import return_urls
from tallybook.domain.payments.checkouts import Checkout, Opened
from tallybook.domain.payments.subscriptions import Subscription, SubscriptionStatus, Terms
from tallybook.postgres import ledger, subscriptions
from tallybook.postgres.pool import Transaction
from tallybook.postgres.subscriptions import Attempt, Plan
from tallybook.stripe.gateway import StripeGateway, configured
from tallybook.usecases import buying
from tallybook.usecases.context import Context
from tallybook.usecases.subscriptions import placing


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is wanted, by whom: the plan is bound to what it costs now."""

    terms: Terms
    plan: Plan
    trial_days: int | None
    app_id: int
    key: str | None
    promotion_code_id: str | None = None


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
    wanted = wish(terms, product, link, app_id=caller.app_id, key=None)

    async def take(tx: Transaction) -> tuple[Checkout, Subscription]:
        checkout = await buying.intend(ctx, tx, caller.app_id, caller.scoped_key(key), bound)
        attempt = await subscriptions.by_checkout(tx, checkout.checkout_id)
        return checkout, attempt or await intended(ctx, tx, wanted, checkout.checkout_id)

    who, (checkout, attempt) = await placing.place_taken(ctx, stripe, buyer, take)
    replayed = checkout.stripe_session_id is not None
    if not replayed:
        if attempt.status.has_ended:
            raise SubscriptionSupersededError
        subscribing = buying.Subscribing(metadata=metadata(attempt), trial_days=attempt.trial_days)
        checkout = await buying.opened(ctx, stripe, checkout, who, subscribing=subscribing)
    await _mark_open(ctx, stripe, checkout, attempt)
    return Opened(checkout=checkout, replayed=replayed)


def wish(terms: Terms, product: Product, link: Link, *, app_id: int, key: str | None) -> Wish:
    """What is wanted, bound to what it costs now."""
    assert product.plan_family is not None, product.lookup_key
    plan = Plan(
        plan_family=product.plan_family,
        lookup_key=product.lookup_key,
        product_name=product.name,
        stripe_price_id=link.price_id,
        price=link.price,
    )
    return Wish(terms=terms, plan=plan, trial_days=product.trial_days, app_id=app_id, key=key)


async def of_key(tx: Transaction, wish: Wish) -> Subscription | None:
    """What the same key began before."""
    if wish.key is None:
        return None
    found = await subscriptions.by_key(tx, user_id=wish.terms.user_id, app_id=wish.app_id, key=wish.key)
    if found is not None and found.terms != wish.terms.digest():
        raise IdempotencyKeyReusedError
    return found


async def intended(ctx: Context, tx: Transaction, wish: Wish, checkout_id: int | None) -> Subscription:
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
        promotion_code_id=wish.promotion_code_id,
    )
    made = await subscriptions.intend(tx, now, attempt)
    if made is None:
        # The same key twice at once is one attempt, which both carry out.
        twin = await of_key(tx, wish)
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


def metadata(attempt: Subscription) -> dict[str, str]:
    """Metadata is not inherited; ours only names the attempt, which is found by stored ids wherever one is known."""
    return {"subscription_id": plain_id("sbs", attempt.subscription_id), "lookup_key": attempt.lookup_key}
