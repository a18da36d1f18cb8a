"""Checkouts: open one at Stripe, and look at it. Fulfilment is a use case of its own."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.domain.catalog.links import Link, find
from tallybook.domain.catalog.products import Product
from tallybook.domain.errors import (
    AmountOutOfRangeError,
    BillingError,
    CatalogNotPushedError,
    CheckoutNotFoundError,
    IdempotencyKeyReusedError,
    ModeMismatchError,
    PermissionDeniedError,
    PriceNotFoundError,
    StripeOutcomeSealedError,
    StripeRefusedError,
    StripeUnavailableError,
    SubscriptionsNotAvailableError,
)
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.ids import plain_id
from tallybook.domain.money import Credits, Money, positive
from tallybook.domain.payments import return_urls
from tallybook.domain.payments.checkouts import QUANTITY_MAX, Checkout, Terms
from tallybook.domain.payments.reports import SessionReport
from tallybook.postgres import catalog, checkouts, customers, ledger
from tallybook.postgres.pool import Transaction
from tallybook.stripe.gateway import SessionOrder, StripeGateway, configured
from tallybook.usecases.context import Context

_CUSTOMER_ATTEMPTS = 2
"""Stripe is asked for a customer so often at one go: a failure that it repeats, then under a new key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A checkout that waits for its customer; ``replayed`` says that the key had opened it before."""

    checkout: Checkout
    replayed: bool


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
) -> Opened:
    """Open a hosted checkout for a product; what it costs and brings is bound now.

    ``reference`` is a lookup key, an alias, a Stripe price id or a package's integer. An unknown outcome is
    retried by asking again with the same ``key``: Stripe is then asked with the same key too.

    Raises:
        PriceNotFoundError, ModeMismatchError, SubscriptionsNotAvailableError: nothing that can be bought so.
        UrlNotAllowedError: a customer may not be sent there.
        IdempotencyKeyReusedError: the key was used for other terms.
        StripeUnavailableError, StripeRefusedError: Stripe's part.
    """
    buyer = caller.user_for(user_id, Permission.PURCHASE_CREDITS)
    stripe = configured(ctx.stripe)
    await _check_urls(ctx, success_url, cancel_url)
    product, link = await _product(ctx, stripe, reference, mode)
    terms = Terms(
        user_id=buyer,
        lookup_key=product.lookup_key,
        mode=mode,
        quantity=quantity,
        success_url=return_urls.with_session_id(success_url, ctx.pages_url),
        cancel_url=cancel_url,
    )
    identity = await stripe.account()
    async with ctx.db.transaction() as tx:
        account = await customers.record_account(
            tx, ctx.clock(), account_id=identity.account_id, livemode=ctx.livemode
        )
        customer = await customers.intend_customer(tx, ctx.clock(), user_id=buyer)
        checkout = await _intend(ctx, tx, caller.app_id, caller.scoped_key(key), _bound(terms, product, link))
    if checkout.stripe_session_id is not None:
        return Opened(checkout=checkout, replayed=True)
    deployment = str(account.deployment_id)
    return Opened(checkout=await _opened(ctx, stripe, checkout, customer, deployment), replayed=False)


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


async def _check_urls(ctx: Context, *urls: str) -> None:
    async with ctx.db.snapshot() as tx:
        domains = await customers.app_domains(tx)
    origins = (ctx.pages_url, *ctx.allowed_return_origins)
    for url in urls:
        return_urls.allowed(url, livemode=ctx.livemode, origins=origins, domains=domains)


async def _product(
    ctx: Context, stripe: StripeGateway, reference: str | int, mode: str
) -> tuple[Product, Link]:
    async with ctx.db.snapshot() as tx:
        links = await catalog.links(tx)
    product = find(ctx.catalog, links, reference)
    if product is None:
        raise PriceNotFoundError
    if product.mode != mode:
        raise ModeMismatchError
    if mode != "payment":
        raise SubscriptionsNotAvailableError
    link = links.get(product.lookup_key)
    if link is not None and link.serves(product):
        return product, link
    if product.forced_price_id is None:
        raise CatalogNotPushedError
    return product, await _adopted(ctx, stripe, product, product.forced_price_id)


async def _adopted(ctx: Context, stripe: StripeGateway, product: Product, price_id: str) -> Link:
    """The price that the settings force, seen for the first time: it costs what Stripe says."""
    report = await stripe.price(price_id)
    if report is None or report.price is None or report.interval != product.interval:
        raise CatalogNotPushedError(
            f"Stripe has no fitting price {price_id} for {product.lookup_key}: check STRIPE_PRICE_*."
        )
    link = Link(
        lookup_key=product.lookup_key,
        product_id=report.product_id,
        price_id=report.id,
        price=report.price,
    )
    async with ctx.db.transaction() as tx:
        await catalog.save_link(tx, ctx.clock(), link)
    return link


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bound:
    terms: Terms
    name: str
    price_id: str
    credits: Credits
    price: Money


def _bound(terms: Terms, product: Product, link: Link) -> _Bound:
    if not 1 <= terms.quantity <= QUANTITY_MAX:
        raise AmountOutOfRangeError(f"The quantity must be 1 to {QUANTITY_MAX}.")
    return _Bound(
        terms=terms,
        name=product.name,
        price_id=link.price_id,
        credits=positive(Credits(product.credits.micro * terms.quantity)),
        price=Money(link.price.minor * terms.quantity, link.price.currency),
    )


async def _intend(ctx: Context, tx: Transaction, app_id: int, key: str | None, bound: _Bound) -> Checkout:
    """The checkout of this key, written down now if it is the first time."""
    now = ctx.clock()
    wallet_id = await ledger.open_wallet(tx, now, user_id=bound.terms.user_id)
    intent = checkouts.Intent(
        wallet_id=wallet_id,
        app_id=app_id,
        key=key,
        terms=bound.terms,
        product_name=bound.name,
        stripe_price_id=bound.price_id,
        credits=bound.credits,
        price=bound.price,
    )
    checkout_id = await checkouts.intend(tx, now, intent)
    if checkout_id is not None:
        found = await checkouts.by_id(tx, checkout_id)
    else:
        assert key is not None
        found = await checkouts.by_key(tx, user_id=bound.terms.user_id, app_id=app_id, key=key)
    assert found is not None
    if found.terms != bound.terms.digest():
        raise IdempotencyKeyReusedError
    return found


async def _opened(
    ctx: Context, stripe: StripeGateway, checkout: Checkout, customer: customers.Customer, deployment: str
) -> Checkout:
    """The checkout with its session; a customer who was deleted at Stripe is made anew, once."""
    customer, customer_id = await _known_to_stripe(ctx, stripe, customer, deployment)
    try:
        report = await _session(ctx, stripe, checkout, customer_id, deployment)
    except StripeRefusedError as refusal:
        missing = refusal.facts.get("stripe_code") == "resource_missing"
        if not missing or not await stripe.customer_is_gone(customer_id):
            raise
        async with ctx.db.transaction() as tx:
            customer = await customers.forget_customer(tx, ctx.clock(), customer)
            again = await checkouts.by_id(tx, checkout.checkout_id)
        assert again is not None
        if again.stripe_session_id is not None:
            return again
        customer, customer_id = await _known_to_stripe(ctx, stripe, customer, deployment)
        report = await _session(ctx, stripe, again, customer_id, deployment)
    return await _keep(ctx, checkout, report, customer_id)


async def _known_to_stripe(
    ctx: Context, stripe: StripeGateway, customer: customers.Customer, deployment: str
) -> tuple[customers.Customer, str]:
    """The user's one Stripe customer and its id; whoever makes it sends the same key, so races make one."""
    refused: BillingError = StripeUnavailableError()
    for _ in range(_CUSTOMER_ATTEMPTS):
        if customer.stripe_customer_id is not None:
            break
        try:
            made = await stripe.create_customer(
                email=customer.email,
                metadata={"user_id": str(customer.user_id), "deployment": deployment},
                idempotency_key=f"customer:{customer.intent_id}:{customer.attempt}",
            )
        except (StripeRefusedError, StripeOutcomeSealedError) as refusal:
            # Stored under this key, or the e-mail changed since it was first sent: only another key can help.
            refused = refusal
            async with ctx.db.transaction() as tx:
                customer = await customers.next_attempt(tx, ctx.clock(), customer)
        else:
            async with ctx.db.transaction() as tx:
                customer = await customers.keep_customer(tx, ctx.clock(), customer, stripe_customer_id=made)
    if customer.stripe_customer_id is None:
        raise refused
    return customer, customer.stripe_customer_id


