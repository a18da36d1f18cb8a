"""/v1/budgets and /v1/caps: limits over a wallet, and an end user's monthly limit for one app."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field, StrictInt

from tallybook.api.deps import Body, CallerDep, Ctx, IdempotencyKey, Shape, problems
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.api.v1.transfers import Placed
from tallybook.domain.ids import LedgerId, parse_plain_id, plain_id
from tallybook.domain.ledger.budgets import (
    KIND_DEFAULT,
    KIND_LENGTH_MAX,
    NAME_LENGTH_MAX,
    Budget,
    BudgetTerms,
    Period,
)
from tallybook.domain.money import AMOUNT_MICRO_MAX
from tallybook.usecases import budgets

router = APIRouter(
    prefix="/v1/budgets",
    tags=["budgets"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 403, 404),
)
caps_router = APIRouter(
    prefix="/v1/caps", tags=["budgets"], route_class=StrictJsonRoute, responses=problems(400, 401, 403, 404)
)

LimitMicro = Annotated[
    Annotated[StrictInt, Field(ge=0, le=AMOUNT_MICRO_MAX)] | None,
    Field(description="For each period, in micro-credits; null: no limit.", examples=[50_000_000]),
]
BudgetName = Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX, examples=["Research team"])]
BudgetKind = Annotated[
    str, Field(min_length=1, max_length=KIND_LENGTH_MAX, description="Free text.", examples=["team"])
]


class BudgetBody(Placed):
    """A new budget over a wallet: ``wallet``, ``user_id``, else the parent's, else the signed-in user's own."""

    parent: str | None = Field(default=None, examples=["bud_12_3"], max_length=60)
    name: BudgetName
    kind: BudgetKind = KIND_DEFAULT
    limit_micro: LimitMicro = None
    period: Literal["none", "day", "week", "month"] = "none"

    def place(self) -> budgets.Place:
        """Over which wallet, below which budget."""
        return budgets.Place(
            wallet_id=self.wallet_id(),
            user_id=self.user_id,
            parent=None if self.parent is None else LedgerId.parse("bud", self.parent),
        )

    def terms(self) -> BudgetTerms:
        """What it is called and what it allows."""
        period = Period(self.period)
        return BudgetTerms(name=self.name, kind=self.kind, limit_micro=self.limit_micro, period=period)


class LimitBody(Body):
    """The new limit; null lifts it."""

    limit_micro: LimitMicro


class CapBody(Body):
    """Which app may take how much in a month; null lifts the cap."""

    app_id: Annotated[str, Field(max_length=80, examples=["app_Zk3vQ9"])]
    limit_micro: LimitMicro


class BudgetShape(Shape):
    """A budget as it is now; used is spent and held together."""

    id: str = Field(examples=["bud_12_3"])
    wallet: str = Field(examples=["wal_12"])
    parent: str | None = Field(examples=["bud_12_1"])
    app_id: str | None = Field(examples=[None], description="The app, if it is a cap.")
    name: str = Field(examples=["Research team"])
    kind: str = Field(examples=["team"])
    limit_micro: int | None = Field(examples=[50_000_000])
    period: Period = Field(examples=["month"])
    spent_micro: int = Field(examples=[12_000_000], description="In this period.")
    held_micro: int = Field(examples=[0], description="By open holds.")
    period_ends_at: datetime | None
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_domain(cls, budget: Budget) -> BudgetShape:
        """Draw a budget."""
        return cls(
            id=budget.id.wire("bud"),
            wallet=plain_id("wal", budget.id.wallet_id),
            parent=None if budget.parent is None else budget.parent.wire("bud"),
            app_id=budget.capped_app,
            name=budget.terms.name,
            kind=budget.terms.kind,
            limit_micro=budget.terms.limit_micro,
            period=budget.terms.period,
            spent_micro=budget.spent_micro,
            held_micro=budget.held_micro,
            period_ends_at=budget.period_ends_at,
            created_at=budget.created_at,
            updated_at=budget.updated_at,
        )


class BudgetPage(Shape):
    """A page of budgets; ``next_cursor`` goes into ``after``."""

    data: list[BudgetShape]
    has_more: bool
    next_cursor: str | None = Field(examples=["bud_12_3"])


class CapList(Shape):
    """All caps of a user."""

    data: list[BudgetShape]


@router.post("", status_code=201, summary="Make a budget")
async def create_budget(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, body: BudgetBody, response: Response
) -> BudgetShape:
    """For the wallet's owner, for an app with ``consume_credits``, and for admins."""
    made = await budgets.add(ctx, caller, body.place(), body.terms(), key=key)
    if made.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return BudgetShape.from_domain(made.budget)


@router.get("", summary="Budgets")
async def list_budgets(
    ctx: Ctx,
    caller: CallerDep,
    wallet: Annotated[str | None, Query(max_length=40, description="Of this wallet.")] = None,
    user_id: Annotated[int | None, Query(ge=1, le=2**53 - 1, description="Of this user's wallet.")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[str | None, Query(description="The last budget of the page before.")] = None,
) -> BudgetPage:
    """In the order they were made, caps among them: of a wallet, of a user, else the signed-in user's own."""
    place = budgets.Place(
        wallet_id=None if wallet is None else parse_plain_id("wal", wallet), user_id=user_id
    )
    cursor = LedgerId.parse("bud", after).version if after else 0
    found = await budgets.page(ctx, caller, place, after=cursor, limit=limit + 1)
    page, more = [BudgetShape.from_domain(one) for one in found[:limit]], len(found) > limit
    return BudgetPage(data=page, has_more=more, next_cursor=page[-1].id if more else None)


@router.get("/{budget}", summary="A budget")
async def get_budget(ctx: Ctx, caller: CallerDep, budget: str) -> BudgetShape:
    """What it allows, and what is used of it in this period."""
    return BudgetShape.from_domain(await budgets.get(ctx, caller, LedgerId.parse("bud", budget)))


@router.patch("/{budget}", summary="Set or lift the limit of a budget")
async def limit_budget(ctx: Ctx, caller: CallerDep, budget: str, body: LimitBody) -> BudgetShape:
    """For who keeps it: the wallet's owner, or the app that made it; and for admins."""
    changed = await budgets.limit(ctx, caller, LedgerId.parse("bud", budget), body.limit_micro)
    return BudgetShape.from_domain(changed)


@caps_router.put("", summary="Cap what an app takes in a month")
async def set_cap(ctx: Ctx, caller: CallerDep, body: CapBody) -> BudgetShape:
    """On the signed-in user's own wallet; applied to that app's spends and holds unasked."""
    return BudgetShape.from_domain(await budgets.set_cap(ctx, caller, body.app_id, body.limit_micro))


@caps_router.get("", summary="Caps")
async def list_caps(ctx: Ctx, caller: CallerDep) -> CapList:
    """On the signed-in user's own wallet; a lifted cap has no limit and counts on."""
    return CapList(data=[BudgetShape.from_domain(one) for one in await budgets.caps(ctx, caller)])
