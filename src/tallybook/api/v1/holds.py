"""/v1/holds: set credits aside for work of unknown cost, then capture or release."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query, Response
from pydantic import Field, StrictInt, field_validator, model_validator

from tallybook.api.deps import (
    AmountMicro,
    Body,
    CallerDep,
    Ctx,
    IdempotencyKey,
    ResumeToken,
    Shape,
    problems,
)
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.api.v1.shapes import HoldShape, PlacedShape, SettledShape
from tallybook.api.v1.transfers import Budgeted, Noted, Placed, mark_replay
from tallybook.domain.ids import LedgerId, parse_plain_id
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import HoldPolicy
from tallybook.domain.money import AMOUNT_MICRO_MAX, Credits
from tallybook.usecases import holds, wallets

router = APIRouter(
    prefix="/v1/holds",
    tags=["holds"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 402, 403, 404, 409),
)


HoldStatus = Annotated[
    Literal["open", "settled", "left_behind", "all"],
    Query(description="`left_behind`: settled by its policy, since nobody did in time."),
]


class HoldBody(Placed, Noted, Budgeted):
    """How much to set aside, for how long, and what becomes of it if it is left behind."""

    amount_micro: AmountMicro
    lifetime_seconds: Annotated[StrictInt, Field(ge=1, le=recipes.HOLD_LIFETIME_MAX_SECONDS)] = (
        recipes.HOLD_LIFETIME_DEFAULT_SECONDS
    )
    on_expiry: HoldPolicy = HoldPolicy.RELEASE
    estimate_micro: Annotated[StrictInt, Field(ge=0, le=AMOUNT_MICRO_MAX)] | None = None
    parent: Annotated[str, Field(max_length=60, examples=["hld_12_3"])] | None = Field(
        default=None, description="Take it out of this open hold instead of what is available."
    )

    @field_validator("on_expiry", mode="before")
    @classmethod
    def _policy(cls, value: object) -> object:
        return HoldPolicy(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _estimate_fits(self) -> Self:
        if self.estimate_micro is not None and self.estimate_micro > self.amount_micro:
            raise ValueError("estimate_micro is larger than amount_micro")
        if self.parent is not None and (self.wallet is not None or self.user_id is not None):
            raise ValueError("parent says which wallet; give neither wallet nor user_id")
        return self

    def estimate(self) -> Credits | None:
        """What `capture_estimate` would take, if it was said."""
        return None if self.estimate_micro is None else Credits(self.estimate_micro)

    def parent_id(self) -> LedgerId | None:
        """The hold that it is taken out of, if one was named."""
        return None if self.parent is None else LedgerId.parse("hld", self.parent)


class CaptureBody(Noted):
    """What the work cost; with ``final`` the rest is available again."""

    amount_micro: Annotated[StrictInt, Field(ge=0, le=AMOUNT_MICRO_MAX)]
    final: bool = True
    allow_excess: Annotated[
        bool, Field(description="Spend what is beyond the hold from what is available; needs exceed_holds.")
    ] = False


class ExtendBody(Body):
    """How long the hold shall live from now; it never lives shorter than it was to."""

    lifetime_seconds: Annotated[StrictInt, Field(ge=1, le=recipes.HOLD_LIFETIME_MAX_SECONDS)]


class TokenBody(Body):
    """How long the token counts at most."""

    lifetime_seconds: Annotated[StrictInt, Field(ge=1, le=recipes.HOLD_LIFETIME_MAX_SECONDS)] | None = Field(
        default=None, description="By default, and at most, as long as the hold is to live."
    )


class TokenShape(Shape):
    """A token of a hold: whoever carries it may hold out of the hold, and settle and read what it held."""

    hold: str = Field(examples=["hld_12_3"])
    token: str = Field(description="For `Authorization: Bearer`.", examples=["tbh_12_3_…"])
    expires_at: datetime


class HoldPage(Shape):
    """A page of holds, newest first; ``next_cursor`` goes into ``after``."""

    data: list[HoldShape]
    has_more: bool
    next_cursor: str | None = Field(examples=["hld_12_3"])


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
        estimate=body.estimate(),
        note=body.note(),
        resume=resume,
        parent=body.parent_id(),
        budget=body.budget_id(),
    )
    return PlacedShape.from_domain(mark_replay(answer, response))


@router.get("", summary="Holds of a wallet")
async def list_holds(
    ctx: Ctx,
    caller: CallerDep,
    wallet: Annotated[str | None, Query(max_length=40, description="Of this wallet.")] = None,
    user_id: Annotated[int | None, Query(ge=1, le=2**53 - 1, description="Of this user's wallet.")] = None,
    status: HoldStatus = "all",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[str | None, Query(description="The last hold of the page before.")] = None,
) -> HoldPage:
    """Holds that the caller could settle, newest first; by default of the signed-in user's wallet."""
    cursor = LedgerId.parse("hld", after) if after else None
    found = await holds.holds(
        ctx,
        caller,
        wallet_id=None if wallet is None else parse_plain_id("wal", wallet),
        user_id=user_id,
        status=status,
        before=2**62 if cursor is None else cursor.version,
        limit=limit + 1,
    )
    page = [HoldShape.from_domain(hold) for hold in found[:limit]]
    more = len(found) > limit
    return HoldPage(data=page, has_more=more, next_cursor=page[-1].id if more else None)


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
        allow_excess=body.allow_excess,
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


@router.post("/{hold}/extend", summary="Keep a hold alive")
async def extend_hold(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, hold: str, body: ExtendBody
) -> HoldShape:
    """Let it live so long from now, as a heartbeat does. Repeating it is harmless, so the key is not kept."""
    del key
    found = await holds.extend(
        ctx, caller, LedgerId.parse("hld", hold), lifetime_seconds=body.lifetime_seconds
    )
    return HoldShape.from_domain(found)


@router.post("/{hold}/tokens", status_code=201, summary="Hand a hold on")
async def create_hold_token(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, hold: str, body: TokenBody
) -> TokenShape:
    """A token for a sub-agent. Nothing is stored: the same key gives a token that reaches the same sub-holds."""
    found = await holds.hand_on(
        ctx, caller, LedgerId.parse("hld", hold), key=key, lifetime_seconds=body.lifetime_seconds
    )
    return TokenShape(
        hold=found.token.hold_id.wire("hld"), token=found.text, expires_at=found.token.expires_at
    )