async def _session(
    ctx: Context, stripe: StripeGateway, checkout: Checkout, customer_id: str, deployment: str
) -> SessionReport:
    reference = plain_id("chk", checkout.checkout_id)
    order = SessionOrder(
        customer_id=customer_id,
        price_id=checkout.stripe_price_id,
        quantity=checkout.quantity,
        success_url=checkout.success_url,
        cancel_url=checkout.cancel_url,
        reference=reference,
        metadata={
            "checkout_id": reference,
            "user_id": str(checkout.user_id),
            "credits": str(checkout.credits),
            "lookup_key": checkout.lookup_key,
            "deployment": deployment,
        },
    )
    try:
        return await stripe.open_session(
            order, idempotency_key=f"checkout:{checkout.intent_id}:{checkout.attempt}"
        )
    except (StripeRefusedError, StripeOutcomeSealedError):
        # This key can only repeat the same answer; whoever asks again gets a new one.
        async with ctx.db.transaction() as tx:
            await checkouts.next_attempt(tx, ctx.clock(), checkout)
        raise


async def _keep(ctx: Context, checkout: Checkout, report: SessionReport, customer_id: str) -> Checkout:
    """Store the session and claim it for the wallet, before anybody can learn its URL and pay."""
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        kept = await checkouts.opened(
            tx, now, checkout_id=checkout.checkout_id, report=report, stripe_customer_id=customer_id
        )
        assert kept.stripe_session_id is not None
        holder = await ledger.claim(
            tx,
            now,
            livemode=ctx.livemode,
            object_kind="checkout_session",
            object_id=kept.stripe_session_id,
            wallet_id=kept.wallet_id,
        )
        assert holder == kept.wallet_id, (kept.stripe_session_id, holder)
        return kept
