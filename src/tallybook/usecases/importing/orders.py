"""An import as a whole: looked through once, gone on with where it was stopped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from tallybook.domain.catalog.links import Link
from tallybook.domain.errors import InvalidRequestError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.payments.importing import CustomerReport, Options, shared_emails
from tallybook.postgres import catalog, importing
from tallybook.security import passwords
from tallybook.security.random_text import random_base62
from tallybook.stripe import listings
from tallybook.stripe.gateway import configured
from tallybook.usecases.context import Context

_SECRET_LENGTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An import that was begun: for whom, how, and since when; ``applies`` is false in a dry run.

    ``password_hash`` is of a password that nobody knows: whoever is made a user must set one.
    """

    caller: Caller
    options: Options
    applies: bool
    shared: frozenset[str]
    password_hash: str
    after: str | None
    done: int


async def begin(ctx: Context, caller: Caller, options: Options, *, applies: bool) -> tuple[Order, int]:
    """Look through all customers once, and remember which price stands for which product; gives how many there are.

    Raises:
        AdminRequiredError: the caller is none. InvalidRequestError: a price or a product that is not there.
    """
    caller.require_admin()
    stripe = configured(ctx.stripe)
    links = [await _link(ctx, price, key) for price, key in options.prices.items()]
    emails = [(one.email, one.id) async for page in listings.customers(stripe) for one in page]
    password_hash = await passwords.make_hash(random_base62(_SECRET_LENGTH))
    after, done = None, 0
    if applies:
        async with ctx.db.transaction() as tx:
            now = ctx.clock()
            for link in links:
                await catalog.save_price(tx, now, link)
            after, done = await importing.begin(tx, now, options.digest())
            known = {customer for _, customer in emails}
            # A customer that was deleted since cannot be gone on after.
            after = after if after in known else None
    order = Order(
        caller=caller,
        options=options,
        applies=applies,
        shared=shared_emails(emails),
        password_hash=password_hash,
        after=after,
        done=done if after else 0,
    )
    return order, len(emails)


async def every(ctx: Context, order: Order) -> AsyncIterator[CustomerReport]:
    """The customers that are not done yet, newest first."""
    async for page in listings.customers(configured(ctx.stripe), order.after):
        for report in page:
            yield report


async def went_on(ctx: Context, order: Order, report: CustomerReport) -> None:
    """A customer is done: whoever goes on begins after it."""
    if order.applies:
        async with ctx.db.transaction() as tx:
            terms = order.options.digest()
            await importing.went_on(tx, ctx.clock(), terms, after_customer=report.id)


async def end(ctx: Context, order: Order) -> None:
    """All are done: the next one begins anew."""
    if order.applies:
        async with ctx.db.transaction() as tx:
            await importing.end(tx, ctx.clock(), order.options.digest())


async def _link(ctx: Context, price_id: str, lookup_key: str) -> Link:
    """What a Stripe price is to stand for."""
    if ctx.catalog.by_lookup_key(lookup_key) is None:
        raise InvalidRequestError(f"{lookup_key} is not in the catalogue.")
    found = await configured(ctx.stripe).price(price_id)
    if found is None or found.price is None:
        raise InvalidRequestError(f"Stripe has no price {price_id} of a fixed amount for one interval.")
    return Link(lookup_key=lookup_key, product_id=found.product_id, price_id=price_id, price=found.price)
