"""/api/financial/*: credits and subscriptions of a user, as documents 000 and 001 name them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import Field

from tallybook.api.deps import (
    Body,
    CallerDep,
    Ctx,
    Description,
    Metadata,
    OptionalIdempotencyKey,
    ResumeToken,
    SeedCredits,
    ServiceName,
    Shape,
    UserId,
    problems,
)
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.domain.ledger.requests import Answer, Note, Transfer, Wallet
from tallybook.domain.money import Credits
from tallybook.usecases import transfers, wallets
from tallybook.usecases.subscriptions import viewing

router = APIRouter(
    prefix="/api/financial/credits",
    tags=["financial"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 402, 403, 404, 409),
)
subscriptions_router = APIRouter(
    prefix="/api/financial/subscriptions",
    tags=["financial"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 403, 404),
)
RECENT = 20
UserInPath = Annotated[int, Path(ge=1, le=2**53 - 1)]


class BalanceShape(Shape):
    """What a user can spend now (``balance``, ``credits``), and beside it what is held and owed."""

    user_id: int
    balance: int | float = Field(examples=[995])
    credits: int | float = Field(examples=[995])
    held: int | float = Field(examples=[0])
    debt: int | float = Field(examples=[0])


class TransactionShape(Shape):
    """One change of the balance: positive for additions, negative for consumption."""

    id: int
    amount: int | float
    description: str | None
    transaction_type: str
    metadata: dict[str, Any] | None
    created_at: datetime


class CreditInfoShape(BalanceShape):
    """The balance and the newest changes of it."""

    transactions: list[TransactionShape]


class AddBody(Body):
    """How many credits to add, and why."""

    credits: SeedCredits
    description: Description = None
    metadata: Metadata = None
    admin_id: UserId | None = None


class SpendBody(Body):
    """How many credits to spend, and on what."""

    credits: SeedCredits
    description: Description = None
    service: ServiceName = None
    metadata: Metadata = None


class ChangeShape(Shape):
    """What changed."""

    success: bool = True
    user_id: int
    credits: int | float = Field(examples=[5])
    new_balance: int | float = Field(examples=[990])
    transaction_id: int


class SummaryShape(Shape):
    """What a user pays for now; amounts in the smallest unit of the currency, for each period."""

    user_id: int
    has_active_subscription: bool
    active_subscriptions: int
    total_subscriptions: int
    subscription_id: str | None = Field(examples=["sub_123"])
    status: str | None = Field(examples=["active"])
    plan: str | None = Field(examples=["plan_starter"])
    amount: int | None = Field(examples=[999])
    currency: str | None = Field(examples=["usd"])
    credits_per_period: int | float | None = Field(examples=[100])
    current_period_start: datetime | None
    current_period_end: datetime | None
    next_billing_date: datetime | None
    cancel_at_period_end: bool
    last_payment_status: str | None = Field(examples=["paid"])


@router.get("/balance", summary="The caller's own balance")
async def balance(ctx: Ctx, caller: CallerDep) -> BalanceShape:
    """What the signed-in user can spend now."""
    found = await wallets.wallet_of_user(ctx, caller, None)
    return BalanceShape(**_balance(found))


@router.get("/{user_id}", summary="A user's credits")
async def credit_info(ctx: Ctx, caller: CallerDep, user_id: UserInPath) -> CreditInfoShape:
    """The balance of a user and the newest changes of it."""
    found = await wallets.wallet_of_user(ctx, caller, user_id)
    lines = await transfers.history(ctx, caller, found.wallet_id, before=found.version + 1, limit=RECENT)
    shown = [_transaction(line) for line in lines if "available" in (line.debit, line.credit)]
    return CreditInfoShape(**_balance(found), transactions=shown)


@router.post("/{user_id}/add", summary="Add credits (admin)")
async def add(
    ctx: Ctx, caller: CallerDep, key: OptionalIdempotencyKey, user_id: UserInPath, body: AddBody
) -> ChangeShape:
    """Add credits by hand; the audit log says who did."""
    note = Note(description=body.description, service="credit_addition", metadata=body.metadata)
    answer = await wallets.grant(ctx, caller, credits=body.credits, key=key, user_id=user_id, note=note)
    return _change(user_id, answer)


@router.post("/{user_id}/spend", summary="Spend credits")
async def spend(
    ctx: Ctx,
    caller: CallerDep,
    key: OptionalIdempotencyKey,
    user_id: UserInPath,
    body: SpendBody,
    resume: ResumeToken = None,
) -> ChangeShape:
    """Spend credits at once; 402 when there are not enough."""
    note = Note(description=body.description, service=body.service, metadata=body.metadata)
    answer = await wallets.spend(
        ctx, caller, credits=body.credits, key=key, user_id=user_id, note=note, resume=resume
    )
    return _change(user_id, answer)


def _balance(wallet: Wallet) -> dict[str, Any]:
    available = Credits(wallet.available_micro).number()
    return {
        "user_id": wallet.owner_user_id,
        "balance": available,
        "credits": available,
        "held": Credits(wallet.held_micro).number(),
        "debt": Credits(wallet.debt_micro).number(),
    }


def _change(user_id: int, answer: Answer) -> ChangeShape:
    return ChangeShape(
        user_id=user_id,
        credits=Credits(answer.amount_micro).number(),
        new_balance=Credits(answer.available_micro).number(),
        transaction_id=answer.transfer.integer(),
    )


def _transaction(line: Transfer) -> TransactionShape:
    sign = 1 if line.credit == "available" else -1
    return TransactionShape(
        id=line.id.integer(),
        amount=Credits(sign * line.amount_micro).number(),
        description=line.description,
        transaction_type=line.service or line.kind,
        metadata=dict(line.metadata) if line.metadata is not None else None,
        created_at=line.created_at,
    )


@subscriptions_router.get("/{user_id}/summary", summary="What a user pays for")
async def subscription_summary(ctx: Ctx, caller: CallerDep, user_id: UserInPath) -> SummaryShape:
    """The newest subscription that lives, and how many there are."""
    found = await viewing.summary(ctx, caller, user_id)
    newest = found.live[0] if found.live else None
    plan, quantity, price = (None, 0, None) if newest is None else newest.coming
    ends = None if newest is None else newest.current_period_end
    goes_on = newest is not None and not newest.cancel_at_period_end
    return SummaryShape(
        user_id=found.user_id,
        has_active_subscription=found.is_entitled,
        active_subscriptions=len(found.live),
        total_subscriptions=len(found.live) + len(found.ended),
        subscription_id=None if newest is None else newest.stripe_subscription_id,
        status=None if newest is None else str(newest.status),
        plan=plan,
        amount=None if price is None else price.minor * quantity,
        currency=None if price is None else price.currency,
        credits_per_period=None if found.credits is None else found.credits.number(),
        current_period_start=None if newest is None else newest.current_period_start,
        current_period_end=ends,
        next_billing_date=ends if goes_on else None,
        cancel_at_period_end=newest is not None and newest.cancel_at_period_end,
        last_payment_status=found.invoices[0].status if found.invoices else None,
    )
