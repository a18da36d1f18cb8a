"""What goes on in the background of a client that fails open: settle the outbox, look after the leases."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable

from credit_sdk.errors import CreditError
from credit_sdk.outbox import keeping, settling
from credit_sdk.outbox.rows import State
from credit_sdk.outbox.steps import Books, Local, Steps, log


def round_of(books: Books) -> Steps[None]:
    """One look: settle if there is something to settle, then the leases. It never raises."""
    try:
        if (yield Local(lambda: books.spends.count(State.PENDING) or books.spends.untold())):
            yield from settling.settle(books)
        yield from keeping.keep_all(books)
    except CreditError as problem:
        log.info("The background of the outbox waits: %s", problem)
    except Exception:  # noqa: BLE001 - a bug in one round must not end them all
        log.exception("The background of the outbox failed, and goes on")


class KeeperThread:
    """A daemon thread of this process; a forked child starts its own with its first request."""

    def __init__(self, books: Books, run: Callable[[Steps[None]], None]) -> None:
        """It is not started yet."""
        self._books = books
        self._run = run
        self._starting = threading.Lock()
        self._running: dict[int, tuple[threading.Thread, threading.Event]] = {}

    def start(self) -> None:
        """Start, unless it runs."""
        pid = os.getpid()
        if pid in self._running:
            return
        with self._starting:
            if pid not in self._running:
                stop = threading.Event()
                thread = threading.Thread(
                    target=self._loop, args=(stop,), daemon=True, name="credit-sdk-outbox"
                )
                self._running[pid] = (thread, stop)
                thread.start()

    def stop(self) -> None:
        """Stop, and wait until it has."""
        thread, stop = self._running.pop(os.getpid(), (None, None))
        if thread is not None and stop is not None:
            stop.set()
            thread.join()

    def _loop(self, stop: threading.Event) -> None:
        while not stop.wait(self._books.terms.tick_seconds):
            self._run(round_of(self._books))


class KeeperTask:
    """The twin for asyncio: a task of the loop that the client is used in."""

    def __init__(self, books: Books, run: Callable[[Steps[None]], Awaitable[None]]) -> None:
        """It is not started yet."""
        self._books = books
        self._run = run
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start, unless it runs."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._loop(), name="credit-sdk-outbox")

    async def stop(self) -> None:
        """Stop at once: whatever it was at is taken up again by the next."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])

    async def _loop(self) -> None:
        while True:
            await asyncio.sleep(self._books.terms.tick_seconds)
            await self._run(round_of(self._books))
