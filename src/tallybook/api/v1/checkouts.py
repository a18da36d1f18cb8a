"""/v1/checkouts: open a hosted checkout, and see how far it is."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from tallybook.api.buying import CheckoutTerms, open_checkout
from tallybook.api.deps import (
    CallerDep,
    Ctx,
    IdempotencyKey,
    Shape,
    problems,
)
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.domain.ids import LedgerId, parse_plain_id, plain_id
from tallybook.domain.payments.checkouts import Checkout
from tallybook.usecases import checkouts

router = APIRouter(
    prefix="/v1/checkouts",
    tags=["checkouts"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 403, 404, 409, 502),
)


class CheckoutBody(CheckoutTerms):
    """What to buy, and where the customer comes back to."""

    price: Annotated[
        str,
        Field(
            min_length=1,
            max_length=255,
            description="A lookup key, an alias or a Stripe price id.",
            examples=["package_starter"],
        ),
    ]
    currency: Annotated[
        str | None,
        Field(pattern="^[a-z]{3}$", description="One that the product has a price in.", examples=["usd"]),
    ] = None


class CheckoutShape(Shape):
    """A checkout; its terms were bound when it was opened."""

    id: str = Field(examples=["chk_1"])
    status: Literal["intended", "open", "processing", "paid", "failed", "expired"]
    url: str | None = Field(examples=["https://checkout.stripe.com/c/pay/cs_test_123"])
    stripe_session_id: str | None = Field(examples=["cs_test_123"])
    user_id: int
    product: str = Field(examples=["package_starter"])
    quantity: int
    credits_micro: int = Field(examples=[1_000_000_000])
    amount_minor: int = Field(examples=[1000])
    currency: str = Field(examples=["usd"])
    transfer: str | None = Field(description="The transfer that brought the credits.", examples=[None])
    created_at: datetime
    expires_at: datetime | None


@router.post("", status_code=201, summary="Open a checkout")
async def create_checkout(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, body: CheckoutBody, response: Response
) -> CheckoutShape:
    """Open a hosted checkout; send the customer to ``url``."""
    opened = await open_checkout(ctx, caller, body, reference=body.price, key=key, currency=body.currency)
    if opened.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return _shape(opened.checkout)


@router.get("/{checkout}", summary="A checkout")
async def get_checkout(ctx: Ctx, caller: CallerDep, checkout: str) -> CheckoutShape:
    """How far a checkout is, by our own books."""
    found = await checkouts.checkout(ctx, caller, parse_plain_id("chk", checkout))
    return _shape(found)


def _shape(found: Checkout) -> CheckoutShape:
    granted = found.granted_version
    return CheckoutShape(
        id=plain_id("chk", found.checkout_id),
        status=found.status.value,
        url=found.url,
        stripe_session_id=found.stripe_session_id,
        user_id=found.user_id,
        product=found.lookup_key,
        quantity=found.quantity,
        credits_micro=found.credits.micro,
        amount_minor=found.price.minor,
        currency=found.price.currency,
        transfer=None if granted is None else LedgerId(found.wallet_id, granted).wire("trf"),
        created_at=found.created_at,
        expires_at=found.expires_at,
    )
