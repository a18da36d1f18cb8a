"""The careful simple way: a balance column, locked by SELECT … FOR UPDATE, taken from, and written down.

It cannot overspend. It has no idempotency keys, lots, holds or hash chain: it does less than the product.
"""

from __future__ import annotations

from collections.abc import Sequence

import psycopg

from bench.slices import Slice, closed_loop
from bench.ways import FUNDED
from bench.ways.lanes import Lanes

_LOCK = "SELECT balance FROM {table} WHERE user_id = $1 FOR UPDATE"
_TAKE = "UPDATE {table} SET balance = balance - $2 WHERE user_id = $1"
_WRITE = "INSERT INTO {table}_spends (user_id, amount, created_at) VALUES ($1, $2, now())"


def prepare(url: str, table: str, wallets: Sequence[int], credits: int = FUNDED) -> None:
    """Make the two tables under this name, with ``credits`` for each user."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            f"CREATE TABLE {table} (user_id bigint PRIMARY KEY, funded bigint NOT NULL, "
            "balance bigint NOT NULL CHECK (balance >= 0)) WITH (fillfactor = 70)"
        )
        connection.execute(
            f"CREATE TABLE {table}_spends (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
            "user_id bigint NOT NULL, amount bigint NOT NULL, created_at timestamptz NOT NULL)"
        )
        connection.execute(
            f"INSERT INTO {table} SELECT u, %s, %s FROM unnest(%s::bigint[]) AS u",
            [credits, credits, list(wallets)],
        )
        connection.execute(f"VACUUM ANALYZE {table}")


class RowLockWay:
    """Lock, compare, take, write down, commit; over asyncpg."""

    name = "row lock"
    does = "FOR UPDATE, UPDATE, INSERT"

    def __init__(self, lanes: Lanes, table: str, callers: int = 64) -> None:
        """Spend over these connections from these tables."""
        self.callers = callers
        self._lanes = lanes
        self._table = table
        self._lock, self._take, self._write = (
            statement.format(table=table) for statement in (_LOCK, _TAKE, _WRITE)
        )
        self.remark = self.does

    def use(self, connections: int) -> None:
        """Use this many connections from now on."""
        self._lanes.use(connections)
        self.remark = f"{self.does}; {self.callers} callers, {connections} connections"

    async def spend(self, wallet: int, credits: int = 1) -> bool:
        """Spend if the balance covers it; False is a refusal."""
        async with self._lanes.lane() as connection, connection.transaction():
            if await connection.fetchval(self._lock, wallet) < credits:
                return False
            await connection.execute(self._take, wallet, credits)
            await connection.execute(self._write, wallet, credits)
            return True

    async def measure(self, wallets: Sequence[int], seconds: float) -> Slice:
        """Spend from these wallets at full speed for a bounded time."""
        return await closed_loop(self.spend, wallets, callers=self.callers, seconds=seconds)

    async def faults(self, accepted: int) -> list[str]:
        """Every acknowledged spend must be a row, and every balance what was funded minus its rows."""
        async with self._lanes.lane() as connection:
            spends = await connection.fetchval(f"SELECT count(*) FROM {self._table}_spends")
            apart = await connection.fetchval(
                f"SELECT count(*) FROM {self._table} AS b LEFT JOIN "
                f"(SELECT user_id, sum(amount) AS spent FROM {self._table}_spends GROUP BY user_id) AS s "
                "USING (user_id) WHERE b.balance <> b.funded - coalesce(s.spent, 0)"
            )
        found = []
        if spends != accepted:
            found.append(f"{accepted} spends acknowledged, {spends} found")
        if apart:
            found.append(f"{apart} balances do not tie with their rows")
        return found
