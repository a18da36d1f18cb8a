"""Many spends and grants in one request: what goes in, what is answered, and the request itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from credit_sdk.amounts import Amount, positive_micro_of
from credit_sdk.answers import PostedTransfer
from credit_sdk.decoding import decode
from credit_sdk.errors import CreditError, UnexpectedAnswerError, refusal
from credit_sdk.requests import PROBLEM_MEMBERS, Request, Target, given, new_key, owner

ITEMS_MAX = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchItem:
    """One spend or grant of a batch; without a key of its own it gets the batch's with its index behind it."""

    user: Target
    credits: Amount
    type: Literal["spend", "grant"] = "spend"
    idempotency_key: str | None = None
    budget: str | None = None
    description: str | None = None
    service: str | None = None
    metadata: Mapping[str, Any] | None = None

    def body(self) -> dict[str, Any]:
        """The item as it is sent."""
        return {
            **owner(self.user),
            "type": self.type,
            "amount_micro": positive_micro_of(self.credits),
            **given(
                idempotency_key=self.idempotency_key,
                budget=self.budget,
                description=self.description,
                service=self.service,
                metadata=self.metadata,
            ),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """What became of one item: ``transfer`` when it is posted, ``error`` (not raised) when it is refused."""

    transfer: PostedTransfer | None = None
    error: CreditError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchAnswer:
    """What became of a batch: ``results`` in the order of its items."""

    posted: int
    refused: int
    results: tuple[BatchResult, ...]


def _result(value: Any) -> BatchResult:
    match value:
        case {"status": "posted", "transfer": transfer}:
            posted = decode(PostedTransfer, transfer)
            replayed = value.get("replayed") is True
            return BatchResult(transfer=dataclasses.replace(posted, replayed=replayed))
        case {"status": "refused", "problem": {"code": str(code)} as problem}:
            facts = {name: fact for name, fact in problem.items() if name not in PROBLEM_MEMBERS}
            return BatchResult(
                error=refusal(code, problem.get("detail"), status=problem.get("status"), facts=facts)
            )
        case _:
            raise UnexpectedAnswerError("BatchAnswer.results: neither posted nor refused")


def _read(value: Any) -> BatchAnswer:
    match value:
        case {"posted": int(posted), "refused": int(refused), "results": list(results)}:
            return BatchAnswer(posted=posted, refused=refused, results=tuple(map(_result, results)))
        case _:
            raise UnexpectedAnswerError("BatchAnswer: posted, refused and results expected")


def batch(
    items: Iterable[BatchItem],
    mode: Literal["each", "all"] = "each",
    *,
    idempotency_key: str | None = None,
) -> Request[BatchAnswer]:
    """Post many spends and grants at once: ``each`` for itself, or ``all`` or nothing.

    With ``each`` refused items do not raise: look at ``answer.results[n].error``. A batch is never
    split behind your back, since ``all`` would then no longer mean all.

    Raises:
        ValueError: no item, or more than 10,000.
        CreditError: with ``all``, code ``batch_refused``: nothing was posted; the facts name the item.
    """
    bodies = [item.body() for item in items]
    if not bodies or len(bodies) > ITEMS_MAX:
        message = (
            f"a batch has 1 to {ITEMS_MAX} items, not {len(bodies)}: send parts of"
            f" {ITEMS_MAX} (items[:{ITEMS_MAX}], items[{ITEMS_MAX}:{2 * ITEMS_MAX}], …), each with an"
            " idempotency_key of its own, or with a key in each item"
        )
        raise ValueError(message)
    return Request(
        method="POST",
        path="/v1/transfers/batch",
        read=_read,
        body={"mode": mode, "items": bodies},
        key=idempotency_key or new_key(),
    )
