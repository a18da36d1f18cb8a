"""What would cover a shortfall of credits. Pure: prices are given, and nothing is asked or bought here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from tallybook.domain.catalog.links import Link
from tallybook.domain.catalog.products import AMOUNT_MINOR_MAX, Catalog
from tallybook.domain.money import AMOUNT_MICRO_MAX, Credits, Money
from tallybook.domain.payments.checkouts import QUANTITY_MAX

OFFERS_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """So many of a product as cover a shortfall; ``credits`` and ``price`` are for the whole quantity."""

    lookup_key: str
    name: str
    quantity: int
    credits: Credits
    price: Money

    @property
    def facts(self) -> dict[str, Any]:
        """As a refusal shows it, in the words of a checkout."""
        return {
            "lookup_key": self.lookup_key,
            "name": self.name,
            "quantity": self.quantity,
            "credits_micro": self.credits.micro,
            "amount_minor": self.price.minor,
            "currency": self.price.currency,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class PayDesk:
    """Where a shortfall can be paid: what covers it, whose wallet it is, and the address of our pages.

    ``owner_user_id`` is None for an organisation's wallet; ``stripe`` says whether payments can be taken at all.
    """

    offers: list[Offer]
    owner_user_id: int | None
    public_url: str
    stripe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Ware:
    """A product that can be bought once, right now: what one brings, and what Stripe charges for one."""

    lookup_key: str
    name: str
    credits_micro: int
    minor: int
    currency: str


def wares(catalog: Catalog, links: Mapping[str, Link]) -> tuple[Ware, ...]:
    """What shortfalls can be covered with; what has no price at Stripe yet cannot be bought."""
    return tuple(
        Ware(
            lookup_key=product.lookup_key,
            name=product.name,
            credits_micro=product.credits.micro,
            minor=link.price.minor,
            currency=link.price.currency,
        )
        for product in catalog.on_sale
        if product.mode == "payment"
        and (link := links.get(product.lookup_key)) is not None
        and link.serves(product)
    )


def covering(on_sale: Sequence[Ware], shortfall: Credits) -> list[Offer]:
    """Up to ``OFFERS_MAX`` offers that cover a shortfall, cheapest first; at one price, more credits in fewer pieces.

    Amounts of two currencies cannot be compared: where several are sold, the cheapest offer of each comes first, in
    the catalogue's order, then the second of each. What no checkout could sell at once is no offer.
    """
    by_currency: dict[str, list[tuple[int, int, int, int]]] = {}
    for place, ware in enumerate(on_sale):
        quantity = max(1, -(-shortfall.micro // ware.credits_micro))
        credits_micro, minor = ware.credits_micro * quantity, ware.minor * quantity
        rows = by_currency.setdefault(ware.currency, [])
        if quantity <= QUANTITY_MAX and credits_micro <= AMOUNT_MICRO_MAX and minor <= AMOUNT_MINOR_MAX:
            rows.append((minor, -credits_micro, quantity, place))
    turns = zip_longest(*(sorted(rows)[:OFFERS_MAX] for rows in by_currency.values()))
    best = [row for turn in turns for row in turn if row is not None][:OFFERS_MAX]
    return [
        Offer(
            lookup_key=on_sale[place].lookup_key,
            name=on_sale[place].name,
            quantity=quantity,
            credits=Credits(-credits_micro),
            price=Money(minor, on_sale[place].currency),
        )
        for minor, credits_micro, quantity, place in best
    ]
