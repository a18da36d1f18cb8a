"""What a product became at Stripe, and what is still to be done there. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tallybook.domain.catalog.products import Catalog, Product
from tallybook.domain.catalog.taxes import UNSPECIFIED
from tallybook.domain.money import Money
from tallybook.domain.payments.reports import PriceReport


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """The Stripe price that a product is sold at; ``price`` is what Stripe charges for one."""

    lookup_key: str
    product_id: str
    price_id: str
    price: Money

    def serves(self, product: Product) -> bool:
        """Whether a checkout of this product may use the link: settings may force another price."""
        return product.forced_price_id in (None, self.price_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a push does, or would do, about one product."""

    lookup_key: str
    action: str
    detail: str
    product_id: str | None = None
    price_id: str | None = None


def find(catalog: Catalog, links: Mapping[str, Link], reference: str | int) -> Product | None:
    """The product on sale by any of its names, the Stripe price that it is linked to among them."""
    named = catalog.find(reference)
    if named is not None:
        return named
    linked = {link.price_id: key for key, link in links.items()}.get(str(reference))
    return None if linked is None else catalog.find(linked)


def difference(product: Product, found: PriceReport | None) -> Change:
    """What Stripe lacks for the product to be sold as the catalogue says."""
    key = product.lookup_key
    if found is None:
        return Change(lookup_key=key, action="create", detail=f"{product.name}: {product.price}")
    known = {"product_id": found.product_id, "price_id": found.id}
    if found.price != product.price or found.interval != product.interval:
        detail = f"{found.price or 'another kind of price'} becomes {product.price}"
        return Change(lookup_key=key, action="reprice", detail=detail, **known)
    behavior = product.taxing.behavior
    if behavior not in (None, found.tax_behavior):
        # Stripe lets it be said once; after that only another price is taxed otherwise.
        action = "retax" if found.tax_behavior == UNSPECIFIED else "reprice"
        return Change(lookup_key=key, action=action, detail=f"tax is {behavior}", **known)
    said = (found.product_name, found.product_description)
    if said != (product.name, product.description) or product.taxing.code not in (None, found.tax_code):
        detail = "name, description or tax code"
        return Change(lookup_key=key, action="rename", detail=detail, **known)
    return Change(lookup_key=key, action="unchanged", detail=str(product.price), **known)
