"""Group commit: the postings of many callers share one statement, one commit and one round trip.

While a batch is at the database, those who come collect into the next one; nobody waits for a timer, so a lone posting
goes straight through. A wallet belongs to one lane, so that two batches of this process never want the same one. What
somebody else's transaction holds goes on to the patient lane, wallet by wallet.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import asyncpg

from tallybook.domain.clock import Clock
from tallybook.domain.errors import (
    BillingError,
    DatabaseUnavailableError,
    OverloadedError,
    WalletBusyError,
)
from tallybook.domain.ledger.requests import Answer, Posting
from tallybook.postgres import ledger
from tallybook.postgres.pool import Database, Line

LANES = 2
BATCH_MAX = 512
WAITING_MAX = 10_000
"""How many callers wait at most; their postings are what the queue holds in memory."""
RETRY_SECONDS = 2.0
"""How long a batch is tried again whose connection was lost, from when it was first sent."""
_PAUSE_SECONDS = 0.05

Outcome = Answer | Exception
"""What becomes of a posting: an answer, a refusal, or the bug that it met."""


@dataclass(slots=True, eq=False)
class _Waiting:
    """A posting and the caller who waits for its answer, or who went away meanwhile: it happens all the same."""

    posting: Posting
    answered: asyncio.Future[Answer | BillingError]

    def settle(self, outcome: Outcome) -> None:
        if self.answered.done():
            return
        if isinstance(outcome, Answer | BillingError):
            self.answered.set_result(outcome)
        else:
            self.answered.set_exception(outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How group commit fares: who waits now, who was sent away since the start, and how large the batches were.

    ``batches[n]`` counts those of up to ``2 ** n`` postings that are larger than the size before.
    """

    waiting: int
    shed: int
    posted: int
    batches: tuple[int, ...]


class GroupCommit:
    """Posts what needs no other statement in its transaction; close it before the database."""

    def __init__(self, db: Database, clock: Clock, *, waiting_max: int = WAITING_MAX) -> None:
        """Post through connections of its own, opened when they are first needed."""
        self._waiting_max = waiting_max
        self._waiting = 0
        self._closed = False
        self._shed = 0
        self._posted = 0
        self._batches = [0] * (BATCH_MAX.bit_length() + 1)
        self._patient = _PatientLane(db, clock, self._settle)
        self._lanes = [_Lane(db.line(), clock, self._settle_or_pass_on) for _ in range(LANES)]

    @property
    def waiting(self) -> int:
        """How many postings are not answered yet."""
        return self._waiting

    async def post(self, posting: Posting) -> Answer | BillingError:
        """Post; a refusal is an answer too, given back and not raised.

        Raises:
            OverloadedError: too many wait already; nothing was done.
        """
        if self._closed:
            raise DatabaseUnavailableError
        if self._waiting >= self._waiting_max:
            self._shed += 1
            raise OverloadedError
        self._waiting += 1
        waiting = _Waiting(posting, asyncio.get_running_loop().create_future())
        self._lanes[posting.wallet_id % LANES].add(waiting)
        return await waiting.answered

    def figures(self) -> Figures:
        """How it fares, for those who watch the service."""
        return Figures(
            waiting=self._waiting, shed=self._shed, posted=self._posted, batches=tuple(self._batches)
        )

    async def close(self) -> None:
        """Take nothing more and let what waits be answered."""
        self._closed = True
        for lane in self._lanes:
            await lane.close()
        await self._patient.close()

    def _settle(self, batch: Sequence[_Waiting], outcomes: Sequence[Outcome]) -> None:
        self._waiting -= len(batch)
        for waiting, outcome in zip(batch, outcomes, strict=True):
            waiting.settle(outcome)

    def _settle_or_pass_on(self, batch: Sequence[_Waiting], outcomes: Sequence[Outcome]) -> None:
        self._posted += len(batch)
        self._batches[(len(batch) - 1).bit_length()] += 1
        for waiting, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, WalletBusyError):
                self._patient.add(waiting)
            else:
                self._waiting -= 1
                waiting.settle(outcome)


Settle = Callable[[Sequence[_Waiting], Sequence[Outcome]], None]


