"""``client.outbox``: what was accepted while the service was away, and what became of it."""

from __future__ import annotations

import asyncio
from functools import partial

from credit_sdk.outbox import keeping, settling
from credit_sdk.outbox.rows import OutboxSpend, Settlement, State
from credit_sdk.outbox.senders import OpenAwaiting, OpenBlocking
from credit_sdk.outbox.steps import Books, Local, Steps


def _release(books: Books) -> Steps[None]:
    yield Local(books.leases.retire_all)
    yield from keeping.give_back(books)


class Outbox:
    """The outbox of a ``Client``."""

    def __init__(self, sender: OpenBlocking) -> None:
        """Made by the client."""
        self._sender = sender
        self._spends = sender.books.spends

    def pending(self) -> tuple[OutboxSpend, ...]:
        """What was accepted and is not booked yet, oldest first; ``problem`` says what it waits for."""
        return tuple(self._spends.in_state(State.PENDING))

    def uncollected(self) -> tuple[OutboxSpend, ...]:
        """What was accepted and can never be booked; ``problem`` says why."""
        return tuple(self._spends.in_state(State.UNCOLLECTED))

    def find(self, idempotency_key: str) -> tuple[OutboxSpend, ...]:
        """The lines of a key: at most one for each holder."""
        return tuple(self._spends.of_key(idempotency_key))

    def settle(self) -> Settlement:
        """Ask the service to book what is pending: one round, which ends early if the service is away.

        Raises:
            OutboxUnavailableError: the file cannot be used.
        """
        return self._sender.run(settling.settle(self._sender.books))

    def keep_leases(self) -> None:
        """Extend the leases of those who spent lately, replace drained ones, and give back those of the idle.

        Raises:
            CreditError: the service is away, or the outbox cannot be used.
        """
        self._sender.run(keeping.keep_all(self._sender.books))

    def release_leases(self) -> None:
        """Give all leases back, before a long stop; until the next spend nothing is covered.

        Raises:
            CreditError: the service is away: they expire by themselves.
        """
        self._sender.run(_release(self._sender.books))


class AsyncOutbox:
    """The outbox of an ``AsyncClient``: as ``Outbox``, awaited."""

    def __init__(self, sender: OpenAwaiting) -> None:
        """Made by the client."""
        self._sender = sender
        self._spends = sender.books.spends

    async def pending(self) -> tuple[OutboxSpend, ...]:
        """As ``Outbox.pending``."""
        return tuple(await asyncio.to_thread(partial(self._spends.in_state, State.PENDING)))

    async def uncollected(self) -> tuple[OutboxSpend, ...]:
        """As ``Outbox.uncollected``."""
        return tuple(await asyncio.to_thread(partial(self._spends.in_state, State.UNCOLLECTED)))

    async def find(self, idempotency_key: str) -> tuple[OutboxSpend, ...]:
        """As ``Outbox.find``."""
        return tuple(await asyncio.to_thread(partial(self._spends.of_key, idempotency_key)))

    async def settle(self) -> Settlement:
        """As ``Outbox.settle``."""
        return await self._sender.run(settling.settle(self._sender.books))

    async def keep_leases(self) -> None:
        """As ``Outbox.keep_leases``."""
        await self._sender.run(keeping.keep_all(self._sender.books))

    async def release_leases(self) -> None:
        """As ``Outbox.release_leases``."""
        await self._sender.run(_release(self._sender.books))
