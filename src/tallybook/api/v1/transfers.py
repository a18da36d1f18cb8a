"""/v1/transfers: spend and add credits."""

from __future__ import annotations

from functools import partial
from typing import Literal, Self

from fastapi import APIRouter, Response
from pydantic import Field, model_validator

from tallybook.api.deps import (
    AmountMicro,
    Body,
    CallerDep,
    Ctx,
    Description,
    IdempotencyKey,
    Metadata,
    ResumeToken,
    ServiceName,
    UserId,
    problems,
)
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.api.v1.shapes import PostedShape, TransferShape
from tallybook.domain.ids import LedgerId, parse_plain_id
from tallybook.domain.ledger.requests import Answer, Note
from tallybook.domain.money import Credits
from tallybook.usecases import lots, transfers, wallets

router = APIRouter(
    prefix="/v1/transfers",
    tags=["transfers"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 402, 403, 404, 409),
)


class Placed(Body):
    """Where to post: ``wallet`` or ``user_id``; with neither, the signed-in user's own wallet."""

    wallet: str | None = Field(default=None, examples=["wal_12"], max_length=40)
    user_id: UserId | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if self.wallet is not None and self.user_id is not None:
            raise ValueError("give wallet or user_id, not both")
        return self

    def wallet_id(self) -> int | None:
        """The wallet's number, if a wallet was named."""
        return None if self.wallet is None else parse_plain_id("wal", self.wallet)


class Noted(Body):
    """What people want to read later about a transfer."""

    description: Description = None
    service: ServiceName = None
    metadata: Metadata = None

    def note(self) -> Note | None:
        """The note, if anything was written."""
        if self.description is None and self.service is None and not self.metadata:
            return None
        return Note(description=self.description, service=self.service, metadata=self.metadata)


class Budgeted(Body):
    """At which budget to count, and so at all above it."""

    budget: str | None = Field(default=None, examples=["bud_12_3"], max_length=60)

    def budget_id(self) -> LedgerId | None:
        """The budget's id, if one was named."""
        return None if self.budget is None else LedgerId.parse("bud", self.budget)


class TransferBody(Placed, Noted, Budgeted):
    """A spend, or (for admins and apps with ``grant_credits``) a grant."""

    type: Literal["spend", "grant"] = "spend"
    amount_micro: AmountMicro

    @model_validator(mode="after")
    def _only_spends_count(self) -> Self:
        if self.budget is not None and self.type == "grant":
            raise ValueError("a grant counts at no budget")
        return self


class GiveBackBody(Noted):
    """How much to give back; by default all that was not given back yet."""

    amount_micro: AmountMicro | None = None


def mark_replay(answer: Answer, response: Response) -> Answer:
    """The answer; that it had been given before is said in a header, not in the body."""
    if answer.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return answer


@router.post("", status_code=201, summary="Spend or add credits")
async def create_transfer(
    ctx: Ctx,
    caller: CallerDep,
    key: IdempotencyKey,
    body: TransferBody,
    response: Response,
    resume: ResumeToken = None,
) -> PostedShape:
    """Spend (402 with what would help when there is not enough) or add credits."""
    spend = partial(wallets.spend, resume=resume, budget=body.budget_id())
    verb = spend if body.type == "spend" else wallets.grant
    answer = await verb(
        ctx,
        caller,
        credits=Credits(body.amount_micro),
        key=key,
        user_id=body.user_id,
        wallet_id=body.wallet_id(),
        note=body.note(),
    )
    mark_replay(answer, response)
    return PostedShape.from_domain(answer)


@router.get("/{transfer}", summary="A transfer")
async def get_transfer(ctx: Ctx, caller: CallerDep, transfer: str) -> TransferShape:
    """One immutable line of the ledger."""
    found = await transfers.transfer(ctx, caller, LedgerId.parse("trf", transfer))
    return TransferShape.from_domain(found)


@router.post("/{transfer}/give-back", status_code=201, summary="Give a spend back")
async def give_back(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, transfer: str, body: GiveBackBody, response: Response
) -> PostedShape:
    """Return credits of a spend or a capture to the lots they came from, as if the work had cost less."""
    answer = await lots.give_back(
        ctx,
        caller,
        LedgerId.parse("trf", transfer),
        credits=None if body.amount_micro is None else Credits(body.amount_micro),
        key=key,
        note=body.note(),
    )
    mark_replay(answer, response)
    return PostedShape.from_domain(answer)
