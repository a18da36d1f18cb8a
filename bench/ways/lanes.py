"""Connections that callers take in turn: opened once, never reset, so that only the way itself counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


class Lanes:
    """A fixed set of connections; ``use`` says how many of them are in circulation."""

    def __init__(self, connections: list[Connection]) -> None:
        """Use ``opened`` instead."""
        self._connections = connections
        self._free = list(connections)
        # First come, first served: a queue would let a caller that just gave one back take it again at once.
        self._turn = asyncio.Semaphore(len(connections))

    def first(self, count: int) -> Lanes:
        """The first ``count`` of these, as lanes of their own: both may not be in use at a time."""
        return Lanes(self._connections[:count])

    def use(self, count: int) -> None:
        """Put only the first ``count`` into circulation; none may be in use now."""
        assert count <= len(self._connections), count
        self._free = self._connections[:count]
        self._turn = asyncio.Semaphore(count)

    @asynccontextmanager
    async def lane(self) -> AsyncIterator[Connection]:
        """One connection; waits until one is free."""
        async with self._turn:
            connection = self._free.pop()
            try:
                yield connection
            finally:
                self._free.append(connection)

    @classmethod
    @asynccontextmanager
    async def opened(cls, url: str, count: int) -> AsyncIterator[Lanes]:
        """Open ``count`` connections for as long as the block runs."""
        connections: list[Connection] = []
        try:
            while len(connections) < count:
                connections.append(await asyncpg.connect(url))
            yield cls(connections)
        finally:
            for connection in connections:
                await connection.close()
