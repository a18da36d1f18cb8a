"""The calls about products and their prices: a part of the gateway."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Literal, cast

import stripe
from stripe.params import PriceCreateParams, PriceListParams, ProductCreateParams, ProductUpdateParams

from tallybook.domain.errors import StripeRefusedError
from tallybook.domain.money import Money
from tallybook.domain.payments.reports import PriceReport
from tallybook.stripe import readings
from tallybook.stripe.failures import patiently

_NOT_FOUND = 404
_TaxBehavior = Literal["exclusive", "inclusive"]


class CatalogCalls:
    """Products and prices, seen from here."""

    _client: stripe.StripeClient

    async def price(self, price_id: str) -> PriceReport | None:
        """A price with its product, or None if Stripe has none of that id."""
        try:
            found = await patiently(
                "prices.retrieve",
                lambda: self._client.v1.prices.retrieve_async(price_id, {"expand": ["product"]}),
            )
        except StripeRefusedError as refusal:
            if refusal.facts.get("stripe_status") == _NOT_FOUND:
                return None
            raise
        return readings.price(found)

    async def prices_by_lookup_key(self, lookup_keys: Sequence[str]) -> dict[str, PriceReport]:
        """The active prices that hold these lookup keys (at most 10 are asked for at once)."""
        found: dict[str, PriceReport] = {}
        for start in range(0, len(lookup_keys), 10):
            wanted: PriceListParams = {
                "lookup_keys": list(lookup_keys[start : start + 10]),
                "active": True,
                "limit": 10,
                "expand": ["data.product"],
            }
            page = await patiently("prices.list", partial(self._client.v1.prices.list_async, wanted))
            for one in page.data:
                assert one.lookup_key is not None
                found[one.lookup_key] = readings.price(one)
        return found

    async def create_product(
        self,
        *,
        name: str,
        description: str,
        tax_code: str | None,
        metadata: Mapping[str, str],
        idempotency_key: str,
    ) -> str:
        """A new product; gives the id."""
        wanted: ProductCreateParams = {"name": name, "description": description, "metadata": dict(metadata)}
        if tax_code is not None:
            wanted["tax_code"] = tax_code
        made = await patiently(
            "products.create",
            lambda: self._client.v1.products.create_async(wanted, {"idempotency_key": idempotency_key}),
        )
        return made.id

    async def update_product(
        self, product_id: str, *, name: str, description: str, tax_code: str | None
    ) -> None:
        """Say something else about a product; without a tax code, the one that it has stays."""
        wanted: ProductUpdateParams = {"name": name, "description": description, "active": True}
        if tax_code is not None:
            wanted["tax_code"] = tax_code
        await patiently("products.update", lambda: self._client.v1.products.update_async(product_id, wanted))

    async def create_price(
        self,
        product_id: str,
        *,
        price: Money,
        interval: str | None,
        tax_behavior: str | None,
        lookup_key: str,
        idempotency_key: str,
    ) -> str:
        """A new price that takes the lookup key over from any older one; gives the id."""
        wanted: PriceCreateParams = {
            "product": product_id,
            "currency": price.currency,
            "unit_amount": price.minor,
            "lookup_key": lookup_key,
            "transfer_lookup_key": True,
            "metadata": {"tallybook_lookup_key": lookup_key},
        }
        if interval is not None:
            wanted["recurring"] = {"interval": cast("Literal['day', 'month', 'week', 'year']", interval)}
        if tax_behavior is not None:
            wanted["tax_behavior"] = cast("_TaxBehavior", tax_behavior)
        made = await patiently(
            "prices.create",
            lambda: self._client.v1.prices.create_async(wanted, {"idempotency_key": idempotency_key}),
        )
        return made.id

    async def tax_price(self, price_id: str, tax_behavior: str) -> None:
        """Say whether tax comes on top of a price or is inside it; of each price that can be said once."""
        await patiently(
            "prices.update",
            lambda: self._client.v1.prices.update_async(
                price_id, {"tax_behavior": cast("_TaxBehavior", tax_behavior)}
            ),
        )

    async def retire_price(self, price_id: str) -> None:
        """Sell at this price no more; sessions that are open with it stay as they are."""
        await patiently(
            "prices.update",
            lambda: self._client.v1.prices.update_async(price_id, {"active": False}),
        )
