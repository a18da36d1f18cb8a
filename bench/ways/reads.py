"""Reads of a balance: one query each over a pool or over dedicated connections, and the product's, one for many."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import asyncpg

from bench.slices import Slice, closed_loop
from bench.ways.lanes import Lanes
from tallybook.postgres.fresh import Fresh
from tallybook.postgres.pool import Database

_BALANCE = "SELECT available_micro FROM tallybook.wallets WHERE wallet_id = $1"
CALLERS = 64
CONNECTIONS = 16


class Reading(ABC):
    """What ways of reading have in common: callers who read balances, and no books."""

    name: str
    remark: str
    callers = CALLERS

    @abstractmethod
    async def read(self, wallet: int) -> bool:
        """Read; True when there was a balance."""

    async def measure(self, wallets: Sequence[int], seconds: float) -> Slice:
        """Read the balances of these wallets at full speed for a bounded time."""
        return await closed_loop(self.read, wallets, callers=self.callers, seconds=seconds)

    async def faults(self, accepted: int) -> list[str]:
        """Nothing is written."""
        assert accepted
        return []


class PoolReading(Reading):
    """asyncpg's pool as it comes: it resets a connection when it is given back."""

    name = "asyncpg pool"
    remark = f"a query each, {CONNECTIONS} connections"

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        """Read through this pool."""
        self._pool = pool

    async def read(self, wallet: int) -> bool:
        """One query."""
        return await self._pool.fetchval(_BALANCE, wallet) is not None


class DedicatedReading(Reading):
    """Connections that are never reset."""

    name = "dedicated connections"
    remark = f"a query each, {CONNECTIONS} connections"

    def __init__(self, lanes: Lanes) -> None:
        """Read over these connections."""
        self._lanes = lanes

    async def read(self, wallet: int) -> bool:
        """One query."""
        async with self._lanes.lane() as connection:
            return await connection.fetchval(_BALANCE, wallet) is not None


class OurReading(Reading):
    """As the service reads: who asks while a query is at the database shares the next one."""

    name = "Tallybook, gathered"
    remark = "the whole wallet and its owner; one query for all who ask meanwhile, nothing is remembered"

    def __init__(self, db: Database) -> None:
        """Read through the service's own pool."""
        self._fresh = Fresh(db)

    async def read(self, wallet: int) -> bool:
        """The wallet as it is now."""
        return await self._fresh.wallet.get(wallet) is not None
