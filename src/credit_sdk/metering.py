"""Work of unknown cost: hold an estimate before, capture what was used after, release on failure.

What a ``Job`` used is counted here, in micro-credits; the two context managers differ only in who
waits. The hold's own rules (what happens when it is left behind) are the service's.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, TypedDict

from credit_sdk import requests_of_holds
from credit_sdk.amounts import Amount, credits_of, micro_of
from credit_sdk.answers import PlacedHold, SettledHold
from credit_sdk.errors import CreditError, HoldUnsettledError
from credit_sdk.requests import Request, Target
from credit_sdk.transport import Awaiting, Blocking

LIFETIME_DEFAULT_SECONDS = 900
KEY_LENGTH_MAX = 240
_STATUS_AWAY = 500


class Job:
    """Metered work in progress. Threads may count on it at the same time."""

    def __init__(self, hold: PlacedHold) -> None:
        """Nothing is used yet."""
        self.hold = hold
        self.settled: SettledHold | None = None
        self._recorded_micro = 0
        self._lock = threading.Lock()

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
    description: str | None = None
    service: str | None = None
    metadata: Mapping[str, Any] | None = None
    idempotency_key: str | None = None

    def placing(self) -> Request[PlacedHold]:
        """The request that sets the estimate aside."""
        if self.idempotency_key and len(self.idempotency_key) > KEY_LENGTH_MAX:
            message = f"an idempotency key of metered work has at most {KEY_LENGTH_MAX} characters"
            raise ValueError(message)
        return requests_of_holds.place(
            self.user,
            self.estimate,
            lifetime_seconds=self.lifetime_seconds,
            on_expiry=self.on_expiry,
            estimate=self.estimate if self.on_expiry == "capture_estimate" else None,
            description=self.description,
            service=self.service,
            metadata=self.metadata,
            idempotency_key=self.idempotency_key,
        )

    def settling(self, job: Job, key: str, *, failed: bool) -> Request[SettledHold]:
        """The request that ends the hold: a capture of what was used, or a release if that is nothing."""
        if job.chargeable_micro and (not failed or self.charge_on_failure):
            return requests_of_holds.capture(
                job.hold.id, credits_of(job.chargeable_micro), idempotency_key=f"{key}.capture"
            )
        return requests_of_holds.release(job.hold.id, idempotency_key=f"{key}.release")

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
            f" {self.lifetime_seconds} seconds after {job.hold.created_at:%Y-%m-%dT%H:%M:%SZ}"
            f" and is then {fate}. {problem.message}",
            status=problem.status,
            facts={
                "hold": job.hold.id,
                "recorded_micro": job.recorded_micro,
                "held_micro": job.hold.amount_micro,
                "cause": problem.code,
            },
        )


class _Settlement:
    """What both context managers know between entering and leaving."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._placing = terms.placing()
        self._job: Job | None = None

    def _begin(self, hold: PlacedHold) -> Job:
        self._job = Job(hold)
        return self._job

    def _ending(self, failure: BaseException | None) -> tuple[Job, Request[SettledHold]]:
        assert self._job is not None
        assert self._placing.key is not None
        request = self._terms.settling(self._job, self._placing.key, failed=failure is not None)
        return self._job, request

    def _lost(self, job: Job, problem: CreditError, failure: BaseException | None) -> None:
        """Raise what went wrong; a failure of the work itself keeps its place and gets it as a note."""
        found = self._terms.unsettled(job, problem)
        if failure is None:
            raise found from problem
        failure.add_note(str(found))


class Metered(_Settlement):
    """``with client.metered(user, estimate) as job``; made by the client."""

    def __init__(self, sender: Blocking, terms: Terms) -> None:
        """Nothing is held before the block is entered."""
        super().__init__(terms)
        self._sender = sender

    def __enter__(self) -> Job:
        """Place the hold."""
        return self._begin(self._sender.send(self._placing))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Capture or release."""
        job, request = self._ending(failure)
        try:
            job.settled = self._sender.send(request)
        except CreditError as problem:
            self._lost(job, problem, failure)


class AsyncMetered(_Settlement):
    """``async with client.metered(user, estimate) as job``; made by the client."""

    def __init__(self, sender: Awaiting, terms: Terms) -> None:
        """Nothing is held before the block is entered."""
        super().__init__(terms)
        self._sender = sender

    async def __aenter__(self) -> Job:
        """Place the hold."""
        return self._begin(await self._sender.send(self._placing))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Capture or release."""
        job, request = self._ending(failure)
        try:
            job.settled = await self._sender.send(request)
        except CreditError as problem:
            self._lost(job, problem, failure)
