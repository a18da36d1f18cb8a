"""/v1/holds: set credits aside for work of unknown cost, then capture or release."""

from __future__ import annotations

from typing import Annotated, Self

from fastapi import APIRouter, Response
from pydantic import Field, StrictInt, field_validator, model_validator

from tallybook.api.deps import AmountMicro, CallerDep, Ctx, IdempotencyKey, ResumeToken, problems
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.api.v1.shapes import HoldShape, PlacedShape, SettledShape
from tallybook.api.v1.transfers import Noted, Placed, mark_replay
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import HoldPolicy
from tallybook.domain.money import AMOUNT_MICRO_MAX, Credits
from tallybook.usecases import wallets

router = APIRouter(
    prefix="/v1/holds",
    tags=["holds"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 402, 403, 404, 409),
)


class HoldBody(Placed, Noted):
    """How much to set aside, for how long, and what becomes of it if it is left behind."""

    amount_micro: AmountMicro
    lifetime_seconds: Annotated[StrictInt, Field(ge=1, le=recipes.HOLD_LIFETIME_MAX_SECONDS)] = (
        recipes.HOLD_LIFETIME_DEFAULT_SECONDS
    )
    on_expiry: HoldPolicy = HoldPolicy.RELEASE
    estimate_micro: Annotated[StrictInt, Field(ge=0, le=AMOUNT_MICRO_MAX)] | None = None

    @field_validator("on_expiry", mode="before")
    @classmethod
    def _policy(cls, value: object) -> object:
        return HoldPolicy(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _estimate_fits(self) -> Self:
        if self.estimate_micro is not None and self.estimate_micro > self.amount_micro:
            raise ValueError("estimate_micro is larger than amount_micro")
        return self


class CaptureBody(Noted):
    """What the work cost; with ``final`` the rest is available again."""

    amount_micro: Annotated[StrictInt, Field(ge=0, le=AMOUNT_MICRO_MAX)]
    final: bool = True


class ReleaseBody(Noted):
    """Nothing is needed to release a hold."""


@router.post("", status_code=201, summary="Place a hold")
async def place_hold(
    ctx: Ctx,
    caller: CallerDep,
    key: IdempotencyKey,
    body: HoldBody,
    response: Response,
    resume: ResumeToken = None,
) -> PlacedShape:
    """Set credits aside: they are no longer available, and not yet spent."""
    answer = await wallets.place_hold(
        ctx,
        caller,
        credits=Credits(body.amount_micro),
        key=key,
        user_id=body.user_id,
        wallet_id=body.wallet_id(),
        lifetime_seconds=body.lifetime_seconds,
        on_expiry=body.on_expiry,
        estimate=None if body.estimate_micro is None else Credits(body.estimate_micro),
        note=body.note(),
        resume=resume,
    )
    mark_replay(answer, response)
    return PlacedShape.from_domain(answer)


@router.get("/{hold}", summary="A hold")
async def get_hold(ctx: Ctx, caller: CallerDep, hold: str) -> HoldShape:
    """A hold as it is now."""
    return HoldShape.from_domain(await wallets.hold(ctx, caller, LedgerId.parse("hld", hold)))


@router.post("/{hold}/capture", summary="Capture a hold")
async def capture_hold(
    ctx: Ctx,
    caller: CallerDep,
    key: IdempotencyKey,
    hold: str,
    body: CaptureBody,
    response: Response,
    resume: ResumeToken = None,
) -> SettledShape:
    """Take what the work cost, in full or in part."""
    answer = await wallets.capture_hold(
        ctx,
        caller,
        LedgerId.parse("hld", hold),
        credits=Credits(body.amount_micro),
        key=key,
        final=body.final,
        note=body.note(),
        resume=resume,
    )
    mark_replay(answer, response)
    return SettledShape.from_domain(answer)


@router.post("/{hold}/release", summary="Release a hold")
async def release_hold(
    ctx: Ctx,
    caller: CallerDep,
    key: IdempotencyKey,
    hold: str,
    body: ReleaseBody,
    response: Response,
) -> SettledShape:
    """Give back all that is left of a hold."""
    answer = await wallets.release_hold(ctx, caller, LedgerId.parse("hld", hold), key=key, note=body.note())
    mark_replay(answer, response)
    return SettledShape.from_domain(answer)
