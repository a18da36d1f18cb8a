"""What one of a product costs, in the currency that somebody wants to pay in. Pure."""

from __future__ import annotations

from tallybook.domain.catalog.links import Link
from tallybook.domain.catalog.products import Product
from tallybook.domain.errors import CatalogNotPushedError, PriceNotFoundError
from tallybook.domain.money import Money


def unit_price(product: Product, link: Link | None, currency: str | None) -> Money:
    """What Stripe charges for one; in another currency than that of its Stripe price, what the catalogue says.

    Raises:
        CatalogNotPushedError: it has no price yet. PriceNotFoundError: it is not sold in this currency.
    """
    if link is None or not link.serves(product):
        raise CatalogNotPushedError
    if currency is None or currency == link.price.currency:
        return link.price
    found = product.price_in(currency)
    if found is None:
        raise PriceNotFoundError(f"{product.lookup_key} is not sold in {currency}.", currency=currency)
    return found
