"""/api/stripe/customer-portal, as document 001 names it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from tallybook.api.buying import ReturnUrl
from tallybook.api.deps import Body, CallerDep, Ctx, OptionalIdempotencyKey, Shape, UserId, problems
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.usecases.cards import portal

router = APIRouter(prefix="/api/stripe", tags=["stripe"], route_class=StrictJsonRoute)


class PortalBody(Body):
    """Whose portal, and where they come back to."""

    return_url: ReturnUrl | None = None
    user_id: UserId | None = None


class PortalData(Shape):
    """Where to send the customer."""

    url: str = Field(examples=["https://billing.stripe.com/p/session/test_123"])


class PortalShape(PortalData):
    """The same at the top and under ``data``, as for a checkout."""

    success: bool = True
    data: PortalData


@router.get("/customer-portal", summary="The customer portal", responses=problems(401, 403, 404, 502))
async def customer_portal(
    ctx: Ctx,
    caller: CallerDep,
    return_url: Annotated[str | None, Query(min_length=1, max_length=2000)] = None,
    user_id: Annotated[int | None, Query(ge=1, le=2**53 - 1)] = None,
) -> PortalShape:
    """A link into Stripe's customer portal, for one visit."""
    url = await portal.open_portal(ctx, caller, user_id=user_id, return_url=return_url)
    return PortalShape(url=url, data=PortalData(url=url))


@router.post("/customer-portal", summary="The customer portal", responses=problems(400, 401, 403, 404, 502))
async def open_customer_portal(
    ctx: Ctx, caller: CallerDep, _key: OptionalIdempotencyKey, body: PortalBody
) -> PortalShape:
    """The same, for clients that post; each call makes a new link."""
    url = await portal.open_portal(ctx, caller, user_id=body.user_id, return_url=body.return_url)
    return PortalShape(url=url, data=PortalData(url=url))
