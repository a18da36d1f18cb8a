"""/api/stripe/*: checkout, subscriptions, products and the webhook, as documents 000, 001 and 003 name them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field

from tallybook.api.buying import (
    AddressBody,
    CheckoutTerms,
    PromotionCode,
    Quantity,
    address_of,
    open_checkout,
)
from tallybook.api.deps import (
    Body,
    CallerDep,
    Ctx,
    OptionalIdempotencyKey,
    Shape,
    UserId,
    problems,
)
from tallybook.api.families.webhooks import EVENT_BODY, RawBody, SignatureHeader
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.domain.payments.subscriptions import Subscription
from tallybook.usecases import catalog, intake
from tallybook.usecases.subscriptions import beginning, changing, viewing

router = APIRouter(prefix="/api/stripe", tags=["stripe"], route_class=StrictJsonRoute)


class CheckoutBody(CheckoutTerms):
    """What to buy, and where the customer comes back to."""

    price_id: Annotated[str, Field(min_length=1, max_length=255, examples=["package_starter"])]


class SubscribeBody(Body):
    """Which plan for whom; without a payment method the payment form asks for one."""

    price_id: Annotated[str, Field(min_length=1, max_length=255, examples=["plan_starter"])]
    user_id: UserId | None = None
    payment_method_id: Annotated[str | None, Field(max_length=255, examples=["pm_123"])] = None
    quantity: Quantity = 1
    promotion_code: PromotionCode | None = None
    address: AddressBody | None = None


class SessionData(Shape):
    """Where to send the customer."""

    url: str = Field(examples=["https://checkout.stripe.com/c/pay/cs_test_123"])
    session_id: str = Field(examples=["cs_test_123"])


class CheckoutShape(SessionData):
    """The same at the top (document 000) and under ``data`` (document 001)."""

    success: bool = True
    data: SessionData


class SubscriptionData(Shape):
    """A subscription; ``id`` is Stripe's, ``amount`` in the smallest unit of the currency."""

    id: str | None = Field(examples=["sub_123"])
    user_id: int
    status: str = Field(examples=["active"])
    plan: str = Field(examples=["plan_starter"])
    price_id: str = Field(examples=["price_123"])
    quantity: int
    amount: int = Field(examples=[999])
    currency: str = Field(examples=["usd"])
    current_period_start: datetime | None
    current_period_end: datetime | None
    trial_end: datetime | None
    cancel_at_period_end: bool
    canceled_at: datetime | None
    created_at: datetime


class SubscriptionShape(Shape):
    """One subscription, as document 001 wraps what it answers."""

    success: bool = True
    data: SubscriptionData


class SubscriptionsShape(Shape):
    """The subscriptions of a user, newest first."""

    success: bool = True
    data: list[SubscriptionData]


class BegunData(SubscriptionData):
    """What the payment form needs for the first payment."""

    subscription_id: str | None = Field(examples=["sub_123"])
    client_secret: str | None = Field(examples=["pi_123_secret_456"])


class BegunShape(Shape):
    """A subscription that waits for its first payment, at the top and under ``data``."""

    success: bool = True
    subscription_id: str | None = Field(examples=["sub_123"])
    client_secret: str | None = Field(examples=["pi_123_secret_456"])
    status: str = Field(examples=["incomplete"])
    data: BegunData


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
    responses=problems(400, 401, 403, 404, 409, 502),
)
async def create_checkout_session(
    ctx: Ctx, caller: CallerDep, key: OptionalIdempotencyKey, body: CheckoutBody
) -> CheckoutShape:
    """Open a hosted checkout; send the customer to ``url``."""
    opened = await open_checkout(ctx, caller, body, reference=body.price_id, key=key)
    assert opened.checkout.url is not None
    assert opened.checkout.stripe_session_id is not None
    data = SessionData(url=opened.checkout.url, session_id=opened.checkout.stripe_session_id)
    return CheckoutShape(url=data.url, session_id=data.session_id, data=data)


