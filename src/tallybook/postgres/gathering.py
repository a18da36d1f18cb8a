"""One query for all who ask at the same time.

While queries are at the database, those who ask collect into the next one; there is no timer. A read joins only a query
that is not yet sent, so what it gets is never older than the question.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

from tallybook.domain.errors import DatabaseUnavailableError, OverloadedError, WalletBusyError

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
AT_ONCE = 2
ASKED_MAX = 1_000
WAITING_MAX = 10_000


class Gathering(Generic[K, V]):
    """Reads of one kind: ``ask`` is given keys and gives what there is of each."""

    def __init__(self, ask: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]) -> None:
        """Send at most ``AT_ONCE`` queries at a time."""
        self._ask = ask
        self._next: dict[K, list[asyncio.Future[V | None]]] = {}
        self._waiting = 0
        self._running: set[asyncio.Task[None]] = set()

    async def get(self, key: K) -> V | None:
        """What there is of ``key`` now, or None.

        Raises:
            OverloadedError: too many wait already.
        """
        if self._waiting >= WAITING_MAX:
            raise OverloadedError
        self._waiting += 1
        answered: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._next.setdefault(key, []).append(answered)
        if len(self._running) < AT_ONCE:
            running = asyncio.create_task(self._run())
            self._running.add(running)
            running.add_done_callback(self._running.discard)
        return await answered

    async def _run(self) -> None:
        while self._next:
            asked, self._next = self._next, {}
            while len(asked) > ASKED_MAX:
                key, waiting = asked.popitem()
                self._next[key] = waiting
            await self._answer(asked)

    async def _answer(self, asked: Mapping[K, Sequence[asyncio.Future[V | None]]]) -> None:
        found: Mapping[K, V] = {}
        problem: Exception | None = None
        try:
            found = await self._ask(list(asked))
        except Exception as caught:  # noqa: BLE001  # whatever it was, nobody is left waiting
            problem = caught
        for key, waiting in asked.items():
            self._waiting -= len(waiting)
            for answered in waiting:
                if answered.done():
                    continue
                if problem is None:
                    answered.set_result(found.get(key))
                else:
                    answered.set_exception(_own(problem))


def _own(problem: Exception) -> Exception:
    """A refusal for each who waits: a raised exception remembers where, and must not be shared."""
    if isinstance(problem, DatabaseUnavailableError | WalletBusyError):
        return type(problem)()
    return problem
