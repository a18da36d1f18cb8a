"""The door to the links between our catalogue and Stripe's products and prices."""

from __future__ import annotations

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
    """Write down which Stripe product and price a product became."""
    await tx.run(
        _SQL.save_link,
        now=now,
        lookup_key=link.lookup_key,
        stripe_product_id=link.product_id,
        stripe_price_id=link.price_id,
        amount_minor=link.price.minor,
        currency=link.price.currency,
    )
