"""What is in the outbox: one line for each spend, and the leases that cover them."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from credit_sdk.outbox.ladder import Step


class State(StrEnum):
    """What became of a line."""

    PENDING = "pending"
    COLLECTED = "collected"
    UNCOLLECTED = "uncollected"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxSpend:
    """A spend that this client answered itself.

    ``state``: ``pending`` until the service has booked it, then ``collected``; ``uncollected`` when it was accepted
    but can never be booked (``problem`` says why); ``refused`` when the caller was told that credits are short.
    ``step`` is the request that was, or will next be, sent for it.
    """

    id: int
    holder: str
    key: str
    amount_micro: int
    body: Mapping[str, Any]
    state: State
    step: Step
    tries: int
    created_at: datetime
    hold: str | None = None
    problem: str | None = None
    facts: Mapping[str, Any] | None = None
    answer: Mapping[str, Any] | None = None
    settled_at: datetime | None = None

    @property
    def transfer(self) -> str | None:
        """The transfer that booked it, once collected."""
        return None if self.answer is None else str(self.answer["id"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Credits held for spends while the service is away."""

    id: int
    holder: str
    budget: str | None
    key: str
    state: str
    amount_micro: int
    drawn_micro: int
    asked_at: int
    valid_until: int
    hold: str | None = None
    wallet: str | None = None
    balances: Mapping[str, Any] | None = None

    @property
    def room_micro(self) -> int:
        """What can still be taken from it."""
        return self.amount_micro - self.drawn_micro


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """What one round of settling did; ``pending`` is what is left."""

    collected: int
    uncollected: int
    pending: int


def now_ms() -> int:
    """The time of day in milliseconds: it is shared by processes and survives a restart."""
    return time.time_ns() // 1_000_000


def moment(ms: int) -> datetime:
    """Milliseconds as an aware time."""
    return datetime.fromtimestamp(ms / 1000, UTC)


def canonical(value: Mapping[str, Any]) -> str:
    """JSON in one form, so that the same terms are the same text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def holder_of(body: Mapping[str, Any]) -> str | None:
    """Whose credits a body means, within which keys are unique; None for the signed-in user."""
    for name in ("wallet", "user_id"):
        if name in body:
            return canonical({name: body[name]})
    return None
