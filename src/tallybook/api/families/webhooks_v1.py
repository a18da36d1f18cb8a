"""/api/v1/webhooks/*: the webhook and its configuration check, as document 004 names them."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from pydantic import Field

from tallybook.api.deps import Ctx, Shape, problems
from tallybook.api.families.webhooks import EVENT_BODY, RawBody, SignatureHeader
from tallybook.usecases import intake

router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"])


class StatusShape(Shape):
    """The event is stored."""

    status: str = "success"


class PathShape(Shape):
    """Whether a webhook path has a signing secret."""

    secret_configured: bool


class WebhookHealthShape(Shape):
    """What is configured; never a secret."""

    status: Literal["healthy", "unconfigured"]
    stripe_configured: bool
    webhook_secret_configured: bool = Field(description="For this document's own path.")
    livemode: bool
    paths: dict[str, PathShape] = Field(examples=[{"/api/v1/webhooks/stripe": {"secret_configured": True}}])


_PATHS = {
    "stripe": "/api/stripe/webhook",
    "credits": "/api/credits/webhook",
    "v1": "/api/v1/webhooks/stripe",
}


@router.post("/stripe", summary="Stripe's events", responses=problems(400), openapi_extra=EVENT_BODY)
async def webhook(ctx: Ctx, raw: RawBody, signature: SignatureHeader = None) -> StatusShape:
    """Take an event in; it is answered as soon as it is stored."""
    await intake.receive(ctx, path="v1", raw=raw, signature=signature)
    return StatusShape()


@router.get("/health", summary="Is the webhook configured?")
async def health(ctx: Ctx) -> WebhookHealthShape:
    """What is configured. Public."""
    found = intake.health(ctx)
    own = found.paths["v1"]
    return WebhookHealthShape(
        status="healthy" if own and found.stripe_configured else "unconfigured",
        stripe_configured=found.stripe_configured,
        webhook_secret_configured=own,
        livemode=found.livemode,
        paths={_PATHS[name]: PathShape(secret_configured=on) for name, on in found.paths.items()},
    )
