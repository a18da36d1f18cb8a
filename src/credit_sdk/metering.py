"""Work of unknown cost: hold an estimate before, capture what was used after, release on failure.

The two context managers differ only in who waits, and so do the companions that extend the hold and charge
parts while the work runs. What is sent stands in ``jobs.py``.
"""

from __future__ import annotations

import asyncio
import threading
import time
from functools import partial
from types import TracebackType

from credit_sdk.errors import CreditError
from credit_sdk.jobs import Job, Terms
from credit_sdk.transport import Awaiting, Blocking

_AGAIN_SECONDS = 1.0


class _Beats:
    """When the companion of a job has to do something next."""

    def __init__(self, terms: Terms) -> None:
        self._every = terms.beat_seconds
        self._beat_at = time.monotonic() + self._every if terms.heartbeat else None
        self._again_at: float | None = None

    def wait_seconds(self) -> float | None:
        """Until the next beat, or the next attempt; None: until something is counted."""
        times = [at for at in (self._beat_at, self._again_at) if at is not None]
        self._again_at = None
        return max(0.0, min(times) - time.monotonic()) if times else None

    def is_due(self) -> bool:
        """Whether the hold should be extended."""
        return self._beat_at is not None and time.monotonic() >= self._beat_at

    def done(self) -> None:
        """It is: the next beat is a whole one away."""
        self._beat_at = time.monotonic() + self._every

    def missed(self) -> None:
        """The service is away: soon again."""
        self._again_at = time.monotonic() + min(_AGAIN_SECONDS, self._every)
        if self.is_due():
            self._beat_at = self._again_at


class _Settlement:
    """What both context managers know between entering and leaving."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._placing = terms.placing()
        self._job: Job | None = None

    @property
    def _key(self) -> str:
        assert self._placing.key is not None
        return self._placing.key

    @property
    def _is_tended(self) -> bool:
        return self._terms.heartbeat or self._terms.capture_every is not None

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
        self._wake = threading.Event()
        self._over = threading.Event()
        self._companion: threading.Thread | None = None

    def __enter__(self) -> Job:
        """Place the hold."""
        job = self._job = Job(self._sender.send(self._placing))
        if self._is_tended:
            job.on_record(self._wake.set)
            self._companion = threading.Thread(
                target=self._tend, args=(job,), daemon=True, name="credit-sdk-metered"
            )
            self._companion.start()
        return job

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Capture or release."""
        job = self._job
        assert job is not None
        self._over.set()
        if self._companion is not None:
            self._wake.set()
            self._companion.join()
        try:
            for request in self._terms.settling(job, self._key, failed=failure is not None):
                job.settled = self._sender.send(request)
        except CreditError as problem:
            self._lost(job, problem, failure)

    def _tend(self, job: Job) -> None:
        """Beats and parts, until the work is over. What cannot be sent now is sent later, at the latest at the end."""
        beats = _Beats(self._terms)
        while not self._over.is_set():
            self._wake.wait(beats.wait_seconds())
            self._wake.clear()
            try:
                while not self._over.is_set() and (part := self._terms.part(job, self._key)) is not None:
                    job.settled = self._sender.send_once(part)
                    self._terms.part_charged(job)
                if beats.is_due() and not self._over.is_set():
                    job.expires_at = self._sender.send_once(self._terms.beat(job)).expires_at
                    beats.done()
            except CreditError as problem:
                if not problem.retryable:
                    return
                beats.missed()


class AsyncMetered(_Settlement):
    """``async with client.metered(user, estimate) as job``; made by the client."""

    def __init__(self, sender: Awaiting, terms: Terms) -> None:
        """Nothing is held before the block is entered."""
        super().__init__(terms)
        self._sender = sender
        self._companion: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Job:
        """Place the hold."""
        job = self._job = Job(await self._sender.send(self._placing))
        if self._is_tended:
            loop, wake = asyncio.get_running_loop(), asyncio.Event()
            # From whichever thread counts.
            job.on_record(partial(loop.call_soon_threadsafe, wake.set))
            self._companion = asyncio.create_task(self._tend(job, wake), name="credit-sdk-metered")
        return job

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Capture or release; also when the task is cancelled once more meanwhile."""
        job = self._job
        assert job is not None
        # Kept, for a loop holds its tasks but weakly.
        self._settling = asyncio.create_task(self._settle(job, failed=failure is not None))
        try:
            await asyncio.shield(self._settling)
        except CreditError as problem:
            self._lost(job, problem, failure)

    async def _settle(self, job: Job, *, failed: bool) -> None:
        if self._companion is not None:
            # A part that was under way has the same key when it is sent again.
            self._companion.cancel()
            await asyncio.wait([self._companion])
        for request in self._terms.settling(job, self._key, failed=failed):
            job.settled = await self._sender.send(request)

    async def _tend(self, job: Job, wake: asyncio.Event) -> None:
        """As ``Metered._tend``."""
        beats = _Beats(self._terms)
        while True:
            try:
                async with asyncio.timeout(beats.wait_seconds()):
                    await wake.wait()
            except TimeoutError:
                pass
            wake.clear()
            try:
                while (part := self._terms.part(job, self._key)) is not None:
                    job.settled = await self._sender.send_once(part)
                    self._terms.part_charged(job)
                if beats.is_due():
                    job.expires_at = (await self._sender.send_once(self._terms.beat(job))).expires_at
                    beats.done()
            except CreditError as problem:
                if not problem.retryable:
                    return
                beats.missed()
