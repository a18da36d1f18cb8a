"""The door to the links between our catalogue and Stripe's products and prices, those of before included."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tallybook.domain.catalog.links import Link
from tallybook.domain.money import Money
from tallybook.postgres.pool import Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("catalog")


async def one_at_a_time(tx: Transaction) -> None:
    """Wait until nobody else pushes the catalogue; held until the transaction ends."""
    await tx.run(_SQL.one_at_a_time)


async def links(tx: Transaction) -> dict[str, Link]:
    """The links by lookup key."""
    return {
        row["lookup_key"]: Link(
            lookup_key=row["lookup_key"],
            product_id=row["stripe_product_id"],
            price_id=row["stripe_price_id"],
            price=Money(row["amount_minor"], row["currency"]),
        )
        for row in await tx.many(_SQL.links)
    }


async def save_link(tx: Transaction, now: datetime, link: Link) -> None:
    """Write down which Stripe product and price a product became; the price is remembered for ever."""
    await tx.run(
        _SQL.save_link,
        now=now,
        lookup_key=link.lookup_key,
        stripe_product_id=link.product_id,
        stripe_price_id=link.price_id,
        amount_minor=link.price.minor,
        currency=link.price.currency,
    )
    await save_price(tx, now, link)


async def save_price(tx: Transaction, now: datetime, link: Link) -> None:
    """Remember for ever what a Stripe price stands for, whether or not it is sold at."""
    await tx.run(
        _SQL.save_plan_price,
        now=now,
        stripe_price_id=link.price_id,
        lookup_key=link.lookup_key,
        amount_minor=link.price.minor,
        currency=link.price.currency,
    )


async def sold_at(tx: Transaction, price_ids: Iterable[str]) -> dict[str, tuple[str, Money]]:
    """What was ever sold at these Stripe prices, as far as they are ours: lookup key and price of one."""
    rows = await tx.many(_SQL.plan_prices, stripe_price_ids=list(price_ids))
    return {
        row["stripe_price_id"]: (row["lookup_key"], Money(row["amount_minor"], row["currency"]))
        for row in rows
    }
