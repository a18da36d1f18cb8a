"""/api/credits/*: buy a package, come back from it, and the webhook, as document 002 names them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import Field

from tallybook.api.deps import (
    Body,
    CallerDep,
    Ctx,
    OptionalIdempotencyKey,
    Shape,
    problems,
)
from tallybook.api.families.webhooks import EVENT_BODY, RawBody, SignatureHeader
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.domain.errors import CheckoutNotFoundError, PaymentMethodUnsupportedError
from tallybook.usecases import checkouts, fulfilment, intake

router = APIRouter(prefix="/api/credits", tags=["credits"], route_class=StrictJsonRoute)
SUCCESS_PAGE = "/credits/success?session_id={CHECKOUT_SESSION_ID}"
CANCEL_PAGE = "/credits"


class PurchaseBody(Body):
    """Which package; ``payment_method`` is always ``stripe``."""

    package_id: Annotated[int, Field(ge=1, le=2**31 - 1, examples=[1])]
    payment_method: Annotated[str, Field(max_length=50, examples=["stripe"])] = "stripe"


class PurchaseShape(Shape):
    """Where to send the customer."""

    success: bool = True
    message: str = "Checkout session created"
    payment_url: str = Field(examples=["https://checkout.stripe.com/c/pay/cs_test_123"])


class SessionShape(Shape):
    """A checkout session after the customer came back; ``amount_total`` in the smallest unit."""

    id: str = Field(examples=["cs_test_123"])
    status: str | None = Field(examples=["complete"])
    payment_status: str = Field(examples=["paid"])
    amount_total: int | None = Field(examples=[1000])
    currency: str | None = Field(examples=["usd"])
    metadata: dict[str, str]
    credits: int | float = Field(examples=[1000])
    credits_added: bool


class SessionAnswer(Shape):
    """The session."""

    success: bool = True
    session: SessionShape


class ReceivedShape(Shape):
    """The event is stored."""

    success: bool = True
    received: bool = True


@router.post("/purchase", summary="Buy a package", responses=problems(400, 401, 403, 404, 502))
async def purchase(
    ctx: Ctx, caller: CallerDep, key: OptionalIdempotencyKey, body: PurchaseBody
) -> PurchaseShape:
    """Open a hosted checkout for a package; the customer comes back to our own page."""
    if body.payment_method != "stripe":
        raise PaymentMethodUnsupportedError
    opened = await checkouts.open_checkout(
        ctx,
        caller,
        reference=body.package_id,
        quantity=1,
        success_url=ctx.pages_url + SUCCESS_PAGE,
        cancel_url=ctx.pages_url + CANCEL_PAGE,
        user_id=None,
        mode="payment",
        key=key,
    )
    assert opened.checkout.url is not None
    return PurchaseShape(payment_url=opened.checkout.url)


@router.get(
    "/session/{session_id}",
    summary="A checkout session after payment",
    responses=problems(401, 403, 404, 502),
)
async def session(
    ctx: Ctx,
    caller: CallerDep,
    session_id: Annotated[str, Path(max_length=255, pattern=r"^cs_[A-Za-z0-9_]+$")],
) -> SessionAnswer:
    """The caller's own session; if it is paid its credits are added now, webhook or not."""
    settled = await fulfilment.return_from_checkout(ctx, caller, session_id)
    report, checkout = settled.report, settled.checkout
    if report is None or checkout is None:
        raise CheckoutNotFoundError
    return SessionAnswer(
        session=SessionShape(
            id=report.id,
            status=report.status,
            payment_status=report.payment_status,
            amount_total=report.amount_total,
            currency=report.currency,
            metadata=dict(report.metadata),
            credits=checkout.credits.number(),
            credits_added=checkout.granted_version is not None,
        )
    )


@router.post("/webhook", summary="Stripe's events", responses=problems(400), openapi_extra=EVENT_BODY)
async def webhook(ctx: Ctx, raw: RawBody, signature: SignatureHeader = None) -> ReceivedShape:
    """Take an event in; it is answered as soon as it is stored."""
    await intake.receive(ctx, path="credits", raw=raw, signature=signature)
    return ReceivedShape()
