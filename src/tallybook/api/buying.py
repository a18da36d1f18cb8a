"""Opening a checkout of either mode: packs and plans are two use cases, and every family asks for both alike."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tallybook.api.deps import Body, UserId
from tallybook.domain.identity.callers import Caller
from tallybook.domain.payments.addresses import Address
from tallybook.domain.payments.checkouts import Opened
from tallybook.domain.payments.promotions import CODE_MAX
from tallybook.usecases import checkouts
from tallybook.usecases.context import Context
from tallybook.usecases.subscriptions import opening

ReturnUrl = Annotated[str, Field(min_length=1, max_length=2000, examples=["https://yourapp.com/success"])]
Quantity = Annotated[int, Field(ge=1, le=1000)]
PromotionCode = Annotated[
    str,
    Field(
        min_length=1,
        max_length=CODE_MAX,
        description="What the buyer typed; taken where STRIPE_ALLOW_PROMOTION_CODES is on.",
        examples=["SPRING25"],
    ),
]
_AddressPart = Annotated[str | None, Field(min_length=1, max_length=200)]


class AddressBody(Body):
    """Where the customer lives, for Stripe Tax: it goes to Stripe, and is kept nowhere else."""

    country: Annotated[str, Field(pattern="^[A-Z]{2}$", description="ISO 3166.", examples=["DE"])]
    postal_code: _AddressPart = None
    state: _AddressPart = None
    city: _AddressPart = None
    line1: _AddressPart = None


def address_of(body: AddressBody | None) -> Address | None:
    """The address of a body, if it has one."""
    return None if body is None else Address(**body.model_dump())


class CheckoutTerms(Body):
    """What every order of a checkout says, besides the price."""

    success_url: ReturnUrl
    cancel_url: ReturnUrl
    mode: Literal["payment", "subscription"] = "payment"
    quantity: Quantity = 1
    user_id: UserId | None = None


async def open_checkout(
    ctx: Context,
    caller: Caller,
    terms: CheckoutTerms,
    *,
    reference: str,
    key: str | None,
    currency: str | None = None,
) -> Opened:
    """Open the checkout that the terms ask for; plans have one currency."""
    if terms.mode == "subscription":
        return await opening.open_checkout(
            ctx,
            caller,
            reference=reference,
            quantity=terms.quantity,
            success_url=terms.success_url,
            cancel_url=terms.cancel_url,
            user_id=terms.user_id,
            key=key,
        )
    return await checkouts.open_checkout(
        ctx,
        caller,
        reference=reference,
        quantity=terms.quantity,
        success_url=terms.success_url,
        cancel_url=terms.cancel_url,
        user_id=terms.user_id,
        mode=terms.mode,
        key=key,
        currency=currency,
    )
