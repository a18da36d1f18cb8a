"""The senders of clients that fail open: spends go through the steps, all else straight to the service."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

from credit_sdk.outbox.keepers import KeeperTask, KeeperThread
from credit_sdk.outbox.rows import holder_of
from credit_sdk.outbox.spending import spend
from credit_sdk.outbox.steps import Ask, Books, Steps, T
from credit_sdk.outbox.terms import FailOpen, WhenAway
from credit_sdk.requests import Request
from credit_sdk.requests import T as Answer
from credit_sdk.retries import RetryLimits
from credit_sdk.transport import Awaiting, Blocking, Connection

_ATTEMPTS = 2


def _hurried(connection: Connection, terms: FailOpen) -> Connection:
    """The same service, asked with as little patience as the terms say."""
    each = terms.patience_seconds / _ATTEMPTS
    return dataclasses.replace(
        connection,
        timeout_seconds=min(each, connection.timeout_seconds),
        connect_timeout_seconds=min(each, connection.connect_timeout_seconds),
        retries=RetryLimits(attempts=_ATTEMPTS, seconds=terms.patience_seconds),
    )


def _is_covered(request: Request[Any]) -> bool:
    return request.coverable and request.body is not None and holder_of(request.body) is not None


class OpenBlocking(Blocking):
    """Sends and waits, and fails open."""

    def __init__(self, connection: Connection, terms: FailOpen) -> None:
        """Nothing is connected or opened before the first request."""
        super().__init__(connection)
        self.books = Books(terms, connection.base_url.rstrip("/"))
        self._brief = Blocking(_hurried(connection, terms))
        self._keeper = KeeperThread(self.books, self.run)

    def send(self, request: Request[Answer]) -> Answer:
        """As ``Blocking.send``; a spend is taken from the lease when the service is away."""
        if not _is_covered(request):
            return super().send(request)
        if self.books.terms.background:
            self._keeper.start()
        answer: Answer = self.run(spend(self.books, request))
        return answer

    def run(self, steps: Steps[T]) -> T:
        """Do what the steps wait for, one after another."""
        try:
            step = next(steps)
            while True:
                try:
                    found = self._brief.send(step.request) if isinstance(step, Ask) else step.call()
                except Exception as problem:  # noqa: BLE001 - the steps decide what becomes of it
                    step = steps.throw(problem)
                else:
                    step = steps.send(found)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            steps.close()

    def close(self) -> None:
        """Give connections and the file back; a later request opens new ones."""
        self._keeper.stop()
        super().close()
        self._brief.close()
        self.books.store.close()


def sender_for(connection: Connection, when_away: WhenAway | None) -> Blocking:
    """A sender that fails as it was chosen."""
    return OpenBlocking(connection, when_away) if isinstance(when_away, FailOpen) else Blocking(connection)


class OpenAwaiting(Awaiting):
    """The twin for asyncio; the disk is waited for in a thread."""

    def __init__(self, connection: Connection, terms: FailOpen) -> None:
        """Nothing is connected or opened before the first request."""
        super().__init__(connection)
        self.books = Books(terms, connection.base_url.rstrip("/"))
        self._brief = Awaiting(_hurried(connection, terms))
        self._keeper = KeeperTask(self.books, self.run)

    async def send(self, request: Request[Answer]) -> Answer:
        """As ``OpenBlocking.send``."""
        if not _is_covered(request):
            return await super().send(request)
        if self.books.terms.background:
            self._keeper.start()
        answer: Answer = await self.run(spend(self.books, request))
        return answer

    async def run(self, steps: Steps[T]) -> T:
        """Do what the steps wait for, one after another."""
        try:
            step = next(steps)
            while True:
                try:
                    if isinstance(step, Ask):
                        found = await self._brief.send(step.request)
                    else:
                        found = await asyncio.to_thread(step.call)
                except Exception as problem:  # noqa: BLE001 - the steps decide what becomes of it
                    step = steps.throw(problem)
                else:
                    step = steps.send(found)
        except StopIteration as done:
            result: T = done.value
            return result
        finally:
            steps.close()

    async def close(self) -> None:
        """Give connections and the file back; a later request opens new ones."""
        await self._keeper.stop()
        await super().close()
        await self._brief.close()
        await asyncio.to_thread(self.books.store.close)
