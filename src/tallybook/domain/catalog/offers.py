"""What would cover a shortfall of credits. Pure: prices are given, and nothing is asked or bought here."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
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


def covering(catalog: Catalog, links: Mapping[str, Link], shortfall: Credits) -> list[Offer]:
    """Up to ``OFFERS_MAX`` offers that cover a shortfall, cheapest first; at one price, more credits in fewer pieces.

    Amounts of two currencies cannot be compared: where several are sold, the cheapest offer of each comes first, in
    the catalogue's order, then the second of each. What has no price at Stripe yet cannot be bought, so is no offer.
    """
    found = [
        offer
        for product in catalog.on_sale
        if product.mode == "payment"
        and (link := links.get(product.lookup_key)) is not None
        and link.serves(product)
        and (offer := _enough(product.lookup_key, product.name, product.credits, link.price, shortfall))
    ]
    currencies = list(dict.fromkeys(offer.price.currency for offer in found))
    # Stable, so that the catalogue's order decides what is equal.
    found.sort(key=lambda offer: (offer.price.minor, -offer.credits.micro, offer.quantity))
    seen: Counter[str] = Counter()
    ranked = []
    for offer in found:
        currency = offer.price.currency
        ranked.append((seen[currency], currencies.index(currency), offer))
        seen[currency] += 1
    ranked.sort(key=lambda place: place[:2])
    return [offer for _, _, offer in ranked[:OFFERS_MAX]]


def _enough(lookup_key: str, name: str, each: Credits, price: Money, shortfall: Credits) -> Offer | None:
    """As many as cover the shortfall, unless no checkout could sell so many at once."""
    quantity = max(1, -(-shortfall.micro // each.micro))
    credits = Credits(each.micro * quantity)
    total = Money(price.minor * quantity, price.currency)
    if quantity > QUANTITY_MAX or credits.micro > AMOUNT_MICRO_MAX or total.minor > AMOUNT_MINOR_MAX:
        return None
    return Offer(lookup_key=lookup_key, name=name, quantity=quantity, credits=credits, price=total)
