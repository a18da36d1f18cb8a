"""The catalogue: what is on sale, and carrying it to Stripe so that nothing is ever made twice there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tallybook.domain.catalog.links import Change, Link, difference
from tallybook.domain.catalog.products import Product
from tallybook.domain.errors import CatalogError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.money import Money
from tallybook.domain.payments.reports import PriceReport
from tallybook.postgres import audit, catalog, customers
from tallybook.stripe.gateway import StripeGateway, configured
from tallybook.usecases.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A product on sale: what one costs, and the Stripe price once it was pushed."""

    product: Product
    price: Money
    price_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Push:
    stripe: StripeGateway
    deployment: str
    dry_run: bool


async def offers(ctx: Context) -> list[Offer]:
    """Everything that is on sale, in the order of the catalogue file. Public."""
    async with ctx.db.snapshot() as tx:
        links = await catalog.links(tx)
    found = []
    for product in ctx.catalog.on_sale:
        link = links.get(product.lookup_key)
        if link is None or not link.serves(product):
            price, price_id = product.price, product.forced_price_id
        else:
            price, price_id = link.price, link.price_id
        found.append(Offer(product=product, price=price, price_id=price_id))
    return found


async def push(
    ctx: Context, caller: Caller, *, dry_run: bool, progress: Callable[[Change], None]
) -> list[Change]:
    """Make Stripe's products and prices what the catalogue says; ``progress`` hears of each product.

    Safe to repeat and to run twice at once: one push at a time, found by lookup key, created under stable
    idempotency keys. Prices that the settings force are looked up, never changed.

    Raises:
        CatalogError: a forced price does not exist or cannot sell its product.
        StripeAccountMismatchError: the database belongs to another account or mode.
    """
    caller.require_admin()
    stripe = configured(ctx.stripe)
    identity = await stripe.account()
    products = ctx.catalog.on_sale
    changes = []
    async with ctx.db.transaction() as alone:
        await catalog.one_at_a_time(alone)
        async with ctx.db.transaction() as tx:
            account = await customers.record_account(
                tx, ctx.clock(), account_id=identity.account_id, livemode=ctx.livemode
            )
        found = await stripe.prices_by_lookup_key(
            [product.lookup_key for product in products if product.forced_price_id is None]
        )
        how = _Push(stripe=stripe, deployment=str(account.deployment_id), dry_run=dry_run)
        for product in products:
            change = await _push_one(ctx, caller, how, product, found)
            changes.append(change)
            progress(change)
    return changes


async def _push_one(
    ctx: Context, caller: Caller, how: _Push, product: Product, found: Mapping[str, PriceReport]
) -> Change:
    if product.forced_price_id is not None:
        change, link = await _adopt(how, product, product.forced_price_id)
        if how.dry_run:
            return change
    else:
        change = difference(product, found.get(product.lookup_key))
        if how.dry_run:
            return change
        link = await _carry_out(how, product, change)
    async with ctx.db.transaction() as tx:
        before = (await catalog.links(tx)).get(product.lookup_key)
        if before == link:
            return change
        await catalog.save_link(tx, ctx.clock(), link)
        await audit.record(
            tx,
            ctx.clock(),
            caller.actor,
            "catalog.pushed",
            ("product", product.lookup_key),
            before=None if before is None else {"price_id": before.price_id},
            after={"price_id": link.price_id, "amount_minor": link.price.minor},
        )
    return change


async def _adopt(how: _Push, product: Product, price_id: str) -> tuple[Change, Link]:
    """Take a price that the settings force as it is: what it costs is decided at Stripe."""
    report = await how.stripe.price(price_id)
    at = product.lookup_key
    if report is None or not report.active:
        raise CatalogError(f"{at}: Stripe has no active price {price_id}; check STRIPE_PRICE_*.")
    if report.price is None or report.interval != product.interval:
        raise CatalogError(f"{at}: price {price_id} is of another kind; use one of the same interval.")
    detail = f"set by the settings: {report.price}"
    link = Link(lookup_key=at, product_id=report.product_id, price_id=report.id, price=report.price)
    change = Change(
        lookup_key=at,
        action="adopt",
        detail=detail,
        product_id=report.product_id,
        price_id=report.id,
    )
    return change, link


def _digest(*words: str) -> str:
    """Other words are another request to Stripe, so they are a part of the key."""
    return hashlib.sha256(json.dumps(words).encode()).hexdigest()[:32]


def _words(product: Product) -> list[str]:
    """What Stripe is told of a product; one without a tax code keeps the key that it had before there were any."""
    code = product.taxing.code
    return [product.name, product.description, *([] if code is None else [code])]


def _taxed(product: Product) -> str:
    return "" if product.taxing.behavior is None else f":{product.taxing.behavior}"


async def _carry_out(how: _Push, product: Product, change: Change) -> Link:
    key = f"catalog:{how.deployment}:{product.lookup_key}"
    product_id, price_id = change.product_id, change.price_id
    if product_id is None:
        product_id = await how.stripe.create_product(
            name=product.name,
            description=product.description,
            tax_code=product.taxing.code,
            metadata={
                "tallybook_lookup_key": product.lookup_key,
                "tallybook_deployment": how.deployment,
            },
            idempotency_key=f"{key}:product:{_digest(*_words(product))}",
        )
    elif change.action in ("rename", "reprice", "retax"):
        await how.stripe.update_product(
            product_id,
            name=product.name,
            description=product.description,
            tax_code=product.taxing.code,
        )
    if change.action in ("create", "reprice"):
        new_price_id = await how.stripe.create_price(
            product_id,
            price=product.price,
            interval=product.interval,
            tax_behavior=product.taxing.behavior,
            lookup_key=product.lookup_key,
            # The price that is replaced is in the key: going back to an old amount is a new request.
            idempotency_key=(
                f"{key}:price:{product_id}:{product.price.minor}{product.price.currency}"
                f":{product.interval}:{price_id}{_taxed(product)}"
            ),
        )
        if price_id is not None:
            await how.stripe.retire_price(price_id)
        price_id = new_price_id
    assert price_id is not None
    if change.action == "retax" and product.taxing.behavior is not None:
        await how.stripe.tax_price(price_id, product.taxing.behavior)
    return Link(
        lookup_key=product.lookup_key,
        product_id=product_id,
        price_id=price_id,
        price=product.price,
    )
