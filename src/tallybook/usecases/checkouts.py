"""Checkouts: open one at Stripe, and look at it. Fulfilment is a use case of its own."""

from __future__ import annotations

from tallybook.domain.errors import (
    CheckoutNotFoundError,
    PermissionDeniedError,
)
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.payments import return_urls
from tallybook.domain.payments.checkouts import Checkout, Opened, Terms
from tallybook.postgres import checkouts, customers
from tallybook.stripe.gateway import configured
from tallybook.usecases import buyers, buying
from tallybook.usecases.context import Context


async def open_checkout(
    ctx: Context,
    caller: Caller,
    *,
    reference: str | int,
    quantity: int,
    success_url: str,
    cancel_url: str,
    user_id: int | None,
    mode: str,
    key: str | None,
    currency: str | None = None,
) -> Opened:
    """Open a hosted checkout for a product; what it costs and brings is bound now.

    ``reference`` is a lookup key, an alias, a Stripe price id or a package's integer; ``currency`` is one that the
    catalogue has a price for, by default that of the product's Stripe price. An unknown outcome is
    retried by asking again with the same ``key``: Stripe is then asked with the same key too.

    Raises:
        PriceNotFoundError, ModeMismatchError: nothing that can be bought so.
        UrlNotAllowedError: a customer may not be sent there.
        IdempotencyKeyReusedError: the key was used for other terms.
        StripeUnavailableError, StripeRefusedError: Stripe's part.
    """
    buyer = caller.user_for(user_id, Permission.PURCHASE_CREDITS)
    stripe = configured(ctx.stripe)
    await buying.check_urls(ctx, success_url, cancel_url)
    product, link = await buying.product(ctx, stripe, reference, mode)
    terms = Terms(
        user_id=buyer,
        lookup_key=product.lookup_key,
        mode=mode,
        quantity=quantity,
        success_url=return_urls.with_session_id(success_url, ctx.pages_url),
        cancel_url=cancel_url,
        currency=currency,
    )
    bound = buying.bound(terms, product, link)
    identity = await stripe.account()
    async with ctx.db.transaction() as tx:
        account = await customers.record_account(
            tx, ctx.clock(), account_id=identity.account_id, livemode=ctx.livemode
        )
        customer = await customers.intend_customer(tx, ctx.clock(), user_id=buyer)
        checkout = await buying.intend(ctx, tx, caller.app_id, caller.scoped_key(key), bound)
    if checkout.stripe_session_id is not None:
        return Opened(checkout=checkout, replayed=True)
    who = buyers.Buyer(customer=customer, deployment=str(account.deployment_id))
    return Opened(checkout=await buying.opened(ctx, stripe, checkout, who, link=link), replayed=False)


async def checkout(ctx: Context, caller: Caller, checkout_id: int) -> Checkout:
    """A checkout as it is in our books; Stripe is not asked.

    Raises:
        CheckoutNotFoundError: there is none, or it is another user's.
    """
    async with ctx.db.snapshot() as tx:
        found = await checkouts.by_id(tx, checkout_id)
    if found is None:
        raise CheckoutNotFoundError
    try:
        caller.user_for(found.user_id, Permission.PURCHASE_CREDITS)
    except PermissionDeniedError:
        raise CheckoutNotFoundError from None
    return found
