"""/v1/transfers/batch: many spends and grants in one call."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter
from pydantic import Field, field_validator, model_validator

from tallybook.api.deps import (
    KEY_LENGTH_MAX,
    AmountMicro,
    Body,
    CallerDep,
    Ctx,
    IdempotencyKey,
    Shape,
    problems,
)
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.api.problems import members
from tallybook.api.v1.shapes import PostedShape
from tallybook.api.v1.transfers import Noted, Placed
from tallybook.domain.ledger.batches import ITEMS_MAX, BatchItem, BatchMode, Outcome
from tallybook.domain.ledger.requests import Answer
from tallybook.domain.money import Credits
from tallybook.usecases import batches

router = APIRouter(
    prefix="/v1/transfers",
    tags=["transfers"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 403, 404, 409),
)


class ItemBody(Placed, Noted):
    """A spend or a grant. Without a key of its own it gets the request's with its place, from 0: ``key:0``."""

    type: Literal["spend", "grant"] = "spend"
    amount_micro: AmountMicro
    idempotency_key: Annotated[str, Field(min_length=1, max_length=KEY_LENGTH_MAX)] | None = None

    @field_validator("idempotency_key")
    @classmethod
    def _printable(cls, key: str | None) -> str | None:
        if key is not None and not key.isprintable():
            raise ValueError("must be printable")
        return key

    def item(self, key: str) -> BatchItem:
        """What is asked for."""
        return BatchItem(
            is_grant=self.type == "grant",
            credits=Credits(self.amount_micro),
            key=self.idempotency_key or key,
            user_id=self.user_id,
            wallet_id=self.wallet_id(),
            note=self.note(),
        )


class BatchBody(Body):
    """The items, and whether one that is refused lets the others through."""

    mode: BatchMode = BatchMode.EACH
    items: Annotated[list[ItemBody], Field(min_length=1, max_length=ITEMS_MAX)]

    @field_validator("mode", mode="before")
    @classmethod
    def _mode(cls, value: object) -> object:
        return BatchMode(value) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _keys_differ(self) -> Self:
        own = [item.idempotency_key for item in self.items if item.idempotency_key is not None]
        if len(set(own)) < len(own):
            raise ValueError("two items have the same idempotency_key")
        return self


class ResultShape(Shape):
    """What became of one item."""

    status: Literal["posted", "refused"]
    replayed: bool = False
    transfer: PostedShape | None = None
    problem: dict[str, Any] | None = None


class BatchShape(Shape):
    """What became of each item, in order."""

    posted: int
    refused: int
    results: list[ResultShape]


@router.post("/batch", summary="Spend or add credits in bulk")
async def post_batch(ctx: Ctx, caller: CallerDep, key: IdempotencyKey, body: BatchBody) -> BatchShape:
    """Up to 10,000 items: each by itself, or (mode ``all``) all or nothing, then 409 says which item and why."""
    items = [item.item(f"{key}:{place}") for place, item in enumerate(body.items)]
    results = [_drawn(outcome) for outcome in await batches.post(ctx, caller, items, body.mode)]
    posted = sum(result.status == "posted" for result in results)
    return BatchShape(posted=posted, refused=len(results) - posted, results=results)


def _drawn(outcome: Outcome) -> ResultShape:
    if isinstance(outcome, Answer):
        return ResultShape(
            status="posted", replayed=outcome.replayed, transfer=PostedShape.from_domain(outcome)
        )
    return ResultShape(status="refused", problem=members(outcome))
