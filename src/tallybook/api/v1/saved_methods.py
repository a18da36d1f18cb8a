"""/v1/setup-intents, /v1/payment-methods and /v1/portal-sessions: what a customer saved to pay with."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from tallybook.api.deps import Body, CallerDep, Ctx, IdempotencyKey, Shape, UserId, problems
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.domain.payments.saved_methods import Purse
from tallybook.usecases.cards import portal, saved_methods

router = APIRouter(
    prefix="/v1/payment-methods",
    tags=["cards"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 403, 404, 502),
)
setups_router = APIRouter(
    prefix="/v1/setup-intents",
    tags=["cards"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 403, 404, 502),
)
portal_router = APIRouter(
    prefix="/v1/portal-sessions",
    tags=["cards"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 403, 404, 502),
)
OfUser = Annotated[int | None, Query(ge=1, le=2**53 - 1, description="Of this user; for an admin.")]
MethodId = Annotated[str, Field(min_length=1, max_length=255, examples=["pm_123"])]
ReturnUrl = Annotated[str, Field(min_length=1, max_length=2000, examples=["https://yourapp.com/billing"])]


class SetupBody(Body):
    """Whose card is to be saved; by default the caller's."""

    user_id: UserId | None = None


class SetupShape(Shape):
    """A form for saving a card."""

    stripe_setup_intent_id: str = Field(examples=["seti_123"])
    status: str = Field(examples=["requires_payment_method"])
    client_secret: str | None = Field(description="For Stripe.js; never store it.", examples=[None])
    publishable_key: str | None = Field(description="For Stripe.js.", examples=["pk_test_123"])


class DefaultBody(Body):
    """Which one to charge first."""

    payment_method: MethodId
    user_id: UserId | None = None


class MethodShape(Shape):
    """A saved card, or another method that can be charged again."""

    id: str = Field(examples=["pm_123"])
    type: str = Field(examples=["card"])
    brand: str | None = Field(examples=["visa"])
    last4: str | None = Field(examples=["4242"])
    exp_month: int | None = Field(examples=[12])
    exp_year: int | None = Field(examples=[2034])
    is_default: bool


class MethodsShape(Shape):
    """What a customer saved, newest first."""

    data: list[MethodShape]
    has_more: bool = False
    next_cursor: str | None = None


class PortalBody(Body):
    """Where the customer comes back to; by default our billing page."""

    return_url: ReturnUrl | None = None
    user_id: UserId | None = None


class PortalShape(Shape):
    """A link into Stripe's customer portal, for one visit."""

    url: str = Field(examples=["https://billing.stripe.com/p/session/test_123"])


@setups_router.post("", status_code=201, summary="Save a card")
async def create_setup_intent(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, body: SetupBody
) -> SetupShape:
    """A form in which a customer saves a card for later charges; the first one becomes their default."""
    made = await saved_methods.open_setup(ctx, caller, user_id=body.user_id, key=key)
    return SetupShape(
        stripe_setup_intent_id=made.id,
        status=made.status,
        client_secret=made.client_secret,
        publishable_key=ctx.publishable_key,
    )


@router.get("", summary="Saved cards")
async def list_payment_methods(ctx: Ctx, caller: CallerDep, user_id: OfUser = None) -> MethodsShape:
    """What the customer saved; Stripe has it, we keep no copy."""
    return _drawn(await saved_methods.get(ctx, caller, user_id=user_id))


@router.put("/default", summary="Choose the card to charge")
async def set_default_payment_method(ctx: Ctx, caller: CallerDep, body: DefaultBody) -> MethodsShape:
    """Charged first from now on; an auto top-up that stopped because of the card goes on."""
    purse = await saved_methods.make_default(ctx, caller, body.payment_method, user_id=body.user_id)
    return _drawn(purse)


@router.delete("/{payment_method}", status_code=204, summary="Remove a saved card")
async def remove_payment_method(
    ctx: Ctx, caller: CallerDep, payment_method: str, user_id: OfUser = None
) -> None:
    """It can never be charged again."""
    await saved_methods.let_go(ctx, caller, payment_method, user_id=user_id)


@portal_router.post("", status_code=201, summary="Open the customer portal")
async def create_portal_session(
    ctx: Ctx, caller: CallerDep, _key: IdempotencyKey, body: PortalBody
) -> PortalShape:
    """A link to where the customer sees their invoices, changes their card, and ends their plan."""
    url = await portal.open_portal(ctx, caller, user_id=body.user_id, return_url=body.return_url)
    return PortalShape(url=url)


def _drawn(purse: Purse) -> MethodsShape:
    return MethodsShape(
        data=[
            MethodShape(
                id=method.id,
                type=method.kind,
                brand=method.brand,
                last4=method.last4,
                exp_month=method.exp_month,
                exp_year=method.exp_year,
                is_default=method.id == purse.default_id,
            )
            for method in purse.methods
        ]
    )
