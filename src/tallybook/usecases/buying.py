"""What every purchase at Stripe begins with: the price, the session. Shared by use cases, none itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tallybook.domain.catalog.links import Link, find
from tallybook.domain.catalog.pricing import unit_price
from tallybook.domain.catalog.products import Product
from tallybook.domain.errors import (
    AmountOutOfRangeError,
    CatalogNotPushedError,
    IdempotencyKeyReusedError,
    ModeMismatchError,
    PriceNotFoundError,
    StripeOutcomeSealedError,
    StripeRefusedError,
)
from tallybook.domain.ids import plain_id
from tallybook.domain.money import Credits, Money, positive
from tallybook.domain.payments import return_urls
from tallybook.domain.payments.checkouts import QUANTITY_MAX, Checkout, Terms
from tallybook.domain.payments.reports import SessionReport
from tallybook.postgres import catalog, checkouts, customers, ledger
from tallybook.postgres.pool import Transaction
from tallybook.stripe.gateway import StripeGateway
from tallybook.stripe.orders import InlinePrice, SessionOrder
from tallybook.usecases import buyers
from tallybook.usecases.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribing:
    """What a session in subscription mode says beside the rest."""

    metadata: Mapping[str, str] = field(default_factory=dict)
    trial_days: int | None = None


async def check_urls(ctx: Context, *urls: str) -> None:
    """Whether customers may be sent there.

    Raises:
        UrlNotAllowedError: they may not.
    """
    async with ctx.db.snapshot() as tx:
        domains = await customers.app_domains(tx)
    origins = (ctx.pages_url, *ctx.allowed_return_origins)
    for url in urls:
        return_urls.allowed(url, livemode=ctx.livemode, origins=origins, domains=domains)


async def product(
    ctx: Context, stripe: StripeGateway, reference: str | int, mode: str
) -> tuple[Product, Link]:
    """What is meant by a reference, and the Stripe price that it is sold at.

    Raises:
        PriceNotFoundError, ModeMismatchError, CatalogNotPushedError: nothing that can be bought so.
    """
    async with ctx.db.snapshot() as tx:
        links = await catalog.links(tx)
    found = find(ctx.catalog, links, reference)
    if found is None:
        raise PriceNotFoundError
    if found.mode != mode:
        raise ModeMismatchError
    link = links.get(found.lookup_key)
    if link is not None and link.serves(found):
        return found, link
    if found.forced_price_id is None:
        raise CatalogNotPushedError
    return found, await _adopted(ctx, stripe, found, found.forced_price_id)


async def _adopted(ctx: Context, stripe: StripeGateway, wanted: Product, price_id: str) -> Link:
    """The price that the settings force, seen for the first time: it costs what Stripe says."""
    report = await stripe.price(price_id)
    if report is None or report.price is None or report.interval != wanted.interval:
        raise CatalogNotPushedError(
            f"Stripe has no fitting price {price_id} for {wanted.lookup_key}: check STRIPE_PRICE_*."
        )
    link = Link(
        lookup_key=wanted.lookup_key,
        product_id=report.product_id,
        price_id=report.id,
        price=report.price,
    )
    async with ctx.db.transaction() as tx:
        await catalog.save_link(tx, ctx.clock(), link)
    return link


@dataclass(frozen=True, slots=True, kw_only=True)
class Bound:
    """What a checkout is for, whatever the catalogue says later; credits and price are for the whole quantity."""

    terms: Terms
    name: str
    price_id: str
    credits: Credits
    price: Money


def check_quantity(quantity: int) -> None:
    """Whether so many are sold at once.

    Raises:
        AmountOutOfRangeError: they are not.
    """
    if not 1 <= quantity <= QUANTITY_MAX:
        raise AmountOutOfRangeError(f"The quantity must be 1 to {QUANTITY_MAX}.")


def bound(terms: Terms, product: Product, link: Link) -> Bound:
    """Bind the terms to what the product costs and brings now.

    Raises:
        AmountOutOfRangeError: that many are not sold at once.
    """
    check_quantity(terms.quantity)
    unit = unit_price(product, link, terms.currency)
    return Bound(
        terms=terms,
        name=product.name,
        price_id=link.price_id,
        credits=positive(Credits(product.credits.micro * terms.quantity)),
        price=Money(unit.minor * terms.quantity, unit.currency),
    )


async def intend(ctx: Context, tx: Transaction, app_id: int, key: str | None, wanted: Bound) -> Checkout:
    """The checkout of this key, written down now if it is the first time."""
    now = ctx.clock()
    wallet_id = await ledger.open_wallet(tx, now, user_id=wanted.terms.user_id)
    intent = checkouts.Intent(
        wallet_id=wallet_id,
        app_id=app_id,
        key=key,
        terms=wanted.terms,
        product_name=wanted.name,
        stripe_price_id=wanted.price_id,
        credits=wanted.credits,
        price=wanted.price,
    )
    checkout_id = await checkouts.intend(tx, now, intent)
    if checkout_id is not None:
        found = await checkouts.by_id(tx, checkout_id)
    else:
        assert key is not None
        found = await checkouts.by_key(tx, user_id=wanted.terms.user_id, app_id=app_id, key=key)
    assert found is not None
    if found.terms != wanted.terms.digest():
        raise IdempotencyKeyReusedError
    return found


async def opened(
    ctx: Context,
    stripe: StripeGateway,
    checkout: Checkout,
    buyer: buyers.Buyer,
    *,
    link: Link | None = None,
    subscribing: Subscribing | None = None,
) -> Checkout:
    """The checkout with its session, kept and claimed for the wallet before anybody can learn its URL."""

    async def make(customer_id: str) -> SessionReport | None:
        async with ctx.db.snapshot() as tx:
            again = await checkouts.by_id(tx, checkout.checkout_id)
        assert again is not None
        if again.stripe_session_id is not None:
            return None
        return await _session(
            ctx, stripe, again, customer_id, deployment=buyer.deployment, link=link, subscribing=subscribing
        )

    customer_id, report = await buyers.with_customer(ctx, stripe, buyer, make)
    if report is not None:
        return await _keep(ctx, checkout, report, customer_id)
    async with ctx.db.snapshot() as tx:
        found = await checkouts.by_id(tx, checkout.checkout_id)
    assert found is not None
    return found


def _inline(ctx: Context, checkout: Checkout, link: Link | None) -> InlinePrice | None:
    """The price to be sent along, for a currency that the Stripe price is not in."""
    if link is None or checkout.price.currency == link.price.currency:
        return None
    unit = Money(checkout.price.minor // checkout.quantity, checkout.price.currency)
    sold = ctx.catalog.by_lookup_key(checkout.lookup_key)
    tax_behavior = None if sold is None else sold.taxing.behavior
    return InlinePrice(product_id=link.product_id, unit=unit, tax_behavior=tax_behavior)


async def _session(
    ctx: Context,
    stripe: StripeGateway,
    checkout: Checkout,
    customer_id: str,
    *,
    deployment: str,
    link: Link | None,
    subscribing: Subscribing | None,
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
        inline=_inline(ctx, checkout, link),
        subscribes=subscribing is not None,
        subscription_metadata=subscribing.metadata if subscribing is not None else {},
        trial_days=subscribing.trial_days if subscribing is not None else None,
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