@router.post(
    "/create-subscription",
    summary="Begin a subscription",
    responses=problems(400, 401, 403, 404, 409, 422, 502),
)
async def create_subscription(
    ctx: Ctx, caller: CallerDep, key: OptionalIdempotencyKey, body: SubscribeBody
) -> BegunShape:
    """For a payment form: nothing is charged or granted before it has paid."""
    begun = await beginning.begin(
        ctx,
        caller,
        reference=body.price_id,
        quantity=body.quantity,
        user_id=body.user_id,
        payment_method_id=body.payment_method_id,
        promotion_code=body.promotion_code,
        address=address_of(body.address),
        key=key,
    )
    found, secret = begun.subscription, begun.client_secret
    stripe_id = found.stripe_subscription_id
    data = BegunData(**_subscription(found), subscription_id=stripe_id, client_secret=secret)
    return BegunShape(subscription_id=stripe_id, client_secret=secret, status=data.status, data=data)


@router.delete(
    "/subscriptions/{id}", summary="Cancel a subscription", responses=problems(400, 401, 403, 404, 409, 502)
)
async def cancel_subscription(
    ctx: Ctx,
    caller: CallerDep,
    key: OptionalIdempotencyKey,
    id: str,
    *,
    at_period_end: Annotated[bool, Query(description="false ends it at once.")] = True,
) -> SubscriptionShape:
    """End a subscription with its paid period, or at once."""
    changed = await changing.cancel(ctx, caller, id, at_once=not at_period_end, key=key)
    return SubscriptionShape(data=SubscriptionData(**_subscription(changed.subscription)))


@router.get(
    "/subscriptions/{user_id}", summary="A user's subscriptions", responses=problems(400, 401, 403, 404)
)
async def subscriptions_of_user(
    ctx: Ctx, caller: CallerDep, user_id: Annotated[int, Path(ge=1, le=2**53 - 1)]
) -> SubscriptionsShape:
    """Every subscription that a user ever had."""
    found = await viewing.of_user(ctx, caller, user_id)
    return SubscriptionsShape(data=[SubscriptionData(**_subscription(one)) for one in found])


@router.get(
    "/user-subscriptions", summary="The caller's own subscriptions", responses=problems(400, 401, 403)
)
async def user_subscriptions(ctx: Ctx, caller: CallerDep) -> SubscriptionsShape:
    """Every subscription that the signed-in user ever had."""
    found = await viewing.of_user(ctx, caller, None)
    return SubscriptionsShape(data=[SubscriptionData(**_subscription(one)) for one in found])


@router.get("/products", summary="What is on sale", responses=problems())
async def products(ctx: Ctx) -> list[ProductShape]:
    """Every product on sale with its price. Public."""
    return [_product(offer) for offer in await catalog.offers(ctx)]


@router.post("/webhook", summary="Stripe's events", responses=problems(400), openapi_extra=EVENT_BODY)
async def webhook(ctx: Ctx, raw: RawBody, signature: SignatureHeader = None) -> ReceivedShape:
    """Take an event in; it is answered as soon as it is stored."""
    await intake.receive(ctx, path="stripe", raw=raw, signature=signature)
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


def _subscription(found: Subscription) -> dict[str, Any]:
    plan, quantity, price = found.coming
    return {
        "id": found.stripe_subscription_id,
        "user_id": found.user_id,
        "status": str(found.status),
        "plan": plan,
        "price_id": found.stripe_price_id if found.next_lookup_key is None else found.next_price_id,
        "quantity": quantity,
        "amount": price.minor,
        "currency": price.currency,
        "current_period_start": found.current_period_start,
        "current_period_end": found.current_period_end,
        "trial_end": found.trial_end,
        "cancel_at_period_end": found.cancel_at_period_end,
        "canceled_at": found.canceled_at,
        "created_at": found.created_at,
    }
