"""/v1/top-up: a customer's rule for auto top-up; and what it charged."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Query
from pydantic import Field, StrictBool, model_validator

from tallybook.api.deps import AmountMicro, Body, CallerDep, Ctx, Shape, UserId, problems
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.api.v1.payment_intents import Currency, PaymentIntentShape
from tallybook.domain.ids import parse_plain_id, plain_id
from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.top_ups import TopUpTerms
from tallybook.usecases.cards import rules

router = APIRouter(
    prefix="/v1/top-up",
    tags=["cards"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 403, 404),
)
CAP_MAX = 10**12
NUMBER_MAX = 2**62
OfUser = Annotated[int | None, Query(ge=1, le=2**53 - 1, description="Of this user; for an admin.")]


class TopUpBody(Body):
    """Below the threshold buy a pack so often as needed, or credits at the catalogue's rate; no more than the cap."""

    threshold_micro: AmountMicro
    price: Annotated[
        str | None,
        Field(min_length=1, max_length=255, description="A pack or a package.", examples=["pack_100"]),
    ] = None
    quantity: Annotated[int, Field(ge=1, le=1000, description="The least to buy at once.")] = 1
    credits_micro: AmountMicro | None = None
    monthly_cap_minor: Annotated[
        int, Field(ge=1, le=CAP_MAX, description="In a month of UTC.", examples=[10_000])
    ]
    currency: Currency = "usd"
    enabled: StrictBool = True
    user_id: UserId | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.price is None) == (self.credits_micro is None):
            raise ValueError("give price, or credits_micro at the catalogue's rate")
        return self

    def terms(self) -> TopUpTerms:
        """What the customer wants."""
        return TopUpTerms(
            threshold=Credits(self.threshold_micro),
            lookup_key=self.price,
            quantity=self.quantity,
            credits=None if self.credits_micro is None else Credits(self.credits_micro),
            monthly_cap=Money(self.monthly_cap_minor, self.currency),
            enabled=self.enabled,
        )


class TopUpShape(Shape):
    """A rule, and how it stands: ``stopped`` says why nothing is charged until the customer does something."""

    wallet: str = Field(examples=["wal_12"])
    user_id: int
    enabled: bool
    threshold_micro: int = Field(examples=[50_000_000])
    product: str | None = Field(examples=["pack_100"])
    quantity: int
    credits_micro: int | None = Field(examples=[None])
    monthly_cap_minor: int = Field(examples=[10_000])
    charged_minor: int = Field(description="In this month, with what is in flight.", examples=[1000])
    currency: str = Field(examples=["usd"])
    declines: int = Field(description="In a row.", examples=[0])
    not_before: datetime
    stopped: Literal["no_saved_card", "not_sold", "card_refused", "declined_too_often"] | None
    updated_at: datetime

    @classmethod
    def from_domain(cls, standing: rules.Standing) -> Self:
        """Draw a rule."""
        rule, terms = standing.rule, standing.rule.terms
        return cls(
            wallet=plain_id("wal", rule.wallet_id),
            user_id=rule.user_id,
            enabled=terms.enabled,
            threshold_micro=terms.threshold.micro,
            product=terms.lookup_key,
            quantity=terms.quantity,
            credits_micro=None if terms.credits is None else terms.credits.micro,
            monthly_cap_minor=terms.monthly_cap.minor,
            charged_minor=standing.charged.minor,
            currency=terms.monthly_cap.currency,
            declines=rule.declines,
            not_before=rule.not_before,
            stopped=None if rule.stopped is None else rule.stopped.value,
            updated_at=rule.updated_at,
        )


class ChargesPage(Shape):
    """A page of top-ups, newest first; ``next_cursor`` goes into ``after``."""

    data: list[PaymentIntentShape]
    has_more: bool
    next_cursor: str | None = Field(examples=["pin_7"])


@router.put("", summary="Set auto top-up", responses=problems(401, 403, 404, 502))
async def put_top_up(ctx: Ctx, caller: CallerDep, body: TopUpBody) -> TopUpShape:
    """Charges the customer's default card by itself; setting it again begins it anew, also after it stopped."""
    standing = await rules.put(ctx, caller, body.terms(), user_id=body.user_id)
    return TopUpShape.from_domain(standing)


@router.get("", summary="Auto top-up")
async def get_top_up(ctx: Ctx, caller: CallerDep, user_id: OfUser = None) -> TopUpShape:
    """The rule, what it charged this month, and whether it stopped."""
    return TopUpShape.from_domain(await rules.get(ctx, caller, user_id=user_id))


@router.delete("", status_code=204, summary="End auto top-up")
async def end_top_up(ctx: Ctx, caller: CallerDep, user_id: OfUser = None) -> None:
    """Nothing is charged by itself any more; what is in flight is settled as it comes."""
    await rules.end(ctx, caller, user_id=user_id)


@router.get("/charges", summary="What auto top-up charged")
async def list_charges(
    ctx: Ctx,
    caller: CallerDep,
    user_id: OfUser = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[str | None, Query(description="The last one of the page before.")] = None,
) -> ChargesPage:
    """Newest first; also those that failed, or wait for the customer."""
    cursor = parse_plain_id("pin", after) if after else NUMBER_MAX
    found = await rules.page(ctx, caller, user_id=user_id, before=cursor, limit=limit + 1)
    page, more = [PaymentIntentShape.from_domain(one) for one in found[:limit]], len(found) > limit
    return ChargesPage(data=page, has_more=more, next_cursor=page[-1].id if more else None)
