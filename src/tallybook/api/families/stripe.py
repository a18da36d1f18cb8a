"""/api/stripe/*: checkout, products and the webhook, as documents 000, 001 and 003 name them."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Request
from pydantic import Field

from tallybook.api.deps import (
    Body,
    CallerDep,
    Ctx,
    OptionalIdempotencyKey,
    Shape,
    UserId,
    problems,
)
from tallybook.api.families.webhooks import EVENT_BODY, SignatureHeader, raw_body
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.usecases import catalog, checkouts, events

router = APIRouter(prefix="/api/stripe", tags=["stripe"], route_class=StrictJsonRoute)
ReturnUrl = Annotated[str, Field(min_length=1, max_length=2000, examples=["https://yourapp.com/success"])]


class CheckoutBody(Body):
    """What to buy, and where the customer comes back to."""

    price_id: Annotated[str, Field(min_length=1, max_length=255, examples=["package_starter"])]
    success_url: ReturnUrl
    cancel_url: ReturnUrl
    mode: Literal["payment", "subscription"] = "payment"
    quantity: Annotated[int, Field(ge=1, le=1000)] = 1
    user_id: UserId | None = None


class SessionData(Shape):
    """Where to send the customer."""

    url: str = Field(examples=["https://checkout.stripe.com/c/pay/cs_test_123"])
    session_id: str = Field(examples=["cs_test_123"])


class CheckoutShape(SessionData):
    """The same at the top (document 000) and under ``data`` (document 001)."""

    success: bool = True
    data: SessionData


class PriceShape(Shape):
    """A price; ``amount`` is in the smallest unit of the currency."""

    id: str = Field(examples=["price_123"])
    amount: int = Field(examples=[1000])
    currency: str = Field(examples=["usd"])
    credits: int | float = Field(examples=[1000])
    interval: str | None = Field(default=None, examples=["month"])


class ProductShape(Shape):
    """A product on sale and its price."""

    id: str = Field(examples=["package_starter"])
    name: str = Field(examples=["Starter"])
    description: str
    active: bool = True
    prices: list[PriceShape]


class ReceivedShape(Shape):
    """The event is stored."""

    status: str = "success"
    received: bool = True


@router.post(
    "/create-checkout-session",
    summary="Open a checkout",
    responses=problems(400, 401, 403, 404, 502),
)
async def create_checkout_session(
    ctx: Ctx, caller: CallerDep, key: OptionalIdempotencyKey, body: CheckoutBody
) -> CheckoutShape:
    """Open a hosted checkout; send the customer to ``url``."""
    opened = await checkouts.open_checkout(
        ctx,
        caller,
        reference=body.price_id,
        quantity=body.quantity,
        success_url=body.success_url,
        cancel_url=body.cancel_url,
        user_id=body.user_id,
        mode=body.mode,
        key=key,
    )
    assert opened.checkout.url is not None
    assert opened.checkout.stripe_session_id is not None
    data = SessionData(url=opened.checkout.url, session_id=opened.checkout.stripe_session_id)
    return CheckoutShape(url=data.url, session_id=data.session_id, data=data)


@router.get("/products", summary="What is on sale", responses=problems())
async def products(ctx: Ctx) -> list[ProductShape]:
    """Every product on sale with its price. Public."""
    return [_product(offer) for offer in await catalog.offers(ctx)]


@router.post("/webhook", summary="Stripe's events", responses=problems(400), openapi_extra=EVENT_BODY)
async def webhook(ctx: Ctx, request: Request, signature: SignatureHeader = None) -> ReceivedShape:
    """Take an event in; it is answered as soon as it is stored."""
    await events.receive(ctx, path="stripe", raw=await raw_body(request), signature=signature)
    return ReceivedShape()


def _product(offer: catalog.Offer) -> ProductShape:
    product = offer.product
    return ProductShape(
        id=product.lookup_key,
        name=product.name,
        description=product.description,
        prices=[
            PriceShape(
                id=offer.price_id or product.lookup_key,
                amount=offer.price.minor,
                currency=offer.price.currency,
                credits=product.credits.number(),
                interval=product.interval,
            )
        ],
    )
