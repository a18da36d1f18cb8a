"""/v1/products: what is on sale. Public."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from tallybook.api.deps import Ctx, Shape, problems
from tallybook.usecases import catalog

router = APIRouter(prefix="/v1/products", tags=["products"], responses=problems())


class PriceShape(Shape):
    """What one costs in another currency."""

    amount_minor: int = Field(examples=[900])
    currency: str = Field(examples=["eur"])


class ProductShape(Shape):
    """A product: so many micro-credits for so much, once or per interval."""

    id: str = Field(description="The permanent lookup key.", examples=["package_starter"])
    family: Literal["package", "pack", "plan"]
    package_id: int | None = Field(examples=[1])
    name: str = Field(examples=["Starter"])
    description: str
    badge: str | None = Field(examples=["Most popular"])
    mode: Literal["payment", "subscription"]
    credits_micro: int = Field(examples=[1_000_000_000])
    amount_minor: int = Field(description="In the smallest unit of the currency.", examples=[1000])
    currency: str = Field(examples=["usd"])
    other_prices: list[PriceShape] = Field(description="In other currencies.")
    interval: str | None = Field(examples=[None])
    stripe_price_id: str | None = Field(description="Once it was pushed to Stripe.", examples=["price_123"])


class ProductsShape(Shape):
    """Everything on sale, in the order of the catalogue."""

    data: list[ProductShape]
    has_more: bool = False
    next_cursor: str | None = None


@router.get("", summary="What is on sale")
async def list_products(ctx: Ctx) -> ProductsShape:
    """Every product on sale."""
    return ProductsShape(data=[_shape(offer) for offer in await catalog.offers(ctx)])


def _shape(offer: catalog.Offer) -> ProductShape:
    product = offer.product
    return ProductShape(
        id=product.lookup_key,
        family=product.family.value,
        package_id=product.id,
        name=product.name,
        description=product.description,
        badge=product.badge,
        mode="payment" if product.interval is None else "subscription",
        credits_micro=product.credits.micro,
        amount_minor=offer.price.minor,
        currency=offer.price.currency,
        other_prices=[
            PriceShape(amount_minor=price.minor, currency=price.currency) for price in product.prices
        ],
        interval=product.interval,
        stripe_price_id=offer.price_id,
    )
