"""Metered work: what it used so far, under which terms, and which requests follow from that.

Nothing is sent here; who waits stands in ``metering.py``. The hold's own rules (what happens when it is
left behind) are the service's.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypedDict

from credit_sdk import requests_of_holds
from credit_sdk.amounts import Amount, credits_of, micro_of, positive_micro_of
from credit_sdk.answers import Hold, PlacedHold, SettledHold
from credit_sdk.errors import CreditError, HoldUnsettledError
from credit_sdk.requests import Request, Target

LIFETIME_DEFAULT_SECONDS = 900
KEY_LENGTH_MAX = 240
_STATUS_AWAY = 500


class Job:
    """Metered work in progress. Threads may count on it at the same time."""

    def __init__(self, hold: PlacedHold) -> None:
        """Nothing is used yet."""
        self.hold = hold
        self.settled: SettledHold | None = None
        self.expires_at: datetime | None = None
        self.parts = 0
        self.captured_micro = 0
        self._recorded_micro = 0
        self._lock = threading.Lock()
        self._listener: Callable[[], object] | None = None

    def used(self, credits: Amount) -> None:
        """Count credits as used, on top of what was counted before.

        Raises:
            TypeError: a float. AmountOutOfRangeError: negative or too fine.
        """
        self.record(micro_of(credits))

    def record(self, micro: int) -> None:
        """Count micro-credits as used (1 credit = 1,000,000), on top of what was counted before.

        Raises:
            TypeError: not an int. ValueError: negative.
        """
        if type(micro) is not int:
            message = f"micro-credits are an int, not {type(micro).__name__}"
            raise TypeError(message)
        if micro < 0:
            message = f"what was used cannot be negative: {micro}"
            raise ValueError(message)
        with self._lock:
            self._recorded_micro += micro
        if self._listener is not None:
            self._listener()

    def on_record(self, listener: Callable[[], object]) -> None:
        """Be told whenever something was counted, in whichever thread that was."""
        self._listener = listener

    def part_captured(self, micro: int) -> None:
        """One more part of what was counted is charged already."""
        self.parts += 1
        self.captured_micro += micro

    @property
    def recorded_micro(self) -> int:
        """What was counted so far, in micro-credits, also beyond the hold."""
        return self._recorded_micro

    @property
    def chargeable_micro(self) -> int:
        """What will be captured, in micro-credits: what was counted, but never more than was held."""
        return min(self._recorded_micro, self.hold.amount_micro)

    @property
    def uncovered_micro(self) -> int:
        """What was counted beyond the hold, in micro-credits: it is not charged."""
        return self._recorded_micro - self.chargeable_micro


OnExpiry = Literal["release", "capture_estimate", "capture_maximum"]


class TermsGiven(TypedDict, total=False):
    """What a caller may say about metered work, beside whose credits and how many."""

    lifetime_seconds: int
    on_expiry: OnExpiry
    charge_on_failure: bool
    heartbeat: bool
    capture_every: Amount | None
    parent: str | None
    budget: str | None
    description: str | None
    service: str | None
    metadata: Mapping[str, Any] | None
    idempotency_key: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a piece of metered work is held and charged under."""

    user: Target
    estimate: Amount
    lifetime_seconds: int = LIFETIME_DEFAULT_SECONDS
    on_expiry: OnExpiry = "release"
    charge_on_failure: bool = False
    heartbeat: bool = False
    capture_every: Amount | None = None
    parent: str | None = None
    budget: str | None = None
    description: str | None = None
    service: str | None = None
    metadata: Mapping[str, Any] | None = None
    idempotency_key: str | None = None

    def placing(self) -> Request[PlacedHold]:
        """The request that sets the estimate aside."""
        if self.idempotency_key and len(self.idempotency_key) > KEY_LENGTH_MAX:
            message = f"an idempotency key of metered work has at most {KEY_LENGTH_MAX} characters"
            raise ValueError(message)
        if self.capture_every is not None:
            positive_micro_of(self.capture_every)
        return requests_of_holds.place(
            self.user,
            self.estimate,
            lifetime_seconds=self.lifetime_seconds,
            on_expiry=self.on_expiry,
            estimate=self.estimate if self.on_expiry == "capture_estimate" else None,
            parent=self.parent,
            budget=self.budget,
            description=self.description,
            service=self.service,
            metadata=self.metadata,
            idempotency_key=self.idempotency_key,
        )

    @property
    def beat_seconds(self) -> float:
        """How often the hold is extended: two beats may be lost."""
        return self.lifetime_seconds / 3

    def beat(self, job: Job) -> Request[Hold]:
        """The request that keeps the hold alive."""
        return requests_of_holds.extend(job.hold.id, self.lifetime_seconds)

    def part(self, job: Job, key: str) -> Request[SettledHold] | None:
        """The request that charges the next part, once so much was counted.

        All parts are alike and numbered, so that a job that runs again sends the same ones.
        """
        if self.capture_every is None:
            return None
        every = positive_micro_of(self.capture_every)
        if job.chargeable_micro - job.captured_micro < every:
            return None
        return requests_of_holds.capture(
            job.hold.id, credits_of(every), final=False, idempotency_key=f"{key}.part-{job.parts + 1}"
        )

    def part_charged(self, job: Job) -> None:
        """The next part is booked."""
        assert self.capture_every is not None
        job.part_captured(positive_micro_of(self.capture_every))

    def settling(self, job: Job, key: str, *, failed: bool) -> Iterator[Request[SettledHold]]:
        """The requests that end the hold: the parts that are left, then the rest of what was used, or a release.

        Each is booked when the next is asked for.
        """
        charged = not failed or self.charge_on_failure
        while charged and (part := self.part(job, key)) is not None:
            yield part
            self.part_charged(job)
        rest = job.chargeable_micro - job.captured_micro
        if charged and rest:
            yield requests_of_holds.capture(job.hold.id, credits_of(rest), idempotency_key=f"{key}.capture")
        elif job.captured_micro < job.hold.amount_micro:
            yield requests_of_holds.release(job.hold.id, idempotency_key=f"{key}.release")

    def unsettled(self, job: Job, problem: CreditError) -> CreditError:
        """What to raise when the hold was not ended: the refusal itself, or what becomes of the hold."""
        if problem.status is not None and problem.status < _STATUS_AWAY and not problem.retryable:
            return problem
        fate = {
            "release": "released",
            "capture_estimate": "captured at its estimate",
            "capture_maximum": "captured in full",
        }[self.on_expiry]
        return HoldUnsettledError(
            f"Hold {job.hold.id} could not be settled, since the service is away; it expires"
            f" {self._expiry(job)} and is then {fate}. {problem.message}",
            status=problem.status,
            facts={
                "hold": job.hold.id,
                "recorded_micro": job.recorded_micro,
                "captured_micro": job.captured_micro,
                "held_micro": job.hold.amount_micro,
                "cause": problem.code,
            },
        )

    def _expiry(self, job: Job) -> str:
        if job.expires_at is not None:
            return f"at {job.expires_at:%Y-%m-%dT%H:%M:%SZ}"
        return f"{self.lifetime_seconds} seconds after {job.hold.created_at:%Y-%m-%dT%H:%M:%SZ}"
