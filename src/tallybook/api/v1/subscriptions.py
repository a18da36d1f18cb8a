"""/v1/subscriptions: begin a plan for a payment form, look at it, change, cancel, pause and resume it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BeforeValidator, Field

from tallybook.api.buying import AddressBody, PromotionCode, Quantity, address_of
from tallybook.api.deps import Body, CallerDep, Ctx, IdempotencyKey, UserId, problems
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.api.v1.subscription_shapes import (
    BegunShape,
    DetailShape,
    InvoiceShape,
    PreviewShape,
    SubscriptionList,
    SubscriptionShape,
    facts,
)
from tallybook.usecases.subscriptions import beginning, changing, plans, viewing

router = APIRouter(
    prefix="/v1/subscriptions",
    tags=["subscriptions"],
    route_class=StrictJsonRoute,
    responses=problems(401, 403, 404),
)
_ASKS_STRIPE = problems(400, 402, 409, 422, 502)
Plan = Annotated[
    str,
    Field(
        min_length=1,
        max_length=255,
        description="A plan's lookup key, an alias or a Stripe price id.",
        examples=["plan_professional"],
    ),
]


def _text(value: object) -> object:
    """A time is text with its zone; a bare number would be anybody's guess."""
    if value is not None and not isinstance(value, str):
        message = "Input should be a time as text, such as 2027-01-31T12:00:00Z"
        raise ValueError(message)
    return value


AtPeriodEnd = Literal["period_end"] | None
Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_text)]


class BeginBody(Body):
    """What to subscribe to; without a payment method the form asks for one."""

    price: Plan
    quantity: Quantity = 1
    user_id: UserId | None = None
    payment_method: Annotated[str | None, Field(max_length=255, examples=["pm_123"])] = None
    promotion_code: PromotionCode | None = None
    address: AddressBody | None = None


class ChangeBody(Body):
    """Another plan, another quantity, or both; ``proration_date`` is a preview's, for the same price.

    ``at`` has a dearer plan wait for the next period; a cheaper one does anyway.
    """

    price: Plan
    quantity: Quantity | None = None
    proration_date: Moment | None = None
    at: AtPeriodEnd = None


class CancelBody(Body):
    """When it is to end."""

    at: Literal["period_end", "now"] = "period_end"


class PauseBody(Body):
    """When it goes on by itself; never without."""

    resumes_at: Moment | None = None


@router.post("", status_code=201, summary="Begin a subscription", responses=_ASKS_STRIPE)
async def begin_subscription(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, body: BeginBody, response: Response
) -> BegunShape:
    """For a payment form of your own; POST /v1/checkouts with mode subscription opens Stripe's page instead."""
    begun = await beginning.begin(
        ctx,
        caller,
        reference=body.price,
        quantity=body.quantity,
        user_id=body.user_id,
        payment_method_id=body.payment_method,
        promotion_code=body.promotion_code,
        address=address_of(body.address),
        key=key,
    )
    if begun.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return BegunShape(**facts(begun.subscription), client_secret=begun.client_secret)


@router.get("", summary="The subscriptions of a user")
async def list_subscriptions(
    ctx: Ctx,
    caller: CallerDep,
    user_id: Annotated[
        int | None, Query(ge=1, le=2**53 - 1, description="Whose; default: the caller's own.")
    ] = None,
) -> SubscriptionList:
    """Every subscription that a user ever had."""
    found = await viewing.of_user(ctx, caller, user_id)
    return SubscriptionList(data=[SubscriptionShape.from_domain(one) for one in found])


@router.get("/{subscription}", summary="A subscription")
async def get_subscription(ctx: Ctx, caller: CallerDep, subscription: str) -> DetailShape:
    """A subscription by our id or Stripe's, with its newest invoices."""
    found, invoices = await viewing.one(ctx, caller, subscription)
    return DetailShape(**facts(found), invoices=[InvoiceShape.from_domain(one) for one in invoices])


@router.get("/{subscription}/preview", summary="What a change would cost", responses=problems(409, 502))
async def preview_change(
    ctx: Ctx,
    caller: CallerDep,
    subscription: str,
    price: Annotated[str, Query(min_length=1, max_length=255)],
    quantity: Annotated[int | None, Query(ge=1, le=1000)] = None,
    at: Annotated[AtPeriodEnd, Query(description="As for the change.")] = None,
) -> PreviewShape:
    """What a change of plan would cost and bring now; nothing happens."""
    found = await plans.preview(
        ctx, caller, subscription, plan=price, quantity=quantity, at_period_end=at is not None
    )
    return PreviewShape.from_domain(found)


@router.post("/{subscription}/change", summary="Change the plan", responses=_ASKS_STRIPE)
async def change_plan(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, subscription: str, body: ChangeBody, response: Response
) -> SubscriptionShape:
    """Dearer now, for the difference; cheaper with the next period, for nothing."""
    changed = await plans.change(
        ctx,
        caller,
        subscription,
        plan=body.price,
        quantity=body.quantity,
        proration_date=body.proration_date,
        at_period_end=body.at is not None,
        key=key,
    )
    return _changed(changed, response)


@router.post("/{subscription}/cancel", summary="Cancel", responses=_ASKS_STRIPE)
async def cancel(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, subscription: str, body: CancelBody, response: Response
) -> SubscriptionShape:
    """With the end of the paid period, or at once; nothing is given back, and what was bought stays."""
    changed = await changing.cancel(ctx, caller, subscription, at_once=body.at == "now", key=key)
    return _changed(changed, response)


@router.post("/{subscription}/reactivate", summary="Do not cancel after all", responses=_ASKS_STRIPE)
async def reactivate(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, subscription: str, response: Response
) -> SubscriptionShape:
    """Take back that it is to end with its period."""
    return _changed(await changing.reactivate(ctx, caller, subscription, key=key), response)


@router.post("/{subscription}/pause", summary="Pause", responses=_ASKS_STRIPE)
async def pause(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, subscription: str, body: PauseBody, response: Response
) -> SubscriptionShape:
    """From the next period on nothing is billed and nothing granted."""
    changed = await changing.pause(ctx, caller, subscription, resumes_at=body.resumes_at, key=key)
    return _changed(changed, response)


@router.post("/{subscription}/resume", summary="Resume", responses=_ASKS_STRIPE)
async def resume(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, subscription: str, response: Response
) -> SubscriptionShape:
    """Bill and grant again."""
    return _changed(await changing.resume(ctx, caller, subscription, key=key), response)


def _changed(changed: changing.Changed, response: Response) -> SubscriptionShape:
    if changed.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return SubscriptionShape.from_domain(changed.subscription)