class _Lane:
    """One connection, one batch at a time."""

    def __init__(self, line: Line, clock: Clock, settle: Settle) -> None:
        self._line = line
        self._clock = clock
        self._settle = settle
        self._queue: deque[_Waiting] = deque()
        self._running: asyncio.Task[None] | None = None

    def add(self, waiting: _Waiting) -> None:
        self._queue.append(waiting)
        if self._running is None:
            # It starts when all who are ready to run now have added theirs.
            self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        while self._running is not None:
            await asyncio.wait([self._running])
        await self._line.close()

    async def _run(self) -> None:
        try:
            while self._queue:
                batch = [self._queue.popleft() for _ in range(min(BATCH_MAX, len(self._queue)))]
                self._settle(batch, await _outcomes([one.posting for one in batch], self._posted_or_lost))
        finally:
            self._running = None

    async def _posted_or_lost(self, postings: Sequence[Posting]) -> list[Outcome]:
        """Post; when the connection is lost on the way, the key of a posting makes another try safe."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RETRY_SECONDS
        while True:
            try:
                async with self._line.statement() as tx:
                    return list(await ledger.post(tx, self._clock(), postings, wait=False))
            except DatabaseUnavailableError:
                if loop.time() + _PAUSE_SECONDS >= deadline:
                    raise
            if any(posting.key is None for posting in postings):
                return await self._keyed_again(postings)
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _keyed_again(self, postings: Sequence[Posting]) -> list[Outcome]:
        """The outcome of a posting without a key is not known; its caller is told so."""
        keyed = [posting for posting in postings if posting.key is not None]
        again = iter(await _outcomes(keyed, self._posted_or_lost) if keyed else [])
        return [DatabaseUnavailableError() if posting.key is None else next(again) for posting in postings]


class _PatientLane:
    """Waits for wallets that another transaction holds: each has its turn, and its postings go together."""

    def __init__(self, db: Database, clock: Clock, settle: Settle) -> None:
        self._db = db
        self._clock = clock
        self._settle = settle
        self._queues: dict[int, deque[_Waiting]] = {}
        self._running: set[asyncio.Task[None]] = set()

    def add(self, waiting: _Waiting) -> None:
        wallet_id = waiting.posting.wallet_id
        queue = self._queues.get(wallet_id)
        if queue is not None:
            queue.append(waiting)
            return
        self._queues[wallet_id] = deque([waiting])
        running = asyncio.create_task(self._run(wallet_id))
        self._running.add(running)
        running.add_done_callback(self._running.discard)

    async def close(self) -> None:
        while self._running:
            await asyncio.wait(self._running)

    async def _run(self, wallet_id: int) -> None:
        queue = self._queues[wallet_id]
        try:
            while queue:
                batch: list[_Waiting] = []
                try:
                    async with self._db.turn(wallet_id):
                        batch = [queue.popleft() for _ in range(min(BATCH_MAX, len(queue)))]
                        outcomes = await _outcomes([one.posting for one in batch], self._posted)
                except WalletBusyError:
                    # No turn in time: nobody of those who wait gets one.
                    batch = list(queue)
                    queue.clear()
                    outcomes = [WalletBusyError() for _ in batch]
                self._settle(batch, outcomes)
        finally:
            del self._queues[wallet_id]

    async def _posted(self, postings: Sequence[Posting]) -> list[Outcome]:
        async with self._db.transaction(patient=True) as tx:
            return list(await ledger.post(tx, self._clock(), postings, wait=True))


async def _outcomes(
    postings: Sequence[Posting], post: Callable[[Sequence[Posting]], Awaitable[list[Outcome]]]
) -> list[Outcome]:
    """What becomes of each posting; one that the database stumbles over is found by halving, and fails alone."""
    try:
        return await post(postings)
    except (WalletBusyError, DatabaseUnavailableError) as refusal:
        return [type(refusal)() for _ in postings]
    except asyncpg.PostgresError as bug:
        # The database said no to all of them: nothing was written, so the rest is safe to post again.
        if len(postings) > 1:
            middle = len(postings) // 2
            return [
                *await _outcomes(postings[:middle], post),
                *await _outcomes(postings[middle:], post),
            ]
        return [bug]
    except Exception as bug:  # noqa: BLE001  # whatever it was, nobody is left waiting
        return [bug for _ in postings]
