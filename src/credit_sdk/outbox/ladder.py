"""Which request collects a spend, and what follows from its answer: the state machine of settlement.

Pure. Four requests may be sent for a line of the outbox, each under a key of its own terms:

- ``capture``: a partial capture of the lease's hold, under the spend's own key. For spends that were never sent.
- ``spend``: the spend as it was first sent, under its own key. For spends whose outcome is unknown.
- ``capture_second``: the capture, under a second key, once the spend's own key is known to be refused.
- ``spend_third``: a plain spend, under a third key, once the hold is known to be over.

A step is left only with an answer that the ledger remembers under its key. So at most one of them acts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from credit_sdk.answers import PostedTransfer, SettledHold
from credit_sdk.requests import Request, given, one, segment


class Step(StrEnum):
    """The request that comes next."""

    CAPTURE = "capture"
    SPEND = "spend"
    CAPTURE_SECOND = "capture_second"
    SPEND_THIRD = "spend_third"


class End(StrEnum):
    """Where the ladder ends."""

    COLLECTED = "collected"
    UNCOLLECTED = "uncollected"


CAPTURES = frozenset({Step.CAPTURE, Step.CAPTURE_SECOND})
_HOLD_OVER = ("hold_settled", "capture_exceeds_hold")
SHORT = ("insufficient_credits", "budget_exceeded")
_REUSED = "idempotency_key_reused"
# The request itself is impossible, so that it was never booked, and never will be.
_IMPOSSIBLE = frozenset(
    {
        "invalid_request",
        "request_too_large",
        "amount_out_of_range",
        "user_not_found",
        "wallet_not_found",
        "budget_not_found",
    }
)
_AFTER: dict[tuple[Step, str], Step | End] = {
    **{(Step.CAPTURE, code): Step.SPEND_THIRD for code in _HOLD_OVER},
    # The key was used, by the same spend sent by somebody else or before a crash: ask for that spend.
    (Step.CAPTURE, _REUSED): Step.SPEND,
    **{(Step.SPEND, code): Step.CAPTURE_SECOND for code in SHORT},
    # Neither our capture nor our spend: the caller gave one key to two intentions.
    (Step.SPEND, _REUSED): End.UNCOLLECTED,
    **{(Step.CAPTURE_SECOND, code): Step.SPEND_THIRD for code in _HOLD_OVER},
    (Step.CAPTURE_SECOND, _REUSED): End.UNCOLLECTED,
    **{(Step.SPEND_THIRD, code): End.UNCOLLECTED for code in (*SHORT, _REUSED)},
}


def after(step: Step, code: str) -> Step | End | None:
    """What follows when a step was refused with a code; None: nothing is certain, so ask the same again later."""
    if code in _IMPOSSIBLE:
        return End.UNCOLLECTED
    return _AFTER.get((step, code))


def key_of(step: Step, key: str) -> str:
    """The idempotency key of a step; derived ones are hashes, so that no caller's own key can meet them."""
    if step in {Step.CAPTURE, Step.SPEND}:
        return key
    return f"{step}.{hashlib.sha256(key.encode()).hexdigest()}"


def request_of(step: Step, *, hold: str | None, key: str, body: Mapping[str, Any]) -> Request[Any]:
    """The request of a step, for a spend with this body and key."""
    if step in CAPTURES:
        assert hold is not None
        note = {name: body.get(name) for name in ("description", "service", "metadata")}
        return Request(
            method="POST",
            path=f"/v1/holds/{segment(hold)}/capture",
            read=one(SettledHold),
            body={"amount_micro": body["amount_micro"], "final": False, **given(**note)},
            key=key_of(step, key),
        )
    return Request(
        method="POST",
        path="/v1/transfers",
        read=one(PostedTransfer),
        body=body,
        key=key_of(step, key),
    )
